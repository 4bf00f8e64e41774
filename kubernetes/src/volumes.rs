//! What the pods of a release may write to and keep.

use crate::claims::place;
use crate::cluster::Cluster;
use crate::error::Result;
use crate::workload::Kind;
use serde_json::Value;
use std::path::PathBuf;

/// A volume that outlives its pod, and that a container may write to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Writable {
    pub workload: String,
    /// Of the node, where the volume lies on one.
    pub path: Option<PathBuf>,
    /// None: a folder of the node that the pod names itself.
    pub claim: Option<String>,
}

impl Cluster {
    /// Of the workloads that have pods, but for those named in `apart`.
    pub async fn writable(&self, apart: &[String]) -> Result<Vec<Writable>> {
        let workloads = self.workloads().await?;
        let apart: Vec<&str> =
            apart.iter().filter_map(|name| self.named(&workloads, name).ok()).map(|w| w.name.as_str()).collect();
        let mut found = Vec::new();
        for workload in workloads.iter().filter(|w| w.kind != Kind::CronJob && !w.hook) {
            if apart.contains(&workload.name.as_str()) {
                continue;
            }
            for pod in self.pods(workload).await? {
                for volume in writable_volumes(&pod) {
                    let (path, claim) = match volume["persistentVolumeClaim"]["claimName"].as_str() {
                        Some(claim) => (self.place_of(claim).await, Some(claim.to_owned())),
                        None => (volume["hostPath"]["path"].as_str().map(PathBuf::from), None),
                    };
                    found.push(Writable { workload: workload.name.clone(), path, claim });
                }
            }
        }
        found.sort();
        found.dedup();
        Ok(found)
    }

    /// Where we may not look, or it lies on no node, nothing is said.
    async fn place_of(&self, claim: &str) -> Option<PathBuf> {
        let volume = self.volume_of(claim).await.ok()?;
        place(claim, &volume).ok().map(|(folder, _)| folder)
    }
}

fn writable_volumes(pod: &Value) -> Vec<&Value> {
    let lists = ["initContainers", "containers"];
    let containers = lists.iter().flat_map(|list| pod["spec"][*list].as_array().into_iter().flatten());
    let mounts: Vec<&Value> = containers.flat_map(|c| c["volumeMounts"].as_array().into_iter().flatten()).collect();
    let written = |volume: &&Value| mounts.iter().any(|m| m["name"] == volume["name"] && m["readOnly"] != true);
    let lasts = |volume: &&Value| {
        volume["persistentVolumeClaim"]["readOnly"] != true
            && (!volume["persistentVolumeClaim"].is_null() || !volume["hostPath"].is_null())
    };
    pod["spec"]["volumes"].as_array().into_iter().flatten().filter(lasts).filter(written).collect()
}
