//! A namespace in which the double of a release stands for a rehearsal: shut in, filled from the live one, emptied again.

use crate::cluster::Cluster;
use crate::error::{Error, Result};
use crate::rights::Right;
use crate::{REHEARSAL, STEP};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

const POLICIES: (&str, &str) = ("apis/networking.k8s.io/v1", "networkpolicies");
const PODS: (&str, &str) = ("api/v1", "pods");
const CLAIMS: (&str, &str) = ("api/v1", "persistentvolumeclaims");
const SECRETS: (&str, &str) = ("api/v1", "secrets");
/// What makes pods.
const WORKLOADS: [(&str, &str); 5] = [
    ("apis/apps/v1", "deployments"),
    ("apis/apps/v1", "statefulsets"),
    ("apis/apps/v1", "daemonsets"),
    ("apis/batch/v1", "cronjobs"),
    ("apis/batch/v1", "jobs"),
];
const BESIDE: [(&str, &str); 4] =
    [("api/v1", "services"), ("api/v1", "configmaps"), ("api/v1", "serviceaccounts"), SECRETS];
/// A pod that was told to go, and a claim that no pod has any more, are gone after so long, or something is wrong.
const GONE_WITHIN: Duration = Duration::from_secs(120);
const BOUND_WITHIN: Duration = Duration::from_secs(120);
const POLL: Duration = Duration::from_millis(300);
const DNS_PORT: u16 = 53;
/// By which a scheduler tells a provisioner where the pod of a claim will be.
const SELECTED_NODE: &str = "volume.kubernetes.io/selected-node";

/// What documents refer to, and may be made by somebody else than the release.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Beside {
    Secret,
    ConfigMap,
    ServiceAccount,
    Claim,
}

impl Beside {
    pub fn kind(self) -> &'static str {
        match self {
            Self::Secret => "Secret",
            Self::ConfigMap => "ConfigMap",
            Self::ServiceAccount => "ServiceAccount",
            Self::Claim => "PersistentVolumeClaim",
        }
    }
    fn place(self) -> (&'static str, &'static str) {
        match self {
            Self::Secret => SECRETS,
            Self::ConfigMap => ("api/v1", "configmaps"),
            Self::ServiceAccount => ("api/v1", "serviceaccounts"),
            Self::Claim => CLAIMS,
        }
    }

    /// The object as another namespace may have it; of an account the name alone.
    fn copied(self, live: &Value, name: &str, of: &str) -> Value {
        let metadata = json!({ "name": name, "labels": { REHEARSAL: of } });
        match self {
            Self::Secret => json!({ "metadata": metadata, "type": live["type"], "data": live["data"] }),
            Self::ConfigMap => {
                json!({ "metadata": metadata, "data": live["data"], "binaryData": live["binaryData"] })
            }
            Self::ServiceAccount => json!({ "metadata": metadata }),
            Self::Claim => {
                let keys = ["accessModes", "resources", "storageClassName", "volumeMode"];
                let spec = keys.into_iter().filter(|key| !live["spec"][*key].is_null());
                let spec: serde_json::Map<_, _> = spec.map(|key| (key.to_owned(), live["spec"][key].clone())).collect();
                json!({ "metadata": metadata, "spec": spec })
            }
        }
    }
}

/// What a rehearsal takes in its namespace, beside the account's rights in the live one.
pub fn needed_for_rehearsal() -> BTreeSet<Right> {
    let of = |(group, resource): (&str, &str)| {
        let group = group.trim_start_matches("apis/").trim_start_matches("api/").trim_end_matches("v1");
        let (group, resource) = (group.trim_end_matches('/').to_owned(), resource.to_owned());
        ["get", "list", "create", "patch", "delete"].map(|verb| Right::new(&group, &resource, verb))
    };
    let all = WORKLOADS.into_iter().chain(BESIDE).chain([PODS, CLAIMS, POLICIES]);
    let mut rights: BTreeSet<Right> = all.flat_map(of).collect();
    rights.extend([
        Right::new("", "secrets", "update"),
        Right::new("", "pods/log", "get"),
        Right::new("", "pods/portforward", "create"),
        Right::new("", "events", "list"),
        Right::new("apps", "replicasets", "list"),
        Right::new("batch", "jobs", "watch"),
    ]);
    rights
}

impl Cluster {
    /// Whether there is a release of the name that no rehearsal made.
    pub async fn has_a_strangers_release(&self) -> Result<bool> {
        let records = self.records().await?;
        Ok(!records.is_empty() && records.iter().all(|record| record["metadata"]["labels"][REHEARSAL].is_null()))
    }

    /// From now on pods of the namespace reach each other and the cluster's names alone, where the cluster's network holds
    /// policies.
    pub async fn shut_in(&self, of: &str) -> Result<()> {
        let names = json!([{ "protocol": "UDP", "port": DNS_PORT }, { "protocol": "TCP", "port": DNS_PORT }]);
        let policy = json!({
            "apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
            "metadata": { "name": of, "labels": { REHEARSAL: of } },
            "spec": {
                "podSelector": {}, "policyTypes": ["Ingress", "Egress"],
                "ingress": [{ "from": [{ "podSelector": {} }] }],
                "egress": [{ "to": [{ "podSelector": {} }] }, { "ports": names }],
            },
        });
        self.make(POLICIES.0, POLICIES.1, &policy).await
    }

    /// A copy of what the namespace of `live` has and this one doesn't; false where neither has it. `check`: of what is
    /// copied.
    pub async fn bring(
        &self, live: &Self, kind: Beside, name: &str, of: &str, check: impl Fn(&Value) -> Result<()>,
    ) -> Result<bool> {
        let (group, resource) = kind.place();
        if self.get(&self.path(group, resource), name).await?.is_some() {
            return Ok(true);
        }
        let found = match kind {
            // Nothing of it is needed but its name.
            Beside::ServiceAccount => Value::Null,
            _ => match live.get(&live.path(group, resource), name).await? {
                Some(found) => found,
                None => return Ok(false),
            },
        };
        let copy = kind.copied(&found, name, of);
        check(&copy)?;
        self.make(group, resource, &copy).await.map(|()| true)
    }

    /// The claim has a volume, on this machine where it is its provisioner's to choose.
    pub async fn bind(&self, claim: &str) -> Result<()> {
        let (path, began) = (self.path(CLAIMS.0, CLAIMS.1), Instant::now());
        let mut told = false;
        while began.elapsed() < BOUND_WITHIN {
            let found = self.get(&path, claim).await?;
            let found = found.ok_or_else(|| Error::NotFound(format!("the claim `{claim}` is gone")))?;
            if found["status"]["phase"] == "Bound" {
                return Ok(());
            }
            // One that waits for its first pod never gets one: it is filled before.
            if !told && found["metadata"]["annotations"][SELECTED_NODE].is_null() {
                if let Some(node) = self.own_node().await? {
                    let chosen = json!({ "metadata": { "annotations": { SELECTED_NODE: node } } });
                    self.merge(&path, claim, &chosen).await?;
                }
                told = true;
            }
            tokio::time::sleep(POLL).await;
        }
        let said = self.events(claim).await.join("\n");
        Err(Error::Unavailable(format!("the claim `{claim}` got no volume in {} s: {said}", BOUND_WITHIN.as_secs())))
    }

    /// Nothing of a rehearsal is left in the namespace. Converges.
    pub async fn discard_rehearsal(&self, of: &str) -> Result<()> {
        let label = format!("{REHEARSAL}={of}");
        for place in WORKLOADS {
            self.delete_labelled(place, &label).await?;
        }
        self.are_gone(PODS, &label).await?;
        for place in BESIDE {
            self.delete_labelled(place, &label).await?;
        }
        // What `helm rollback` wrote has no label of ours.
        for record in self.records().await? {
            self.delete(&self.path(SECRETS.0, SECRETS.1), record["metadata"]["name"].as_str().unwrap_or_default())
                .await?;
        }
        self.are_gone(CLAIMS, &label).await?;
        self.delete_labelled(POLICIES, &label).await
    }

    async fn are_gone(&self, place: (&str, &str), label: &str) -> Result<()> {
        let (path, began) = (self.path(place.0, place.1), Instant::now());
        loop {
            let left = self.list(&path, Some(label)).await?;
            if left.is_empty() {
                return Ok(());
            }
            if began.elapsed() > GONE_WITHIN {
                let names: Vec<&str> = left.iter().filter_map(|object| object["metadata"]["name"].as_str()).collect();
                let (resource, names) = (place.1, names.join("`, `"));
                return Err(Error::Unavailable(format!("{resource} of the rehearsal do not go: `{names}`")));
            }
            for object in left {
                let name = object["metadata"]["name"].as_str().unwrap_or_default();
                match place == PODS {
                    true => self.delete_at_once(&path, name).await?,
                    false => self.delete(&path, name).await?,
                }
            }
            tokio::time::sleep(POLL).await;
        }
    }

    async fn delete_labelled(&self, place: (&str, &str), label: &str) -> Result<()> {
        let path = self.path(place.0, place.1);
        for object in self.list(&path, Some(label)).await? {
            self.delete(&path, object["metadata"]["name"].as_str().unwrap_or_default()).await?;
        }
        Ok(())
    }
}

impl crate::Helm {
    /// The first revision of a rehearsal's release, without hooks.
    pub fn install(&self, chart: &std::path::Path, step: &str, of: &str) -> Vec<String> {
        let labels = format!("{STEP}={step},{REHEARSAL}={of}");
        let told = format!("upgraded: {step}, for a rehearsal");
        let mut argv = self.bound(&["install", &self.target.release, &chart.display().to_string(), "--no-hooks"]);
        argv.extend(["--labels".into(), labels, "--description".into(), told]);
        argv
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_copied_is_nobodys_and_asks_for_no_volume() {
        let live = json!({
            "metadata": { "name": "data", "uid": "1", "ownerReferences": [{}], "finalizers": ["kubernetes.io/pvc-protection"] },
            "spec": { "accessModes": ["ReadWriteOnce"], "resources": { "requests": { "storage": "1Gi" } }, "volumeName": "pvc-1",
                      "dataSource": { "kind": "VolumeSnapshot" } },
            "status": { "phase": "Bound" },
        });
        let copy = Beside::Claim.copied(&live, "data", "upgraded-rehearsal-shop");
        assert_eq!(
            copy,
            json!({
                "metadata": { "name": "data", "labels": { REHEARSAL: "upgraded-rehearsal-shop" } },
                "spec": { "accessModes": ["ReadWriteOnce"], "resources": { "requests": { "storage": "1Gi" } } },
            })
        );
        let secret = json!({ "type": "kubernetes.io/dockerconfigjson", "data": { "x": "eQ==" }, "immutable": true });
        let copy = Beside::Secret.copied(&secret, "pull", "r");
        assert_eq!((&copy["type"], &copy["data"]), (&secret["type"], &secret["data"]));
    }

    #[test]
    fn rights_are_said_as_rules() {
        let rules: Vec<String> = needed_for_rehearsal().iter().map(ToString::to_string).collect();
        for rule in [
            "{apiGroups: [\"networking.k8s.io\"], resources: [\"networkpolicies\"], verbs: [\"create\"]}",
            "{apiGroups: [\"apps\"], resources: [\"statefulsets\"], verbs: [\"patch\"]}",
            "{apiGroups: [\"\"], resources: [\"persistentvolumeclaims\"], verbs: [\"delete\"]}",
        ] {
            assert!(rules.iter().any(|known| known == rule), "{rule}: {rules:#?}");
        }
    }
}
