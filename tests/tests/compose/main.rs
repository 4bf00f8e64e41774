//! The published procedure of Tessallite on a real Docker engine, from one edited line: up, and back in each way.
//! `examples/tessallite/README.md` says which test stands for which of its steps.

mod back;
mod carry;
mod drill;
mod engines;
mod hook;
mod layouts;
mod machine;
mod products;
mod refused;
mod rehearsal;
mod retention;
mod rolling;
mod several;
mod sweep;
mod trouble;
mod up;
mod writers;

use serde_json::Value;
use upgraded_tests::{Daemon, last_run, outcome};

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
