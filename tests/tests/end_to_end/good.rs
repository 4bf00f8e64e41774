//! Upgrades that succeed, and the way back by hand.

use upgraded_tests::{Daemon, Release, Setup, Site, kind, last_run, outcome, steps};

/// With a drill, as it is without a word in the file, and the vault that the first start makes.
#[test]
fn a_good_upgrade_commits_and_takes_the_steps_of_its_plan() {
    let site = Site::new(&Setup { new_vault: true, policy: "approve = \"breaking\"\n".into(), ..Setup::default() });
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

/// Half a minute at three seconds of patience: slow is not failed.
#[test]
fn a_migration_that_says_how_far_it_is_may_take_ten_times_the_idle_deadline() {
    let site = Site::new(&Setup { policy: "drill = \"off\"\nidle = \"3s\"\n".into(), ..Setup::default() });
    let steps = (1..=75).map(|step| format!("INSERT INTO steps (number) VALUES ({step});\n"));
    let migration = format!("CREATE TABLE steps (number INTEGER);\n{}", steps.collect::<String>());
    let switches = "schema = 2\n[behaviour]\nmigration-pause-ms = 400";
    let migration = Some(("0002-steps.sql", migration));
    site.publish(&Release { version: "1.0.1", base: "1.0.0", switches, migration });
    let mut daemon = Daemon::start(&site).settled();
    site.edit_version("1.0.1");
    let now = daemon.end_of_run_to("1.0.1");
    assert_eq!((outcome(&now), kind(&now)), ("committed", "idle"), "{now:#}");
    site.is_whole("1.0.1", None);
}

/// The releases that are good and that no other story takes.
#[test]
fn a_release_that_migrates_while_it_starts_commits() {
    let site = Site::new(&Setup { version: "1.1.0", ..Setup::default() });
    let mut daemon = Daemon::start(&site).settled();
    for version in ["1.3.0", "1.10.0"] {
        site.edit_version(version);
        let now = daemon.end_of_run_to(version);
        assert_eq!((outcome(&now), kind(&now)), ("committed", "idle"), "{now:#}");
        site.is_whole(version, None);
    }
}
