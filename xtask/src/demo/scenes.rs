//! What is shown, in order. Each scene edits the file, waits for what should come of it, and looks for itself.

use super::daemon::Daemon;
use super::socket::Socket;
use super::view::View;
use super::{Programs, Shown, paint};
use crate::interrupt::{self, Interrupt};
use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::process::Command;
use std::time::{Duration, Instant};

/// A scene takes seconds; a machine that is busy with something else may take its time.
const PATIENCE: Duration = Duration::from_secs(900);

pub struct Stage<'a> {
    pub programs: &'a Programs,
    pub site: &'a dyn Shown,
    pub interrupt: &'a Interrupt,
    pub socket: &'a Socket,
    pub daemon: &'a mut Daemon,
    pub view: &'a View,
}

impl Stage<'_> {
    pub fn all(&mut self) -> Result<()> {
        self.wait_until_idle(self.site.story().first)?;
        self.upgrade()?;
        self.healthy_and_wrong()?;
        self.not_again()?;
        self.refused()
    }

    fn upgrade(&mut self) -> Result<()> {
        let story = self.site.story();
        let good = story.good;
        paint::title(&format!("1. {}", story.upgrade));
        self.site.machine().edit_version(good)?;
        let now = self.wait_for_end(good)?;
        expect(&now, "committed")?;
        self.site.look_through_the_gate(good)?;
        paint::good(&format!("{good} runs, everything is there; users waited {} s", downtime(&now)));
        Ok(())
    }

    fn healthy_and_wrong(&mut self) -> Result<()> {
        let (good, wrong) = (self.site.story().good, self.site.story().wrong);
        paint::title("2. A release that starts, answers its health check, and is wrong");
        let before = self.site.checksums()?;
        paint::say(before.trim_end());
        self.site.machine().edit_version(wrong)?;
        let now = self.wait_for_end(wrong)?;
        expect(&now, "rolled-back")?;
        let after = self.site.checksums()?;
        paint::say(after.trim_end());
        if before != after {
            bail!("the data is not what it was before");
        }
        self.site.look_through_the_gate(good)?;
        paint::good(&format!("back at {good}, every byte as it was; users waited {} s", downtime(&now)));
        Ok(())
    }

    fn not_again(&mut self) -> Result<()> {
        let (machine, wrong) = (self.site.machine(), self.site.story().wrong);
        paint::title("3. The same bad release is not tried again");
        let runs = self.runs()?;
        machine.save_again()?;
        self.socket.post(&format!("{}/look", self.deployment()))?;
        self.wait("the daemon has looked", |now| is(now, "quarantined"))?;
        if self.runs()? != runs {
            bail!("another run began");
        }
        let retry = format!("upgradectl retry {}", machine.name());
        paint::good(&format!("no run began: {wrong} failed here, and waits for another version or `{retry}`"));
        Ok(())
    }

    fn refused(&mut self) -> Result<()> {
        let (machine, story) = (self.site.machine(), self.site.story());
        paint::title("4. A version that a rule refuses");
        let runs = self.runs()?;
        machine.edit_version(story.older)?;
        let view = self.view;
        let refused = |now: &Value| now["wanted"] == story.older && is(now, "error") && view.has_shown("refused");
        self.wait("the daemon refuses", refused)?;
        if self.runs()? != runs {
            bail!("another run began");
        }
        paint::good("no run began, nothing was touched");
        machine.edit_version(story.good)?;
        self.wait("the file and the product agree again", |now| now["wanted"] == story.good && is(now, "idle"))?;
        Ok(())
    }

    pub fn history(&self) -> Result<()> {
        let mut upgradectl = Command::new(&self.programs.upgradectl);
        upgradectl.arg("--socket").arg(self.socket.path()).arg("history");
        if upgradectl.status().context("`upgradectl`")?.success() {
            Ok(())
        } else {
            bail!("`upgradectl history` failed")
        }
    }

    pub fn wait_until_idle(&mut self, installed: &str) -> Result<Value> {
        self.wait("the daemon knows what is installed", |now| now["installed"] == installed && is(now, "idle"))
    }

    pub fn wait_for_end(&mut self, version: &str) -> Result<Value> {
        let ended = |now: &Value| {
            let run = &now["last_run"];
            run["to"] == version && !run["outcome"].is_null() && !is(now, "running")
        };
        let refused = |now: &Value| now["wanted"] == version && is(now, "error");
        let now = self.wait(&format!("the run to {version} ends"), |now| ended(now) || refused(now))?;
        if !ended(&now) {
            bail!("the daemon refuses {version}: {}", now["state"]["message"].as_str().unwrap_or_default());
        }
        Ok(now)
    }

    fn runs(&self) -> Result<usize> {
        let runs = self.socket.get(&format!("{}/runs", self.deployment()))?;
        Ok(runs.as_array().map(Vec::len).unwrap_or_default())
    }

    fn deployment(&self) -> String {
        format!("/v1/deployments/{}", self.site.machine().name())
    }

    /// Looks at the deployment until it is as it should be.
    fn wait(&mut self, what: &str, until: impl Fn(&Value) -> bool) -> Result<Value> {
        let began = Instant::now();
        loop {
            self.interrupt.check()?;
            self.daemon.check()?;
            let now = self.socket.get(&self.deployment()).unwrap_or_default();
            if until(&now) {
                return Ok(now);
            }
            if is(&now, "stuck") || began.elapsed() > PATIENCE {
                bail!("waited until {what}; the deployment stands at {:#}", now["state"]);
            }
            interrupt::pause();
        }
    }
}

fn is(now: &Value, state: &str) -> bool {
    now["state"]["kind"] == state
}

fn expect(now: &Value, outcome: &str) -> Result<()> {
    let run = &now["last_run"];
    if run["outcome"]["outcome"] == outcome {
        return Ok(());
    }
    bail!("the run should have ended as `{outcome}` and ended as {}", run["outcome"])
}

fn downtime(now: &Value) -> String {
    now["last_run"]["downtime_s"].as_f64().map_or("no".into(), |seconds| format!("{seconds:.1}"))
}
