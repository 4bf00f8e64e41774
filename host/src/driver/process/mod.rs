//! Behind `process`: commands that the operator named, run as jobs that outlive the daemon and are found again.
//!
//! A command that changes something runs beneath a supervisor of its own ([`run_job`]) and ends when it is over, when
//! nothing was heard of it for its idle deadline, or when its step is cancelled; not when the daemon ends. A command that
//! the operator marked `reads-only` is not journaled and ends with the daemon.

mod account;
mod folder;
mod job;
mod launch;
pub(super) mod log;
pub(super) mod patterns;
pub(super) mod proc;
pub(super) mod redact;
mod supervisor;
#[cfg(test)]
mod tests;

pub use account::Account;
pub use folder::MARK_VARIABLE;
pub use job::{NO_SUCCESS, end_marked, end_marked_of};
pub use launch::{Launch, Secrets, surroundings};
pub use supervisor::run_job;

use super::Machine;
use super::release::Layout;
use super::server::names::of_daemon;
use crate::activity::Level;
use crate::config::CommandConfig;
use crate::context::{Site, StepContext};
use crate::effect::Access;
use crate::model::*;
use crate::plan::event::{Effect, Verdict};
use folder::Spec;
use job::Job;
use std::collections::BTreeMap;
use std::io;
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

/// Between asking a job to end and forcing it.
pub const GRACE: Duration = Duration::from_secs(10);

pub struct Processes {
    commands: BTreeMap<String, CommandConfig>,
    layout: Option<Layout>,
    /// Where a plugin names no idle deadline.
    idle: Duration,
    machine: Machine,
    /// The operator's commands would work on what is live: a rehearsal leaves them out.
    rehearses: bool,
}

impl Processes {
    pub fn new(
        commands: BTreeMap<String, CommandConfig>, layout: Option<Layout>, idle: Duration, machine: Machine,
    ) -> Self {
        Self { commands, layout, idle, machine, rehearses: false }
    }

    pub fn of_a_rehearsal(self, rehearses: bool) -> Self {
        Self { rehearses, ..self }
    }

    pub async fn list(&self, _cx: &StepContext) -> Result<Vec<String>, VerbError> {
        Ok(self.commands.keys().cloned().collect())
    }

    /// Runs in the folder of the active release, where the command names none.
    pub async fn run(&self, cx: &StepContext, command: &NamedCommand) -> Result<CommandExit, VerbError> {
        let folder = match &self.layout {
            Some(layout) => layout.active_folder().map_err(io_error("find the active release"))?,
            None => PathBuf::from("/"),
        };
        self.run_in(cx, command, &folder).await
    }

    /// Runs in `folder`, where the command names none.
    pub async fn run_in(
        &self, cx: &StepContext, command: &NamedCommand, folder: &Path,
    ) -> Result<CommandExit, VerbError> {
        let config = self.granted(command)?;
        if cx.site != Site::Live {
            return Err(VerbError::Denied(format!("`{}` runs on the live site, and this is a drill", command.name)));
        }
        if self.rehearses {
            let tail = format!("the command `{}` is the operator's, and left out", command.name);
            cx.activity.line(Level::Info, tail.clone());
            return Ok(CommandExit { code: 0, tail, elapsed_ms: 0 });
        }
        let mut command = command.clone();
        if command.idle_ms == 0 {
            command.idle_ms = u64::try_from(self.idle.as_millis()).unwrap_or(u64::MAX);
        }
        patterns::compile_optional(command.success.as_deref())?;
        patterns::compile_optional(command.progress.as_deref())?;
        let handle = self.free_handle(cx);
        if config.reads_only {
            let (launch, secrets) = Launch::resolve(config, &command.args, folder).await?;
            let outcome = self.job(cx, launch, &secrets, &command, &handle, true).await;
            // Nobody will ask for it again, and there are many.
            let _ = std::fs::remove_dir_all(self.machine.state.join(&handle));
            return outcome;
        }
        if cx.effects.access() == Access::Reading {
            return Err(VerbError::Denied(format!(
                "the command `{}` may change the site, and this phase only reads; `reads-only = true` says that it changes nothing",
                command.name
            )));
        }
        let work = async {
            let (launch, secrets) = Launch::resolve(config, &command.args, folder).await?;
            self.job(cx, launch, &secrets, &command, &handle, false).await
        };
        cx.effects.perform("process.run", &command, &handle, command.repeatable, work).await
    }

    /// A command of the host's own, journaled as `verb`; it outlives the daemon and is found again as the others are.
    pub async fn run_own(
        &self, cx: &StepContext, verb: &str, config: &CommandConfig, command: NamedCommand,
    ) -> Result<CommandExit, VerbError> {
        self.run_hiding(cx, verb, config, command, Vec::new()).await
    }

    /// As [`Processes::run_own`]; what it prints of `others`, which it has from elsewhere, is shown to nobody.
    pub async fn run_hiding(
        &self, cx: &StepContext, verb: &str, config: &CommandConfig, mut command: NamedCommand, others: Vec<String>,
    ) -> Result<CommandExit, VerbError> {
        if command.idle_ms == 0 {
            command.idle_ms = u64::try_from(self.idle.as_millis()).unwrap_or(u64::MAX);
        }
        patterns::compile_optional(command.success.as_deref())?;
        patterns::compile_optional(command.progress.as_deref())?;
        let handle = self.free_handle(cx);
        let work = async {
            let (launch, secrets) = Launch::resolve(config, &command.args, Path::new("/")).await?;
            let secrets = Secrets { others, ..secrets };
            self.job(cx, launch, &secrets, &command, &handle, false).await
        };
        cx.effects.perform(verb, &command, &handle, command.repeatable, work).await
    }

    /// The command as the operator configured it.
    pub fn config(&self, name: &str) -> Option<&CommandConfig> {
        self.commands.get(name)
    }

    pub async fn fence_and_probe(&self, effect: &Effect) -> Verdict {
        let handle = Path::new(&effect.handle);
        let ours = handle.starts_with("jobs") && handle.components().all(|part| matches!(part, Component::Normal(_)));
        if !ours {
            return Verdict::Unknown;
        }
        job::fence_and_probe(&self.machine.state.join(handle)).await
    }

    fn granted(&self, command: &NamedCommand) -> Result<&CommandConfig, VerbError> {
        let name = &command.name;
        let config = self.commands.get(name).ok_or_else(|| {
            let known: Vec<String> = self.commands.keys().map(|name| format!("`{name}`")).collect();
            let known = if known.is_empty() { "none is".into() } else { format!("{} are", known.join(", ")) };
            VerbError::Denied(format!("no command is named `{name}` in the deployment's file; {known}"))
        })?;
        if !command.args.is_empty() && !config.arguments {
            return Err(VerbError::Denied(format!(
                "the command `{name}` takes no arguments from a plugin; `arguments = true` would let it"
            )));
        }
        Ok(config)
    }

    async fn job(
        &self, cx: &StepContext, launch: Launch, secrets: &Secrets, command: &NamedCommand, handle: &str, tied: bool,
    ) -> Result<CommandExit, VerbError> {
        let spec = Spec { launch, mark: self.mark(&cx.deployment, &cx.step), command: command.clone(), tied };
        let path = self.machine.state.join(handle);
        // A tied job ends with the daemon, however the daemon ends.
        let leaving = if tied { Default::default() } else { self.machine.leaving.clone() };
        let job = Job::start(&path, spec, secrets, &self.machine.job_program, leaving).await?;
        job.see_through(&cx.activity, Duration::from_millis(command.idle_ms)).await
    }

    pub fn mark(&self, deployment: &str, step: &str) -> String {
        mark(&self.machine.state, deployment, step)
    }

    /// Ends what a daemon that is gone left at work for the step.
    pub async fn end_step(&self, deployment: &str, step: &str) {
        end_marked(&self.mark(deployment, step)).await;
    }

    /// `jobs/<deployment>/<step>-<attempt>-<n>`, relative to the state's folder.
    fn free_handle(&self, cx: &StepContext) -> String {
        let name = |n: u32| format!("jobs/{}/{}-{}-{n}", cx.deployment, cx.step, cx.attempt);
        (0..).map(name).find(|handle| !self.machine.state.join(handle).exists()).expect("one of all numbers is free")
    }
}

/// What everything that a step starts carries in its environment, as [`MARK_VARIABLE`]. Another daemon on this machine
/// counts its runs too: the state's folder tells the two apart.
pub fn mark(state: &Path, deployment: &str, step: &str) -> String {
    format!("{deployment}/{step}@{}", of_daemon(state))
}

/// A command of the deployment's file, as a plugin asks for it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct NamedCommand {
    pub name: String,
    pub args: Vec<String>,
    pub repeatable: bool,
    pub success: Option<String>,
    pub progress: Option<String>,
    /// 0: the deployment's own.
    pub idle_ms: u64,
}

/// A closure that says what could not be done.
pub(super) fn io_error(what: &'static str) -> impl Fn(io::Error) -> VerbError {
    move |error| VerbError::other("io", format!("can't {what}: {error}"))
}

fn claim_error() -> io::Error {
    io::Error::new(io::ErrorKind::AlreadyExists, "the job has a supervisor, or was fenced before it began")
}
