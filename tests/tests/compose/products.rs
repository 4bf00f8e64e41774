//! The two other products: each of their kinds of data, up and back.

use crate::drill::was_in_a_double;
use crate::{failure, run_to};
use upgraded_tests::{Daemon, Evose, Infrahub, outcome};

/// MySQL, PostgreSQL and files are one set; an init container migrates both databases.
#[test]
fn evose_goes_up_and_comes_back_with_all_three_stores() {
    let evose = Evose::new("drill = \"ahead\"\nidle = \"30s\"\n");
    for version in ["1.4.0", "1.5.0"] {
        evose.publish(version);
    }
    let things = evose.things();
    let mut daemon = Daemon::start(&evose).settled();
    was_in_a_double(&run_to(&mut daemon, "1.4.0", "committed"));
    evose.is_whole("1.4.0", None);

    let data = evose.data();
    let run = run_to(&mut daemon, "1.5.0", "rolled-back");
    let (step, why) = failure(&run);
    assert_eq!(step, "h0-apply-main-0");
    assert!(why.contains("[init] migration failed"), "{why}");
    evose.is_whole("1.4.0", Some(&data));
    assert_eq!(evose.things(), things);
}

/// A store that only a stopped service lets be saved; a migration by `docker compose run`; two replicas of a worker.
#[test]
fn infrahub_goes_up_and_comes_back_with_its_volumes() {
    let infrahub = Infrahub::new("1.7.6", "drill = \"final\"\nidle = \"30s\"\n");
    for version in ["1.8.0", "1.8.3"] {
        infrahub.publish(version);
    }
    let (data, things) = (infrahub.data(), infrahub.things());
    assert!(data.contains("green"), "{data}");
    let mut daemon = Daemon::start(&infrahub).settled();
    // Its volumes are part of the double.
    daemon.told(&["rehearse", &infrahub.name, "--to", "1.8.3"]);
    let now = daemon.end_of_run_to("1.8.3");
    assert_eq!(outcome(&now), "rehearsed", "{now:#}\n{}", infrahub.log());
    infrahub.is_whole("1.7.6", &data);

    let run = run_to(&mut daemon, "1.8.0", "rolled-back");
    let (step, why) = failure(&run);
    assert_eq!(step, "h0-apply-main-1");
    assert!(why.contains("Migration 015_link_proposed_changes failed"), "{why}");
    infrahub.is_whole("1.7.6", &data);

    run_to(&mut daemon, "1.8.3", "committed");
    infrahub.is_whole("1.8.3", &data);
    assert_eq!(infrahub.things(), things);
}
