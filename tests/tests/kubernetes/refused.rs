//! What can't come well is refused before anything is touched, with what would be right.

use std::fs;
use upgraded_tests::{Cluster, Daemon, EvoseRelease};

#[test]
fn what_cannot_come_is_refused_untouched() {
    let evose = EvoseRelease::new(Cluster::shared(false), "drill = \"off\"\nidle = \"60s\"\n");
    let (revisions, data) = (evose.revisions(), evose.data());
    let daemon = Daemon::start(&evose).settled();
    let refused = |says: &[&str]| {
        let (answer, code) = daemon.upgradectl(&["plan", &evose.name, "--to", "1.4.0"]);
        let why = answer.to_string();
        assert!(code != Some(0) && says.iter().all(|part| why.contains(part)), "{answer:#}");
    };
    // The vendor's index has it, and its repository doesn't.
    refused(&["there is no chart `evose` of version 1.4.0", "[platform.kubernetes]"]);
    evose.publish("1.4.0");

    let values = evose.home().join("values.yaml");
    let text = evose.values();
    fs::write(&values, format!("{text}worker: {{replicas: none}}\n")).expect("the values");
    refused(&["schema", "replicas"]);
    fs::write(&values, &text).expect("the values");

    evose.cluster.kubectl(&["--namespace", &evose.namespace, "scale", "deployment/evose-worker", "--replicas", "2"]);
    refused(&["the Deployment `evose-worker` has 2 replicas instead of 1"]);
    evose.cluster.kubectl(&["--namespace", &evose.namespace, "scale", "deployment/evose-worker", "--replicas", "1"]);

    let role = "[{\"op\":\"replace\",\"path\":\"/rules/8/verbs\",\"value\":[\"get\",\"list\",\"watch\"]}]";
    let patch = ["--namespace", &evose.namespace, "patch", "role", "upgraded", "--type=json", "--patch", role];
    evose.cluster.kubectl(&patch);
    refused(&["may not do what the release needs", "deployments", "patch", "add this rule to its Role"]);
    assert_eq!((evose.revisions(), evose.data()), (revisions, data));

    // A context that leads elsewhere.
    let file = evose.deployment_file();
    let text = fs::read_to_string(&file).expect("the deployment");
    let other = text.replace("[platform.kubernetes]\n", "[platform.kubernetes]\ncluster = \"0123456789abcdef\"\n");
    fs::write(&file, other).expect("the deployment");
    refused(&["the context leads to the cluster", "names `0123456789abcdef`"]);
}
