//! What does the work behind the contract's interfaces. One module for each; every method takes the [`StepContext`], every
//! changing one goes through `cx.effects.perform`. A driver never calls a plugin and never decides what comes next.

pub mod beside;
mod durable;
pub mod git;
pub mod http;
pub mod postgres;
pub mod process;
pub mod project;
pub mod release;
pub mod services;
pub mod sqlite;
#[cfg(test)]
mod testing;
pub mod trees;

use crate::plan::event::{Effect, Verdict};
use std::path::PathBuf;
use tokio_util::sync::CancellationToken;

/// What the drivers of the host's own processes need of the machine.
#[derive(Debug, Clone)]
pub struct Machine {
    /// The daemon's state folder.
    pub state: PathBuf,
    /// The binary whose `job` subcommand calls [`process::run_job`].
    pub job_program: PathBuf,
    /// Cancelled when the daemon goes while work is under way: jobs are left running, and found again.
    pub leaving: CancellationToken,
}

/// The drivers of one binding, built from its grants.
pub struct Drivers {
    pub project: project::Project,
    pub services: services::Services,
    pub process: process::Processes,
    pub git: git::Checkout,
    pub trees: trees::Trees,
    pub sqlite: sqlite::Sqlite,
    pub postgres: postgres::Postgres,
    pub http: http::Http,
}

impl Drivers {
    /// For an effect that a crash left without an end: finds what still runs under its handle, waits for it or ends it,
    /// and says what became of the effect. Idempotent.
    pub async fn fence_and_probe(&self, effect: &Effect) -> Verdict {
        match effect.verb.split_once('.').map(|(interface, _)| interface) {
            Some("process") => self.process.fence_and_probe(effect).await,
            Some("control") => self.services.fence_and_probe(effect).await,
            Some("project") => self.project.fence_and_probe(effect).await,
            Some("checkout") => self.git.fence_and_probe(effect).await,
            Some("trees") => self.trees.fence_and_probe(effect).await,
            Some("sqlite") => self.sqlite.fence_and_probe(effect).await,
            Some("postgres") => self.postgres.fence_and_probe(effect).await,
            _ => Verdict::Unknown,
        }
    }
}
