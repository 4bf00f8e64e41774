//! Waits for what the daemon says of itself.

use crate::demo::{Daemon, Socket};
use crate::interrupt::{Interrupt, pause};
use anyhow::{Result, bail};
use serde_json::Value;
use std::time::{Duration, Instant};

/// Of a run with much data on a busy machine.
const PATIENCE: Duration = Duration::from_secs(900);

/// Asks for `path` until the answer is as it should be.
pub fn until(
    daemon: &mut Daemon, socket: &Socket, interrupt: &Interrupt, path: &str, until: impl Fn(&Value) -> bool,
) -> Result<Value> {
    let began = Instant::now();
    loop {
        interrupt.check()?;
        daemon.check()?;
        let now = socket.get(path).unwrap_or_default();
        if until(&now) {
            return Ok(now);
        }
        if now["state"]["kind"] == "stuck" || began.elapsed() > PATIENCE {
            bail!("`{path}` stands at {now:#}\n{}", daemon.tail());
        }
        pause();
    }
}

/// It knows what is installed, and has nothing to do.
pub fn is_settled(now: &Value) -> bool {
    now["state"]["kind"] == "idle" && now["installed"].is_string()
}

/// Of the run to that version, when it is over; an error where it did not commit.
pub fn committed(
    daemon: &mut Daemon, socket: &Socket, interrupt: &Interrupt, deployment: &str, version: &str,
) -> Result<Value> {
    let now = until(daemon, socket, interrupt, &format!("/v1/deployments/{deployment}"), |now| {
        let run = &now["last_run"];
        (run["to"] == version && !run["outcome"].is_null() && now["state"]["kind"] != "running")
            || now["state"]["kind"] == "error"
    })?;
    if now["last_run"]["outcome"]["outcome"] != "committed" {
        bail!("the run should have committed: {now:#}\n{}", daemon.tail());
    }
    socket.get(&format!("/v1/runs/{}", now["last_run"]["id"]))
}
