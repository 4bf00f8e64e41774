//! The published procedures of Evose and Infrahub for Kubernetes, and a release that rolls, on a real cluster with the real
//! `helm`, from one edited line: up, and back with the data, and across a cut of the power in the middle of `helm upgrade`.

mod carry;
mod cut;
mod infrahub;
mod refused;
mod rehearsal;
mod rolling;
mod several;
mod up;

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
