//! Users who write while a run goes on: what they were told is written is there, whichever version stands in the end.

use serde_json::Value;
use std::time::Duration;
use upgraded_tests::{Daemon, Stack, Visit, shut_out, visits};

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

/// Every write that was acknowledged is there, once; nobody was answered while the gate was shut, and everybody else was;
/// and the run's downtime is what was seen from outside.
pub fn account_for(stack: &Stack, run: &Value, writes: &[Visit]) {
    let there = stack.sql("SELECT name FROM models WHERE name LIKE 'written-%' ORDER BY id");
    let there: Vec<&str> = there.lines().collect();
    let (told, failed): (Vec<&Visit>, Vec<&Visit>) = writes.iter().partition(|write| write.is_fine());
    for write in &told {
        let times = there.iter().filter(|there| **there == name(write.number)).count();
        assert_eq!(times, 1, "`{}` was acknowledged at {:?}\n{}", name(write.number), write.ended, stack.log());
    }
    let [(shuts, opened), (shut, opens)] = shut_out(run);
    for write in &failed {
        assert!(write.ended >= shuts && write.began <= opened, "refused while the gate was open: {write:?}");
    }
    for write in &told {
        assert!(write.began < shut || write.ended > opens, "answered while the gate was shut: {write:?}");
    }
    assert!(told.iter().any(|write| write.ended < shuts), "somebody wrote before the gate shut");
    assert!(told.iter().any(|write| write.began > opens), "somebody wrote after it opened");
    let seconds = |from: &Visit, to: &Visit| to.ended.duration_since(from.began).expect("in order");
    let (first, last) = (failed.first().expect("a gate shuts"), failed.last().expect("a gate shuts"));
    let seen = seconds(first, last);
    let said = Duration::from_secs_f64(run["downtime_s"].as_f64().expect("a downtime"));
    // What is shut while a request is under way is seen by that request; what opens, by the next one.
    let resolution = writes.windows(2).map(|pair| seconds(&pair[0], &pair[1])).max().unwrap_or_default();
    let slack =
        resolution + shut.duration_since(shuts).unwrap_or_default() + opened.duration_since(opens).unwrap_or_default();
    assert!(seen <= said + resolution && said <= seen + slack, "{seen:?} was seen, {said:?} is said; within {slack:?}");
}

/// Waits for users to have written behind the opened gate.
pub fn wrote_again(daemon: &mut Daemon, stack: &Stack) {
    let count = || stack.sql("SELECT count(*) FROM models");
    let before = count();
    daemon.wait("users write again", |_| count() != before);
}
