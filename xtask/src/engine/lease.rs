//! The engine for as long as tests, demo or bench run: what was up before stays up, what was started for them ends with
//! them, also where somebody interrupts.

use super::{down, engine, is_up, up};
use crate::interrupt::{Interrupt, pause};
use anyhow::Result;
use scratch_docker::{Engine, GIVEN_ENGINE, GIVEN_REGISTRY};
use std::collections::BTreeSet;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

#[derive(Clone, Default)]
pub struct Lease {
    /// Whether the engine ends with it. Held while the engine is started or stopped.
    ours: Arc<Mutex<bool>>,
    /// Of the processes that use it.
    groups: Arc<Mutex<BTreeSet<u32>>>,
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

    /// Starts a program that uses it, as a process group of its own, which an interruption ends before the engine goes.
    pub fn start(&self, command: &mut Command) -> io::Result<Child> {
        let mut groups = self.groups();
        let child = command.process_group(0).spawn()?;
        groups.insert(child.id());
        Ok(child)
    }
    pub fn wait(&self, child: &mut Child) -> io::Result<ExitStatus> {
        let status = child.wait();
        self.groups().remove(&child.id());
        status
    }

    pub fn is_ours(&self) -> bool {
        *self.ours()
    }

    pub fn end(&self) -> Result<()> {
        let mut ours = self.ours();
        if std::mem::take(&mut *ours) { down(!self.keeps_images) } else { Ok(()) }
    }

    fn interrupt(&self) {
        // Held until this program has ended: nobody starts another one.
        let groups = self.groups();
        for group in &*groups {
            let _ = Command::new("kill").args(["-TERM", "--", &format!("-{group}")]).status();
        }
        if let Err(error) = crate::kubernetes::end().and_then(|()| self.end()) {
            eprintln!("error: {error:#}");
        }
    }

    fn groups(&self) -> MutexGuard<'_, BTreeSet<u32>> {
        self.groups.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ours(&self) -> MutexGuard<'_, bool> {
        self.ours.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
