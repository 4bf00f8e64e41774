//! The power goes while a double is there for a drill; and in the middle of `helm upgrade`: the release is left pending, and
//! nobody is there who works on it. Its chart is one of a registry.

use std::time::{Duration, Instant};
use upgraded_tests::{Cluster, Daemon, EvoseRelease, outcome};

#[test]
fn a_release_that_a_cut_left_pending_is_unlocked_and_comes() {
    // Its migration takes some seconds.
    let evose = EvoseRelease::new(Cluster::shared(true), "drill = \"ahead\"\nidle = \"60s\"\n");
    evose.publish("1.9.0");
    evose.moves_its_charts_to_the_registry();
    let mut daemon = Daemon::start(&evose).settled();
    evose.edit_version("1.9.0");
    daemon.wait("a double is made", |_| evose.doubles().contains("pod/"));
    daemon.kill();
    assert_ne!(evose.doubles(), "", "the cut leaves it");
    let daemon = Daemon::start(&evose);
    let began = Instant::now();
    while !evose.is_pending() {
        assert!(began.elapsed() < Duration::from_secs(600), "{:#?}\n{}", evose.revisions(), evose.log());
        std::thread::sleep(Duration::from_millis(50));
    }
    daemon.kill();
    evose.end_processes();
    assert!(
        evose.revisions().last().is_some_and(|newest| newest.contains("pending-upgrade")),
        "{:#?}",
        evose.revisions()
    );
    let mut daemon = Daemon::start(&evose);
    let now = daemon.end_of_run_to("1.9.0");
    assert_eq!(outcome(&now), "committed", "{now:#}\n{}", evose.log());
    assert!(!now.to_string().contains("drill-on-server"), "{now:#}");
    assert_eq!(evose.doubles(), "", "nothing is left of a drill");
    evose.is_whole("1.9.0", None);
    let revisions = evose.revisions();
    assert!(revisions[1].starts_with("2 failed"), "{revisions:#?}");
}
