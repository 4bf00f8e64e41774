//! Whole runs by the real daemon: how long users wait with little data and with much, and the same upgrade by a script.

use super::database::{Server, run};
use super::figure::Samples;
use super::site::{NEXT, Site};
use crate::demo::{Daemon, Programs, Socket};
use crate::interrupt::{Interrupt, pause};
use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

/// Of a run with a large database on a busy machine.
const PATIENCE: Duration = Duration::from_secs(900);

pub struct Runs<'a> {
    pub server: &'a Server,
    pub programs: &'a Programs,
    pub interrupt: &'a Interrupt,
    pub folder: &'a Path,
}

impl Runs<'_> {
    /// One run by the daemon; `name` is part of what its samples are called.
    pub fn by_daemon(&self, from: &str, name: &str, samples: &mut Samples) -> Result<()> {
        let site = Site::new(self.server, self.programs, from, self.folder)?;
        self.take_compiled_plugins(&site)?;
        let mut daemon = Daemon::start(self.programs, &site.settings_file(), &site.path("log"))?;
        let socket = Socket::new(site.socket());
        daemon.wait_until_it_answers(&socket, self.interrupt)?;
        self.wait(&mut daemon, &socket, |now| now["state"]["kind"] == "idle" && now["installed"].is_string())?;
        let began = Instant::now();
        site.edit_version()?;
        let now = self.wait(&mut daemon, &socket, |now| {
            let run = &now["last_run"];
            (run["to"] == NEXT && !run["outcome"].is_null()) || now["state"]["kind"] == "error"
        })?;
        let took = began.elapsed();
        if now["last_run"]["outcome"]["outcome"] != "committed" {
            bail!("the run should have committed: {now:#}\n{}", daemon.tail());
        }
        let run = socket.get(&format!("/v1/runs/{}", now["last_run"]["id"]))?;
        daemon.stop()?;
        let phases = Phases::of(&run)?;
        let downtime = run["downtime_s"].as_f64().context("the run had downtime")?;
        let told = [
            ("run", took.as_secs_f64()),
            ("downtime", downtime),
            ("freeze", phases.took("freeze")),
            ("rest", downtime - phases.took("freeze")),
            ("backup", phases.took("backup-late")),
        ];
        for (what, seconds) in told {
            eprintln!("  {:<18} {seconds:.3} s", format!("{what}/{name}"));
            samples.add(&format!("{what}/{name}"), seconds);
        }
        Ok(())
    }

    /// The same by a shell script, on a site of its own.
    pub fn by_hand(&self, from: &str, name: &str, samples: &mut Samples) -> Result<()> {
        let site = Site::new(self.server, self.programs, from, self.folder)?;
        let cluster = &self.server.cluster;
        let mut script = Command::new("bash");
        script.arg("-c").arg(include_str!("by-hand.sh")).current_dir(site.home()).envs(site.environment());
        let path = std::env::var("PATH").unwrap_or_default();
        script.env("PATH", format!("{}:{path}", cluster.programs().display()));
        script.env("PGHOST", cluster.folder()).env("PGPORT", cluster.port().to_string()).env("PGUSER", "postgres");
        script.env("RESTIC_REPOSITORY", site.path("restic")).env("RESTIC_PASSWORD", "bench");
        script.env("RESTIC_CACHE_DIR", site.path("restic-cache"));
        script.env("HOME_OF_GRAPH", site.home()).env("REPOSITORY", &self.server.repository).env("TO", NEXT);
        script.env("MIX", &self.programs.mix).env("DATABASE", &site.database);
        let mut init = Command::new("restic");
        init.args(["init", "--quiet"]).env("RESTIC_REPOSITORY", site.path("restic")).env("RESTIC_PASSWORD", "bench");
        run(&mut init)?;
        let began = Instant::now();
        run(&mut script)?;
        let seconds = began.elapsed().as_secs_f64();
        eprintln!("  {:<18} {seconds:.3} s", format!("script/{name}"));
        samples.add(&format!("script/{name}"), seconds);
        Ok(())
    }

    /// Compiling takes seconds, once for each release of a plugin; it is no part of a run.
    fn take_compiled_plugins(&self, site: &Site) -> Result<()> {
        let kept = self.folder.join("plugins");
        if !kept.exists() {
            let mut daemon = Daemon::start(self.programs, &site.settings_file(), &site.path("log"))?;
            let socket = Socket::new(site.socket());
            daemon.wait_until_it_answers(&socket, self.interrupt)?;
            self.wait(&mut daemon, &socket, |now| now["state"]["kind"] == "idle" && now["installed"].is_string())?;
            daemon.stop()?;
            run(Command::new("cp").arg("-a").arg(site.path("state/plugins")).arg(&kept))?;
        }
        std::fs::remove_dir_all(site.path("state"))?;
        std::fs::create_dir(site.path("state"))?;
        run(Command::new("cp").arg("-a").arg(&kept).arg(site.path("state/plugins"))).map(drop)
    }

    fn wait(&self, daemon: &mut Daemon, socket: &Socket, until: impl Fn(&Value) -> bool) -> Result<Value> {
        let began = Instant::now();
        loop {
            self.interrupt.check()?;
            daemon.check()?;
            let now = socket.get("/v1/deployments/graph").unwrap_or_default();
            if until(&now) {
                return Ok(now);
            }
            if now["state"]["kind"] == "stuck" || began.elapsed() > PATIENCE {
                bail!("the deployment stands at {:#}\n{}", now["state"], daemon.tail());
            }
            pause();
        }
    }
}

/// A run's steps, added up by phase.
struct Phases<'a>(&'a [Value]);

impl<'a> Phases<'a> {
    fn of(run: &'a Value) -> Result<Self> {
        Ok(Self(run["steps"].as_array().context("a run has steps")?))
    }

    fn took(&self, phase: &str) -> f64 {
        let steps = self.0.iter().filter(|step| step["phase"] == phase);
        steps.filter_map(|step| Some(between(seconds(&step["started_at"])?, seconds(&step["ended_at"])?))).sum()
    }
}

/// Within a day: of `2026-01-31T10:11:12.5Z`, the seconds since midnight.
fn seconds(time: &Value) -> Option<f64> {
    let (_, clock) = time.as_str()?.trim_end_matches('Z').split_once('T')?;
    clock.split(':').try_fold(0.0, |sum, part| Some(sum * 60.0 + part.parse::<f64>().ok()?))
}

fn between(from: f64, to: f64) -> f64 {
    if to < from { to + 86_400.0 - from } else { to - from }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn phases_are_added_up_also_over_midnight() {
        let step = |phase: &str, from: &str, to: &str| json!({ "phase": phase, "started_at": from, "ended_at": to });
        let run = json!({ "steps": [
            step("freeze", "2026-01-31T23:59:59.5Z", "2026-02-01T00:00:01Z"),
            step("freeze", "2026-02-01T00:00:01Z", "2026-02-01T00:00:02.25Z"),
            step("fence", "2026-02-01T00:00:01Z", "2026-02-01T00:00:02Z"),
            { "phase": "freeze", "started_at": null, "ended_at": null },
        ] });
        assert_eq!(Phases::of(&run).unwrap().took("freeze"), 2.75);
    }
}
