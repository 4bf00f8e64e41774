//! The daemon is killed at instants of a run that turns round: the next one ends it with the data, the files and the pods
//! of the old version.
//!
//! `UPGRADED_PODS_STRIDE=1` cuts at every record instead.

use crate::folder;
use scratch_docker::PodmanSocket;
use upgraded_tests::{Aegis, Cut, turns_round_at};

const FROM: &str = "0.2.0";
const TO: &str = "0.2.1";
const POLICY: &str = "approve = \"never\"\ndrill = \"off\"\nidle = \"60s\"\n";

#[test]
fn a_daemon_that_is_killed_meanwhile_leaves_the_old_version_whole() {
    let folder = folder();
    let engine = PodmanSocket::start(folder.path());
    let aegis = Aegis::new(&engine, FROM, "1.22.4", POLICY);
    aegis.publish(TO);
    let (data, volumes) = (aegis.data(), aegis.volumes());
    let is_whole = |cut| {
        aegis.is_whole(FROM, &data);
        assert_eq!(aegis.volumes(), volumes, "cut at `{cut}`");
    };
    let cuts = [
        Cut::Started("quiesce-main"),
        Cut::Started("h0-apply-main-0"),
        Cut::Succeeded("h0-apply-main-1"),
        Cut::Started("b0-revert-main"),
    ];
    let died = turns_round_at(&aegis, TO, Cut::some(&cuts, "UPGRADED_PODS_STRIDE"), is_whole);
    assert!(died >= cuts.len(), "every cut came: {died}");
}
