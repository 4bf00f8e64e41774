//! The daemon is killed at records of its journal: whatever the instant, the next daemon ends the run whole.
//!
//! `UPGRADED_CLOUD_STRIDE=1` cuts at every record.

use crate::{account_for, write_models};
use upgraded_tests::{Cloud, Cut, Daemon, outcome, turns_round_at};

/// To the major version, which brings a variable; its second service crashes at start.
#[test]
fn a_run_that_turns_round_ends_whole() {
    let cloud = Cloud::new("1.10.0", "approve = \"never\"\n");
    cloud.publish("2.0.0");
    cloud.publish_broken("query-router", "2.0.0");
    let data = cloud.data();
    let cuts = Cut::records(5, "UPGRADED_CLOUD_STRIDE", 27);
    let died = turns_round_at(&cloud, "2.0.0", cuts, |_| cloud.is_whole("1.10.0", Some(&data)));
    assert!(died > 1, "a run has more records than that: {died}");
}

/// In the middle of a shift, while both revisions serve: nobody is turned away, and the shift goes on where it was.
#[test]
fn a_shift_of_traffic_that_is_cut_off_goes_on() {
    let cloud = Cloud::new("1.5.0", "approve = \"never\"\n");
    cloud.publish("1.5.1");
    let mut daemon = Daemon::start(&cloud).settled();
    let split = |name: &str| cloud.traffic(name).len() > 1;
    let ((), writes) = write_models(&cloud, "once", || {
        cloud.edit_version("1.5.1");
        for name in ["model-service", "frontend"] {
            daemon.wait("traffic is split", |_| split(name));
            daemon.kill();
            assert!(split(name), "it stays so while the daemon is away");
            daemon = Daemon::start(&cloud);
        }
        let now = daemon.end_of_run_to("1.5.1");
        assert_eq!(outcome(&now), "committed", "{now:#}");
    });
    cloud.is_whole("1.5.1", None);
    account_for(&cloud, "once", &writes);
    let failed: Vec<_> = writes.iter().filter(|write| !write.is_fine()).collect();
    assert!(failed.is_empty(), "{} of {}: {failed:#?}", failed.len(), writes.len());
}
