//! One call: a fresh store, the guest and the verbs that it asks for driven side by side, and an end whatever happens.

use super::meter::Meter;
use crate::activity::Activity;
use crate::capability::{Granted, Guest, Hit, Limits};
use crate::context::StepContext;
use crate::driver::Drivers;
use std::future::{Future, pending};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use wasmtime::{Engine, Store, Trap};
use wasmtime_wasi::I32Exit;

/// Everything that a call needs beside the component.
pub struct Visit<'a> {
    pub engine: &'a Engine,
    pub limits: &'a Limits,
    pub granted: Arc<Granted>,
    pub activity: &'a Activity,
    pub idle: Duration,
    /// Who serves the guest's verbs; nobody while a component describes itself.
    pub served: Option<(&'a StepContext, &'a Drivers)>,
}

/// Why a guest gave no answer at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    /// kebab-case.
    pub code: &'static str,
    pub message: String,
}

impl Visit<'_> {
    /// Runs `work` in a store of its own, which is gone when this returns.
    pub async fn run<T, F>(self, work: impl FnOnce(Store<Guest>) -> F) -> Result<T, Broken>
    where
        F: Future<Output = wasmtime::Result<T>>,
    {
        let hit = Arc::new(OnceLock::new());
        let (guest, mut jobs) =
            Guest::new(self.limits, self.granted.clone(), self.activity.clone(), self.idle, hit.clone());
        let (idle, voice) = (guest.idle(), guest.voice());
        let mut store = Store::new(self.engine, guest);
        store.limiter(|guest| guest.resources());
        store.set_hostcall_fuel(self.limits.crossing_bytes);
        store.set_max_component_handles(self.limits.handles);
        let meter = Meter::default();
        meter.watch(&mut store, self.limits.cpu, hit.clone());
        self.activity.touch();

        let verbs = async {
            match self.served {
                Some((cx, drivers)) => jobs.serve(cx, drivers).await,
                None => drop(jobs),
            }
            pending().await
        };
        let silence = async {
            loop {
                let (quiet, bound) = (self.activity.quiet(), idle.now());
                if quiet >= bound {
                    return silent(bound);
                }
                // The bound may become a shorter one meanwhile.
                tokio::time::sleep((bound - quiet).min(LOOK_AGAIN)).await;
            }
        };
        let overdue = async {
            self.activity.cancellation().cancelled().await;
            tokio::time::sleep(self.limits.grace).await;
        };
        let ended = tokio::select! {
            biased;
            ended = meter.count(work(store)) => ended.map_err(|error| self.explain(&error, hit.get().copied())),
            never = verbs => never,
            broken = silence => Err(broken),
            () = overdue => Err(cancelled(self.limits.grace)),
        };
        voice.finish();
        ended
    }

    fn explain(&self, error: &wasmtime::Error, hit: Option<Hit>) -> Broken {
        let limits = self.limits;
        let broken = |code, message| Broken { code, message };
        match hit {
            Some(Hit::Memory) => {
                return broken("memory", format!("it wanted more than {} MiB of memory", limits.memory_bytes >> 20));
            }
            Some(Hit::Table) => {
                return broken("table", format!("it wanted a table of more than {} entries", limits.table_elements));
            }
            Some(Hit::Cpu) => {
                return broken("cpu", format!("it computed for more than {}", shown(limits.cpu)));
            }
            None => {}
        }
        if let Some(I32Exit(code)) = error.downcast_ref() {
            return broken("exit", format!("it ended itself with exit code {code}"));
        }
        if let Some(Trap::StackOverflow) = error.downcast_ref() {
            return broken("stack", "it recursed too deep".into());
        }
        let cause = error.root_cause().to_string();
        if cause.contains("fuel allocated for hostcalls") {
            let most = limits.crossing_bytes >> 20;
            return broken("size", format!("it handed over more than {most} MiB at once"));
        }
        if cause.contains("handle") || cause.contains("resource table has no free keys") {
            return broken("handles", format!("it held more than {} handles ({cause})", limits.handles));
        }
        broken("trap", format!("it trapped: {cause}"))
    }
}

/// Sleeps of the idle deadline are this long at most.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

fn silent(bound: Duration) -> Broken {
    Broken { code: "idle", message: format!("nothing was heard of it for {}", shown(bound)) }
}

fn cancelled(grace: Duration) -> Broken {
    Broken { code: "cancelled", message: format!("it did not return within {} of the cancellation", shown(grace)) }
}

fn shown(duration: Duration) -> String {
    if duration < Duration::from_secs(1) {
        format!("{} ms", duration.as_millis())
    } else {
        format!("{} s", duration.as_secs())
    }
}
