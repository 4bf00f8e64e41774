//! Infrahub: what is in claims is data, a hook of the chart migrates it, and a release brings a key of the values.

use crate::run_to;
use scratch_docker::Engine;
use std::fs;
use upgraded_tests::{Cluster, Daemon, InfrahubRelease, last_run, steps};

/// A claim that a driver keeps.
const ELSEWHERE: &str = "
apiVersion: v1
kind: PersistentVolume
metadata: {name: NAMESPACE-elsewhere}
spec:
  capacity: {storage: 1Gi}
  accessModes: [ReadWriteOnce]
  persistentVolumeReclaimPolicy: Retain
  storageClassName: fast
  csi: {driver: disks.example.com, volumeHandle: d-1}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: elsewhere}
spec:
  accessModes: [ReadWriteOnce]
  resources: {requests: {storage: 1Gi}}
  storageClassName: fast
  volumeName: NAMESPACE-elsewhere
";

/// Somebody who looks at the artifacts.
const READER: &str = "
apiVersion: v1
kind: Pod
metadata: {name: reader}
spec:
  terminationGracePeriodSeconds: 0
  containers:
    - {name: reader, image: BUSYBOX, command: [sleep, infinity], volumeMounts: [{name: storage, mountPath: /storage}]}
  volumes: [{name: storage, persistentVolumeClaim: {claimName: infrahub-storage, readOnly: true}}]
";

/// Several hops are one transaction: a release that loses tags at their end brings back the first, and a good one comes.
/// Users write all the while.
#[test]
fn infrahub_goes_up_and_comes_back_with_its_claims() {
    let infrahub = InfrahubRelease::new(Cluster::shared(false), "1.6.4", "drill = \"final\"\nidle = \"180s\"\n");
    for version in ["1.7.6", "1.8.2", "1.8.3", "1.9.0"] {
        infrahub.publish(version);
    }
    let neighbour = infrahub.neighbour();
    infrahub.has_a_place_for_rehearsals();
    let (values, folders) = (infrahub.values(), infrahub.folders_of_claims());
    let mut daemon = Daemon::start(&infrahub).settled();

    let (data, objects) = (infrahub.data(), infrahub.objects());
    daemon.rehearsed("1.9.0");
    assert_eq!((infrahub.data(), infrahub.objects()), (data, objects), "nothing live is another");
    assert_eq!((infrahub.left_of_rehearsals(), infrahub.values()), (String::new(), values.clone()));

    let (run, writes) = infrahub.write_tags("first", || {
        let run = run_to(&mut daemon, "1.8.2", "rolled-back");
        infrahub.is_written_again(&mut daemon);
        run
    });
    infrahub.account_for("first", &run, &writes);
    assert_eq!(run["failure"]["step"], "h1-verify", "{run:#}");
    let why = run["failure"]["message"].as_str().unwrap_or_default();
    assert!(why.contains("tags, and GraphQL counts"), "{why}");
    let steps = steps(&run);
    for compared in ["b0-compare-back-graph", "b0-compare-back-storage"] {
        assert!(steps.iter().any(|step| step == compared), "byte for byte what the quiesce left: {steps:?}");
    }
    infrahub.is_whole("1.6.4");
    assert_eq!((infrahub.values(), infrahub.folders_of_claims()), (values.clone(), folders));

    let (run, writes) = infrahub.write_tags("second", || {
        let run = run_to(&mut daemon, "1.9.0", "committed");
        infrahub.is_written_again(&mut daemon);
        run
    });
    infrahub.account_for("second", &run, &writes);
    infrahub.is_whole("1.9.0");
    let expected = values.replace("\"1.6.4\"", "\"1.9.0\"") + "cache:\n  address: \"infrahub-cache:6379\"\n";
    assert_eq!(infrahub.values(), expected, "a key more, and nothing else");
    assert!(["red", "green", "blue"].iter().all(|name| infrahub.data().contains(name)));
    assert_eq!(infrahub.neighbour(), neighbour, "a release that isn't ours");
    assert_eq!(last_run(&daemon.now()), 3);
}

#[test]
fn a_claim_that_cannot_be_saved_is_refused_untouched() {
    let infrahub = InfrahubRelease::new(Cluster::shared(false), "1.7.6", "drill = \"off\"\nidle = \"180s\"\n");
    infrahub.publish("1.9.0");
    infrahub.publish("1.8.3");
    let (revisions, namespace) = (infrahub.revisions(), &infrahub.namespace);
    let daemon = Daemon::start(&infrahub).settled();
    let file = infrahub.deployment_file();
    let text = fs::read_to_string(&file).expect("the deployment");
    let refused = |deployment: &str, says: &[&str]| {
        fs::write(&file, deployment).expect("the deployment");
        let (answer, code) = daemon.upgradectl(&["plan", &infrahub.name, "--to", "1.9.0"]);
        let why = answer.to_string();
        assert!(code != Some(0) && says.iter().all(|part| why.contains(part)), "{answer:#}");
    };
    // The chart of 1.9.0 wants the cache's address, which the plan brings; without it, the vendor says what is missing.
    refused(&text.replace("cache-address = ", "# cache-address = "), &["1.9.0 needs `cache-address`"]);

    infrahub.cluster.apply(&infrahub.path("etc"), namespace, &ELSEWHERE.replace("NAMESPACE", namespace));
    let elsewhere = text.replace("claim:infrahub-storage", "claim:elsewhere");
    let volume = format!("persistentvolume/{namespace}-elsewhere");
    infrahub.cluster.kubectl(&["wait", "--for=jsonpath={.status.phase}=Bound", &volume, "--timeout=60s"]);
    refused(
        &elsewhere,
        &[
            "the claim `elsewhere` is no folder of this machine: the driver `disks.example.com` keeps it",
            "its storage class is `fast`",
            "`main/infrahub-task-worker` writes to the claim `infrahub-storage`, which no datastore names",
            "list `claim:infrahub-storage` under `[policy] disposable`",
        ],
    );
    infrahub.cluster.kubectl(&["--namespace", namespace, "delete", "persistentvolumeclaim/elsewhere"]);
    infrahub.cluster.kubectl(&["delete", &volume]);
    refused(&elsewhere, &["has no claim `elsewhere`", "kubectl get persistentvolumeclaims"]);

    let busybox = Engine::shared().base("busybox:1");
    infrahub.cluster.apply(&infrahub.path("etc"), namespace, &READER.replace("BUSYBOX", &busybox));
    refused(&text, &["the claim `infrahub-storage` is mounted by the pod `reader`, which the upgrade does not stop"]);
    infrahub.cluster.kubectl(&["--namespace", namespace, "delete", "pod/reader"]);

    let binding = format!("clusterrolebinding/{namespace}-claims");
    infrahub.cluster.kubectl(&["delete", &binding]);
    let rule = "{apiGroups: [\\\"\\\"], resources: [\\\"persistentvolumes\\\"], verbs: [\\\"get\\\"]}";
    refused(&text, &["may not do what the release needs", rule, "a ClusterRole where it is not of a namespace"]);
    assert_eq!(infrahub.revisions(), revisions);
}
