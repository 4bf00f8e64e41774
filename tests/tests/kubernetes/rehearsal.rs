//! An upgrade on a throw-away double of the release, while what is live serves.

use upgraded_tests::{Cluster, Daemon, EvoseRelease, kind, outcome};

/// A crash in the midst of the second lets it begin anew; nothing of either is left, and nothing live is another.
#[test]
fn a_release_is_tried_on_a_double_in_a_namespace_of_its_own() {
    let evose = EvoseRelease::new(Cluster::shared(true), "drill = \"off\"\nidle = \"60s\"\n");
    for version in ["1.4.0", "1.5.0"] {
        evose.publish(version);
    }
    let mut daemon = Daemon::start(&evose).settled();
    let (refused, code) = daemon.upgradectl(&["rehearse", &evose.name, "--to", "1.4.0"]);
    let why = refused.to_string();
    assert!(code != Some(0) && why.contains("`rehearsal-namespace` in `[platform.kubernetes]`"), "{refused:#}");
    evose.names_a_place_for_rehearsals();
    let (refused, code) = daemon.upgradectl(&["rehearse", &evose.name, "--to", "1.4.0"]);
    let why = refused.to_string();
    assert!(code != Some(0) && why.contains("takes a Role there with these rules"), "{refused:#}");
    evose.has_rights_for_rehearsals();
    evose.add_reader();
    let live = || (evose.data(), evose.objects());
    let before = live();
    daemon.rehearsed("1.4.0");
    assert_eq!(live(), before, "nothing live is another");
    assert_eq!(evose.left_of_rehearsals(), "");

    let run = daemon.rehearses("1.5.0");
    daemon.wait("the double is made", |_| evose.left_of_rehearsals().contains("pod/evose-mysql-0"));
    daemon.kill();
    let mut daemon = Daemon::start(&evose);
    let now = daemon.end_of_run_after(run - 1);
    assert_eq!(outcome(&now), "refused", "{now:#}\n{}", evose.log());
    let told = daemon.told(&["show", &run.to_string()]);
    let why = told["failure"]["message"].as_str().unwrap_or_default();
    assert!(why.contains("migration failed") && why.contains("nothing live was touched"), "{why}");
    daemon.wait("it rests at what runs", |now| kind(now) == "idle" && now["installed"] == "1.3.0");
    assert_eq!(live(), before, "nothing live is another");
    assert_eq!(evose.left_of_rehearsals(), "");
    evose.is_whole("1.3.0", Some(&before.0));
}
