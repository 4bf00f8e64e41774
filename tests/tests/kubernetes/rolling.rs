//! Two replicas of a release are exchanged one by one: whoever asks meanwhile is answered every time.

use crate::run_to;
use serde_json::Value;
use upgraded_tests::{Cluster, Daemon, GOOD_WRONG_AND_BROKEN, ReplicasRelease, answered_by_each, ask_any, visits};

#[test]
fn replicas_roll_and_nobody_is_turned_away() {
    let replicas = ReplicasRelease::new(Cluster::shared(false), "1.4.0", &GOOD_WRONG_AND_BROKEN);
    let mut daemon = Daemon::start(&replicas).settled();
    let (runs, visits) = visits(replicas.front, ask_any, || {
        let up = run_to(&mut daemon, "1.5.0", "committed");
        replicas.is_at("1.5.0", "/healthz");
        let wrong = run_to(&mut daemon, "1.6.0", "rolled-back");
        replicas.is_at("1.5.0", "/healthz");
        let broken = run_to(&mut daemon, "1.7.0", "rolled-back");
        replicas.is_at("1.5.0", "/healthz");
        [up, wrong, broken]
    });
    for run in &runs {
        assert_eq!(run["downtime_s"], Value::Null, "nobody was shut out: {run:#}");
    }
    let step = |run: &Value| run["failure"]["step"].as_str().unwrap_or_default().to_owned();
    assert_eq!((step(&runs[1]), step(&runs[2])), ("h0-verify".into(), "h0-apply-main-0".into()), "{runs:#?}");

    answered_by_each(&["1.4.0", "1.5.0", "1.5.1"], &visits);
}
