//! Pods of a workload: which are its own and of its newest generation, what they say, and what happened to them.

use crate::cluster::Cluster;
use crate::error::Result;
use crate::stands::{Standing, stuck};
use crate::workload::{Kind, Workload};
use futures::AsyncBufReadExt;
use futures::stream::{BoxStream, StreamExt};
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::LogParams;
use serde_json::Value;

const REVISION: &str = "deployment.kubernetes.io/revision";
const HASH: &str = "pod-template-hash";
/// By which whoever made a pod says whose log is meant.
const DEFAULT_CONTAINER: &str = "kubectl.kubernetes.io/default-container";
const EVENTS: usize = 5;

impl Cluster {
    /// Its own, oldest first: selectors of several workloads may fit the same pods.
    pub async fn pods(&self, workload: &Workload) -> Result<Vec<Value>> {
        let Some(selector) = workload.selector() else { return Ok(Vec::new()) };
        let mut pods = self.list(&self.path("api/v1", "pods"), Some(&selector)).await?;
        pods.retain(|pod| !is_anothers(pod, workload));
        pods.sort_by(|a, b| created(a).cmp(created(b)));
        Ok(pods)
    }

    /// Those made from what the workload says now, oldest first.
    pub async fn current_pods(&self, workload: &Workload) -> Result<Vec<Value>> {
        let mut pods = self.pods(workload).await?;
        let (label, hash) = match workload.kind {
            Kind::Deployment => (HASH, self.replica_set_hash(workload).await?),
            Kind::StatefulSet => {
                let hash = workload.object["status"]["updateRevision"].as_str();
                ("controller-revision-hash", hash.map(str::to_owned))
            }
            _ => return Ok(pods),
        };
        if let Some(hash) = hash {
            pods.retain(|pod| pod["metadata"]["labels"][label] == hash.as_str());
        }
        Ok(pods)
    }

    pub async fn standing(&self, workload: &Workload) -> Result<Standing> {
        let quick = workload.standing(&[]);
        match quick {
            Standing::Coming { .. } => Ok(workload.standing(&self.current_pods(workload).await?)),
            other => Ok(other),
        }
    }

    /// The newest pod's name.
    pub async fn newest_pod(&self, workload: &Workload) -> Result<Option<String>> {
        let pods = self.current_pods(workload).await?;
        Ok(pods.last().and_then(|pod| pod["metadata"]["name"].as_str()).map(str::to_owned))
    }

    /// Those that their controller leaves as they are until they are ready, though they are not what it is to have.
    pub async fn stuck_pods(&self, workload: &Workload) -> Result<Vec<String>> {
        if workload.kind != Kind::StatefulSet {
            return Ok(Vec::new());
        }
        Ok(stuck(workload, &self.pods(workload).await?))
    }

    /// Its controller makes another in its place.
    pub async fn delete_pod(&self, pod: &str) -> Result<()> {
        self.delete(&self.path("api/v1", "pods"), pod).await
    }

    /// The last lines of a pod's log, of the container that ended before where the one that runs says nothing.
    pub async fn tail(&self, pod: &str, lines: i64) -> String {
        self.last_lines(pod, lines, false).await
    }

    /// The same, each line after the moment at which it was written.
    pub async fn dated_tail(&self, pod: &str, lines: i64) -> String {
        self.last_lines(pod, lines, true).await
    }

    async fn last_lines(&self, pod: &str, lines: i64, timestamps: bool) -> String {
        let api: Api<Pod> = Api::namespaced(self.client.clone(), self.namespace());
        let container = self.container_to_hear(pod).await.ok().flatten().map(|(name, _)| name);
        for previous in [false, true] {
            let (container, tail_lines) = (container.clone(), Some(lines));
            let parameters = LogParams { container, tail_lines, previous, timestamps, ..LogParams::default() };
            if let Ok(text) = api.logs(pod, &parameters).await
                && !text.trim().is_empty()
            {
                return text.trim_end().to_owned();
            }
        }
        String::new()
    }

    /// Lines as they come, from the beginning, and whether the container prepares the pod; they end with it.
    pub async fn follow(&self, pod: &str) -> Result<(BoxStream<'static, std::io::Result<String>>, bool)> {
        let api: Api<Pod> = Api::namespaced(self.streams.clone(), self.namespace());
        let (container, prepares) = self.container_to_hear(pod).await?.unzip();
        let parameters = LogParams { container, follow: true, ..LogParams::default() };
        let lines = api.log_stream(pod, &parameters).await?.lines().boxed();
        Ok((lines, prepares.unwrap_or(false)))
    }

    /// What the cluster says that happened to an object: warnings, newest last.
    pub async fn events(&self, name: &str) -> Vec<String> {
        let Ok(events) = self.list(&self.path("api/v1", "events"), None).await else { return Vec::new() };
        let mut own: Vec<&Value> =
            events.iter().filter(|e| e["involvedObject"]["name"] == name && e["type"] == "Warning").collect();
        own.sort_by(|a, b| last_seen(a).cmp(last_seen(b)));
        let text = |event: &&Value| {
            let field = |name: &str| event[name].as_str().unwrap_or_default().trim().to_owned();
            format!("{}: {}", field("reason"), field("message"))
        };
        own.iter().rev().take(EVENTS).rev().map(text).collect()
    }

    /// The pod's warnings and last lines, for the end of a message.
    pub async fn why(&self, pod: &str, lines: i64) -> String {
        let mut said = self.events(pod).await;
        let tail = self.tail(pod, lines).await;
        said.extend((!tail.is_empty()).then_some(tail));
        said.join("\n")
    }

    /// The API wants to know which, where a pod has several; and whether it prepares the pod.
    async fn container_to_hear(&self, pod: &str) -> Result<Option<(String, bool)>> {
        let pod = self.get(&self.path("api/v1", "pods"), pod).await?;
        Ok(pod.as_ref().and_then(to_hear).map(|(name, prepares)| (name.to_owned(), prepares)))
    }

    async fn replica_set_hash(&self, workload: &Workload) -> Result<Option<String>> {
        let Some(selector) = workload.selector() else { return Ok(None) };
        let sets = self.list(&self.path("apis/apps/v1", "replicasets"), Some(&selector)).await?;
        let wanted = &workload.object["metadata"]["annotations"][REVISION];
        let is_own = |set: &&Value| controller(set).is_none_or(|owner| owner["name"] == workload.name.as_str());
        let mut own = sets.iter().filter(is_own);
        let newest = own.find(|set| !wanted.is_null() && set["metadata"]["annotations"][REVISION] == *wanted);
        Ok(newest.and_then(|set| set["metadata"]["labels"][HASH].as_str()).map(str::to_owned))
    }
}

fn controller(object: &Value) -> Option<&Value> {
    object["metadata"]["ownerReferences"].as_array()?.iter().find(|owner| owner["controller"] == true)
}

/// By name, which tells also what is left of a workload that is gone.
fn is_anothers(pod: &Value, workload: &Workload) -> bool {
    let Some(owner) = controller(pod) else { return false };
    let (kind, name) = (owner["kind"].as_str().unwrap_or_default(), owner["name"].as_str().unwrap_or_default());
    if workload.kind != Kind::Deployment {
        return kind != workload.kind.to_string() || name != workload.name;
    }
    // A Deployment's ReplicaSets are called by it and by the hash of what is in their pods.
    let hash = pod["metadata"]["labels"][HASH].as_str();
    let of = hash.and_then(|hash| name.strip_suffix(hash)?.strip_suffix('-'));
    kind != "ReplicaSet" || of.is_some_and(|of| of != workload.name)
}

/// The one that prepares the pod for as long as it does, or else its main one; and which of the two it is.
fn to_hear(pod: &Value) -> Option<(&str, bool)> {
    let (spec, status) = (&pod["spec"], &pod["status"]);
    let named = move |list: &'static str| spec[list].as_array().into_iter().flatten();
    let is_sidecar = |name: &Value| {
        named("initContainers").any(|container| container["name"] == *name && container["restartPolicy"] == "Always")
    };
    let is_at_work = |container: &&Value| {
        let failed = ["state", "lastState"].map(|state| container[state]["terminated"]["exitCode"].as_i64());
        let ready = container["ready"] == true;
        !ready && (!container["state"]["running"].is_null() || failed.iter().flatten().any(|code| *code != 0))
    };
    let mut preparing = status["initContainerStatuses"].as_array().into_iter().flatten();
    if let Some(container) = preparing.find(|own| !is_sidecar(&own["name"]) && is_at_work(own)) {
        return Some((container["name"].as_str()?, true));
    }
    let wanted = &pod["metadata"]["annotations"][DEFAULT_CONTAINER];
    let mut all = named("containers");
    let main = all.find(|container| !wanted.is_null() && container["name"] == *wanted);
    Some((main.or_else(|| named("containers").next())?["name"].as_str()?, false))
}

fn created(object: &Value) -> &str {
    object["metadata"]["creationTimestamp"].as_str().unwrap_or_default()
}

fn last_seen(event: &Value) -> &str {
    event["lastTimestamp"].as_str().or(event["eventTime"].as_str()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_pod_is_its_controllers_whatever_selectors_fit() {
        let workload = |kind: Kind, name: &str| Workload { kind, name: name.into(), hook: false, object: json!({}) };
        let pod = |kind: &str, owner: &str| {
            let owners = json!([{ "kind": "Note", "name": "n" }, { "kind": kind, "name": owner, "controller": true }]);
            json!({ "metadata": { "labels": { HASH: "5d4f" }, "ownerReferences": owners } })
        };
        let web = workload(Kind::Deployment, "shop");
        assert!(!is_anothers(&pod("ReplicaSet", "shop-5d4f"), &web));
        assert!(is_anothers(&pod("ReplicaSet", "shop-worker-5d4f"), &web));
        assert!(is_anothers(&pod("StatefulSet", "shop-db"), &web));
        assert!(!is_anothers(&pod("ReplicaSet", "adopted"), &web));
        assert!(!is_anothers(&json!({ "metadata": {} }), &web), "nobody's yet");
        let db = workload(Kind::StatefulSet, "shop-db");
        assert!(!is_anothers(&pod("StatefulSet", "shop-db"), &db));
        assert!(is_anothers(&pod("StatefulSet", "shop-cache"), &db));
        assert!(is_anothers(&pod("ReplicaSet", "shop-db-5d4f"), &db));
    }

    #[test]
    fn the_container_that_is_at_work_is_heard() {
        let heard = |annotations: Value, statuses: Value| {
            let spec = json!({
                "initContainers": [{ "name": "proxy", "restartPolicy": "Always" }, { "name": "migrate" }],
                "containers": [{ "name": "sidecar" }, { "name": "app" }],
            });
            let status = json!({ "initContainerStatuses": statuses });
            let pod = json!({ "metadata": { "annotations": annotations }, "spec": spec, "status": status });
            let (name, prepares) = to_hear(&pod).unwrap();
            assert_eq!(prepares, name == "migrate");
            name.to_owned()
        };
        let of = |name: &str, ready: bool, state: Value| json!({ "name": name, "ready": ready, "state": state });
        let running = || json!({ "running": {} });
        let ended = |code: u8| json!({ "terminated": { "exitCode": code } });
        let proxy = || of("proxy", false, running());
        assert_eq!(heard(json!({}), json!([proxy(), of("migrate", false, running())])), "migrate");
        assert_eq!(heard(json!({}), json!([proxy(), of("migrate", false, ended(1))])), "migrate");
        assert_eq!(heard(json!({}), json!([proxy(), of("migrate", true, ended(0))])), "sidecar");
        assert_eq!(heard(json!({ DEFAULT_CONTAINER: "app" }), json!([proxy()])), "app");
        assert_eq!(heard(json!({ DEFAULT_CONTAINER: "gone" }), json!([])), "sidecar");
    }
}
