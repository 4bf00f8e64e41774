//! The published procedure of DecisionGraph on a real PostgreSQL, from one edited line: up, and back in each way that the
//! page knows; and whatever the instant at which the daemon dies. `examples/decisiongraph/README.md` says which test stands for which of its steps.

mod back;
mod fenced;
mod refused;
mod sets;
mod sweep;
mod up;

use serde_json::Value;
use upgraded_tests::{Daemon, last_run, outcome};

/// One edited line, and the run that comes of it, as `upgradectl show` has it.
fn run_to(daemon: &mut Daemon, version: &str, ends_as: &str) -> Value {
    daemon.site.edit_version(version);
    let now = daemon.end_of_run_to(version);
    assert_eq!(outcome(&now), ends_as, "{now:#}");
    daemon.told(&["show", &last_run(&now).to_string()])
}

/// Steps that were begun.
fn done(run: &Value) -> Vec<&str> {
    let steps = run["steps"].as_array().expect("steps").iter().filter(|step| step["attempts"] != 0);
    steps.filter_map(|step| step["id"].as_str()).collect()
}

/// When it was begun, among the others.
fn place(done: &[&str], step: &str) -> usize {
    done.iter().position(|other| *other == step).unwrap_or_else(|| panic!("no `{step}`: {done:?}"))
}

/// Where and why the run turned round.
fn failure(run: &Value) -> (&str, &str) {
    let text = |field: &str| run["failure"][field].as_str().unwrap_or_default();
    (text("step"), text("message"))
}
