//! The daemon is killed at records of its journal all through a run that turns round: whatever the instant, the next daemon
//! ends it with the data and the release of the old version.

use crate::run_to;
use upgraded_tests::{Cluster, Cut, Daemon, EvoseRelease, turns_round_at};

#[test]
#[ignore = "hours: `UPGRADED_HELM_STRIDE=9` cuts at every ninth record, in a quarter of an hour"]
fn a_run_that_turns_round_ends_whole() {
    let evose = EvoseRelease::new(Cluster::shared(false), "drill = \"off\"\nidle = \"60s\"\n");
    evose.publish("1.4.0");
    evose.publish("1.5.0");
    run_to(&mut Daemon::start(&evose).settled(), "1.4.0", "committed");
    let data = evose.data();
    let cuts = Cut::records(3, "UPGRADED_HELM_STRIDE", 1);
    let died = turns_round_at(&evose, "1.5.0", cuts, |_| evose.is_whole("1.4.0", Some(&data)));
    assert!(died > 1, "a run has more records than that: {died}");
}
