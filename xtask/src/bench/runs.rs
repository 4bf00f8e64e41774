//! Whole runs by the real daemon: how long users wait with little data and with much, and the same upgrade by a script.

use super::database::{Server, run};
use super::figure::Samples;
use super::site::{NEXT, Site};
use super::wait;
use crate::demo::{Daemon, Programs, Socket};
use crate::interrupt::Interrupt;
use anyhow::{Context, Result};
use serde_json::Value;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

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
        self.settled(&mut daemon, &socket)?;
        let began = Instant::now();
        site.edit_version()?;
        let run = wait::committed(&mut daemon, &socket, self.interrupt, "graph", NEXT)?;
        let took = began.elapsed();
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
            self.settled(&mut daemon, &socket)?;
            daemon.stop()?;
            run(Command::new("cp").arg("-a").arg(site.path("state/plugins")).arg(&kept))?;
        }
        std::fs::remove_dir_all(site.path("state"))?;
        std::fs::create_dir(site.path("state"))?;
        run(Command::new("cp").arg("-a").arg(&kept).arg(site.path("state/plugins"))).map(drop)
    }

    fn settled(&self, daemon: &mut Daemon, socket: &Socket) -> Result<()> {
        daemon.wait_until_it_answers(socket, self.interrupt)?;
        wait::until(daemon, socket, self.interrupt, "/v1/deployments/graph", wait::is_settled).map(drop)
    }
}

/// A run's steps, added up by phase.
pub struct Phases<'a>(&'a [Value]);

impl<'a> Phases<'a> {
    pub fn of(run: &'a Value) -> Result<Self> {
        Ok(Self(run["steps"].as_array().context("a run has steps")?))
    }

    pub fn took(&self, phase: &str) -> f64 {
        self.0.iter().filter(|step| step["phase"] == phase).filter_map(seconds_of).sum()
    }

    /// Of each that was taken, its name and how long it took.
    pub fn steps(&self) -> impl Iterator<Item = (&str, f64)> {
        self.0.iter().filter_map(|step| Some((step["id"].as_str()?, seconds_of(step)?)))
    }
}

fn seconds_of(step: &Value) -> Option<f64> {
    Some(between(seconds(&step["started_at"])?, seconds(&step["ended_at"])?))
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
