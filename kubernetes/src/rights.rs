//! What the account that we are may do, and what a release needs of it.

use crate::claims::RIGHTS;
use crate::cluster::Cluster;
use crate::error::Result;
use crate::kinds::Kinds;
use futures::{StreamExt, TryStreamExt};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fmt;

/// Questions to the cluster.
const AT_ONCE: usize = 8;

/// One verb on one kind of resource.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Right {
    pub group: String,
    pub resource: String,
    pub verb: String,
    /// Not within the namespace.
    pub cluster_wide: bool,
}

impl Right {
    pub(crate) fn new(group: &str, resource: &str, verb: &str) -> Self {
        Self { group: group.into(), resource: resource.into(), verb: verb.into(), cluster_wide: false }
    }
    pub(crate) fn wide(resource: &str, verb: &str) -> Self {
        Self { cluster_wide: true, ..Self::new("", resource, verb) }
    }
}

/// As a rule of a Role.
impl fmt::Display for Right {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { group, resource, verb, .. } = self;
        write!(f, "{{apiGroups: [\"{group}\"], resources: [\"{resource}\"], verbs: [\"{verb}\"]}}")
    }
}

/// What looking at a release, holding it and upgrading it to what the manifests say takes. `claims`: some are data.
pub fn needed(documents: &[Value], kinds: &Kinds, forwards: bool, claims: bool) -> BTreeSet<Right> {
    let mut all = BTreeSet::new();
    let mut add = |group: &str, resource: &str, verbs: &[&str]| {
        all.extend(verbs.iter().map(|verb| Right::new(group, resource, verb)));
    };
    add("", "secrets", &["get", "list", "create", "update", "patch", "delete"]);
    add("", "pods", &["get", "list"]);
    add("", "pods/log", &["get"]);
    add("", "events", &["list"]);
    add("", "persistentvolumeclaims", &["get"]);
    add("", "configmaps", &["get"]);
    add("apps", "deployments", &["get", "list", "patch"]);
    add("apps", "statefulsets", &["get", "list", "patch"]);
    add("apps", "daemonsets", &["list"]);
    add("apps", "replicasets", &["list"]);
    add("batch", "jobs", &["list", "get", "watch"]);
    add("batch", "cronjobs", &["list", "patch"]);
    if forwards {
        add("", "pods/portforward", &["create"]);
    }
    if claims {
        all.extend(RIGHTS.map(|(resource, verb)| Right::wide(resource, verb)));
    }
    for document in documents {
        let Some((group, resource, namespaced)) = kinds.of(document) else { continue };
        for verb in ["get", "create", "patch", "delete"] {
            let cluster_wide = !namespaced;
            all.insert(Right { cluster_wide, ..Right::new(&group, &resource, verb) });
        }
    }
    all
}

/// What the double of a server takes.
pub fn needed_for_double() -> BTreeSet<Right> {
    let verbs = [
        ("", "pods", ["create", "delete"]),
        ("", "pods/exec", ["create", "get"]),
        ("networking.k8s.io", "networkpolicies", ["create", "delete"]),
    ];
    let rights = |(group, resource, verbs): (&'static str, &'static str, [&'static str; 2])| {
        verbs.map(|verb| Right::new(group, resource, verb))
    };
    verbs.into_iter().flat_map(rights).collect()
}

impl Cluster {
    /// Those of the rights that the account does not have.
    pub async fn missing(&self, wanted: &BTreeSet<Right>) -> Result<Vec<Right>> {
        let asked = futures::stream::iter(wanted.clone()).map(|right| async move {
            let (resource, subresource) = right.resource.split_once('/').unwrap_or((&right.resource, ""));
            let namespace = if right.cluster_wide { "" } else { self.namespace() };
            let review = json!({
                "apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview",
                "spec": { "resourceAttributes": {
                    "namespace": namespace, "group": right.group, "resource": resource,
                    "subresource": subresource, "verb": right.verb,
                } },
            });
            let answer = self.create("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", &review).await?;
            Ok::<_, crate::Error>((answer["status"]["allowed"] != true).then_some(right))
        });
        let missing: Vec<Option<Right>> = asked.buffered(AT_ONCE).try_collect().await?;
        Ok(missing.into_iter().flatten().collect())
    }
}
