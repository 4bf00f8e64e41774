//! Start, stop and status of `web` and `front`, as an operator's deployment file names them. A service is running while
//! it holds the lock of its pid file: a number that another process got since can't deceive.

use crate::settings::Settings;
use anyhow::{Context, Result, bail};
use clap::ValueEnum;
use rustix::fs::{FlockOperation, flock};
use rustix::process::{Pid, Signal, kill_process, setsid};
use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(10);
const LOOK_EVERY: Duration = Duration::from_millis(20);

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Service {
    /// The product, on its private address
    Web,
    /// The gate, on the public address
    Front,
}

impl Service {
    pub fn name(self) -> &'static str {
        match self {
            Self::Web => "web",
            Self::Front => "front",
        }
    }
    fn command(self) -> &'static str {
        match self {
            Self::Web => "serve",
            Self::Front => "front",
        }
    }
}

/// Starts the service and leaves it behind in a session of its own. One that runs already is left alone.
pub fn start(settings: &Settings, config: &Path, service: Service) -> Result<()> {
    if is_running(settings, service)? {
        println!("{} runs already", service.name());
        return Ok(());
    }
    let log_path = settings.run_folder().join(format!("{}.log", service.name()));
    let log = OpenOptions::new().create(true).append(true).open(&log_path);
    let log = log.with_context(|| format!("`{}`", log_path.display()))?;
    let program = std::env::current_exe().context("the path of this program")?;
    let mut child = Command::new(program)
        .arg("--config")
        .arg(config)
        .args([service.command(), "--detached"])
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn()
        .with_context(|| format!("{} did not start", service.name()))?;
    let began = Instant::now();
    while began.elapsed() < PATIENCE {
        if is_running(settings, service)? {
            println!("{} is started", service.name());
            return Ok(());
        }
        if let Some(status) = child.try_wait()? {
            bail!("{} ended at once with {status}; `{}` says why", service.name(), log_path.display());
        }
        std::thread::sleep(LOOK_EVERY);
    }
    bail!("{} did not take its pid file", service.name())
}

/// Asks it to end, and ends it when it doesn't. One that doesn't run is left alone.
pub fn stop(settings: &Settings, service: Service) -> Result<()> {
    let began = Instant::now();
    let mut signal = Signal::TERM;
    while is_running(settings, service)? {
        // The file may be between lock and number; the next look finds it.
        if let Some(pid) = read_pid(settings, service) {
            // It may have ended since the look.
            let _ = kill_process(pid, signal);
        }
        if began.elapsed() > PATIENCE * 2 {
            bail!("{} can't be ended", service.name());
        }
        if began.elapsed() > PATIENCE {
            signal = Signal::KILL;
        }
        std::thread::sleep(LOOK_EVERY);
    }
    println!("{} is stopped", service.name());
    Ok(())
}

pub fn is_running(settings: &Settings, service: Service) -> Result<bool> {
    let file = open_pid_file(settings, service)?;
    match flock(&file, FlockOperation::NonBlockingLockShared) {
        Ok(()) => Ok(false),
        Err(rustix::io::Errno::WOULDBLOCK) => Ok(true),
        Err(error) => Err(error).context("the lock of the pid file"),
    }
}

/// What holds this is the service; it lasts until the process ends.
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
    let folder: PathBuf = settings.run_folder();
    fs::create_dir_all(&folder).with_context(|| format!("`{}`", folder.display()))?;
    let path = folder.join(format!("{}.pid", service.name()));
    let opened = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
    opened.with_context(|| format!("`{}`", path.display()))
}
