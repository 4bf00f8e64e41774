//! What a chart renders to, as its double may have it. [`Double::of_release`] replaces what it knows, and then looks at the
//! outcome as at documents that it doesn't know.

use super::addresses::Live;
use crate::driver::compose::double::{Double, left, refusal};
use crate::model::VerbError;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use upgraded_kubernetes::manifest::{head, object_resource};
use upgraded_kubernetes::{Beside, REHEARSAL};

/// Of everything else a double has none: what lets users in or out, what gives rights, what others act upon.
const KEPT: [&str; 11] = [
    "ConfigMap",
    "CronJob",
    "DaemonSet",
    "Deployment",
    "Job",
    "PersistentVolumeClaim",
    "Pod",
    "Secret",
    "Service",
    "ServiceAccount",
    "StatefulSet",
];
/// Of a service, within its namespace.
const KEPT_OF_SERVICE: [&str; 5] =
    ["selector", "ports", "publishNotReadyAddresses", "sessionAffinity", "ipFamilyPolicy"];
/// Of a claim: nothing that asks for the volume of another.
const KEPT_OF_CLAIM: [&str; 4] = ["accessModes", "resources", "storageClassName", "volumeMode"];
const HOST_WIDE: [&str; 3] = ["hostNetwork", "hostPID", "hostIPC"];
/// Volumes that are the double's own where it has what they name.
const OWN_VOLUMES: [&str; 8] =
    ["configMap", "secret", "projected", "downwardAPI", "emptyDir", "persistentVolumeClaim", "ephemeral", "image"];
/// Helm would leave it there.
const KEEP: &str = "helm.sh/resource-policy";

/// What became of a release's documents.
#[derive(Debug, Default)]
pub struct Doubled {
    pub documents: Vec<Value>,
    /// Those of which a double has none, as `Kind/name`.
    pub left_out: Vec<String>,
}

impl Double {
    /// `live`: the namespace of what runs.
    pub(in crate::driver::kubernetes) fn of_release(
        &self, documents: &[Value], live: &str,
    ) -> Result<Doubled, VerbError> {
        let mut made = Doubled::default();
        for document in documents {
            let (kind, name) = head(document);
            let called = format!("{kind}/{name}");
            if object_resource(document).is_some_and(|(_, _, namespaced)| !namespaced) {
                return Err(refusal(&called, "is of no namespace, and would be the live one's", "a chart without it"));
            }
            let elsewhere = document["metadata"]["namespace"].as_str().is_some_and(|own| own != live);
            match KEPT.contains(&kind) && !elsewhere && document["spec"]["type"] != "ExternalName" {
                true => made.documents.push(self.of_document(&called, document)?),
                false => made.left_out.push(called),
            }
        }
        self.check_documents(&made.documents, &Live::new(live, documents))?;
        Ok(made)
    }

    fn of_document(&self, called: &str, document: &Value) -> Result<Value, VerbError> {
        let mut made = document.clone();
        if let Some(metadata) = made["metadata"].as_object_mut() {
            ["namespace", "ownerReferences", "finalizers"].into_iter().for_each(|key| drop(metadata.remove(key)));
        }
        if let Some(annotations) = made.pointer_mut("/metadata/annotations").and_then(Value::as_object_mut) {
            annotations.remove(KEEP);
        }
        self.label(&mut made);
        match head(document).0 {
            "Service" => of_service(&mut made["spec"]),
            "PersistentVolumeClaim" => keep_of(&mut made["spec"], &KEPT_OF_CLAIM),
            "Pod" => self.of_pod_template(called, &mut made)?,
            "CronJob" => {
                made["spec"]["suspend"] = json!(true);
                self.of_pod_template(called, &mut made["spec"]["jobTemplate"]["spec"]["template"])?;
            }
            "Deployment" | "StatefulSet" | "DaemonSet" | "Job" => {
                self.of_pod_template(called, &mut made["spec"]["template"])?;
                for claim in list_mut(&mut made["spec"], "volumeClaimTemplates") {
                    self.label(claim);
                    keep_of(&mut claim["spec"], &KEPT_OF_CLAIM);
                }
            }
            _ => {}
        }
        Ok(made)
    }

    fn label(&self, object: &mut Value) {
        if !object["metadata"]["labels"].is_object() {
            object["metadata"]["labels"] = json!({});
        }
        object["metadata"]["labels"][REHEARSAL] = json!(self.project);
    }

    fn of_pod_template(&self, called: &str, template: &mut Value) -> Result<(), VerbError> {
        self.label(template);
        let spec = &mut template["spec"];
        if let Some(key) = HOST_WIDE.into_iter().find(|key| spec[*key] == true) {
            return Err(refusal(called, &format!("has `{key}: true`"), "pods with a network of their own"));
        }
        let written = written_volumes(spec);
        if let Some(spec) = spec.as_object_mut() {
            // A class may push out what is live.
            ["nodeName", "priorityClassName", "priority"].into_iter().for_each(|key| drop(spec.remove(key)));
        }
        for list in ["initContainers", "containers"] {
            for container in list_mut(spec, list) {
                if container["securityContext"]["privileged"] == true || !container["volumeDevices"].is_null() {
                    return Err(refusal(called, "has the devices of its node", "the capabilities that it needs"));
                }
                for port in list_mut(container, "ports").filter_map(Value::as_object_mut) {
                    port.remove("hostPort");
                    port.remove("hostIP");
                }
            }
        }
        for volume in list_mut(spec, "volumes") {
            let name = volume["name"].as_str().unwrap_or_default();
            if let Some(path) = volume["hostPath"]["path"].as_str().map(PathBuf::from) {
                let instead = self.instead_of_path(called, &path, !written.contains(name))?;
                // On another node there is none, and none is to be made there.
                let kind = if instead.is_file() { "File" } else { "Directory" };
                volume["hostPath"] = json!({ "path": instead.display().to_string(), "type": kind });
            } else if let Some(kind) = kind_of(volume).filter(|kind| !OWN_VOLUMES.contains(kind)) {
                return Err(refusal(called, &format!("has a volume of type `{kind}`"), "a claim"));
            }
        }
        Ok(())
    }

    /// Nothing of what is live is left.
    fn check_documents(&self, documents: &[Value], live: &Live<'_>) -> Result<(), VerbError> {
        for document in documents {
            let (kind, name) = head(document);
            let left = |what: &str| Err(left(&format!("`{kind}/{name}` {what}")));
            if !KEPT.contains(&kind) || !document["metadata"]["namespace"].is_null() {
                return left("is no document of the double's namespace");
            }
            if document["metadata"]["labels"][REHEARSAL] != self.project {
                return left("would not be known as the double's");
            }
            let spec = &document["spec"];
            if kind == "Service"
                && (!["type", "externalIPs", "externalName"].iter().all(|key| spec[*key].is_null())
                    || list(&spec["ports"]).any(|port| !port["nodePort"].is_null()))
            {
                return left("lets users in");
            }
            if kind == "CronJob" && spec["suspend"] != true {
                return left("would be started by the clock");
            }
            for pod in [spec, &spec["template"]["spec"], &spec["jobTemplate"]["spec"]["template"]["spec"]] {
                if HOST_WIDE.iter().any(|key| pod[*key] == true) {
                    return left("has its node's network or processes");
                }
                let written = written_volumes(pod);
                for volume in list(&pod["volumes"]) {
                    let path = volume["hostPath"]["path"].as_str().map(Path::new);
                    if let Some(path) = path.filter(|path| written.contains(name_of(volume)) && !self.holds(path)) {
                        return left(&format!("writes to `{}`", path.display()));
                    }
                }
            }
            if let Some(address) = live.named_in(document) {
                return left(&format!("names `{address}`"));
            }
        }
        Ok(())
    }
}

/// What documents name that may be made by somebody else than the release, without what they make themselves.
pub fn beside(documents: &[Value]) -> BTreeSet<(Beside, String)> {
    let mut named = BTreeSet::new();
    documents.iter().for_each(|document| collect(document, &mut named));
    named.retain(|(kind, name)| !documents.iter().any(|document| head(document) == (kind.kind(), name.as_str())));
    named
}

fn collect(value: &Value, named: &mut BTreeSet<(Beside, String)>) {
    match value {
        Value::Array(all) => all.iter().for_each(|value| collect(value, named)),
        Value::Object(all) => {
            for (key, value) in all {
                let inner = match key.as_str() {
                    "secretKeyRef" | "secretRef" => Some((Beside::Secret, &value["name"])),
                    "secret" if value["secretName"].is_string() => Some((Beside::Secret, &value["secretName"])),
                    "secret" => Some((Beside::Secret, &value["name"])),
                    "configMapKeyRef" | "configMapRef" | "configMap" => Some((Beside::ConfigMap, &value["name"])),
                    "persistentVolumeClaim" => Some((Beside::Claim, &value["claimName"])),
                    "serviceAccountName" => Some((Beside::ServiceAccount, value)),
                    _ => None,
                };
                let name = inner.and_then(|(kind, name)| Some((kind, name.as_str()?.to_owned())));
                named.extend(name.filter(|(_, name)| !name.is_empty()));
                if key == "imagePullSecrets" {
                    let names = list(value).filter_map(|secret| secret["name"].as_str());
                    named.extend(names.map(|name| (Beside::Secret, name.to_owned())));
                }
                collect(value, named);
            }
        }
        _ => {}
    }
}

fn of_service(spec: &mut Value) {
    let headless = spec["clusterIP"] == "None";
    keep_of(spec, &KEPT_OF_SERVICE);
    if headless {
        spec["clusterIP"] = json!("None");
    }
    for port in list_mut(spec, "ports").filter_map(Value::as_object_mut) {
        port.remove("nodePort");
    }
}

fn keep_of(object: &mut Value, keys: &[&str]) {
    if let Some(object) = object.as_object_mut() {
        object.retain(|key, _| keys.contains(&key.as_str()));
    }
}

/// Names of the volumes that a container may write to.
fn written_volumes(spec: &Value) -> BTreeSet<String> {
    let containers = ["initContainers", "containers"].into_iter().flat_map(|key| list(&spec[key]));
    let mounts = containers.flat_map(|container| list(&container["volumeMounts"]));
    let written = mounts.filter(|mount| mount["readOnly"] != true);
    written.filter_map(|mount| mount["name"].as_str()).map(str::to_owned).collect()
}

fn kind_of(volume: &Value) -> Option<&str> {
    let keys = volume.as_object().map(Map::keys).into_iter().flatten();
    keys.map(String::as_str).find(|key| *key != "name")
}

fn name_of(volume: &Value) -> &str {
    volume["name"].as_str().unwrap_or_default()
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

/// Adds no such key where there is none.
fn list_mut<'v>(value: &'v mut Value, key: &str) -> impl Iterator<Item = &'v mut Value> {
    value.get_mut(key).and_then(Value::as_array_mut).into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::driver::compose::double::REHEARSAL_LABEL;
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;

    const NAME: &str = "upgraded-rehearsal-shop";

    fn double(folder: &Path) -> Double {
        let (project, deployment) = (NAME.into(), "shop".into());
        Double { project, deployment, label: REHEARSAL_LABEL, folder: folder.to_owned(), origin: "/opt/shop".into() }
    }

    fn deployment(spec: Value) -> Value {
        json!({
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": "shop-web", "namespace": "live" },
            "spec": { "replicas": 2, "template": { "metadata": { "labels": { "app": "web" } }, "spec": spec } },
        })
    }

    #[test]
    fn nothing_of_production_is_left() {
        let scratch = tempfile::tempdir().unwrap();
        let web = deployment(json!({
            "nodeName": "alpha", "priorityClassName": "high", "serviceAccountName": "web",
            "imagePullSecrets": [{ "name": "pull" }],
            "containers": [{
                "name": "web", "ports": [{ "containerPort": 80, "hostPort": 80 }],
                "env": [{ "name": "A", "valueFrom": { "secretKeyRef": { "name": "shop", "key": "a" } } }],
                "envFrom": [{ "configMapRef": { "name": "settings" } }],
                "volumeMounts": [{ "name": "files" }, { "name": "certificates", "readOnly": true }, { "name": "data" }],
            }],
            "volumes": [
                { "name": "files", "hostPath": { "path": "/opt/shop/files", "type": "DirectoryOrCreate" } },
                { "name": "certificates", "hostPath": { "path": "/etc/ssl" } },
                { "name": "data", "persistentVolumeClaim": { "claimName": "shop-data" } },
            ],
        }));
        let service = json!({
            "apiVersion": "v1", "kind": "Service", "metadata": { "name": "shop-web" },
            "spec": { "type": "LoadBalancer", "clusterIP": "10.0.0.7", "externalIPs": ["192.0.2.1"], "selector": { "app": "web" },
                      "ports": [{ "port": 80, "nodePort": 31080 }] },
        });
        let claim = json!({
            "apiVersion": "v1", "kind": "PersistentVolumeClaim",
            "metadata": { "name": "shop-data", "annotations": { KEEP: "keep" } },
            "spec": { "volumeName": "pvc-1", "accessModes": ["ReadWriteOnce"] },
        });
        let nightly = json!({
            "apiVersion": "batch/v1", "kind": "CronJob", "metadata": { "name": "nightly" },
            "spec": { "jobTemplate": { "spec": { "template": { "spec": { "containers": [] } } } } },
        });
        let named = |group: &str, kind: &str| json!({ "apiVersion": group, "kind": kind, "metadata": { "name": "x" } });
        let others = [named("networking.k8s.io/v1", "Ingress"), named("rbac.authorization.k8s.io/v1", "RoleBinding")];
        let all = [&[web, service, claim, nightly][..], &others].concat();
        let made = double(scratch.path()).of_release(&all, "live").unwrap();
        assert_eq!(made.left_out, ["Ingress/x", "RoleBinding/x"]);
        let [web, service, claim, nightly] = &made.documents[..] else { panic!("{:#?}", made.documents) };
        let pod = &web["spec"]["template"];
        assert_eq!((&web["metadata"]["namespace"], &web["spec"]["replicas"]), (&Value::Null, &json!(2)));
        assert_eq!(pod["metadata"]["labels"], json!({ "app": "web", REHEARSAL: NAME }));
        assert_eq!(pod["spec"]["containers"][0]["ports"], json!([{ "containerPort": 80 }]));
        assert!(pod["spec"]["nodeName"].is_null() && pod["spec"]["priorityClassName"].is_null());
        let files = scratch.path().join("project/files").display().to_string();
        assert_eq!(pod["spec"]["volumes"][0]["hostPath"], json!({ "path": files, "type": "Directory" }));
        assert_eq!(pod["spec"]["volumes"][1]["hostPath"]["path"], "/etc/ssl", "what is only read is read where it is");
        assert_eq!(service["spec"], json!({ "selector": { "app": "web" }, "ports": [{ "port": 80 }] }));
        assert_eq!(claim["spec"], json!({ "accessModes": ["ReadWriteOnce"] }));
        assert!(claim["metadata"]["annotations"][KEEP].is_null());
        assert_eq!(nightly["spec"]["suspend"], true);
        let beside: Vec<(Beside, String)> = beside(&made.documents).into_iter().collect();
        let expected = [
            (Beside::Secret, "pull"),
            (Beside::Secret, "shop"),
            (Beside::ConfigMap, "settings"),
            (Beside::ServiceAccount, "web"),
        ];
        assert_eq!(beside, expected.map(|(kind, name)| (kind, name.to_owned())));
        let again = double(scratch.path()).of_release(&made.documents, "live").unwrap();
        assert_eq!(again.documents, made.documents, "what is its own stays");
    }

    #[test]
    fn what_cannot_be_cut_off_is_refused() {
        let scratch = tempfile::tempdir().unwrap();
        let volume = |volume: Value| {
            let mounts = json!([{ "name": "v", "readOnly": true }]);
            deployment(json!({ "containers": [{ "volumeMounts": mounts }], "volumes": [volume] }))
        };
        let role = json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": { "name": "shop" },
        });
        let address = json!({ "name": "DB", "value": "postgres://db.live.svc.cluster.local/shop" });
        let secret = json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "s" },
            "data": { "url": STANDARD.encode("http://api.live.svc:80") },
        });
        for (document, why) in [
            (deployment(json!({ "hostNetwork": true })), "hostNetwork"),
            (deployment(json!({ "containers": [{ "securityContext": { "privileged": true } }] })), "devices"),
            (volume(json!({ "name": "v", "nfs": { "server": "nas" } })), "`nfs`"),
            (
                volume(json!({ "name": "v", "hostPath": { "path": "/run/containerd/containerd.sock" } })),
                "reaches the machine",
            ),
            (role, "of no namespace"),
            (deployment(json!({ "containers": [{ "env": [address] }] })), "names `db.live.svc`"),
            (secret, "names `api.live.svc`"),
        ] {
            let refused = double(scratch.path()).of_release(&[document], "live").unwrap_err().to_string();
            assert!(refused.contains(why), "{refused}");
        }
    }
}
