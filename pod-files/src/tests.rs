//! Files as people have them.

use super::*;
use serde_json::json;
use std::collections::BTreeMap;

const CORE: &str = r#"# the core
apiVersion: v1
kind: ConfigMap
metadata: { name: core-settings }
data:
  LOG: debug
---
apiVersion: v1
kind: Pod
metadata:
  name: aegis-core
  labels: &labels
    app: aegis
spec:
  restartPolicy: OnFailure
  initContainers:
    - name: schema
      image: ${REGISTRY}/aegis-runtime:${AEGIS_IMAGE_TAG}
      args: [schema]
  containers:
    - name: runtime # who migrates
      image: "${REGISTRY}/aegis-runtime:1.2.0"   # pinned
      command: [sh, -c, 'exec aegis "$MODE" ${NOT_SET}']
      env:
        - { name: PORT, value: "8080" }
        - { name: DATABASE_URL, value: "postgres://aegis:${PASSWORD}@aegis-database/aegis" }
        - name: LEVEL
          valueFrom: { configMapKeyRef: { name: core-settings, key: LOG } }
      ports:
        - containerPort: 8080
          hostPort: ${PORT:-8080}
      volumeMounts:
        - { name: data, mountPath: /data }
        - { name: etc, mountPath: /etc/aegis, readOnly: true }
        - { name: tmp, mountPath: /tmp/work }
  volumes:
    - name: data
      persistentVolumeClaim: { claimName: aegis-core-data }
    - name: etc
      hostPath: { path: /etc/aegis }
    - name: tmp
      emptyDir: {}
"#;

fn set() -> BTreeMap<String, String> {
    let env = "# of this machine\nREGISTRY='r:5000/aegis'\nexport AEGIS_IMAGE_TAG=1.2.0 # pinned\nPASSWORD=\"a b\"\n";
    variables(env).into_iter().collect()
}

fn core() -> File {
    File::read("pod-core.yaml", CORE, &set()).unwrap()
}

fn why(text: &str) -> String {
    File::read("pod-core.yaml", text, &set()).unwrap_err().to_string()
}

#[test]
fn variables_that_are_set_are_filled_in_and_others_stay() {
    let set = BTreeMap::from([("A".to_owned(), "1".to_owned()), ("E".to_owned(), String::new())]);
    for (text, filled) in [
        ("${A} $A $AB ${AB} $", "1 1 $AB ${AB} $"),
        ("${B:-b} ${A:-b} ${E:-e} [${E}]", "b 1 e []"),
        ("$(A) $$A ${A", "$(A) $1 ${A"),
    ] {
        assert_eq!(substituted(text, &set), filled, "{text}");
    }
    assert_eq!(left("r/${A}:$B-${C:-c}"), ["A", "B", "C"]);
    assert_eq!(filled("r/${A}:$B-${C:-c}$A", &set), ["A", "C"]);
}

#[test]
fn a_pod_is_read_with_what_it_declares() {
    let file = core();
    let [pod] = &file.pods[..] else { panic!("{file:?}") };
    assert_eq!((pod.name.as_str(), pod.restart.as_str(), pod.line), ("aegis-core", "OnFailure", 8));
    let [schema, runtime] = &pod.containers[..] else { panic!("{pod:?}") };
    assert!(schema.init && !runtime.init);
    assert_eq!(schema.image, "r:5000/aegis/aegis-runtime:1.2.0");
    assert_eq!(runtime.environment["DATABASE_URL"], "postgres://aegis:a b@aegis-database/aegis");
    assert_eq!(runtime.command[2], "exec aegis \"$MODE\" ${NOT_SET}");
    let mounts: Vec<_> = runtime.mounts.iter().map(|mount| (&mount.source, mount.read_only)).collect();
    assert_eq!(
        mounts,
        [
            (&Source::Volume("aegis-core-data".into()), false),
            (&Source::Path("/etc/aegis".into()), true),
            (&Source::Empty, false)
        ]
    );
    assert_eq!(file.beside[0]["data"]["LOG"], "debug");
    assert_eq!(pod.document["spec"]["containers"][0]["ports"][0]["hostPort"], 8080);
    assert_eq!(pod.document["spec"]["containers"][0]["env"][0]["value"], "8080", "a text stays one");
}

#[test]
fn what_is_played_is_the_document_with_labels_and_never_pulls() {
    let played = core().pods[0].to_play(&BTreeMap::from([("upgraded.deployment".to_owned(), "aegis".to_owned())]));
    assert_eq!(played["metadata"]["labels"], json!({ "app": "aegis", "upgraded.deployment": "aegis" }));
    for (key, number) in [("initContainers", 0), ("containers", 0)] {
        assert_eq!(played["spec"][key][number]["imagePullPolicy"], "Never");
    }
}

#[test]
fn an_image_is_fetched_again_where_its_policy_or_its_tag_says_so() {
    let again = |from: &str, to: &str| {
        let text = CORE.replacen(from, to, 1);
        let file = File::read("pod-core.yaml", &text, &set()).unwrap();
        fetched_again(&file.pods[0]).map(|container| container.name.clone())
    };
    let image = "image: ${REGISTRY}/aegis-runtime:${AEGIS_IMAGE_TAG}";
    assert_eq!(again("# the core", "#"), None);
    for (to, found) in [
        ("image: runtime:latest", true),
        ("image: runtime", true),
        ("image: runtime\n      imagePullPolicy: IfNotPresent", false),
        ("image: runtime:1\n      imagePullPolicy: Always", true),
        ("image: runtime@sha256:00", false),
    ] {
        assert_eq!(again(image, to).is_some(), found, "{to}");
    }
}

#[test]
fn a_mistake_is_named_with_its_place() {
    for (from, to, said) in [
        ("kind: Pod", "kind: Deployment", "line 8: a `Deployment` is not known here"),
        ("  name: aegis-core\n", "", "has no `metadata.name`"),
        ("${AEGIS_IMAGE_TAG}", "${AEGIS_TAG}", "line 18: the container `aegis-core/schema` has the image"),
        ("name: data, mount", "name: date, mount", "mounts the volume `date`, which the pod does not have"),
        ("emptyDir: {}", "nfs: {}", "is of no kind that is known, `tmp`"),
        ("name: schema", "name: runtime", "has two containers `runtime`"),
        ("name: aegis-core\n", "name: ../x\n", "has a name that the engine does not take"),
        ("spec:\n  restart", "spec: [\n  restart", "this is no YAML"),
    ] {
        assert!(CORE.contains(from), "{from}");
        let why = why(&CORE.replacen(from, to, 1));
        assert!(why.starts_with("`pod-core.yaml`") && why.contains(said), "{from}: {why}");
    }
    assert!(why("# nothing\n").contains("it declares no pod"));
    assert!(why("a: &a [*a]\n").contains("`pod-core.yaml`"));
    let settings = File::settings("core.yaml", CORE, &set()).unwrap_err().to_string();
    assert_eq!(
        settings,
        "`core.yaml`, line 8: the pod `aegis-core` stands in a file of config maps; list the file under `pods`"
    );
}

#[test]
fn an_image_is_set_and_nothing_else_changes() {
    let place = image("pod-core.yaml", CORE, "runtime").unwrap();
    assert_eq!((place.reference.as_str(), place.line), ("${REGISTRY}/aegis-runtime:1.2.0", 22));
    let new = set_image(CORE, &place, "${REGISTRY}/aegis-runtime:1.3.0");
    assert_eq!(new, CORE.replace("aegis-runtime:1.2.0\"", "aegis-runtime:1.3.0\""));
    let why = image("pod-core.yaml", CORE, "gate").unwrap_err().to_string();
    assert_eq!(why, "`pod-core.yaml`: it has no image of a container `gate`; there is `schema`, `runtime`");
}

#[test]
fn what_runs_is_held_against_the_file() {
    let pod = core().pods.remove(0);
    let running = |change: fn(&mut Running)| {
        let mut running = Running {
            name: "aegis-core-runtime".into(),
            image: "r:5000/aegis/aegis-runtime:1.2.0".into(),
            environment: pod.containers[1].environment.clone(),
            mounts: [("/data", "aegis-core-data"), ("/etc/aegis", "/etc/aegis"), ("/tmp/work", "0a1b")]
                .map(|(target, source)| (target.to_owned(), source.to_owned()))
                .into(),
        };
        change(&mut running);
        differs(&pod, &[running])
    };
    assert_eq!(running(|_| {}), None);
    assert!(running(|r| r.image = "r:5000/aegis/aegis-runtime:1.1.0".into()).unwrap().contains("1.1.0`, and the file"));
    assert!(running(|r| r.name.push('x')).unwrap().contains("is not there"));
    assert!(running(|r| drop(r.mounts.insert("/data".into(), "other".into()))).unwrap().contains("at `/data`"));
    let why = running(|r| drop(r.environment.insert("DATABASE_URL".into(), "hunter2".into()))).unwrap();
    assert!(why.contains("another `DATABASE_URL`") && !why.contains("hunter2"), "{why}");
    assert_eq!(familiar("docker.io/library/nginx"), "nginx:latest");
    assert_eq!(familiar("localhost/shop:1"), "shop:1");
}

#[test]
fn a_service_is_named_by_its_file() {
    for (path, name) in
        [("pod-database.yaml", "database"), ("pods/seal-gateway.yml", "seal-gateway"), ("pod-.yaml", "pod-")]
    {
        assert_eq!(service_of(path), name);
    }
}
