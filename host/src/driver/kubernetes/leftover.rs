//! What revisions that failed have left. Helm compares the next one with what was deployed last, and knows nothing of it.

use super::Kubernetes;
use super::errors::verb_error;
use super::orchestrator::pods_end;
use crate::activity::Level;
use crate::context::StepContext;
use crate::model::VerbError;
use serde_json::Value;
use upgraded_kubernetes::manifest::{self, head};
use upgraded_kubernetes::{Cluster, Error, Kind, Kinds, Revision, workloads_of};

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
        let later: Vec<&Revision> = all.iter().filter(|own| own.number > revision).collect();
        let left = leftovers(named_by_failed(&later)?, documents);
        let (Some(first), false) = (later.first(), left.is_empty()) else { return Ok(()) };
        let kinds = cluster.kinds(&left).await.map_err(verb_error)?;
        let names: Vec<String> = left.iter().map(called).collect();
        let work = cx.activity.watch(self.idle, remove(cx, cluster, &left, &kinds, &first.created));
        cx.effects.perform("helm.remove", &names, &names.join(","), true, work).await
    }
}

/// What is older than `since` was adopted, and not made.
async fn remove(
    cx: &StepContext, cluster: &Cluster, left: &[Value], kinds: &Kinds, since: &str,
) -> Result<(), VerbError> {
    let mut gone = Vec::new();
    for document in left {
        cx.activity.touch();
        match cluster.remove(document, kinds, since).await {
            // A workload would write to what is put back.
            Err(Error::Denied(why)) if Kind::named(head(document).0).is_none() => {
                cx.activity.line(Level::Warn, format!("the failed upgrade leaves `{}`: {why}", called(document)));
            }
            Ok(true) => gone.push(document.clone()),
            Ok(false) => {}
            Err(error) => return Err(verb_error(error)),
        }
    }
    // Pods end later than what made them, which Helm or an earlier try may have removed.
    for workload in &workloads_of(&gone) {
        pods_end(cx, cluster, workload).await?;
    }
    Ok(())
}

fn named_by_failed(revisions: &[&Revision]) -> Result<Vec<Value>, VerbError> {
    let mut named = Vec::new();
    for failed in revisions.iter().filter(|own| own.status == FAILED) {
        named.extend(manifest::read(&failed.manifest).map_err(verb_error)?);
    }
    Ok(named)
}

fn leftovers(mut named: Vec<Value>, documents: &[Value]) -> Vec<Value> {
    let is_kept = |document: &Value| documents.iter().any(|own| head(own) == head(document));
    named.retain(|document| !STAYING.contains(&head(document).0) && !is_kept(document));
    named
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
        let waited: Vec<String> = workloads_of(&left).into_iter().map(|workload| workload.name).collect();
        assert_eq!(waited, ["shop-indexer", "shop-reindex"]);
    }
}
