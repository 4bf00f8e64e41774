//! The published procedure of AEGIS on a real podman, from one edited line: up, and back in each way.
//! `examples/aegis/README.md` says which test stands for which of its steps.

mod carry;
mod cuts;
mod rehearsal;
mod rootless;
mod stories;
mod units;

use serde_json::Value;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tempfile::TempDir;
use upgraded_tests::{Daemon, last_run, outcome};

/// For a podman, which has to be gone before it.
fn folder() -> TempDir {
    tempfile::Builder::new().prefix("upgraded-").tempdir().expect("a folder for podman")
}

/// The networks of a rehearsal are numbered by podman, which sees none that another podman has not in use yet.
fn rehearsing_alone() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    ONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One edited line, and the run that comes of it, as `upgradectl show` has it.
fn run_to(daemon: &mut Daemon, version: &str, ends_as: &str) -> Value {
    let before = daemon.now()["last_run"]["id"].as_u64().unwrap_or(0);
    daemon.site.edit_version(version);
    let now = daemon.end_of_run_after(before);
    assert_eq!(outcome(&now), ends_as, "{now:#}\n{}", daemon.site.log());
    daemon.told(&["show", &last_run(&now).to_string()])
}

/// Where and why the run turned round.
fn failure(run: &Value) -> (&str, &str) {
    let text = |field: &str| run["failure"][field].as_str().unwrap_or_default();
    (text("step"), text("message"))
}
