//! The upgrade on a throw-away double, while what is live serves. `up` and `products` have rehearsals that go well.

use scratch_docker::Engine;
use upgraded_tests::{Daemon, Evose, kind, outcome, succeed};

/// A crash in its midst lets it begin anew; nothing of it is left, and nothing live is another.
#[test]
fn a_bad_release_is_found_out_on_the_double() {
    let evose = Evose::new("drill = \"off\"\nidle = \"60s\"\n");
    evose.publish("1.5.0");
    evose.add_reader();
    let live = || (evose.data(), evose.things(), evose.compose(&["ps", "--all", "--quiet"]), evose.restart_policies());
    let before = live();
    let mut daemon = Daemon::start(&evose).settled();
    let run = daemon.rehearses("1.5.0");
    daemon.wait("the double is made", |_| !of_doubles(&evose, "container").is_empty());
    daemon.kill();

    let mut daemon = Daemon::start(&evose);
    let now = daemon.end_of_run_after(run - 1);
    assert_eq!(outcome(&now), "refused", "{now:#}\n{}", evose.log());
    let told = daemon.told(&["show", &run.to_string()]);
    assert_eq!(told["failure"]["step"], "rehearse");
    let why = told["failure"]["message"].as_str().unwrap_or_default();
    assert!(why.contains("[init] migration failed") && why.contains("nothing live was touched"), "{why}");
    daemon.wait("it rests at what runs", |now| kind(now) == "idle" && now["installed"] == "1.3.0");
    assert_eq!(live(), before, "nothing live is another");
    for kind in ["container", "network", "volume"] {
        assert_eq!(of_doubles(&evose, kind), "", "a {kind}");
    }
    assert!(!evose.path("state/rehearsals").join(&evose.name).exists());
    let mut docker = Engine::shared().docker();
    docker.args(["image", "ls", "--format", "{{.Repository}}"]);
    let ours = format!("upgraded-rehearsal-{}", evose.name.chars().take(20).collect::<String>());
    let names = succeed(&mut docker);
    assert!(!names.contains(&ours), "{names}");
}

fn of_doubles(evose: &Evose, kind: &str) -> String {
    let mut docker = Engine::shared().docker();
    docker.args([kind, "ls", "--quiet", "--filter", &format!("label=upgraded.rehearsal={}", evose.name)]);
    if kind == "container" {
        docker.arg("--all");
    }
    succeed(&mut docker)
}
