//! Upgrades that succeed, and the way back by hand.

use upgraded_tests::{Daemon, Setup, Site, kind, last_run, outcome, steps};

/// With a drill, as it is without a word in the file.
#[test]
fn a_good_upgrade_commits_and_takes_the_steps_of_its_plan() {
    let site = Site::new(&Setup { policy: "approve = \"breaking\"\n".into(), ..Setup::default() });
    let mut daemon = Daemon::start(&site).settled();
    let plan = daemon.told(&["plan", &site.name, "--to", "1.1.0"]);
    site.edit_version("1.1.0");
    let now = daemon.end_of_run_to("1.1.0");
    assert_eq!((outcome(&now), kind(&now)), ("committed", "idle"), "{now:#}");
    assert_eq!(now["installed"], "1.1.0");

    let run = daemon.told(&["show", &last_run(&now).to_string()]);
    // The plan lists both final backups; both datastores freeze, so it is the late one that is taken.
    let mut taken = steps(&plan);
    taken.retain(|step| !step.contains("backup-final"));
    assert_eq!(steps(&run), taken, "what was done is what was shown");
    assert!(steps(&plan).iter().any(|step| step.contains("drill")), "the drill is part of it: {:?}", steps(&plan));
    for step in run["steps"].as_array().expect("steps") {
        assert_eq!(step["state"], "succeeded", "{step:#}");
    }
    site.is_whole("1.1.0", None);
    daemon.stop();
}

#[test]
fn a_rollback_by_hand_brings_back_the_data_of_before() {
    let site = Site::new(&Setup::default());
    let before = site.checksums();
    let mut daemon = Daemon::start(&site).settled();
    site.edit_version("1.1.0");
    let now = daemon.end_of_run_to("1.1.0");
    assert_eq!(outcome(&now), "committed", "{now:#}");

    daemon.told(&["rollback", &site.name, "--yes"]);
    daemon.end_of_run_after(last_run(&now));
    let now = daemon.wait("nothing is left to do", |now| kind(now) == "idle");
    assert_eq!((&now["installed"], &now["wanted"]), (&"1.0.0".into(), &"1.0.0".into()), "{now:#}");
    site.is_whole("1.0.0", Some(&before));

    site.edit_version("1.1.0");
    let now = daemon.wait("it is upgraded again", |now| now["installed"] == "1.1.0" && kind(now) == "idle");
    assert_eq!(outcome(&now), "committed", "{now:#}");
    site.is_whole("1.1.0", None);
}
