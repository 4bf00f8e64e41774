//! The engine for as long as tests, demo or bench run: what was up before stays up, what was started for them ends with
//! them, also where somebody interrupts.

use super::{down, engine, is_up, up};
use crate::interrupt::{Interrupt, pause};
use anyhow::Result;
use scratch_docker::{Engine, GIVEN_ENGINE, GIVEN_REGISTRY};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

#[derive(Clone, Default)]
pub struct Lease {
    /// Whether the engine ends with it. Held while the engine is started or stopped.
    ours: Arc<Mutex<bool>>,
    /// Of the tests that use it; 0 is none.
    group: Arc<AtomicU32>,
    /// Images stay in the engine's folder, for the next time.
    keeps_images: bool,
}

impl Lease {
    pub fn keeping_images() -> Self {
        Self { keeps_images: true, ..Self::default() }
    }

    /// From now on an interruption ends the tests, the engine if it is ours, and this program.
    pub fn end_when(&self, interrupt: Interrupt) {
        let lease = self.clone();
        thread::spawn(move || {
            while !interrupt.came() {
                pause();
            }
            lease.interrupt();
            std::process::exit(130);
        });
    }

    pub fn begin(&self) -> Result<Engine> {
        let mut ours = self.ours();
        *ours = !is_up()?;
        let engine = up()?;
        let kept = match (*ours, self.keeps_images) {
            (false, _) => "it was up and stays",
            (true, true) => "stopped at the end",
            (true, false) => "stopped and emptied at the end",
        };
        println!("Docker engine on {}: {kept}", engine.socket().display());
        Ok(engine)
    }

    /// What the tests find it by.
    pub fn environment(&self) -> Result<Vec<(&'static str, String)>> {
        let engine = engine()?;
        let mut variables = engine.environment();
        variables.push((GIVEN_ENGINE, format!("unix://{}", engine.socket().display())));
        variables.push((GIVEN_REGISTRY, engine.registry().to_owned()));
        Ok(variables)
    }

    /// The process group that uses it.
    pub fn used_by(&self, group: u32) {
        self.group.store(group, Ordering::Relaxed);
    }
    pub fn is_free(&self) {
        self.group.store(0, Ordering::Relaxed);
    }

    pub fn is_ours(&self) -> bool {
        *self.ours()
    }

    pub fn end(&self) -> Result<()> {
        let mut ours = self.ours();
        if std::mem::take(&mut *ours) { down(!self.keeps_images) } else { Ok(()) }
    }

    fn interrupt(&self) {
        let group = self.group.load(Ordering::Relaxed);
        if group != 0 {
            let _ = Command::new("kill").args(["-TERM", "--", &format!("-{group}")]).status();
        }
        if let Err(error) = crate::kubernetes::end().and_then(|()| self.end()) {
            eprintln!("error: {error:#}");
        }
    }

    fn ours(&self) -> MutexGuard<'_, bool> {
        self.ours.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
