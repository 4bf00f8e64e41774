//! Pods of a workload: which are of its newest generation, what they say, and what happened to them.

use crate::cluster::Cluster;
use crate::error::Result;
use crate::stands::Standing;
use crate::workload::{Kind, Workload};
use futures::AsyncBufReadExt;
use futures::stream::{BoxStream, StreamExt};
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::LogParams;
use serde_json::Value;

const REVISION: &str = "deployment.kubernetes.io/revision";
const EVENTS: usize = 5;

impl Cluster {
    pub async fn pods(&self, workload: &Workload) -> Result<Vec<Value>> {
        let Some(selector) = workload.selector() else { return Ok(Vec::new()) };
        let mut pods = self.list(&self.path("api/v1", "pods"), Some(&selector)).await?;
        pods.sort_by(|a, b| created(a).cmp(created(b)));
        Ok(pods)
    }

    /// Those made from what the workload says now, oldest first.
    pub async fn current_pods(&self, workload: &Workload) -> Result<Vec<Value>> {
        let mut pods = self.pods(workload).await?;
        let (label, hash) = match workload.kind {
            Kind::Deployment => ("pod-template-hash", self.replica_set_hash(workload).await?),
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
            Standing::Coming(_) => Ok(workload.standing(&self.current_pods(workload).await?)),
            other => Ok(other),
        }
    }

    /// The newest pod's name.
    pub async fn newest_pod(&self, workload: &Workload) -> Result<Option<String>> {
        let pods = self.current_pods(workload).await?;
        Ok(pods.last().and_then(|pod| pod["metadata"]["name"].as_str()).map(str::to_owned))
    }

    /// The last lines of a pod's log, of the container that ended before where the one that runs says nothing.
    pub async fn tail(&self, pod: &str, lines: i64) -> String {
        let api: Api<Pod> = Api::namespaced(self.client.clone(), self.namespace());
        for previous in [false, true] {
            let parameters = LogParams { tail_lines: Some(lines), previous, ..LogParams::default() };
            if let Ok(text) = api.logs(pod, &parameters).await
                && !text.trim().is_empty()
            {
                return text.trim_end().to_owned();
            }
        }
        String::new()
    }

    /// Lines as they come, from the beginning; ends with the container.
    pub async fn follow(&self, pod: &str) -> Result<BoxStream<'static, std::io::Result<String>>> {
        let api: Api<Pod> = Api::namespaced(self.streams.clone(), self.namespace());
        let parameters = LogParams { follow: true, ..LogParams::default() };
        Ok(api.log_stream(pod, &parameters).await?.lines().boxed())
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

    async fn replica_set_hash(&self, workload: &Workload) -> Result<Option<String>> {
        let Some(selector) = workload.selector() else { return Ok(None) };
        let sets = self.list(&self.path("apis/apps/v1", "replicasets"), Some(&selector)).await?;
        let wanted = &workload.object["metadata"]["annotations"][REVISION];
        let newest = sets.iter().find(|set| !wanted.is_null() && set["metadata"]["annotations"][REVISION] == *wanted);
        Ok(newest.and_then(|set| set["metadata"]["labels"]["pod-template-hash"].as_str()).map(str::to_owned))
    }
}

fn created(object: &Value) -> &str {
    object["metadata"]["creationTimestamp"].as_str().unwrap_or_default()
}

fn last_seen(event: &Value) -> &str {
    event["lastTimestamp"].as_str().or(event["eventTime"].as_str()).unwrap_or_default()
}
