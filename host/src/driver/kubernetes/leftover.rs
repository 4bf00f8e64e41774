//! What revisions that failed have left. Helm compares the next one with what was deployed last, and knows nothing of it.

use super::errors::verb_error;
use super::orchestrator::has_ended;
use super::{Kubernetes, POLL};
use crate::activity::Level;
use crate::context::StepContext;
use crate::model::VerbError;
use serde_json::Value;
use upgraded_kubernetes::manifest::{self, head};
use upgraded_kubernetes::{Cluster, Error, Kind, Kinds, Revision, Workload};

const FAILED: &str = "failed";
/// What is in them, or made of them, would go too.
const STAYING: [&str; 4] = ["CustomResourceDefinition", "Namespace", "PersistentVolume", "PersistentVolumeClaim"];

impl Kubernetes {
    /// Removes what revisions that failed since this one have made and the documents don't name. Converges.
    pub(super) async fn remove_leftovers(
        &self, cx: &StepContext, revision: u32, documents: &[Value],
    ) -> Result<(), VerbError> {
        let cluster = self.cluster().await?;
        let all = cluster.revisions().await.map_err(verb_error)?;
        let left = leftovers(made_since(&all, revision)?, documents);
        if left.is_empty() {
            return Ok(());
        }
        let kinds = cluster.kinds(&left).await.map_err(verb_error)?;
        let names: Vec<String> = left.iter().map(called).collect();
        let work = cx.activity.watch(self.idle, remove(cx, cluster, &left, &kinds));
        cx.effects.perform("helm.remove", &names, &names.join(","), true, work).await
    }
}

async fn remove(cx: &StepContext, cluster: &Cluster, left: &[Value], kinds: &Kinds) -> Result<(), VerbError> {
    let mut live = cluster.workloads().await.map_err(verb_error)?;
    live.retain(|workload| left.iter().any(|document| is_of(workload, document)));
    for document in left {
        cx.activity.touch();
        match cluster.remove(document, kinds).await {
            // A workload would write to what is put back.
            Err(Error::Denied(why)) if Kind::named(head(document).0).is_none() => {
                cx.activity.line(Level::Warn, format!("the failed upgrade leaves `{}`: {why}", called(document)));
            }
            other => other.map_err(verb_error)?,
        }
    }
    for workload in &live {
        while !cluster.pods(workload).await.map_err(verb_error)?.iter().all(has_ended) {
            tokio::time::sleep(POLL).await;
        }
        cx.activity.touch();
    }
    Ok(())
}

fn made_since(all: &[Revision], revision: u32) -> Result<Vec<Value>, VerbError> {
    let mut made = Vec::new();
    for failed in all.iter().filter(|own| own.number > revision && own.status == FAILED) {
        made.extend(manifest::read(&failed.manifest).map_err(verb_error)?);
    }
    Ok(made)
}

fn leftovers(mut made: Vec<Value>, documents: &[Value]) -> Vec<Value> {
    let is_named = |document: &Value| documents.iter().any(|own| head(own) == head(document));
    made.retain(|document| !STAYING.contains(&head(document).0) && !is_named(document));
    made
}

fn is_of(workload: &Workload, document: &Value) -> bool {
    (workload.kind.to_string().as_str(), workload.name.as_str()) == head(document)
}

fn called(document: &Value) -> String {
    let (kind, name) = head(document);
    format!("{kind}/{name}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_what_came_with_the_failed_upgrade_is_left_over() {
        let of = |kind: &str, name: &str| json!({ "kind": kind, "metadata": { "name": name } });
        let made = vec![
            of("Deployment", "shop-api"),
            of("Deployment", "shop-indexer"),
            of("Service", "shop-api"),
            of("CronJob", "shop-reindex"),
            of("PersistentVolumeClaim", "shop-index"),
            of("CustomResourceDefinition", "indexes.shop.example"),
        ];
        let left = leftovers(made, &[of("Deployment", "shop-api"), of("ConfigMap", "shop-indexer")]);
        let names: Vec<String> = left.iter().map(called).collect();
        assert_eq!(names, ["Deployment/shop-indexer", "Service/shop-api", "CronJob/shop-reindex"]);
        let object = of("Deployment", "shop-indexer");
        let indexer = Workload { kind: Kind::Deployment, name: "shop-indexer".into(), hook: false, object };
        assert!(is_of(&indexer, &left[0]) && !is_of(&indexer, &left[1]));
    }
}
