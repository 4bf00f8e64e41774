//! What can't come well is refused before anything is touched, with what would be right.

use std::fs;
use upgraded_tests::{Cluster, Daemon, EvoseRelease};

/// What Flux calls a release.
const HELM_RELEASES: &str = "{apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition, \
    metadata: {name: helmreleases.helm.toolkit.fluxcd.io}, spec: {group: helm.toolkit.fluxcd.io, scope: Namespaced, \
    names: {kind: HelmRelease, plural: helmreleases, singular: helmrelease}, versions: [{name: v2, served: true, storage: true, \
    schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}}]}}";

const DEFINITION: &str = "customresourcedefinition/helmreleases.helm.toolkit.fluxcd.io";

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

    let patch = |what: &str, patch: &str| {
        evose.cluster.kubectl(&["--namespace", &evose.namespace, "patch", what, "--type=json", "--patch", patch])
    };
    let verbs = |verbs: &str| {
        patch("role/upgraded", &format!("[{{\"op\":\"replace\",\"path\":\"/rules/11/verbs\",\"value\":[{verbs}]}}]"));
    };
    verbs("\"get\",\"list\",\"watch\"");
    refused(&["may not do what the release needs", "deployments", "patch", "add this rule to its Role"]);
    assert_eq!((evose.revisions(), evose.data()), (revisions, data));

    verbs("\"get\",\"list\",\"watch\",\"create\",\"update\",\"patch\",\"delete\"");
    of_flux(&evose);
    refused(&["the HelmRelease `", "of Flux", "may not look", "helmreleases"]);
    patch(
        "role/upgraded",
        "[{\"op\":\"add\",\"path\":\"/rules/-\",\"value\":{\"apiGroups\":[\"helm.toolkit.fluxcd.io\"],\
         \"resources\":[\"helmreleases\"],\"verbs\":[\"get\"]}}]",
    );
    refused(&["of Flux would undo the upgrade", "flux suspend helmrelease evose"]);
    patch("helmrelease/evose", "[{\"op\":\"add\",\"path\":\"/spec/suspend\",\"value\":true}]");
    let (answer, code) = daemon.upgradectl(&["plan", &evose.name, "--to", "1.4.0"]);
    assert_eq!(code, Some(0), "suspended: {answer:#}");
    evose.cluster.kubectl(&["delete", DEFINITION]);

    // A context that leads elsewhere.
    let file = evose.deployment_file();
    let text = fs::read_to_string(&file).expect("the deployment");
    let other = text.replace("[platform.kubernetes]\n", "[platform.kubernetes]\ncluster = \"0123456789abcdef\"\n");
    fs::write(&file, other).expect("the deployment");
    refused(&["the context leads to the cluster", "names `0123456789abcdef`"]);
}

/// A HelmRelease that is not suspended, and a workload that says so.
fn of_flux(evose: &EvoseRelease) {
    let (cluster, namespace) = (&evose.cluster, &evose.namespace);
    let create = |name: &str, text: &str| {
        let file = evose.path(name);
        fs::write(&file, text).expect("a manifest");
        cluster.kubectl(&["create", "--filename", &file.display().to_string()]);
    };
    create("definition.yaml", HELM_RELEASES);
    cluster.kubectl(&["wait", "--for=condition=Established", DEFINITION]);
    let release = format!(
        "{{apiVersion: helm.toolkit.fluxcd.io/v2, kind: HelmRelease, metadata: {{name: evose, namespace: {namespace}}}, \
         spec: {{}}}}"
    );
    create("release.yaml", &release);
    let label = |what: &str, value: &str| format!("helm.toolkit.fluxcd.io/{what}={value}");
    let (name, place) = (label("name", "evose"), label("namespace", namespace));
    cluster.kubectl(&["--namespace", namespace, "label", "deployment/evose-worker", &name, &place]);
}
