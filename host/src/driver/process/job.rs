//! One job as the daemon sees it: starts its supervisor, follows its log, ends it, and finds it again.

use super::folder::{Exit, Folder, MARK_VARIABLE, Spec, State};
use super::launch::Secrets;
use super::log::{Reader, tail};
use super::patterns::{compile_optional, show};
use super::proc::{self, Identity};
use super::{GRACE, io_error};
use crate::activity::Activity;
use crate::driver::durable;
use crate::journal::with_reserve;
use crate::model::{CommandExit, VerbError};
use crate::plan::event::Verdict;
use regex::Regex;
use rustix::process::Signal;
use std::ffi::OsStr;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::process::{ChildStdin, Command};
use tokio_util::sync::CancellationToken;

/// What a supervisor is called in a list of processes, whatever path it was started by.
const NAME: &str = "upgraded";
const POLL: Duration = Duration::from_millis(100);
/// A supervisor that was asked to end has the grace of its command, and this.
const SUPERVISOR_GRACE: Duration = Duration::from_secs(15);
/// The exit code of a command that ended with 0 and never said what it was to say.
pub const NO_SUCCESS: i32 = -1;

pub struct Job {
    folder: Folder,
    spec: Spec,
    supervisor: Supervisor,
}

/// Ends the job when it is dropped before the job is over, unless the daemon is leaving.
struct Supervisor {
    identity: Identity,
    leaving: CancellationToken,
    /// Open while a tied job may run.
    _line: Option<ChildStdin>,
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        if !self.leaving.is_cancelled() {
            self.identity.signal(Signal::TERM);
        }
    }
}

impl Job {
    /// The folder is new: a job runs once.
    pub async fn start(
        path: &Path, spec: Spec, secrets: &Secrets, program: &Path, leaving: CancellationToken,
    ) -> Result<Self, VerbError> {
        let parent = path.parent().ok_or_else(|| VerbError::Invalid("a job's folder has no parent".into()))?;
        let folder = Folder::new(path);
        let made = with_reserve(folder.of_daemon(), || {
            durable::make_folder(parent)?;
            std::fs::create_dir(path)
        });
        made.map_err(io_error("make the job's folder"))?;
        with_reserve(folder.of_daemon(), || folder.write_spec(&spec)).map_err(io_error("write the job's folder"))?;
        durable::sync_folder(parent).map_err(io_error("write the job's folder"))?;
        let mut child = spawn(program, path)?;
        let identity = child
            .id()
            .and_then(|pid| Identity::of(pid.cast_signed()))
            .ok_or_else(|| VerbError::other("job", "the job's supervisor ended before it began"))?;
        let mut supervisor = Supervisor { identity, leaving, _line: None };
        let mut line = child.stdin.take().ok_or_else(|| VerbError::other("job", "the supervisor has no input"))?;
        let mut text = serde_json::to_vec(secrets).map_err(|error| VerbError::Invalid(error.to_string()))?;
        text.push(b'\n');
        line.write_all(&text).await.map_err(io_error("hand the job's environment over"))?;
        supervisor._line = spec.tied.then_some(line);
        Ok(Self { folder, spec, supervisor })
    }

    /// Waits for its end, showing its log. `Timeout` and `Cancelled` mean that nothing of it runs any more.
    pub async fn see_through(self, activity: &Activity, idle: Duration) -> Result<CommandExit, VerbError> {
        let outcome = activity.watch(idle, self.follow(activity)).await;
        if matches!(outcome, Err(VerbError::Timeout | VerbError::Cancelled)) {
            end(&self.folder, &self.spec).await;
        }
        outcome
    }

    async fn follow(&self, activity: &Activity) -> Result<CommandExit, VerbError> {
        follow(&self.folder, &self.spec, activity, Some(&self.supervisor.identity)).await
    }
}

/// What became of the job in this folder; whatever still runs is waited for, for as long as it isn't silent.
pub async fn fence_and_probe(path: &Path) -> Verdict {
    let folder = Folder::new(path);
    let Ok(Some(spec)) = folder.spec() else { return Verdict::NotDone };
    loop {
        match folder.state() {
            Err(_) => return Verdict::Unknown,
            // Nobody may start it from now on; whoever was quicker is looked at again.
            Ok(State::Unclaimed) => match folder.claim(&Identity::nobody()) {
                Ok(_) => continue,
                Err(_) => return Verdict::Unknown,
            },
            Ok(State::Running(_)) => {
                let (activity, idle) = (Activity::silent(), Duration::from_millis(spec.command.idle_ms));
                let over = activity.watch(idle, follow(&folder, &spec, &activity, None)).await;
                if over.is_err() {
                    end(&folder, &spec).await;
                }
                if matches!(folder.state(), Ok(State::Running(_))) {
                    return Verdict::Unknown;
                }
            }
            Ok(State::Ended(exit)) => return verdict(&folder, &spec, exit),
            Ok(State::Lost { started }) => {
                end_marked(&spec.mark).await;
                return if started { Verdict::Unknown } else { Verdict::NotDone };
            }
        }
    }
}

fn verdict(folder: &Folder, spec: &Spec, exit: Exit) -> Verdict {
    if exit.unstartable.is_some() {
        return Verdict::NotDone;
    }
    let seen = compile_optional(spec.command.success.as_deref()).and_then(|success| {
        let mut seen = Seen::new(success);
        let mut log = Reader::new(folder.path());
        let news = log.read().map_err(io_error("read the job's log"))?;
        news.lines.iter().chain(&log.finish()).for_each(|line| seen.look(line));
        Ok(seen)
    });
    match seen.and_then(|seen| command_exit(folder, spec, exit, &seen)) {
        Ok(exit) => serde_json::to_value(exit).map_or(Verdict::Unknown, Verdict::Done),
        Err(_) => Verdict::Unknown,
    }
}

async fn follow(
    folder: &Folder, spec: &Spec, activity: &Activity, own: Option<&Identity>,
) -> Result<CommandExit, VerbError> {
    let mut seen = Seen::new(compile_optional(spec.command.success.as_deref())?);
    let progress = compile_optional(spec.command.progress.as_deref())?;
    let mut log = Reader::new(folder.path());
    loop {
        // Asked before the log is read: what an ended job wrote is all there.
        let state = folder.state().map_err(io_error("read the job's folder"))?;
        let mut news = log.read().map_err(io_error("read the job's log"))?;
        if news.grew {
            activity.touch();
        }
        if matches!(state, State::Ended(_)) {
            news.lines.extend(log.finish());
        }
        for line in &news.lines {
            seen.look(line);
            show(activity, progress.as_ref(), line);
        }
        match state {
            State::Ended(exit) => return command_exit(folder, spec, exit, &seen),
            State::Lost { .. } => {
                end_marked(&spec.mark).await;
                return Err(lost(spec));
            }
            State::Unclaimed if own.is_none_or(|own| !own.alive()) => return Err(lost(spec)),
            State::Unclaimed | State::Running(_) => tokio::time::sleep(POLL).await,
        }
    }
}

fn lost(spec: &Spec) -> VerbError {
    VerbError::other(
        "job-lost",
        format!("the supervisor of `{}` is gone, and how the command ended is unknown", spec.command.name),
    )
}

fn command_exit(folder: &Folder, spec: &Spec, exit: Exit, seen: &Seen) -> Result<CommandExit, VerbError> {
    if let Some(why) = exit.unstartable {
        return Err(VerbError::Invalid(why));
    }
    let mut tail = tail(folder.path());
    let mut code = exit.code;
    if code == 0 && !seen.yes {
        let wanted = spec.command.success.as_deref().unwrap_or_default();
        code = NO_SUCCESS;
        tail.push_str(&format!("\n`{}` ended with 0, but no line fits `{wanted}`", spec.command.name));
        if exit.unheard {
            tail.push_str("; some of what it printed found no room on the disk");
        }
    }
    Ok(CommandExit { code, tail, elapsed_ms: exit.elapsed_ms })
}

/// Whether the line that says success was seen; without one to look for, it was.
struct Seen {
    success: Option<Regex>,
    yes: bool,
}

impl Seen {
    fn new(success: Option<Regex>) -> Self {
        Self { yes: success.is_none(), success }
    }
    fn look(&mut self, line: &str) {
        self.yes |= self.success.as_ref().is_some_and(|success| success.is_match(line));
    }
}

/// Returns when nothing of the job runs any more.
async fn end(folder: &Folder, spec: &Spec) {
    // A supervisor that has not claimed its job yet never will.
    let _ = folder.claim(&Identity::nobody());
    if let Ok(State::Running(supervisor)) = folder.state() {
        supervisor.signal(Signal::TERM);
        let gone = async {
            while supervisor.alive() {
                tokio::time::sleep(POLL).await;
            }
        };
        if tokio::time::timeout(GRACE + SUPERVISOR_GRACE, gone).await.is_err() {
            let family = proc::descendants(&[supervisor.pid]);
            supervisor.signal(Signal::KILL);
            family.iter().for_each(|process| process.signal(Signal::KILL));
        }
    }
    end_marked(&spec.mark).await;
}

/// Ends whatever carries the mark of a step.
pub async fn end_marked(mark: &str) {
    proc::end_all(GRACE, || proc::with_environment(MARK_VARIABLE, mark)).await;
}

/// Ends whatever carries the mark of any step of a deployment.
pub async fn end_marked_of(deployment: &str) {
    let marks = format!("{deployment}/");
    proc::end_all(GRACE, || proc::with_environment_beginning(MARK_VARIABLE, &marks)).await;
}

fn spawn(program: &Path, folder: &Path) -> Result<tokio::process::Child, VerbError> {
    super::launch::keep_descriptors();
    let mut command = std::process::Command::new(program);
    command.arg0(NAME);
    command.args([OsStr::new("job"), folder.as_os_str()]);
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    command.env_clear().envs(super::launch::surroundings(None)).current_dir("/");
    // SAFETY: one system call between fork and exec.
    unsafe { command.pre_exec(|| Ok(rustix::process::setsid().map(|_| ())?)) };
    Command::from(command)
        .spawn()
        .map_err(|error| VerbError::Unavailable(format!("`{NAME} job` can't be started: {error}")))
}
