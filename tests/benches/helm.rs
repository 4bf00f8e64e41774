//! An upgrade of a release that rolls by the daemon, and the same by `helm upgrade --wait`, turn by turn. Prints a JSON line
//! for each repetition, `{"part": …, "seconds": …}`; what the numbers come to is judged by `cargo xtask bench`, which runs
//! this.

use serde_json::Value;
use std::time::{Duration, Instant};
use upgraded_tests::{Cluster, Daemon, GOOD_WRONG_AND_BROKEN, ReplicasRelease, outcome};

const FIRST: &str = "1.4.0";
const NEXT: &str = "1.5.0";
const LOOK_EVERY: Duration = Duration::from_millis(10);

fn main() {
    let rounds = std::env::args().skip_while(|argument| argument != "--rounds").nth(1);
    let rounds: usize = rounds.and_then(|rounds| rounds.parse().ok()).expect("`--rounds` and a number");
    for _ in 0..rounds {
        by_daemon(&release());
        by_hand(&release());
    }
}

fn release() -> ReplicasRelease {
    ReplicasRelease::new(Cluster::shared(false), FIRST, &GOOD_WRONG_AND_BROKEN)
}

/// From the saved file to the end of the run, and of that the step that upgrades.
fn by_daemon(release: &ReplicasRelease) {
    let daemon = Daemon::start(release).settled();
    let began = Instant::now();
    release.edit_version(NEXT);
    let run = loop {
        let now = daemon.now();
        if now["last_run"]["to"] == NEXT && !now["last_run"]["outcome"].is_null() {
            assert_eq!(outcome(&now), "committed", "{now:#}\n{}", release.log());
            break now["last_run"]["id"].clone();
        }
        std::thread::sleep(LOOK_EVERY);
    };
    tell("helm/ours", began.elapsed());
    let run = daemon.told(&["show", &run.to_string()]);
    let steps = run["steps"].as_array().expect("steps").iter();
    let upgrades = steps.filter(|step| step["phase"] == "apply").map(took);
    tell("helm/apply/ours", upgrades.sum());
}

/// Helm waits for what is new; beside it, until what the daemon waits for too is gone: the old pods.
fn by_hand(release: &ReplicasRelease) {
    let old = release.api_pods();
    let began = Instant::now();
    release.upgrade_by_hand(NEXT);
    tell("helm/bare/script", began.elapsed());
    release.are_gone(&old);
    tell("helm/script", began.elapsed());
}

fn took(step: &Value) -> Duration {
    let at = |key: &str| step[key].as_str().expect("a time").parse::<jiff::Timestamp>().expect("a time");
    at("ended_at").duration_since(at("started_at")).try_into().expect("it ended after it began")
}

fn tell(part: &str, took: Duration) {
    println!("{}", serde_json::json!({ "part": part, "seconds": took.as_secs_f64() }));
}
