//! Which cluster it is, by whatever address and context: a context that leads elsewhere than at the last upgrade may find a
//! release of the same name there.

use super::errors::verb_error;
use crate::driver::durable;
use crate::driver::process::io_error;
use crate::effect::hex;
use crate::model::VerbError;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::path::PathBuf;
use upgraded_kubernetes::Cluster;

/// Of the digest: enough to tell clusters apart, and to be copied by hand.
const LETTERS: usize = 16;

pub struct Place {
    /// What the last upgrade knew.
    pub file: PathBuf,
    /// By the operator.
    pub stated: Option<String>,
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Known {
    cluster: String,
    server: String,
}

impl Place {
    pub async fn check(&self, cluster: &Cluster) -> Result<(), VerbError> {
        let (now, then) = (known(cluster).await?, self.then()?);
        match compare(self.stated.as_deref(), now.as_ref(), then.as_ref()) {
            None => Ok(()),
            Some(why) => Err(VerbError::Invalid(why)),
        }
    }

    /// For the next look.
    pub async fn keep(&self, cluster: &Cluster) -> Result<(), VerbError> {
        let Some(now) = known(cluster).await? else { return Ok(()) };
        if self.then()?.as_ref() == Some(&now) {
            return Ok(());
        }
        let bytes = serde_json::to_vec(&now).map_err(|error| VerbError::other("cluster", error.to_string()))?;
        if let Some(folder) = self.file.parent() {
            durable::make_folder(folder).map_err(io_error("make the folder of clusters"))?;
        }
        durable::write(&self.file, &bytes).map_err(io_error("keep which cluster it is"))
    }

    fn then(&self) -> Result<Option<Known>, VerbError> {
        let kept = durable::read(&self.file).map_err(io_error("read which cluster it was"))?;
        let read = |bytes: Vec<u8>| serde_json::from_slice(&bytes);
        kept.map(read).transpose().map_err(|error| {
            VerbError::Invalid(format!("`{}`: {error}; without this file any cluster is right", self.file.display()))
        })
    }
}

/// None: the account may not look, or the cluster doesn't say.
async fn known(cluster: &Cluster) -> Result<Option<Known>, VerbError> {
    let authority = cluster.authority().await.map_err(verb_error)?;
    let word = |authority: String| hex(&Sha256::digest(authority.trim()))[..LETTERS].to_owned();
    Ok(authority.map(|authority| Known { cluster: word(authority), server: cluster.server.clone() }))
}

/// Why it isn't the right one.
fn compare(stated: Option<&str>, now: Option<&Known>, then: Option<&Known>) -> Option<String> {
    match (stated, now, then) {
        (Some(stated), Some(now), _) if stated != now.cluster => Some(format!(
            "the context leads to the cluster `{}` at {}, and `cluster` in `[platform.kubernetes]` names `{stated}`",
            now.cluster, now.server
        )),
        (Some(stated), None, _) => Some(format!(
            "whether this is the cluster `{stated}` can't be told: that takes the right to get the ConfigMap \
             `kube-root-ca.crt`"
        )),
        (None, Some(now), Some(then)) if now.cluster != then.cluster => Some(format!(
            "the context leads to another cluster than at the last upgrade: `{}` at {}, and it was `{}` at {}; \
             `context` in `[platform.kubernetes]` names the right one, and if it is the new one that is meant, \
             `cluster = \"{}\"` says so",
            now.cluster, now.server, then.cluster, then.server, now.cluster
        )),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(cluster: &str, server: &str) -> Option<Known> {
        Some(Known { cluster: cluster.into(), server: server.into() })
    }

    #[test]
    fn another_address_is_no_other_cluster() {
        let (now, then) = (at("a", "https://a.example"), at("a", "https://10.0.0.1"));
        assert_eq!(compare(None, now.as_ref(), then.as_ref()), None);
        assert_eq!(compare(None, now.as_ref(), None), None, "the first upgrade");
        assert_eq!(compare(None, None, then.as_ref()), None, "a right that is missing is a finding of its own");
    }

    #[test]
    fn another_cluster_is_refused_until_the_operator_says_that_it_is_meant() {
        let (now, then) = (at("b", "https://b.example"), at("a", "https://a.example"));
        let why = compare(None, now.as_ref(), then.as_ref()).unwrap();
        assert!(why.contains("`b` at https://b.example, and it was `a`") && why.contains("cluster = \"b\""), "{why}");
        assert_eq!(compare(Some("b"), now.as_ref(), then.as_ref()), None);
        let why = compare(Some("a"), now.as_ref(), then.as_ref()).unwrap();
        assert!(why.contains("names `a`"), "{why}");
        assert!(compare(Some("a"), None, None).unwrap().contains("kube-root-ca.crt"));
    }
}
