//! `cargo xtask bench`: how long an upgrade and a rollback take, phase by phase, with as much data as is asked for.

use super::interrupt::Interrupt;
use super::scenes::Stage;
use super::site::{Load, Product, Site};
use super::socket::Socket;
use super::{Daemon, build, paint};
use crate::components;
use crate::workspace::Workspace;
use anyhow::{Context, Result};
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

const UPLOAD_BYTES: u64 = 4 << 20;

/// `megabytes` of uploads that don't compress, and a thousand notes for each ten of them.
pub fn run(megabytes: u64) -> Result<()> {
    let workspace = Workspace::read()?;
    components::build(&workspace)?;
    let programs = build(&workspace, "release")?;
    let interrupt = Interrupt::listen()?;
    let load =
        Load { notes: 1000 + megabytes * 100, uploads: (megabytes << 20) / UPLOAD_BYTES, upload_bytes: UPLOAD_BYTES };
    let site = Site::make(&programs, Product::Vendor, &load)?;
    let socket = Socket::new(site.socket());

    for what in ["first start, plugins compiled", "second start, plugins from the cache"] {
        let began = Instant::now();
        let mut daemon = Daemon::start(&programs, &site)?;
        daemon.wait_until_it_answers(&socket, &interrupt)?;
        let mut stage =
            Stage { programs: &programs, site: &site, interrupt: &interrupt, socket: &socket, daemon: &mut daemon };
        stage.wait_until_idle("1.0.0")?;
        paint::good(&format!("{what}: {:.2} s until the installed version is known", began.elapsed().as_secs_f64()));
        daemon.stop()?;
    }

    let mut daemon = Daemon::start(&programs, &site)?;
    daemon.wait_until_it_answers(&socket, &interrupt)?;
    let mut stage =
        Stage { programs: &programs, site: &site, interrupt: &interrupt, socket: &socket, daemon: &mut daemon };
    stage.wait_until_idle("1.0.0")?;
    for (version, what) in [("1.1.0", "an upgrade"), ("1.2.0", "a rollback")] {
        site.edit_version(version)?;
        let now = stage.wait_for_end(version)?;
        let run = socket.get(&format!("/v1/runs/{}", now["last_run"]["id"]))?;
        paint::title(&format!("{what}, {megabytes} MB of uploads"));
        print_run(&run)?;
    }
    daemon.stop()
}

fn print_run(run: &Value) -> Result<()> {
    let mut phases: BTreeMap<Duration, (String, f64)> = BTreeMap::new();
    let steps = run["steps"].as_array().context("a run has steps")?;
    let began = seconds(&run["started_at"]).context("a run has a beginning")?;
    for step in steps {
        let (Some(from), Some(to)) = (seconds(&step["started_at"]), seconds(&step["ended_at"])) else { continue };
        let phase = step["phase"].as_str().unwrap_or_default();
        match phases.values_mut().find(|(known, _)| known == phase) {
            Some((_, took)) => *took += to - from,
            None => {
                let at = Duration::from_secs_f64((from - began).max(0.0));
                phases.insert(at, (phase.to_owned(), to - from));
            }
        }
    }
    for (phase, took) in phases.values() {
        paint::say(&format!("{phase:>10}  {took:>8.2} s"));
    }
    let outcome = run["outcome"]["outcome"].as_str().unwrap_or("open");
    paint::good(&format!("{outcome}; users waited {:.2} s", run["downtime_s"].as_f64().unwrap_or_default()));
    Ok(())
}

/// Within a day: of `2026-01-31T10:11:12.5Z`, the seconds since midnight. A run across midnight is measured again.
fn seconds(time: &Value) -> Option<f64> {
    let (_, clock) = time.as_str()?.trim_end_matches('Z').split_once('T')?;
    clock.split(':').try_fold(0.0, |sum, part| Some(sum * 60.0 + part.parse::<f64>().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_of_a_day() {
        assert_eq!(seconds(&"2026-01-31T01:01:02.5Z".into()), Some(3662.5));
        assert_eq!(seconds(&Value::Null), None);
    }
}
