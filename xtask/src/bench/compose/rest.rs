//! The daemon at rest while it watches fifty containers: what it weighs and what it uses in a minute.

use super::stack::{NEXT, Stack};
use crate::bench::figure::Samples;
use crate::bench::rest::{SETTLE, UNTIL_AT_REST, tell_weight};
use crate::bench::wait;
use crate::demo::{Daemon, Programs};
use crate::interrupt::Interrupt;
use anyhow::{Context, Result, bail};
use scratch_docker::Engine;
use std::fs;
use std::time::Duration;

const CONTAINERS: usize = 50;
const MINUTE: Duration = Duration::from_secs(60);

pub fn weigh(programs: &Programs, engine: &Engine, interrupt: &Interrupt, samples: &mut Samples) -> Result<()> {
    let busybox = engine.base("busybox:1");
    // Beside the product's six and PostgreSQL.
    let more = (8..=CONTAINERS).map(|number| {
        format!("  idle-{number:02}: {{ image: \"{busybox}\", command: [\"sleep\", \"1000000\"], init: true }}\n")
    });
    let stack = Stack::make(programs, engine, Some(&format!("services:\n{}", more.collect::<String>())))?;
    let running = stack.composed.project.things("container").len();
    if running != CONTAINERS {
        bail!("{CONTAINERS} containers should run, and {running} do");
    }
    let path = "/v1/deployments/tessallite";
    // The first look settles the file and compiles the plugins.
    let (mut daemon, socket) = stack.daemon(interrupt)?;
    wait::until(&mut daemon, &socket, interrupt, path, wait::is_settled)?;
    daemon.stop()?;
    let (mut daemon, socket) = stack.daemon(interrupt)?;
    wait::until(&mut daemon, &socket, interrupt, path, wait::is_settled)?;
    std::thread::sleep(SETTLE);
    tell_weight(&daemon, "containers", samples)?;
    minute(&daemon, "containers", samples)?;
    stack.composed.machine.edit_version_quietly(NEXT)?;
    wait::committed(&mut daemon, &socket, interrupt, stack.composed.machine.name(), NEXT)?;
    std::thread::sleep(UNTIL_AT_REST);
    tell_weight(&daemon, "containers-after", samples)?;
    minute(&daemon, "containers-after", samples)?;
    daemon.stop()
}

fn minute(daemon: &Daemon, name: &str, samples: &mut Samples) -> Result<()> {
    let before = processor_seconds(daemon.pid())?;
    std::thread::sleep(MINUTE);
    super::downtime::tell(&format!("cpu/{name}"), processor_seconds(daemon.pid())? - before, samples);
    Ok(())
}

/// User and system, in hundredths as Linux counts them.
fn processor_seconds(pid: u32) -> Result<f64> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let (_, fields) = text.rsplit_once(')').context("a process has a name")?;
    let ticks = fields.split_whitespace().skip(11).take(2).map(str::parse::<f64>);
    Ok(ticks.sum::<Result<f64, _>>()? / 100.0)
}
