//! What does the work behind the contract's interfaces. One module for each; every method takes the [`StepContext`], every
//! changing one goes through `cx.effects.perform`. A driver never calls a plugin and never decides what comes next.

pub mod beside;
mod drill;
mod durable;
pub mod git;
pub mod http;
pub mod postgres;
pub mod process;
pub mod project;
pub mod release;
pub mod services;
pub mod sqlite;
pub mod trees;

#[cfg(test)]
mod testing;

use crate::config::{BindingConfig, Deployment};
use crate::model::Role;
use crate::plan::event::{Effect, Verdict};
use crate::vault::Vault;
use git::Checkout;
use http::Http;
use postgres::Postgres;
use process::Processes;
use project::Project;
use release::Layout;
use services::Services;
use sqlite::Sqlite;
use std::path::PathBuf;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;
use trees::Trees;

/// What the drivers of the host's own processes need of the machine.
#[derive(Debug, Clone)]
pub struct Machine {
    /// The daemon's state folder.
    pub state: PathBuf,
    /// The binary whose `job` subcommand calls [`process::run_job`].
    pub job_program: PathBuf,
    pub systemd: services::Systemd,
    /// Cancelled when the daemon goes while work is under way: jobs are left running, and found again.
    pub leaving: CancellationToken,
}

/// What drivers are built with, beside a deployment's file.
#[derive(Clone)]
pub struct Environment {
    pub machine: Machine,
    pub vault: Vault,
}

/// The drivers of one binding, built from its grants.
pub struct Drivers {
    pub project: Project,
    pub services: Services,
    pub process: Arc<Processes>,
    pub git: Checkout,
    pub trees: Trees,
    pub sqlite: Sqlite,
    pub postgres: Postgres,
    pub http: Http,
}

pub use postgres::scratch_name;

impl Drivers {
    /// For `binding`, one of the deployment's. The product and the datastores have the first platform's folder, commands
    /// and releases; every binding sees all services, and a platform may change its own.
    pub fn build(deployment: &Deployment, binding: &BindingConfig, environment: &Environment) -> Self {
        let (machine, vault) = (&environment.machine, &environment.vault);
        let grants = &binding.grants;
        let platform = match binding.role() {
            Role::Platform => Some(binding),
            Role::Product | Role::Datastore => deployment.platforms.first(),
        };
        let place = platform.map(|platform| &platform.grants);
        let own = (binding.role() == Role::Platform).then_some(binding.binding.name.as_str());
        let directory = place.and_then(|place| place.directory.clone());
        let layout = directory.as_deref().map(Layout::new);
        let idle = deployment.policy.idle;
        let commands = place.map(|place| place.commands.clone()).unwrap_or_default();
        let processes = Arc::new(Processes::new(commands, layout.clone(), idle, machine.clone()));
        let repository = place.and_then(|place| place.repository.clone());
        Self {
            project: Project::new(directory),
            services: Services::new(deployment, own, machine.clone()),
            git: Checkout::new(&deployment.name, layout, repository, processes.clone(), idle),
            process: processes,
            trees: Trees::new(grants.paths.clone(), vault.clone()),
            sqlite: Sqlite::new(grants.paths.clone(), vault.clone()),
            postgres: Postgres::new(grants.server.clone(), vault.clone(), machine.state.join("scratch"), idle),
            http: Http::new(grants.http.clone(), grants.secrets.clone()),
        }
    }

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
