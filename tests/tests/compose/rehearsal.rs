//! The upgrade on a throw-away double, while what is live serves.

use scratch_docker::Engine;
use upgraded_tests::{Daemon, Evose, kind, last_run, outcome, succeed};

/// A rehearsal that a crash interrupts begins anew, and tells how long users would have waited; one that policy asks for
/// refuses a bad release before anything is touched. Of neither is anything left, and nothing live is another.
#[test]
fn a_rehearsal_tells_what_an_upgrade_would_do_and_leaves_nothing() {
    let evose = Evose::new("drill = \"off\"\nidle = \"60s\"\n");
    for version in ["1.4.0", "1.5.0"] {
        evose.publish(version);
    }
    let live = || (evose.data(), evose.things(), evose.compose(&["ps", "--all", "--quiet"]), evose.restart_policies());
    let before = live();

    let mut daemon = Daemon::start(&evose).settled();
    let begun = daemon.told(&["rehearse", &evose.name, "--to", "1.4.0"]);
    daemon.wait("the double's server runs", |_| !of_doubles(&evose, "container").is_empty());
    daemon.kill();
    let mut daemon = Daemon::start(&evose);
    let run = begun["run"].as_u64().expect("a run's number");
    let now = daemon.end_of_run_after(run - 1);
    assert_eq!(outcome(&now), "rehearsed", "{now:#}\n{}", evose.log());
    let told = daemon.told(&["show", &run.to_string()]);
    assert!(told["rehearsed"]["downtime_s"].as_f64().is_some_and(|seconds| seconds > 0.0), "{told:#}");
    let steps = told["rehearsed"]["steps"].as_array().expect("the double's steps");
    assert!(steps.iter().any(|step| step[0].as_str().is_some_and(|title| title.contains("verify"))), "{steps:#?}");
    assert_eq!(kind(&daemon.wait("it rests", |now| kind(now) == "idle")), "idle");
    assert_eq!(live(), before, "nothing live is another");
    nothing_of_doubles_is_left(&evose);

    evose.edit(|text| text.replace("drill = \"off\"", "drill = \"off\"\nrehearse = true"));
    evose.edit_version("1.5.0");
    let now = daemon.end_of_run_to("1.5.0");
    assert_eq!(outcome(&now), "refused", "{now:#}\n{}", evose.log());
    let told = daemon.told(&["show", &last_run(&now).to_string()]);
    assert_eq!(told["failure"]["step"], "rehearse");
    let why = told["failure"]["message"].as_str().unwrap_or_default();
    assert!(why.contains("[init] migration failed") && why.contains("nothing live was touched"), "{why}");
    assert_eq!(live(), before, "nothing live is another");
    nothing_of_doubles_is_left(&evose);
}

fn of_doubles(evose: &Evose, kind: &str) -> String {
    let mut docker = Engine::shared().docker();
    docker.args([kind, "ls", "--quiet", "--filter", &format!("label=upgraded.rehearsal={}", evose.name)]);
    if kind == "container" {
        docker.arg("--all");
    }
    succeed(&mut docker)
}

fn nothing_of_doubles_is_left(evose: &Evose) {
    for kind in ["container", "network", "volume"] {
        assert_eq!(of_doubles(evose, kind), "", "a {kind}");
    }
    assert!(!evose.path("state/rehearsals").join(&evose.name).exists());
    let mut docker = Engine::shared().docker();
    docker.args(["image", "ls", "--format", "{{.Repository}}"]);
    let names = succeed(&mut docker);
    assert!(!names.lines().any(|name| name.contains(&format!("upgraded-rehearsal-{}", &evose.name[..10]))), "{names}");
}
