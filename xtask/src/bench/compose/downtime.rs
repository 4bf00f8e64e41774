//! How long users wait while a product of several containers is upgraded: by the daemon and by the published script, with
//! much data and with little.

use super::client::Client;
use super::stack::{FIRST, NEXT, PATH, Stack};
use crate::bench::figure::Samples;
use crate::bench::runs::Phases;
use crate::bench::wait;
use crate::interrupt::Interrupt;
use anyhow::{Context, Result, bail};
use std::process::Command;

/// `name` is part of what its samples are called.
pub fn by_daemon(stack: &Stack, name: &str, interrupt: &Interrupt, samples: &mut Samples) -> Result<()> {
    stack.set_back()?;
    let (mut daemon, socket) = stack.daemon(interrupt)?;
    wait::until(&mut daemon, &socket, interrupt, "/v1/deployments/tessallite", wait::is_settled)?;
    let client = Client::start(stack.ports.gateway, PATH);
    let machine = &stack.composed.machine;
    machine.edit_version_quietly(NEXT)?;
    let run = wait::committed(&mut daemon, &socket, interrupt, machine.name(), NEXT);
    stack.wait_until_it_serves(NEXT)?;
    let seen = client.stop()?;
    let run = run?;
    daemon.stop()?;
    let phases = Phases::of(&run)?;
    for (step, seconds) in phases.steps() {
        eprintln!("    {step:<22} {seconds:.3} s");
    }
    let downtime = run["downtime_s"].as_f64().context("the run had downtime")?;
    for (what, seconds) in [
        ("seen", seen.downtime()?.as_secs_f64()),
        ("downtime", downtime),
        ("freeze", phases.took("freeze")),
        ("rest", downtime - phases.took("freeze")),
    ] {
        tell(&format!("{what}/{name}"), seconds, samples);
    }
    Ok(())
}

/// `script` in the project's folder; it has `FROM` and `TO`.
pub fn by_hand(stack: &Stack, script: &str, name: &str, samples: &mut Samples) -> Result<()> {
    stack.set_back()?;
    stack.wait_until_it_serves(FIRST)?;
    let client = Client::start(stack.ports.gateway, PATH);
    let mut shell = Command::new("bash");
    shell
        .args(["-c", script])
        .current_dir(stack.composed.machine.home())
        .envs(stack.composed.project.engine().environment());
    let output = shell.env("FROM", FIRST).env("TO", NEXT).output().context("`bash`")?;
    if !output.status.success() {
        bail!("the script: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    stack.wait_until_it_serves(NEXT)?;
    // One more answer.
    std::thread::sleep(std::time::Duration::from_millis(200));
    tell(&format!("seen/{name}"), client.stop()?.downtime()?.as_secs_f64(), samples);
    Ok(())
}

pub fn tell(part: &str, value: f64, samples: &mut Samples) {
    eprintln!("  {part:<24} {value:.3} s");
    samples.add(part, value);
}
