//! The daemon as a child: started, waited for, ended, whatever happens.

use super::Programs;
use super::interrupt::{self, Interrupt};
use super::paint;
use super::site::Site;
use super::socket::Socket;
use anyhow::{Context, Result, bail};
use std::fs::File;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(20);

pub struct Daemon {
    child: Child,
    log: std::path::PathBuf,
}

impl Daemon {
    pub fn start(programs: &Programs, site: &Site) -> Result<Self> {
        let log = site.daemon_log();
        let file = File::create(&log).with_context(|| format!("`{}`", log.display()))?;
        let child = Command::new(&programs.upgraded)
            .arg("--config")
            .arg(site.settings_file())
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file)
            // Ctrl-C is for the demo, which then ends the daemon politely.
            .process_group(0)
            .spawn()
            .with_context(|| format!("`{}`", programs.upgraded.display()))?;
        paint::act(&format!("upgraded --config {}", site.settings_file().display()));
        Ok(Self { child, log })
    }

    pub fn is_running(&mut self) -> Result<bool> {
        Ok(self.child.try_wait()?.is_none())
    }

    /// An error with its last lines where it is not running any more.
    pub fn check(&mut self) -> Result<()> {
        let Some(status) = self.child.try_wait()? else { return Ok(()) };
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        let tail: Vec<&str> = log.lines().rev().take(12).collect();
        let tail: Vec<&str> = tail.into_iter().rev().collect();
        bail!("the daemon ended with {status}:\n{}", tail.join("\n"))
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
