//! What can't come well is refused before anything is touched, with what would be right.

use crate::run_to;
use std::fs;
use upgraded_tests::{Cluster, Daemon, EvoseRelease, why};

#[test]
fn what_cannot_come_is_refused_untouched() {
    let evose = EvoseRelease::new(Cluster::shared(false), "drill = \"off\"\nidle = \"60s\"\n");
    let (revisions, data) = (evose.revisions(), evose.data());
    let mut daemon = Daemon::start(&evose).settled();
    let mut refused = |version: &str, says: &[&str]| {
        run_to(&mut daemon, version, "refused");
        let now = daemon.now();
        assert!(says.iter().all(|part| why(&now).contains(part)), "{}", why(&now));
    };
    // The vendor's index has it, and its repository doesn't.
    refused("1.4.1", &["no chart", "1.4.1"]);
    evose.publish("1.4.0");
    let values = evose.home().join("values.yaml");
    let text = evose.values();
    fs::write(&values, format!("{text}worker: {{replicas: none}}\n")).expect("the values");
    refused("1.4.0", &["schema", "replicas"]);
    fs::write(&values, &text).expect("the values");
    let role = "[{\"op\":\"replace\",\"path\":\"/rules/8/verbs\",\"value\":[\"get\",\"list\",\"watch\"]}]";
    evose.cluster.kubectl(&[
        "--namespace",
        &evose.namespace,
        "patch",
        "role",
        "upgraded",
        "--type=json",
        "--patch",
        role,
    ]);
    evose.publish("1.9.0");
    refused("1.9.0", &["resources: [\"deployments\"], verbs: [\"patch\"]"]);
    assert_eq!((evose.revisions(), evose.data()), (revisions, data));
}
