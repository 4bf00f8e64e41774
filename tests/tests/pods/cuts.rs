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
const STRIDE: &str = "UPGRADED_PODS_STRIDE";

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
    if std::env::var_os(STRIDE).is_some() {
        assert!(turns_round_at(&aegis, TO, Cut::records(3, STRIDE, 1), is_whole) > 1);
        return;
    }
    let cuts = [
        Cut::Started("quiesce-main"),
        Cut::Started("h0-apply-main-0"),
        Cut::Succeeded("h0-apply-main-1"),
        Cut::Started("b0-revert-main"),
    ];
    assert_eq!(turns_round_at(&aegis, TO, cuts, is_whole), cuts.len(), "every cut came");
}
