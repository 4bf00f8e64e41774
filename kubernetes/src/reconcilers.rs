//! Who else makes the release what it should be: controllers that would undo an upgrade that is not theirs, or start
//! what is stopped for it.

use crate::cluster::Cluster;
use crate::error::{Error, Result};
use crate::workload::Workload;
use serde_json::Value;
use std::collections::BTreeSet;

/// One object of a controller, as far as the account may look at it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reconciler {
    /// "the HelmRelease `shop/shop` of Flux"
    pub name: String,
    /// None: the account may not look.
    pub suspended: Option<bool>,
    /// What suspends it; or the rule with which it may be looked at.
    pub hint: String,
}

/// What a workload says of whom it belongs to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Owner {
    HelmRelease { namespace: String, name: String },
    Application { namespace: String, name: String },
}

/// Where Argo CD has its Applications, unless it says otherwise.
const ARGO_NAMESPACE: &str = "argocd";
const KEDA: &str = "keda.sh/v1alpha1";
/// On what KEDA is to leave alone.
const PAUSED: &str = "autoscaling.keda.sh/paused";
/// Makes it a number that KEDA holds.
const PAUSED_AT: &str = "autoscaling.keda.sh/paused-replicas";

impl Cluster {
    /// Of Flux, Argo CD and KEDA. One that is gone reconciles nothing.
    pub async fn reconcilers(&self) -> Result<Vec<Reconciler>> {
        let workloads = self.workloads().await?;
        let owners: BTreeSet<Owner> = workloads.iter().filter_map(owner).collect();
        let mut found = Vec::new();
        for owner in &owners {
            match self.owner_object(owner).await {
                Ok(Some(object)) => found.push(owner.seen(Some(owner.is_suspended(&object)))),
                Ok(None) => {}
                Err(Error::Denied(_)) => found.push(owner.seen(None)),
                Err(error) => return Err(error),
            }
        }
        found.extend(self.scalers(&workloads).await?);
        Ok(found)
    }

    /// Other than the cluster's own autoscaler, KEDA starts what is at zero.
    async fn scalers(&self, workloads: &[Workload]) -> Result<Vec<Reconciler>> {
        let known = self.resources_of(KEDA).await?.unwrap_or_default();
        if !known.iter().any(|own| own.kind == "ScaledObject") {
            return Ok(Vec::new());
        }
        match self.list(&self.path(&format!("apis/{KEDA}"), "scaledobjects"), None).await {
            Ok(all) => Ok(all.iter().filter_map(|object| scaler(object, workloads)).collect()),
            Err(Error::Denied(_)) => Ok(vec![unseen_scalers(self.namespace())]),
            Err(error) => Err(error),
        }
    }

    async fn owner_object(&self, owner: &Owner) -> Result<Option<Value>> {
        let (group, _, versions) = owner.api();
        let (namespace, name) = owner.place();
        for version in versions {
            let path = format!("/apis/{group}/{version}/namespaces/{namespace}/{}", owner.resource());
            if let Some(object) = self.get(&path, name).await? {
                return Ok(Some(object));
            }
        }
        Ok(None)
    }
}

impl Owner {
    /// Group, kind, versions from the newest.
    fn api(&self) -> (&'static str, &'static str, &'static [&'static str]) {
        match self {
            Self::HelmRelease { .. } => ("helm.toolkit.fluxcd.io", "HelmRelease", &["v2", "v2beta2", "v2beta1"]),
            Self::Application { .. } => ("argoproj.io", "Application", &["v1alpha1"]),
        }
    }
    fn resource(&self) -> String {
        format!("{}s", self.api().1.to_lowercase())
    }
    fn place(&self) -> (&str, &str) {
        match self {
            Self::HelmRelease { namespace, name } | Self::Application { namespace, name } => (namespace, name),
        }
    }

    fn is_suspended(&self, object: &Value) -> bool {
        match self {
            Self::HelmRelease { .. } => object["spec"]["suspend"] == true,
            Self::Application { .. } => {
                let automated = &object["spec"]["syncPolicy"]["automated"];
                automated.is_null() || automated["enabled"] == false
            }
        }
    }

    fn seen(&self, suspended: Option<bool>) -> Reconciler {
        let (group, kind, _) = self.api();
        let (namespace, name) = self.place();
        let (of, suspends) = match self {
            Self::HelmRelease { .. } => ("Flux", format!("`flux suspend helmrelease {name} --namespace {namespace}`")),
            Self::Application { .. } => ("Argo CD", format!("`argocd app set {name} --sync-policy none`")),
        };
        let hint = match suspended {
            None => format!(
                "add this rule to a Role in the namespace `{namespace}`: \
                 {{apiGroups: [\"{group}\"], resources: [\"{}\"], verbs: [\"get\"]}}",
                self.resource()
            ),
            Some(_) => format!("{suspends}; it has to name the new version before it goes on"),
        };
        Reconciler { name: format!("the {kind} `{namespace}/{name}` of {of}"), suspended, hint }
    }
}

/// None: it scales none of these.
fn scaler(object: &Value, workloads: &[Workload]) -> Option<Reconciler> {
    let (metadata, target) = (&object["metadata"], &object["spec"]["scaleTargetRef"]);
    let kind = target["kind"].as_str().unwrap_or("Deployment");
    let is_target = |own: &&Workload| target["name"] == own.name.as_str() && own.kind.to_string() == kind;
    let scaled = &workloads.iter().find(is_target)?.name;
    let name = metadata["name"].as_str()?;
    let annotations = &metadata["annotations"];
    let paused = annotations[PAUSED] == "true" && annotations[PAUSED_AT].is_null();
    Some(Reconciler {
        name: format!("the ScaledObject `{name}` of KEDA, which starts `{scaled}` when it is stopped,"),
        suspended: Some(paused),
        hint: format!(
            "`kubectl annotate scaledobject {name} {PAUSED}=true {PAUSED_AT}-` pauses it, and `{PAUSED}-` lets it go \
             on after the upgrade"
        ),
    })
}

fn unseen_scalers(namespace: &str) -> Reconciler {
    let hint = format!(
        "add this rule to a Role in the namespace `{namespace}`: \
         {{apiGroups: [\"keda.sh\"], resources: [\"scaledobjects\"], verbs: [\"list\"]}}"
    );
    Reconciler { name: "KEDA, if it scales something here,".into(), suspended: None, hint }
}

fn owner(workload: &Workload) -> Option<Owner> {
    let metadata = &workload.object["metadata"];
    let label = |name: &str| metadata["labels"][name].as_str().map(str::to_owned);
    if let Some(name) = label("helm.toolkit.fluxcd.io/name") {
        let namespace = label("helm.toolkit.fluxcd.io/namespace")?;
        return Some(Owner::HelmRelease { namespace, name });
    }
    let tracked = metadata["annotations"]["argocd.argoproj.io/tracking-id"].as_str();
    let application = match tracked {
        Some(id) => id.split(':').next()?.to_owned(),
        None => label("argocd.argoproj.io/instance")?,
    };
    let (namespace, name) = application.split_once('_').unwrap_or((ARGO_NAMESPACE, &application));
    Some(Owner::Application { namespace: namespace.to_owned(), name: name.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload::Kind;
    use serde_json::json;

    fn of(metadata: Value) -> Option<Owner> {
        let object = json!({ "metadata": metadata });
        owner(&Workload { kind: Kind::Deployment, name: "api".into(), hook: false, object })
    }

    #[test]
    fn workloads_say_whom_they_belong_to() {
        assert_eq!(of(json!({ "labels": { "app": "shop" } })), None);
        let flux = json!({ "helm.toolkit.fluxcd.io/name": "shop", "helm.toolkit.fluxcd.io/namespace": "apps" });
        let release = Owner::HelmRelease { namespace: "apps".into(), name: "shop".into() };
        assert_eq!(of(json!({ "labels": flux })), Some(release.clone()));
        let application = |namespace: &str| Owner::Application { namespace: namespace.into(), name: "shop".into() };
        assert_eq!(of(json!({ "labels": { "argocd.argoproj.io/instance": "shop" } })), Some(application("argocd")));
        let tracked = json!({ "argocd.argoproj.io/tracking-id": "team_shop:apps/Deployment:shop/api" });
        assert_eq!(of(json!({ "annotations": tracked })), Some(application("team")));

        assert_eq!(release.seen(Some(false)).name, "the HelmRelease `apps/shop` of Flux");
        assert!(release.seen(None).hint.contains("resources: [\"helmreleases\"]"));
        for (owner, object, suspended) in [
            (&release, json!({ "spec": {} }), false),
            (&release, json!({ "spec": { "suspend": true } }), true),
            (&application("argocd"), json!({ "spec": { "syncPolicy": { "automated": {} } } }), false),
            (&application("argocd"), json!({ "spec": { "syncPolicy": { "automated": { "enabled": false } } } }), true),
            (&application("argocd"), json!({ "spec": {} }), true),
        ] {
            assert_eq!(owner.is_suspended(&object), suspended, "{object}");
        }
    }

    #[test]
    fn a_scaler_of_the_release_counts_until_it_is_paused() {
        let object = json!({});
        let own = [Workload { kind: Kind::Deployment, name: "shop-worker".into(), hook: false, object }];
        let of = |target: Value, annotations: Value| {
            let metadata = json!({ "name": "queue", "annotations": annotations });
            scaler(&json!({ "metadata": metadata, "spec": { "scaleTargetRef": target } }), &own)
        };
        let suspended = |annotations: Value| of(json!({ "name": "shop-worker" }), annotations).unwrap().suspended;
        assert_eq!(suspended(Value::Null), Some(false));
        assert_eq!(suspended(json!({ PAUSED: "true" })), Some(true));
        assert_eq!(suspended(json!({ PAUSED: "false" })), Some(false));
        assert_eq!(suspended(json!({ PAUSED: "true", PAUSED_AT: "2" })), Some(false), "KEDA holds it at two");
        assert_eq!(of(json!({ "name": "other" }), Value::Null), None);
        assert_eq!(of(json!({ "name": "shop-worker", "kind": "StatefulSet" }), Value::Null), None);
        assert!(unseen_scalers("shop").hint.contains("resources: [\"scaledobjects\"]"));
    }
}
