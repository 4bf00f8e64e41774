//! The throw-away double of a server that a workload's pod runs: a pod of its own with fresh volumes, which belongs to no
//! workload and no service, and a policy that lets nothing in or out. The API's own ways in (a forwarded port, a command)
//! don't cross the pod's network.

use crate::DOUBLE;
use crate::cluster::Cluster;
use crate::error::{Error, Result};
use crate::server::container;
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::AttachParams;
use serde_json::{Map, Value, json};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

pub(crate) const POLICIES: &str = "apis/networking.k8s.io/v1";
const POLL: Duration = Duration::from_millis(300);
/// A way to a port that nobody listens at is closed sooner.
const LISTENS_AFTER: Duration = Duration::from_secs(1);
/// Of what a command says: more is an error.
const SAID_BYTES: u64 = 16 << 20;
pub(crate) const TAIL_LINES: i64 = 5;

/// Of the server's own container, what makes it the server that it is.
const KEPT: [&str; 8] = ["name", "command", "args", "env", "envFrom", "workingDir", "resources", "securityContext"];
/// Of its pod.
const KEPT_OF_POD: [&str; 7] = [
    "imagePullSecrets",
    "nodeSelector",
    "runtimeClassName",
    "securityContext",
    "serviceAccountName",
    "tolerations",
    "os",
];
/// Volumes that are the same in another pod, and that nothing of the live one's can be written to by.
const SETTINGS: [&str; 5] = ["configMap", "secret", "projected", "downwardAPI", "emptyDir"];
const TOKEN: &str = "serviceAccountToken";

/// How far a double has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Come {
    /// With what its pod says of itself, which changes.
    NotYet(String),
    /// It listens.
    Listens,
    /// With why.
    Never(String),
}

/// What a command in a pod said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    pub succeeded: bool,
    pub out: String,
    pub err: String,
}

impl Cluster {
    /// Of the pod that serves `port` for the workload. There may be one already.
    pub async fn start_double(&self, workload: &str, port: u16, name: &str) -> Result<()> {
        let live = self.pod(&self.ready_pod(workload).await?).await?;
        let double = alone(&live, port, name)?;
        self.make(POLICIES, "networkpolicies", &policy(name)).await?;
        self.make("api/v1", "pods", &double).await
    }

    pub async fn double_came(&self, name: &str, port: u16) -> Result<Come> {
        let Some(pod) = self.get(&self.path("api/v1", "pods"), name).await? else {
            return Ok(Come::Never("its pod is gone".into()));
        };
        if let Some(why) = why_none_starts(&pod) {
            return Ok(Come::Never(format!("{why}:\n{}", self.why(name, TAIL_LINES).await)));
        }
        let phase = pod["status"]["phase"].as_str().unwrap_or("Pending");
        if phase == "Running" && self.listens(name, port).await? {
            return Ok(Come::Listens);
        }
        let waits = state(&pod)["waiting"]["reason"].as_str().unwrap_or_default();
        Ok(Come::NotYet(format!("{phase} {waits} {}", self.why(name, 1).await)))
    }

    /// Nothing is left of it. Converges.
    pub async fn discard_double(&self, name: &str) -> Result<()> {
        let pods = self.path("api/v1", "pods");
        while self.get(&pods, name).await?.is_some() {
            self.delete_at_once(&pods, name).await?;
            tokio::time::sleep(POLL).await;
        }
        match self.delete(&self.path(POLICIES, "networkpolicies"), name).await {
            // Who may make none has made none.
            Err(Error::Denied(_)) => Ok(()),
            other => other,
        }
    }

    /// In the shell of the server that serves `port` in a pod.
    pub async fn tell(&self, pod: &str, port: u16, script: &str, input: &[u8]) -> Result<Said> {
        let found = self.pod(pod).await?;
        let server = container(&found["spec"], port).and_then(|container| container["name"].as_str());
        let api: Api<Pod> = Api::namespaced(self.streams.clone(), self.namespace());
        let ways = AttachParams::default().stdin(true).stdout(true).stderr(true);
        let ways = match server {
            Some(server) => ways.container(server),
            None => ways,
        };
        let mut process = api.exec(pod, ["sh", "-c", script], &ways).await?;
        let (stdin, stdout, stderr) = (process.stdin(), process.stdout(), process.stderr());
        let status = process.take_status();
        let hand_over = async {
            if let Some(mut stdin) = stdin {
                // One that ended early says why itself.
                let _ = stdin.write_all(input).await;
                let _ = stdin.shutdown().await;
            }
        };
        let ((), out, err) = tokio::join!(hand_over, heard(stdout), heard(stderr));
        let status = match status {
            Some(status) => status.await,
            None => None,
        };
        let status = status.ok_or_else(|| Error::Unavailable(format!("the command in `{pod}` was cut off")))?;
        Ok(Said { succeeded: status.status.as_deref() == Some("Success"), out: out?, err: err? })
    }

    pub async fn listens(&self, pod: &str, port: u16) -> Result<bool> {
        let api: Api<Pod> = Api::namespaced(self.streams.clone(), self.namespace());
        let mut forwarder = api.portforward(pod, &[port]).await?;
        let (Some(_stream), Some(error)) = (forwarder.take_stream(port), forwarder.take_error(port)) else {
            return Ok(false);
        };
        let open = tokio::time::timeout(LISTENS_AFTER, error).await.is_err();
        forwarder.abort();
        Ok(open)
    }

    /// One that is there already is the one.
    pub(crate) async fn make(&self, group: &str, resource: &str, object: &Value) -> Result<()> {
        match self.create(&self.path(group, resource), object).await {
            Err(Error::Conflict(_)) => Ok(()),
            other => other.map(drop),
        }
    }
}

async fn heard(from: Option<impl AsyncReadExt + Unpin>) -> Result<String> {
    let mut bytes = Vec::new();
    if let Some(mut from) = from {
        let _ = (&mut from).take(SAID_BYTES).read_to_end(&mut bytes).await;
        let more = tokio::io::copy(&mut from, &mut tokio::io::sink()).await;
        if more.is_ok_and(|more| more > 0) {
            return Err(Error::other("said", format!("a command says more than {} MiB", SAID_BYTES >> 20)));
        }
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Of its one container.
fn state(pod: &Value) -> &Value {
    &pod["status"]["containerStatuses"][0]["state"]
}

/// A pod of one container that has ended, or can't start.
pub(crate) fn why_none_starts(pod: &Value) -> Option<String> {
    if matches!(pod["status"]["phase"].as_str(), Some("Failed" | "Succeeded")) {
        return Some(format!("ended with {}", state(pod)["terminated"]["exitCode"]));
    }
    let waits = state(pod)["waiting"]["reason"].as_str().unwrap_or_default();
    let never = waits.starts_with("Err") || waits.contains("BackOff") || waits.starts_with("Invalid");
    never.then(|| format!("does not start ({waits})"))
}

fn head(name: &str) -> Value {
    json!({ "name": name, "labels": { "app.kubernetes.io/managed-by": "upgraded", DOUBLE: name } })
}

pub(crate) fn policy(name: &str) -> Value {
    json!({
        "apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": head(name),
        "spec": { "podSelector": { "matchLabels": { DOUBLE: name } }, "policyTypes": ["Ingress", "Egress"] },
    })
}

/// The pod with nothing in it but the server, none of its data, and nothing that leads to it.
pub(crate) fn alone(live: &Value, port: u16, name: &str) -> Result<Value> {
    let spec = &live["spec"];
    let shares = ["hostNetwork", "hostPID", "hostIPC"].into_iter().find(|key| spec[*key] == true);
    if let Some(shares) = shares {
        return Err(Error::Invalid(format!("its pod has `{shares}`, and a double would share that of its node too")));
    }
    let server = container(spec, port).ok_or_else(|| Error::Invalid("its pod has no container".into()))?;
    if server["securityContext"]["privileged"] == true || !server["volumeDevices"].is_null() {
        return Err(Error::Invalid("its container has the devices of its node".into()));
    }
    let mut made = some_of(server, &KEPT);
    made.insert("image".into(), image(live, server));
    made.insert("imagePullPolicy".into(), "IfNotPresent".into());
    let (volumes, mounts) = volumes(spec, server);
    made.insert("volumeMounts".into(), mounts.into());
    let mut pod = some_of(spec, &KEPT_OF_POD);
    pod.insert("containers".into(), json!([made]));
    pod.insert("volumes".into(), volumes.into());
    pod.insert("restartPolicy".into(), "Never".into());
    pod.insert("automountServiceAccountToken".into(), false.into());
    pod.insert("enableServiceLinks".into(), false.into());
    pod.insert("terminationGracePeriodSeconds".into(), 0.into());
    Ok(json!({ "apiVersion": "v1", "kind": "Pod", "metadata": head(name), "spec": pod }))
}

fn some_of(object: &Value, keys: &[&str]) -> Map<String, Value> {
    let own = keys.iter().filter(|key| !object[**key].is_null());
    own.map(|key| ((*key).to_owned(), object[*key].clone())).collect()
}

/// What runs, by digest where it came from a registry: its tag may have moved since.
fn image(live: &Value, server: &Value) -> Value {
    let statuses = live["status"]["containerStatuses"].as_array().into_iter().flatten();
    let runs = statuses.filter(|status| status["name"] == server["name"]).find_map(|status| status["imageID"].as_str());
    let digest = runs.and_then(|id| id.rsplit_once("://").map_or(Some(id), |(_, image)| Some(image)));
    digest.filter(|image| image.contains("@sha256:")).map_or_else(|| server["image"].clone(), Value::from)
}

/// Settings as they are, and in place of everything else something empty.
fn volumes(spec: &Value, server: &Value) -> (Vec<Value>, Vec<Value>) {
    let (mut volumes, mut mounts): (Vec<Value>, Vec<Value>) = Default::default();
    let mounted = server["volumeMounts"].as_array().into_iter().flatten();
    let mounted: Vec<&Value> = mounted.collect();
    for volume in spec["volumes"].as_array().into_iter().flatten() {
        let own: Vec<Value> =
            mounted.iter().filter(|mount| mount["name"] == volume["name"]).map(|mount| (*mount).clone()).collect();
        let sources = volume["projected"]["sources"].as_array().into_iter().flatten();
        if own.is_empty() || sources.clone().any(|source| !source[TOKEN].is_null()) {
            continue;
        }
        let only_read = own.iter().all(|mount| mount["readOnly"] == true) && !volume["hostPath"].is_null();
        let kept = only_read || SETTINGS.iter().any(|kind| !volume[*kind].is_null());
        volumes.push(if kept { volume.clone() } else { json!({ "name": volume["name"], "emptyDir": {} }) });
        mounts.extend(own);
    }
    (volumes, mounts)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn live() -> Value {
        json!({
            "metadata": { "name": "shop-db-0", "labels": { "app": "db" }, "ownerReferences": [{ "kind": "StatefulSet" }] },
            "spec": {
                "nodeName": "alpha", "serviceAccountName": "db", "tolerations": [{ "key": "data" }], "affinity": { "x": 1 },
                "initContainers": [{ "name": "chown" }],
                "containers": [
                    { "name": "exporter", "image": "exporter:1" },
                    {
                        "name": "db", "image": "postgres:15", "args": ["-c", "shared_buffers=64MB"],
                        "ports": [{ "containerPort": 5432, "hostPort": 5432 }], "livenessProbe": { "exec": {} },
                        "env": [{ "name": "POSTGRES_PASSWORD", "valueFrom": { "secretKeyRef": { "name": "pg", "key": "pw" } } }],
                        "volumeMounts": [
                            { "name": "data", "mountPath": "/var/lib/postgresql/data", "subPath": "pg" },
                            { "name": "conf", "mountPath": "/etc/pg" },
                            { "name": "certs", "mountPath": "/certs", "readOnly": true },
                            { "name": "dumps", "mountPath": "/dumps" },
                            { "name": "kube-api-access-1", "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount" },
                        ],
                    },
                ],
                "volumes": [
                    { "name": "data", "persistentVolumeClaim": { "claimName": "data-shop-db-0" } },
                    { "name": "conf", "configMap": { "name": "pg" } },
                    { "name": "certs", "hostPath": { "path": "/etc/ssl" } },
                    { "name": "dumps", "hostPath": { "path": "/srv/dumps" } },
                    { "name": "others", "emptyDir": {} },
                    { "name": "kube-api-access-1", "projected": { "sources": [{ TOKEN: {} }, { "configMap": {} }] } },
                ],
            },
            "status": { "containerStatuses": [
                { "name": "exporter", "imageID": "registry.example/exporter@sha256:00" },
                { "name": "db", "imageID": "docker-pullable://registry.example/postgres@sha256:15" },
            ] },
        })
    }

    #[test]
    fn a_server_stands_alone_with_its_settings_and_without_its_data() {
        let made = alone(&live(), 5432, "upgraded-drill-1").unwrap();
        let labels = json!({ "app.kubernetes.io/managed-by": "upgraded", DOUBLE: "upgraded-drill-1" });
        assert_eq!(made["metadata"], json!({ "name": "upgraded-drill-1", "labels": labels }));
        let (spec, db) = (&made["spec"], &made["spec"]["containers"][0]);
        for gone in ["nodeName", "affinity", "initContainers"] {
            assert!(spec[gone].is_null(), "{gone}: {spec}");
        }
        assert_eq!(spec["containers"].as_array().unwrap().len(), 1);
        assert_eq!((&spec["restartPolicy"], &spec["automountServiceAccountToken"]), (&json!("Never"), &json!(false)));
        assert_eq!(db["image"], "registry.example/postgres@sha256:15", "what runs, wherever its tag has gone");
        assert!(db["ports"].is_null() && db["livenessProbe"].is_null());
        assert_eq!(db["env"], live()["spec"]["containers"][1]["env"]);
        let volume = |name: &str| {
            let mut all = spec["volumes"].as_array().unwrap().iter();
            all.find(|volume| volume["name"] == name).cloned()
        };
        assert_eq!(volume("data"), Some(json!({ "name": "data", "emptyDir": {} })));
        assert_eq!(volume("dumps"), Some(json!({ "name": "dumps", "emptyDir": {} })), "nothing is written to the node");
        assert_eq!(volume("conf").unwrap()["configMap"]["name"], "pg");
        assert_eq!(volume("certs").unwrap()["hostPath"]["path"], "/etc/ssl", "what is only read is read where it is");
        assert_eq!((volume("others"), volume("kube-api-access-1")), (None, None));
        assert_eq!(db["volumeMounts"].as_array().unwrap().len(), 4);
    }

    #[test]
    fn one_that_has_something_of_its_node_has_no_double() {
        for (place, what) in
            [("/spec/hostNetwork", "`hostNetwork`"), ("/spec/containers/1/securityContext/privileged", "devices")]
        {
            let mut pod = live();
            let (parent, key) = place.rsplit_once('/').unwrap();
            let parent = match pod.pointer_mut(parent) {
                Some(parent) => parent,
                None => {
                    pod["spec"]["containers"][1]["securityContext"] = json!({});
                    pod.pointer_mut(parent).unwrap()
                }
            };
            parent[key] = json!(true);
            let why = alone(&pod, 5432, "x").unwrap_err().to_string();
            assert!(why.contains(what), "{why}");
        }
        let mut built = live();
        built["status"]["containerStatuses"][1]["imageID"] = json!("sha256:15");
        assert_eq!(
            alone(&built, 5432, "x").unwrap()["spec"]["containers"][0]["image"],
            "postgres:15",
            "of no registry"
        );
    }
}
