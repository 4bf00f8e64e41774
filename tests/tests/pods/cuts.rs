//! The daemon is killed at instants of a run that turns round: the next one ends it with the data, the files and the pods
//! of the old version.

use crate::folder;
use scratch_docker::PodmanSocket;
use upgraded_tests::{Aegis, Cut, Daemon, kind, outcome};

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
    let mut daemon = Daemon::start(&aegis).settled();
    let cuts = [
        Cut::Started("quiesce-main"),
        Cut::Started("h0-apply-main-0"),
        Cut::Succeeded("h0-apply-main-1"),
        Cut::Started("b0-revert-main"),
    ];
    for (run, cut) in (1..).zip(cuts) {
        aegis.cut_at(cut);
        match run {
            1 => aegis.edit_version(TO),
            _ => drop(daemon.told(&["retry", &aegis.name])),
        }
        let over = |now: &serde_json::Value| {
            now["last_run"]["id"] == run && !now["last_run"]["outcome"].is_null() && kind(now) == "quarantined"
        };
        let died = daemon.dies_unless(over);
        aegis.no_cut();
        assert!(died, "the cut at `{cut}` came: {:#}", daemon.now());
        daemon = Daemon::start(&aegis);
        let now = daemon.wait("the run ends", over);
        assert_eq!(outcome(&now), "rolled-back", "cut at `{cut}`: {now:#}");
        aegis.is_whole(FROM, &data);
        assert_eq!(aegis.volumes(), volumes, "cut at `{cut}`");
    }
}
