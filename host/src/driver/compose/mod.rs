//! Behind `compose`, and behind `services` and `control` for a platform that has an engine: one Compose project.
//!
//! What should run is asked of `docker compose` itself, which alone knows what the operator's files mean; what does run
//! is asked of the engine. A container that was stopped for an upgrade has its restart policy taken away, so that
//! neither the engine's restart nor the machine's brings it back; what the policy was is kept in the service's hold.

mod alone;
mod build;
mod built;
mod cli;
mod control;
mod declared;
mod differs;
pub mod double;
mod look;
mod orchestrator;
mod reading;
mod resources;
mod roll;
mod said;
mod shadow;

pub use declared::{Declared, DeclaredMount};
pub use look::{broken_how, is_of_the_machine, stands, tag, will_not_stand};
pub use roll::REPLACE;

use super::Machine;
use super::engine::{Container, Engine, State};
use super::process::{NamedCommand, Processes};
use super::project::Project;
use crate::config::{CommandConfig, ComposeConfig};
use crate::context::{Site, StepContext};
use crate::model::*;
use crate::plan::event::{Effect, Verdict};
use declared::Declaration;
use double::Double;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// On what a step started, by the step's mark.
const MARK_LABEL: &str = "upgraded.mark";

pub struct Compose {
    /// The binding.
    platform: String,
    deployment: String,
    engine: Arc<Engine>,
    directory: PathBuf,
    config: ComposeConfig,
    project: Arc<Project>,
    processes: Arc<Processes>,
    machine: Machine,
    idle: Duration,
    /// It is a rehearsal's: nothing of the files is done but what is left of them there.
    double: Option<Arc<Double>>,
}

/// What a [`Compose`] is built with.
pub struct Parts {
    pub platform: String,
    pub deployment: String,
    pub engine: Arc<Engine>,
    pub directory: PathBuf,
    pub config: ComposeConfig,
    pub project: Arc<Project>,
    pub processes: Arc<Processes>,
    pub machine: Machine,
    pub idle: Duration,
    pub double: Option<Arc<Double>>,
}

/// A container of the project, and whether it is what the files say.
#[derive(Debug, Clone, PartialEq)]
pub struct Standing {
    pub container: Container,
    /// Made from what the files say now.
    pub current: bool,
}

/// A command in a fresh container of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OneOff {
    pub service: String,
    pub argv: Vec<String>,
    pub repeatable: bool,
    pub success: Option<String>,
    pub progress: Option<String>,
    /// 0: the deployment's own.
    pub idle_ms: u64,
}

impl Compose {
    pub fn new(parts: Parts) -> Self {
        let Parts { platform, deployment, engine, directory, config, project, processes, machine, idle, double } =
            parts;
        Self { platform, deployment, engine, directory, config, project, processes, machine, idle, double }
    }

    pub fn engine(&self) -> &Arc<Engine> {
        &self.engine
    }

    /// The first container of a service.
    pub async fn container_of(&self, service: &str) -> Result<Option<Container>, VerbError> {
        let declaration = self.declaration().await?;
        self.known(&declaration, &[service.to_owned()])?;
        let containers = self.engine.containers(&declaration.name).await?;
        Ok(containers.into_iter().find(|container| container.service == service))
    }

    /// What the files say; `planned`: with the edits that are planned laid over them.
    pub async fn declared(&self, cx: &StepContext, planned: bool) -> Result<Vec<Declared>, VerbError> {
        let declaration = match planned.then(|| self.project.overlaid()).filter(|files| !files.is_empty()) {
            Some(files) => {
                let shadow = shadow::Shadow::make(self, cx, files).await?;
                self.declaration_of(Some(&shadow)).await?
            }
            None => self.declaration().await?,
        };
        cx.activity.touch();
        Ok(declaration.services)
    }

    /// Every container of the project, with those of services that the files no longer have.
    pub async fn containers(&self, cx: &StepContext) -> Result<Vec<Standing>, VerbError> {
        let declaration = self.declaration().await?;
        let replaced = self.replaced(&[]).await?;
        cx.activity.touch();
        let containers = self.engine.containers(&declaration.name).await?;
        let declared = |container: &Container| declaration.services.iter().any(|s| s.name == container.service);
        let current = |container: &Container| declared(container) && !replaced.contains(&container.name);
        Ok(containers.into_iter().map(|container| Standing { current: current(&container), container }).collect())
    }

    /// Runs to its end in a fresh container, which is removed; the service's own containers are not touched.
    pub async fn run(&self, cx: &StepContext, one_off: &OneOff) -> Result<CommandExit, VerbError> {
        self.changeable(cx, "compose.run")?;
        let declaration = self.declaration().await?;
        self.known(&declaration, std::slice::from_ref(&one_off.service))?;
        let label = format!("{MARK_LABEL}={}", self.processes.mark(&cx.deployment, &cx.step));
        let mut argv = self.argv_without_pulls(&one_off.service).await?;
        // Not `--rm`: podman forgets how a container ended that it removes by itself.
        argv.extend(["run", "--no-deps", "--no-TTY", "--label"].map(String::from));
        argv.extend([label.clone(), one_off.service.clone()]);
        argv.extend(one_off.argv.iter().cloned());
        let config = CommandConfig {
            argv,
            directory: Some(self.directory.clone()),
            environment: self.environment(),
            user: None,
            arguments: false,
            reads_only: false,
        };
        let OneOff { service, argv, repeatable, success, progress, idle_ms } = one_off.clone();
        let name = format!("{service} {}", argv.join(" "));
        let command = NamedCommand { name, args: Vec::new(), repeatable, success, progress, idle_ms };
        let run = self.processes.run_hiding(cx, "compose.run", &config, command, declaration.secrets);
        let outcome = self.engine.while_looking_at(&label, run).await;
        self.remove_labelled(&label).await?;
        outcome
    }

    /// Ends what still runs of the effect's step. Every verb but a one-off command converges.
    pub async fn fence_and_probe(&self, effect: &Effect) -> Verdict {
        if effect.verb == "compose.run" {
            let verdict = self.processes.fence_and_probe(effect).await;
            let mark = self.processes.mark(&self.deployment, &effect.step);
            let removed = self.remove_labelled(&format!("{MARK_LABEL}={mark}")).await;
            return if removed.is_ok() { verdict } else { Verdict::Unknown };
        }
        self.processes.end_step(&self.deployment, &effect.step).await;
        Verdict::Unknown
    }

    async fn remove_labelled(&self, label: &str) -> Result<(), VerbError> {
        for id in self.engine.labelled(&[label.to_owned()]).await? {
            self.engine.remove(&id).await?;
        }
        Ok(())
    }

    fn changeable(&self, cx: &StepContext, verb: &str) -> Result<(), VerbError> {
        cx.effects.may_change(verb)?;
        match cx.site {
            Site::Live => Ok(()),
            Site::Drill { .. } => {
                Err(VerbError::Denied(format!("`{verb}` changes the live site, and this is a drill")))
            }
        }
    }

    /// Or the nearest that there is.
    fn known(&self, declaration: &Declaration, names: &[String]) -> Result<(), VerbError> {
        let there = |name: &String| declaration.services.iter().any(|service| service.name == *name);
        let Some(missing) = names.iter().find(|name| !there(name)) else { return Ok(()) };
        let known: Vec<String> =
            declaration.services.iter().map(|s| format!("`{}/{}`", self.platform, s.name)).collect();
        let known = if known.is_empty() { "there is none".into() } else { format!("there is {}", known.join(", ")) };
        Err(VerbError::NotFound(format!("the deployment has no service `{}/{missing}`; {known}", self.platform)))
    }

    /// What `docker compose config` says of the files.
    pub async fn configuration(&self) -> Result<Arc<serde_json::Value>, VerbError> {
        self.rendered(None).await
    }

    /// Makes every container and volume of the project without starting anything.
    pub async fn create(&self, cx: &StepContext) -> Result<(), VerbError> {
        self.changeable(cx, "compose.create")?;
        let mut argv = self.argv(None).await?;
        argv.extend(["create", "--no-build", "--pull", "never"].map(String::from));
        let work = self.command(cx, &argv, "make the containers");
        cx.effects.perform("compose.create", &(), "", true, work).await
    }

    /// Starts all of the project in the files' own order; its services.
    pub async fn start_all(&self, cx: &StepContext) -> Result<Vec<ServiceRef>, VerbError> {
        self.changeable(cx, "compose.start-all")?;
        let mut argv = self.argv(None).await?;
        argv.extend(["up", "--detach", "--no-build", "--pull", "never"].map(String::from));
        let declaration = self.declaration().await?;
        let start = self.engine.while_checking(&declaration.name, self.command(cx, &argv, "start the services"));
        let work = cx.activity.watch(self.idle, start);
        cx.effects.perform("compose.start-all", &(), "", true, work).await?;
        let named = declaration.services.into_iter();
        Ok(named.map(|service| ServiceRef { platform: self.platform.clone(), name: service.name }).collect())
    }

    /// Where a service listens that the files publish on this port of the machine; none: no service is published there.
    pub async fn behind(&self, port: u16) -> Result<Option<SocketAddr>, VerbError> {
        let rendered = self.rendered(None).await?;
        let project = rendered["name"].as_str().unwrap_or_default();
        for (name, service) in rendered["services"].as_object().into_iter().flatten() {
            for published in service["ports"].as_array().into_iter().flatten() {
                if published["published"].as_str() != Some(&port.to_string()) {
                    continue;
                }
                let target = published["target"].as_u64().and_then(|port| u16::try_from(port).ok());
                let containers = self.engine.containers(project).await?;
                let mut running =
                    of_service(&containers, name).into_iter().filter(|container| container.state == State::Running);
                let reached = match (running.next(), target) {
                    (Some(container), Some(target)) => self.engine.reach(container, target).await?,
                    _ => None,
                };
                let away = || VerbError::Unavailable(format!("`{name}`, published on port {port}, does not run"));
                return reached.map(|reached| Some(reached.here)).ok_or_else(away);
            }
        }
        Ok(None)
    }

    async fn declaration(&self) -> Result<Declaration, VerbError> {
        self.declaration_of(None).await
    }

    async fn declaration_of(&self, shadow: Option<&shadow::Shadow>) -> Result<Declaration, VerbError> {
        let rendered = self.rendered(shadow).await?;
        match &self.double {
            Some(double) => Declaration::read(&double.of((*rendered).clone())?),
            None => Declaration::read(&rendered),
        }
    }
}

/// The containers of one service.
fn of_service<'a>(containers: &'a [Container], name: &str) -> Vec<&'a Container> {
    containers.iter().filter(|container| container.service == name).collect()
}
