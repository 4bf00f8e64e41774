//! Claims of the release's namespace that are a datastore's.

use super::Kubernetes;
use super::errors::verb_error;
use crate::model::{ServiceRef, VerbError};
use std::path::PathBuf;

impl Kubernetes {
    pub async fn folder_of_claim(&self, claim: &str) -> Result<PathBuf, VerbError> {
        self.cluster().await?.folder_of(claim).await.map_err(verb_error)
    }

    /// Pods that have the claim mounted and are of none of these services.
    pub async fn others_with(&self, claim: &str, services: &[&ServiceRef]) -> Result<Vec<String>, VerbError> {
        let cluster = self.cluster().await?;
        let workloads = cluster.workloads().await.map_err(verb_error)?;
        let mut others = cluster.users_of(claim).await.map_err(verb_error)?;
        for service in services.iter().filter(|service| service.platform == self.platform) {
            let Ok(workload) = cluster.named(&workloads, &service.name) else { continue };
            let own = cluster.pods(workload).await.map_err(verb_error)?;
            others.retain(|pod| !own.iter().any(|own| own["metadata"]["name"] == pod.as_str()));
        }
        Ok(others)
    }

    /// A pod goes on with the folder that it has mounted, whatever takes that folder's place.
    pub async fn is_unused(&self, claim: &str) -> Result<(), VerbError> {
        let pods = self.cluster().await?.users_of(claim).await.map_err(verb_error)?;
        match pods.is_empty() {
            true => Ok(()),
            false => Err(VerbError::Conflict(format!(
                "the claim `{claim}` is mounted by the pod `{}`, which would go on with what is replaced: it has to end first",
                pods.join("`, `")
            ))),
        }
    }
}
