//! Two replicas behind a proxy are exchanged one by one: whoever asks meanwhile is answered every time.

use crate::{failure, run_to};
use serde_json::{Value, json};
use upgraded_tests::{Cut, Daemon, GOOD_WRONG_AND_BROKEN, Replicas, answered_by_each, ask_any, visits};

#[test]
fn replicas_roll_and_nobody_is_turned_away() {
    let replicas = Replicas::new("1.4.0", &GOOD_WRONG_AND_BROKEN);
    let whole = |version: &str| {
        assert_eq!(replicas.replicas(), vec![format!("{version} running healthy"); 2]);
        replicas.is_what_the_files_say();
        replicas.nothing_is_left();
    };
    let mut daemon = Daemon::start(&replicas).settled();
    let (runs, visits) = visits(replicas.front, ask_any, || {
        let up = run_to(&mut daemon, "1.5.0", "committed");
        whole("1.5.0");
        let wrong = run_to(&mut daemon, "1.6.0", "rolled-back");
        whole("1.5.0");
        let broken = run_to(&mut daemon, "1.7.0", "rolled-back");
        whole("1.5.0");
        [up, wrong, broken]
    });
    let [up, wrong, broken] = &runs;
    for run in &runs {
        assert_eq!(run["downtime_s"], Value::Null, "nobody was shut out: {run:#}");
    }
    assert_eq!(failure(wrong).0, "h0-verify", "{}", failure(wrong).1);
    assert_eq!(failure(broken).0, "h0-apply-main-0");
    assert!(failure(broken).1.contains("keeps ending"), "{}", failure(broken).1);
    let steps = up["steps"].as_array().expect("steps");
    assert!(steps.iter().all(|step| step["downtime"] != json!(true)), "{steps:#?}");

    answered_by_each(&["1.4.0", "1.5.0", "1.5.1"], &visits);
}

/// The daemon goes while one replica is exchanged and the other isn't, on the way up and on the way back.
#[test]
fn a_roll_that_is_cut_off_goes_on_and_nobody_is_turned_away() {
    let replicas = Replicas::new("1.4.0", &GOOD_WRONG_AND_BROKEN[..3]);
    let mut daemon = Daemon::start(&replicas).settled();
    let mixed = || {
        let mut versions = replicas.replicas();
        versions.dedup_by_key(|line| line.split(' ').next().map(str::to_owned));
        versions.len() > 1
    };
    let (_, visits) = visits(replicas.front, ask_any, || {
        replicas.edit_version("1.5.0");
        daemon.wait("one replica is exchanged", |_| mixed());
        daemon.kill();
        daemon = Daemon::start(&replicas);
        let now = daemon.end_of_run_to("1.5.0");
        assert_eq!(upgraded_tests::outcome(&now), "committed", "{now:#}");
        assert_eq!(replicas.replicas(), vec!["1.5.0 running healthy"; 2]);

        replicas.cut_at(Cut::Started("b0-revert-main"));
        replicas.edit_version("1.6.0");
        daemon.dies();
        replicas.no_cut();
        let mut daemon = Daemon::start(&replicas);
        daemon.wait("one replica is back", |_| mixed());
        daemon.kill();
        let mut daemon = Daemon::start(&replicas);
        let now = daemon.end_of_run_to("1.6.0");
        assert_eq!(upgraded_tests::outcome(&now), "rolled-back", "{now:#}");
    });
    assert_eq!(replicas.replicas(), vec!["1.5.0 running healthy"; 2]);
    replicas.is_what_the_files_say();
    replicas.nothing_is_left();
    let failed: Vec<_> = visits.iter().filter(|visit| !visit.is_fine()).collect();
    assert!(failed.is_empty(), "{} of {}: {failed:#?}", failed.len(), visits.len());
}
