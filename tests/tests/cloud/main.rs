//! The published procedure of Tessallite on Cloud Run and Cloud SQL, from one edited line: up, and back in each way. The
//! API is the double's, everything behind it is real: each revision a process, the instance a PostgreSQL server.

mod back;
mod refused;
mod sweep;
mod up;

use serde_json::Value;
use upgraded_tests::{Cloud, Daemon, Visit, last_run, outcome, visits};

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

/// Users write at the gateway while `during` goes on; `word` tells these writes from others.
fn write_models<T>(cloud: &Cloud, word: &str, during: impl FnOnce() -> T) -> (T, Vec<Visit>) {
    let model = |number: usize| {
        let body = format!("{{\"name\":\"written-{word}-{number}\",\"rows\":[{{\"key\":\"a\",\"amount\":1}}]}}");
        ("POST", "/api/models", body)
    };
    visits(cloud.gateway.trim_start_matches("http://").parse().expect("an address"), model, during)
}

/// Every write that was acknowledged is there, once.
fn account_for(cloud: &Cloud, word: &str, writes: &[Visit]) {
    let there = cloud.sql("SELECT name FROM models WHERE name LIKE 'written-%' ORDER BY id");
    let there: Vec<&str> = there.lines().collect();
    for write in writes.iter().filter(|write| write.is_fine()) {
        let name = format!("written-{word}-{}", write.number);
        let times = there.iter().filter(|there| **there == name).count();
        assert_eq!(times, 1, "`{name}` was acknowledged at {:?}\n{}", write.ended, cloud.log());
    }
}
