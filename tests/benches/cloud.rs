//! A rollback on Cloud Run by the daemon, and the same traffic sent by the API alone, turn by turn. Prints a JSON line for
//! each repetition, `{"part": …, "seconds": …}`; what the numbers come to is judged by `cargo xtask bench`, which runs this.

use std::time::{Duration, Instant};
use upgraded_tests::{CLOUD_SERVICES, Cloud, Daemon, last_run, outcome};

const FIRST: &str = "1.5.0";
/// Code alone: a way back is traffic, and no data.
const NEXT: &str = "1.5.1";
const LOOK_EVERY: Duration = Duration::from_millis(10);

fn main() {
    let rounds = std::env::args().skip_while(|argument| argument != "--rounds").nth(1);
    let rounds: usize = rounds.and_then(|rounds| rounds.parse().ok()).expect("`--rounds` and a number");
    let cloud = Cloud::new(FIRST, "approve = \"never\"\n");
    cloud.publish(NEXT);
    let before = revisions(&cloud);
    let mut daemon = Daemon::start(&cloud).settled();
    for _ in 0..rounds {
        cloud.edit_version(NEXT);
        let now = daemon.end_of_run_to(NEXT);
        assert_eq!(outcome(&now), "committed", "{now:#}");
        let after = revisions(&cloud);

        by_daemon(&cloud, &daemon, last_run(&now));
        assert_eq!(revisions(&cloud), before, "the revisions that served before");

        let token = cloud.google.token();
        send(&cloud, &token, &after);
        let began = Instant::now();
        send(&cloud, &token, &before);
        tell("cloud/script", began.elapsed());
        tell("cloud/traffic/script", last_change(&cloud) - began);
        daemon.wait("it is at rest", |now| now["installed"] == FIRST && now["state"]["kind"] == "idle");
    }
}

/// From the command to the end of the run, and until the last service's traffic was asked for.
fn by_daemon(cloud: &Cloud, daemon: &Daemon<'_>, last: u64) {
    let began = Instant::now();
    daemon.told(&["rollback", &cloud.name, "--yes"]);
    loop {
        let run = daemon.now()["last_run"].clone();
        if run["id"].as_u64() > Some(last) && !run["outcome"].is_null() {
            assert_eq!(run["outcome"]["outcome"], "rolled-back", "{run:#}");
            break;
        }
        std::thread::sleep(LOOK_EVERY);
    }
    tell("cloud/ours", began.elapsed());
    tell("cloud/traffic/ours", last_change(cloud) - began);
}

/// When a service's traffic was last asked to change.
fn last_change(cloud: &Cloud) -> Instant {
    let exchanges = cloud.google.exchanges();
    let change = exchanges.iter().rfind(|exchange| exchange.request["traffic"].is_array());
    change.expect("traffic was changed").asked
}

/// One service after the other.
fn send(cloud: &Cloud, token: &str, revisions: &[String]) {
    for (name, revision) in CLOUD_SERVICES.iter().zip(revisions) {
        cloud.send_traffic(token, name, revision);
    }
}

/// That serve, a service each.
fn revisions(cloud: &Cloud) -> Vec<String> {
    let served = |name: &&str| match &cloud.traffic(name)[..] {
        [(revision, 100)] => revision.clone(),
        shares => panic!("`{name}` is served by one revision, not by {shares:?}"),
    };
    CLOUD_SERVICES.iter().map(served).collect()
}

fn tell(part: &str, took: Duration) {
    println!("{}", serde_json::json!({ "part": part, "seconds": took.as_secs_f64() }));
}
