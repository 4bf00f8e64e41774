//! What runs in the background, for machines without a service manager: a service runs while it holds the lock of its pid
//! file, so that a number which another process got since can't deceive.

use crate::settings::Settings;
use anyhow::{Context, Result, bail};
use clap::ValueEnum;
use rustix::fs::{FlockOperation, flock};
use rustix::process::{Pid, Signal, kill_process, setsid};
use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(10);
const LOOK_EVERY: Duration = Duration::from_millis(20);

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Service {
    Runtime,
    Gate,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Action {
    Start,
    Stop,
    Status,
}

impl Service {
    fn name(self) -> &'static str {
        match self {
            Self::Runtime => "runtime",
            Self::Gate => "gate",
        }
    }
    fn task(self) -> &'static str {
        match self {
            Self::Runtime => "phx.server",
            Self::Gate => "dg.gate",
        }
    }
}

/// A status ends with 0 while the service runs, and with 3 otherwise.
pub fn act(settings: &Settings, action: Action, service: Service) -> Result<ExitCode> {
    match action {
        Action::Start => start(settings, service)?,
        Action::Stop => stop(settings, service)?,
        Action::Status if is_running(settings, service)? => println!("{} runs", service.name()),
        Action::Status => return Ok(ExitCode::from(3)),
    }
    Ok(ExitCode::SUCCESS)
}

/// Leaves it behind in a session of its own, in this folder's release. One that runs already is left alone.
fn start(settings: &Settings, service: Service) -> Result<()> {
    if is_running(settings, service)? {
        return Ok(());
    }
    let log_path = settings.run_folder.join(format!("{}.log", service.name()));
    let log = OpenOptions::new().create(true).append(true).open(&log_path);
    let log = log.with_context(|| format!("`{}`", log_path.display()))?;
    let mut child = Command::new(std::env::current_exe().context("the path of this program")?)
        .args([service.task(), "--detached"])
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn()
        .with_context(|| format!("{} did not start", service.name()))?;
    let began = Instant::now();
    while began.elapsed() < PATIENCE {
        if is_running(settings, service)? {
            return Ok(());
        }
        if let Some(status) = child.try_wait()? {
            // It ran, however short: what became of it is for a look at the status, on a slow machine as on a fast one.
            if read_pid(settings, service).is_some_and(|pid| pid.as_raw_nonzero().get().cast_unsigned() == child.id()) {
                return Ok(());
            }
            bail!("{} ended at once with {status}; `{}` says why", service.name(), log_path.display());
        }
        std::thread::sleep(LOOK_EVERY);
    }
    bail!("{} did not take its pid file", service.name())
}

/// Asks it to end, and ends it when it doesn't.
fn stop(settings: &Settings, service: Service) -> Result<()> {
    let began = Instant::now();
    while is_running(settings, service)? {
        let signal = if began.elapsed() > PATIENCE { Signal::KILL } else { Signal::TERM };
        // The file may be between lock and number; the next look finds it.
        if let Some(pid) = read_pid(settings, service) {
            let _ = kill_process(pid, signal);
        }
        if began.elapsed() > PATIENCE * 2 {
            bail!("{} can't be ended", service.name());
        }
        std::thread::sleep(LOOK_EVERY);
    }
    Ok(())
}

fn is_running(settings: &Settings, service: Service) -> Result<bool> {
    match flock(&open_pid_file(settings, service)?, FlockOperation::NonBlockingLockShared) {
        Ok(()) => Ok(false),
        Err(rustix::io::Errno::WOULDBLOCK) => Ok(true),
        Err(error) => Err(error).context("the lock of the pid file"),
    }
}

/// Whoever holds this is the service; it lasts until the process ends.
pub struct Running {
    _pid_file: File,
}

/// Called by the service itself.
pub fn claim(settings: &Settings, service: Service, detached: bool) -> Result<Running> {
    if detached {
        setsid().context("a session of its own")?;
    }
    let mut file = open_pid_file(settings, service)?;
    let began = Instant::now();
    // Somebody's look at the status holds the lock for a moment.
    while let Err(error) = flock(&file, FlockOperation::NonBlockingLockExclusive) {
        if began.elapsed() > Duration::from_secs(1) {
            bail!("{} runs already ({error})", service.name());
        }
        std::thread::sleep(LOOK_EVERY / 4);
    }
    file.set_len(0)?;
    write!(file, "{}", std::process::id())?;
    Ok(Running { _pid_file: file })
}

fn read_pid(settings: &Settings, service: Service) -> Option<Pid> {
    let mut text = String::new();
    open_pid_file(settings, service).ok()?.read_to_string(&mut text).ok()?;
    Pid::from_raw(text.trim().parse().ok()?)
}

fn open_pid_file(settings: &Settings, service: Service) -> Result<File> {
    fs::create_dir_all(&settings.run_folder).with_context(|| format!("`{}`", settings.run_folder.display()))?;
    let path = settings.run_folder.join(format!("{}.pid", service.name()));
    let opened = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
    opened.with_context(|| format!("`{}`", path.display()))
}
