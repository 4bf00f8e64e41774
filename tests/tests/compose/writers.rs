//! Users who write while a run goes on: what they were told is written is there, whichever version stands in the end.

use serde_json::Value;
use upgraded_tests::{Daemon, Stack, Visit, visits};

/// Goes on while `during` does.
pub fn write_models<T>(stack: &Stack, during: impl FnOnce() -> T) -> (T, Vec<Visit>) {
    let model = |number: usize| {
        let body = format!("{{\"name\":\"{}\",\"rows\":[{{\"key\":\"a\",\"amount\":1}}]}}", name(number));
        ("POST", "/api/models", body)
    };
    let address = stack.gateway.trim_start_matches("http://").parse().expect("an address");
    visits(address, model, during)
}

fn name(number: usize) -> String {
    format!("written-{number}")
}

pub fn account_for(stack: &Stack, run: &Value, writes: &[Visit]) {
    let there = stack.sql("SELECT name FROM models WHERE name LIKE 'written-%' ORDER BY id");
    let there: Vec<&str> = there.lines().collect();
    let times = |number: usize| there.iter().filter(|there| **there == name(number)).count();
    upgraded_tests::account_for(run, writes, times, &stack.log());
}

/// Waits for users to have written behind the opened gate.
pub fn wrote_again(daemon: &mut Daemon, stack: &Stack) {
    let count = || stack.sql("SELECT count(*) FROM models");
    let before = count();
    daemon.wait("users write again", |_| count() != before);
}
