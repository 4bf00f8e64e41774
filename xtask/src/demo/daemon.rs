//! The daemon as a child: started, waited for, ended, whatever happens.

use super::socket::Socket;
use super::{Machine, Programs};
use crate::interrupt::{self, Interrupt};
use anyhow::{Context, Result, bail};
use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(20);

pub struct Daemon {
    child: Child,
    log: PathBuf,
}

impl Daemon {
    pub fn start(programs: &Programs, settings: &Path, log: &Path) -> Result<Self> {
        Self::launch(programs, settings, log, &[])
    }

    /// `environment`: beside our own.
    pub fn start_with(programs: &Programs, machine: &Machine, environment: &[(&str, String)]) -> Result<Self> {
        Self::launch(programs, &machine.settings_file(), &machine.daemon_log(), environment)
    }

    fn launch(programs: &Programs, settings: &Path, log: &Path, environment: &[(&str, String)]) -> Result<Self> {
        let file = File::create(log).with_context(|| format!("`{}`", log.display()))?;
        let child = Command::new(&programs.upgraded)
            .arg("--config")
            .arg(settings)
            .envs(environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file)
            // Ctrl-C is for the demo, which then ends the daemon politely.
            .process_group(0)
            .spawn()
            .with_context(|| format!("`{}`", programs.upgraded.display()))?;
        Ok(Self { child, log: log.to_owned() })
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn is_running(&mut self) -> Result<bool> {
        Ok(self.child.try_wait()?.is_none())
    }

    /// An error with its last lines where it is not running any more.
    pub fn check(&mut self) -> Result<()> {
        let Some(status) = self.child.try_wait()? else { return Ok(()) };
        bail!("the daemon ended with {status}:\n{}", self.tail())
    }

    /// The last lines of its log.
    pub fn tail(&self) -> String {
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(12)..].join("\n")
    }

    pub fn wait_until_it_answers(&mut self, socket: &Socket, interrupt: &Interrupt) -> Result<()> {
        let began = Instant::now();
        while socket.get("/v1/deployments").is_err() {
            interrupt.check()?;
            self.check()?;
            if began.elapsed() > PATIENCE {
                bail!("the daemon does not answer on `{}`", socket.path().display());
            }
            interrupt::pause();
        }
        Ok(())
    }

    pub fn stop(mut self) -> Result<()> {
        self.end()
    }

    fn end(&mut self) -> Result<()> {
        let began = Instant::now();
        let pid = self.child.id().to_string();
        while self.child.try_wait()?.is_none() {
            if began.elapsed() > PATIENCE {
                self.child.kill()?;
            } else if began.elapsed() < Duration::from_millis(50) {
                Command::new("kill").args(["-TERM", &pid]).status().context("`kill`")?;
            }
            interrupt::pause();
        }
        Ok(())
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // There is nobody left to tell.
        let _ = self.end();
    }
}
