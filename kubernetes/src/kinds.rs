//! Which resource a document's kind is, and whether it lies in a namespace, by the cluster's own word.

use crate::cluster::Cluster;
use crate::error::{Error, Result};
use crate::manifest::{group, object_resource};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::APIResource;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// What the cluster has of each group and version; none: who may not ask has to guess.
#[derive(Debug, Default)]
pub struct Kinds(BTreeMap<String, Option<Vec<APIResource>>>);

impl Kinds {
    /// Group, resource, and whether it lies in a namespace. None: the cluster has nothing of this kind.
    pub fn of(&self, document: &Value) -> Option<(String, String, bool)> {
        let (version, kind) = (document["apiVersion"].as_str()?, document["kind"].as_str()?);
        let Some(Some(known)) = self.0.get(version) else { return object_resource(document) };
        let is_of_kind = |own: &&APIResource| own.kind == kind && !own.name.contains('/');
        known.iter().find(is_of_kind).map(|own| (group(version).to_owned(), own.name.clone(), own.namespaced))
    }
}

impl Cluster {
    /// Of all that the documents name.
    pub async fn kinds(&self, documents: &[Value]) -> Result<Kinds> {
        let versions: BTreeSet<&str> = documents.iter().filter_map(|own| own["apiVersion"].as_str()).collect();
        let mut known = BTreeMap::new();
        for version in versions {
            known.insert(version.to_owned(), self.resources_of(version).await?);
        }
        Ok(Kinds(known))
    }

    /// None: the account may not ask.
    pub(crate) async fn resources_of(&self, version: &str) -> Result<Option<Vec<APIResource>>> {
        let said = match version.contains('/') {
            true => self.client.list_api_group_resources(version).await,
            false => self.client.list_core_api_resources(version).await,
        };
        match said.map_err(Error::from) {
            Ok(list) => Ok(Some(list.resources)),
            Err(Error::NotFound(_)) => Ok(Some(Vec::new())),
            Err(Error::Denied(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn resource(kind: &str, name: &str, namespaced: bool) -> APIResource {
        APIResource { kind: kind.into(), name: name.into(), namespaced, ..APIResource::default() }
    }

    #[test]
    fn a_kind_is_what_the_cluster_calls_it() {
        let known = vec![
            resource("ClusterIssuer", "clusterissuers/status", false),
            resource("ClusterIssuer", "clusterissuers", false),
            resource("Policy", "policies", true),
            resource("Policy", "policies/status", true),
        ];
        let kinds = Kinds(BTreeMap::from([
            ("cert.example/v1".to_owned(), Some(known)),
            ("gone.example/v1".to_owned(), Some(Vec::new())),
            ("shut.example/v1".to_owned(), None),
        ]));
        let of = |version: &str, kind: &str| kinds.of(&json!({ "apiVersion": version, "kind": kind }));
        let is = |group: &str, name: &str, namespaced| Some((group.to_owned(), name.to_owned(), namespaced));
        assert_eq!(of("cert.example/v1", "ClusterIssuer"), is("cert.example", "clusterissuers", false));
        assert_eq!(of("cert.example/v1", "Policy"), is("cert.example", "policies", true));
        assert_eq!(of("cert.example/v1", "Other"), None);
        assert_eq!(of("gone.example/v1", "Other"), None);
        assert_eq!(of("shut.example/v1", "Proxy"), is("shut.example", "proxys", true), "guessed");
        assert_eq!(of("v1", "ConfigMap"), is("", "configmaps", true), "guessed");
    }
}
