//! Two replicas of a release are exchanged one by one: whoever asks meanwhile is answered every time.

use crate::run_to;
use serde_json::Value;
use upgraded_tests::{Cluster, Daemon, ReplicasRelease, visits};

/// What is healthy, and says that it is another release; and what never comes up.
const IMAGES: [(&str, &str, Option<&str>); 4] = [
    ("1.4.0", "1.4.0", None),
    ("1.5.0", "1.5.0", None),
    ("1.6.0", "1.5.1", None),
    ("1.7.0", "1.7.0", Some("sleep 1; exit 3")),
];

fn ask(_: usize) -> (&'static str, &'static str, String) {
    ("GET", "/healthz", String::new())
}

#[test]
fn replicas_roll_and_nobody_is_turned_away() {
    let replicas = ReplicasRelease::new(Cluster::shared(false), "1.4.0", &IMAGES);
    let mut daemon = Daemon::start(&replicas).settled();
    let (runs, visits) = visits(replicas.front, ask, || {
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

    let failed: Vec<_> = visits.iter().filter(|visit| !visit.is_fine()).collect();
    assert!(failed.is_empty(), "{} of {}: {failed:#?}", failed.len(), visits.len());
    let said = |version: &str| {
        let text = format!("\"version\":\"{version}\"");
        visits.iter().filter(|visit| visit.answer.as_ref().is_ok_and(|(_, body)| body.contains(&text))).count()
    };
    let counts = ["1.4.0", "1.5.0", "1.5.1"].map(said);
    assert!(counts.iter().all(|count| *count > 0), "each of the versions answered: {counts:?}");
    assert_eq!(counts.iter().sum::<usize>(), visits.len(), "nothing else did");
}
