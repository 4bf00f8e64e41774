//! A good release comes, with Helm's own record of it; a bad one goes back with the data, wherever the daemon is killed
//! meanwhile. What is beside is not touched. The daemon is as in a pod: a service account with the example's rights is all
//! that it has.
//!
//! `UPGRADED_HELM_STRIDE=9` kills it at every ninth record.

use crate::run_to;
use std::fs;
use upgraded_tests::{Cluster, Cut, Daemon, EvoseRelease, last_run, turns_round_at};

#[test]
fn evose_goes_up_and_comes_back_with_its_data() {
    let mut evose = EvoseRelease::new(Cluster::shared(false), "drill = \"ahead\"\nidle = \"60s\"\n");
    for version in ["1.4.0", "1.5.0"] {
        evose.publish(version);
    }
    evose.moves_into_the_cluster();
    let neighbour = evose.neighbour();
    assert!(neighbour.contains("neighbour-api"), "{neighbour}");
    let mut daemon = Daemon::start(&evose).settled();
    let run = run_to(&mut daemon, "1.4.0", "committed");
    assert!(!run["findings"].to_string().contains("drill-on-server"), "{:#}", run["findings"]);
    assert_eq!(evose.doubles(), "", "nothing is left of a drill");
    evose.is_whole("1.4.0", None);
    assert_eq!(evose.revisions(), ["1 superseded evose-1.3.0", "2 superseded evose-0.0.0", "3 deployed evose-1.4.0"]);
    let data = evose.data();

    // Behind the same context there may be another cluster one day.
    let kept = fs::read_dir(evose.path("state/clusters")).expect("what the upgrade knew of the cluster").flatten();
    let kept = kept.map(|entry| entry.path()).next().expect("the cluster of the release");
    let known = fs::read_to_string(&kept).expect("the cluster");
    fs::write(&kept, "{\"cluster\":\"0123456789abcdef\",\"server\":\"https://10.0.0.1\"}").expect("another cluster");
    let (answer, code) = daemon.upgradectl(&["plan", &evose.name, "--to", "1.5.0"]);
    let why = answer.to_string();
    assert!(code != Some(0) && why.contains("leads to another cluster than at the last upgrade"), "{answer:#}");
    fs::write(&kept, known).expect("the cluster");

    drop(daemon);
    let cuts = [Cut::Started("h0-apply-main-0"), Cut::Started("b0-revert-main")];
    let died = turns_round_at(&evose, "1.5.0", Cut::some(&cuts, "UPGRADED_HELM_STRIDE"), |cut| {
        evose.is_whole("1.4.0", Some(&data));
        assert_eq!(evose.neighbour(), neighbour, "a release that isn't ours, cut at `{cut}`");
    });
    assert!(died >= cuts.len(), "every cut came: {died}");
    let daemon = Daemon::start(&evose).settled_or_quarantined();
    let run = daemon.told(&["show", &last_run(&daemon.now()).to_string()]);
    let why = run["failure"]["message"].as_str().unwrap_or_default();
    assert!(why.contains("migration failed"), "{why}");
}
