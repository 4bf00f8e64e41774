//! One service: whether it runs, and how it is started and stopped. Both converge: they look, say what is wanted, and
//! wait until it is so.

use super::hold::Hold;
use super::log::{self, Log, Position};
use super::restarts::Restarts;
use crate::activity::{Activity, Level};
use crate::config::secret::Secret;
use crate::config::{CommandConfig, EnvironmentValue, ServiceConfig, ServiceControl};
use crate::driver::process::proc::Identity;
use crate::driver::process::redact::Redactor;
use crate::driver::process::{GRACE, Launch, io_error};
use crate::driver::release::Layout;
use crate::driver::{Machine, durable};
use crate::model::{ServiceRef, VerbError};
use rustix::process::{Pid, Signal, kill_process_group};
use std::fs::{File, OpenOptions};
use std::future::Future;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;
use tokio::process::{Child, Command};
use tokio::time::Instant;

/// Carried by what a service's own `start` started, so that its processes are known. Not the mark of a job: a fence must
/// not end a service.
pub const SERVICE_VARIABLE: &str = "UPGRADED_SERVICE";

const POLL: Duration = Duration::from_millis(250);
const STATUS_WITHIN: Duration = Duration::from_secs(60);
/// Half of the idle deadline, where that is less.
const START_PATIENCE: Duration = Duration::from_secs(60);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    Running,
    Stopped,
    Failed,
    /// Coming or going.
    Between,
}

/// What a look at it shows.
pub struct Seen {
    pub status: Status,
    /// How often systemd has started it again by itself since somebody started it.
    pub restarts: u32,
    /// None where nobody says.
    pub active_for: Option<Duration>,
}

pub struct Service<'a> {
    pub name: &'a ServiceRef,
    pub deployment: &'a str,
    pub config: &'a ServiceConfig,
    pub layout: Option<&'a Layout>,
    pub machine: &'a Machine,
}

impl Service<'_> {
    pub fn hold(&self) -> Hold {
        Hold::new(&self.machine.state, self.deployment, self.name)
    }

    /// What [`SERVICE_VARIABLE`] says.
    pub fn mark(&self) -> String {
        format!("{}/{}", self.deployment, self.name)
    }

    /// One of the service's files in the state's folder.
    pub fn file(&self, ending: &str) -> PathBuf {
        let name = format!("{}.{}.{ending}", self.name.platform, self.name.name);
        self.machine.state.join("services").join(self.deployment).join(name)
    }

    /// Where it logs; what `start` itself printed, for a service of commands without one.
    pub fn log_file(&self) -> Option<PathBuf> {
        match &self.config.control {
            ServiceControl::Unit(_) => self.config.log.clone(),
            ServiceControl::Commands { .. } => Some(self.config.log.clone().unwrap_or_else(|| self.file("output"))),
        }
    }

    /// Blots out the secrets that the service's commands are handed: what a start command prints is shown.
    pub fn redactor(&self) -> Redactor {
        let commands = match &self.config.control {
            ServiceControl::Unit(_) => Vec::new(),
            ServiceControl::Commands { start, stop, status } => vec![start, stop, status],
        };
        let sources =
            commands.iter().flat_map(|command| command.environment.values()).filter_map(|value| match value {
                EnvironmentValue::Secret(source) => Some(source),
                EnvironmentValue::Plain(_) => None,
            });
        // One that can't be read has been handed to nobody.
        let secrets: Vec<Secret> = sources.filter_map(|source| source.resolve().ok()).collect();
        Redactor::new(secrets.iter().map(Secret::reveal))
    }

    pub async fn status(&self) -> Result<Status, VerbError> {
        Ok(self.look().await?.status)
    }

    pub async fn look(&self) -> Result<Seen, VerbError> {
        match &self.config.control {
            ServiceControl::Unit(unit) => {
                let unit = self.machine.systemd.show(unit).await?;
                Ok(Seen { status: unit.status(), restarts: unit.restarts, active_for: unit.active_for() })
            }
            ServiceControl::Commands { status, .. } => {
                let mut child = self.spawn(status, Stdio::null(), Stdio::null()).await?;
                let exit = tokio::time::timeout(STATUS_WITHIN, child.wait()).await.map_err(|_| {
                    VerbError::Unavailable(format!("the status command of `{}` does not end", self.name))
                })?;
                let exit = exit.map_err(io_error("wait for a status command"))?;
                let status = if exit.success() { Status::Running } else { Status::Stopped };
                Ok(Seen { status, restarts: 0, active_for: None })
            }
        }
    }

    pub async fn start(&self, activity: &Activity, idle: Duration) -> Result<(), VerbError> {
        self.make_folder()?;
        self.hold().release().map_err(io_error("release a service"))?;
        if self.status().await? == Status::Running {
            return Ok(());
        }
        let started = match &self.config.control {
            ServiceControl::Unit(unit) => activity.watch(idle, self.start_unit(activity, unit)).await,
            ServiceControl::Commands { start, .. } => {
                activity.watch(idle, self.start_commands(activity, start, START_PATIENCE.min(idle / 2))).await
            }
        };
        self.or_silent(started, "start").await
    }

    pub async fn stop(&self, activity: &Activity, idle: Duration, why: &str) -> Result<(), VerbError> {
        self.make_folder()?;
        let hold = self.hold();
        hold.set(why).map_err(io_error("hold a service"))?;
        let stopped = match &self.config.control {
            ServiceControl::Unit(unit) => {
                self.machine.systemd.respect(unit, &hold).await?;
                activity.watch(idle, self.stop_unit(activity, unit)).await
            }
            ServiceControl::Commands { stop, .. } => activity.watch(idle, self.stop_commands(activity, stop)).await,
        };
        self.or_silent(stopped, "stop").await
    }

    async fn start_unit(&self, activity: &Activity, unit: &str) -> Result<(), VerbError> {
        let began = Position::end(self);
        began.record(self)?;
        if self.status().await? == Status::Failed {
            self.machine.systemd.reset(unit).await?;
        }
        self.machine.systemd.start(unit).await?;
        let mut log = Log::open(self, began)?;
        let (mut last, mut restarts) = (None, Restarts::default());
        loop {
            for line in log.news().await? {
                activity.line(Level::Debug, line);
            }
            let Seen { status, restarts: count, .. } = self.look().await?;
            match status {
                Status::Running => return Ok(()),
                _ if restarts.keep_coming(count) => return Err(self.keeps_ending(count).await),
                Status::Between => tokio::time::sleep(POLL).await,
                Status::Failed | Status::Stopped => return Err(self.failed("did not start").await),
            }
            if last.replace(status) != Some(status) {
                activity.touch();
            }
        }
    }

    async fn stop_unit(&self, activity: &Activity, unit: &str) -> Result<(), VerbError> {
        let systemd = &self.machine.systemd;
        if systemd.show(unit).await?.is_at_rest() {
            return Ok(());
        }
        let mut log = Log::open(self, Position::end(self))?;
        systemd.stop(unit).await?;
        while !systemd.show(unit).await?.is_at_rest() {
            for line in log.news().await? {
                activity.line(Level::Debug, line);
            }
            tokio::time::sleep(POLL).await;
        }
        Ok(())
    }

    /// `patience`: how long it may be silent and not run after its start command said that it was started.
    async fn start_commands(
        &self, activity: &Activity, start: &CommandConfig, patience: Duration,
    ) -> Result<(), VerbError> {
        let mut launched = match self.launcher()? {
            // Left by a daemon that is gone: a second one beside it would start the service twice.
            Some(earlier) => {
                Launched { identity: earlier, child: None, armed: false, leaving: self.machine.leaving.clone() }
            }
            None => self.launch(start).await?,
        };
        let mut log = Log::open(self, Position::of_last_start(self)?.unwrap_or_default())?;
        let mut quiet_since = Instant::now();
        loop {
            let status = self.status().await?;
            for line in log.news().await? {
                activity.line(Level::Debug, line);
                quiet_since = Instant::now();
            }
            if status == Status::Running {
                launched.armed = false;
                return Ok(());
            }
            match launched.ended()? {
                Ended::No => {}
                Ended::Unseen => launched = self.launch(start).await?,
                Ended::With(exit) if !exit.success() => {
                    return Err(self.failed(&format!("did not start: its start command ended with {exit}")).await);
                }
                Ended::With(_) if quiet_since.elapsed() > patience => {
                    return Err(self.failed("did not start, though its start command says so").await);
                }
                Ended::With(_) => {}
            }
            tokio::time::sleep(POLL).await;
        }
    }

    async fn stop_commands(&self, activity: &Activity, stop: &CommandConfig) -> Result<(), VerbError> {
        let mut asked = false;
        let mut stopped_since = None;
        loop {
            let stopped = self.status().await? != Status::Running;
            match self.launcher()? {
                None if stopped => return Ok(()),
                // A start command that still works on it would bring the service back.
                Some(launcher) if stopped => {
                    let since = stopped_since.get_or_insert_with(Instant::now);
                    end_group(&launcher, if since.elapsed() > GRACE { Signal::KILL } else { Signal::TERM });
                }
                _ if !asked => self.ask_to_stop(activity, stop).await?,
                _ => {}
            }
            asked = !stopped;
            tokio::time::sleep(POLL).await;
        }
    }

    async fn ask_to_stop(&self, activity: &Activity, stop: &CommandConfig) -> Result<(), VerbError> {
        let output = self.file("stop-output");
        let mut child = self.spawn(stop, fresh(&output)?.into(), again(&output)?.into()).await?;
        let mut log = Log::open(self, Position::end(self))?;
        loop {
            tokio::select! {
                exit = child.wait() => {
                    let exit = exit.map_err(io_error("wait for a stop command"))?;
                    if !exit.success() && self.status().await? == Status::Running {
                        let said = self.redactor().text(&log::file_tail(&output).unwrap_or_default());
                        return Err(VerbError::other("not-stopped", format!("the stop command of `{}` ended with {exit}:\n{said}", self.name)));
                    }
                    return Ok(());
                }
                () = tokio::time::sleep(POLL) => {
                    for line in log.news().await? {
                        activity.line(Level::Debug, line);
                    }
                }
            }
        }
    }

    /// Starts the start command, and remembers it for who comes after a crash.
    async fn launch(&self, start: &CommandConfig) -> Result<Launched, VerbError> {
        let output = self.file("output");
        let (stdout, stderr) = (fresh(&output)?.into(), again(&output)?.into());
        // After the output is emptied, which may be the log.
        Position::end(self).record(self)?;
        let child = self.spawn(start, stdout, stderr).await?;
        let pid = child.child.id().map(u32::cast_signed);
        let identity = pid.and_then(Identity::of).unwrap_or_else(Identity::nobody);
        let text = serde_json::to_vec(&identity).map_err(|error| VerbError::other("io", error.to_string()))?;
        durable::write(&self.file("launcher.json"), &text).map_err(io_error("remember a start command"))?;
        Ok(Launched { identity, child: Some(child.keep()), armed: true, leaving: self.machine.leaving.clone() })
    }

    /// A start command that still runs.
    pub fn launcher(&self) -> Result<Option<Identity>, VerbError> {
        let bytes = durable::read(&self.file("launcher.json")).map_err(io_error("read a service's start"))?;
        let identity: Option<Identity> = bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        Ok(identity.filter(Identity::alive))
    }

    async fn spawn(&self, config: &CommandConfig, stdout: Stdio, stderr: Stdio) -> Result<Spawned, VerbError> {
        let folder = match self.layout {
            Some(layout) => layout.active_folder().map_err(io_error("find the active release"))?,
            None => PathBuf::from("/"),
        };
        let (launch, secrets) = Launch::resolve(config, &[], &folder).await?;
        let mut command = launch.command(&secrets);
        command.env(SERVICE_VARIABLE, self.mark());
        command.stdin(Stdio::null()).stdout(stdout).stderr(stderr);
        let child = Command::from(command).spawn().map_err(|error| {
            VerbError::Invalid(format!("`{}` of the service `{}` can't be run: {error}", launch.argv[0], self.name))
        })?;
        Ok(Spawned { child, kept: false })
    }

    fn make_folder(&self) -> Result<(), VerbError> {
        let file = self.file("start.json");
        let folder = file.parent().expect("a file lies in a folder");
        durable::make_folder(folder).map_err(io_error("make the folder of services"))
    }

    pub async fn keeps_ending(&self, restarts: u32) -> VerbError {
        self.failed(&format!("keeps ending: systemd has started it again {restarts} times")).await
    }

    pub async fn failed(&self, what: &str) -> VerbError {
        VerbError::other("service", self.told(what).await)
    }

    /// Ends with the last lines of the log.
    async fn told(&self, what: &str) -> String {
        let tail = log::tail(self).await;
        let tail = if tail.is_empty() { tail } else { format!(":\n{tail}") };
        format!("the service `{}` {what}{tail}", self.name)
    }

    /// A silence is told with what was last heard.
    async fn or_silent(&self, outcome: Result<(), VerbError>, verb: &str) -> Result<(), VerbError> {
        match outcome {
            Err(VerbError::Timeout) => {
                let what = format!("did not {verb}, and nothing was heard of it any more");
                Err(VerbError::other("timeout", self.told(&what).await))
            }
            other => other,
        }
    }
}

/// A command of a service; it and its group end with us, unless it is kept.
struct Spawned {
    child: Child,
    kept: bool,
}

impl Spawned {
    fn wait(&mut self) -> impl Future<Output = std::io::Result<ExitStatus>> + '_ {
        self.child.wait()
    }

    fn keep(mut self) -> Kept {
        self.kept = true;
        Kept(self)
    }
}

impl Drop for Spawned {
    fn drop(&mut self) {
        if !self.kept
            && let Some(pid) = self.child.id().and_then(|pid| Pid::from_raw(pid.cast_signed()))
        {
            let _ = kill_process_group(pid, Signal::KILL);
        }
    }
}

/// Goes on without us.
struct Kept(Spawned);

/// A start command under way. When the step is cancelled it is asked to end; when the daemon leaves, it isn't.
struct Launched {
    identity: Identity,
    child: Option<Kept>,
    armed: bool,
    leaving: tokio_util::sync::CancellationToken,
}

enum Ended {
    No,
    With(ExitStatus),
    /// It was not ours to wait for.
    Unseen,
}

impl Launched {
    fn ended(&mut self) -> Result<Ended, VerbError> {
        match &mut self.child {
            Some(Kept(spawned)) => {
                let exit = spawned.child.try_wait().map_err(io_error("wait for a start command"))?;
                Ok(exit.map_or(Ended::No, Ended::With))
            }
            None if self.identity.alive() => Ok(Ended::No),
            None => Ok(Ended::Unseen),
        }
    }
}

impl Drop for Launched {
    fn drop(&mut self) {
        if self.armed && !self.leaving.is_cancelled() {
            end_group(&self.identity, Signal::TERM);
        }
    }
}

/// The session that a start command leads.
fn end_group(leader: &Identity, signal: Signal) {
    if leader.alive()
        && let Some(pid) = Pid::from_raw(leader.pid)
    {
        let _ = kill_process_group(pid, signal);
    }
}

fn fresh(path: &std::path::Path) -> Result<File, VerbError> {
    let open = OpenOptions::new().create(true).append(true).mode(0o600).open(path);
    let file = open.map_err(io_error("open a service's output"))?;
    file.set_len(0).map_err(io_error("empty a service's output"))?;
    Ok(file)
}

fn again(path: &std::path::Path) -> Result<File, VerbError> {
    OpenOptions::new().append(true).open(path).map_err(io_error("open a service's output"))
}
