//! What runs of a release: its workloads, and scaling them to nothing and back.

use crate::cluster::Cluster;
use crate::error::{Error, Result};
use crate::kinds::Kinds;
use crate::manifest;
use crate::server::container;
use crate::{REPLICAS, SUSPENDED};
use serde_json::{Value, json};
use std::fmt;
use std::time::Duration;

/// What pods are given to end, where their template says nothing.
const ENDS_WITHIN_SECONDS: u64 = 30;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    Deployment,
    StatefulSet,
    DaemonSet,
    Job,
    CronJob,
}

impl Kind {
    pub const ALL: [Self; 5] = [Self::Deployment, Self::StatefulSet, Self::DaemonSet, Self::Job, Self::CronJob];

    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.to_string() == name)
    }
    pub(crate) fn group(self) -> &'static str {
        match self {
            Self::Deployment | Self::StatefulSet | Self::DaemonSet => "apis/apps/v1",
            Self::Job | Self::CronJob => "apis/batch/v1",
        }
    }
    pub(crate) fn resource(self) -> &'static str {
        match self {
            Self::Deployment => "deployments",
            Self::StatefulSet => "statefulsets",
            Self::DaemonSet => "daemonsets",
            Self::Job => "jobs",
            Self::CronJob => "cronjobs",
        }
    }
    /// It has a number of replicas.
    pub fn scales(self) -> bool {
        matches!(self, Self::Deployment | Self::StatefulSet)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Deployment => "Deployment",
            Self::StatefulSet => "StatefulSet",
            Self::DaemonSet => "DaemonSet",
            Self::Job => "Job",
            Self::CronJob => "CronJob",
        })
    }
}

/// One workload as the API has it now.
#[derive(Debug, Clone)]
pub struct Workload {
    pub kind: Kind,
    pub name: String,
    /// Helm runs it at a point of an upgrade, and waits for its end.
    pub hook: bool,
    pub object: Value,
}

impl Workload {
    pub fn replicas(&self) -> u32 {
        let number = match self.kind {
            Kind::Deployment | Kind::StatefulSet => self.object["spec"]["replicas"].as_u64().unwrap_or(1),
            Kind::DaemonSet => self.object["status"]["desiredNumberScheduled"].as_u64().unwrap_or(0),
            Kind::Job => self.object["spec"]["completions"].as_u64().unwrap_or(1),
            Kind::CronJob => 0,
        };
        u32::try_from(number).unwrap_or(u32::MAX)
    }
    pub fn ready(&self) -> u32 {
        let status = &self.object["status"];
        let number = match self.kind {
            Kind::Deployment | Kind::StatefulSet => &status["readyReplicas"],
            Kind::DaemonSet => &status["numberReady"],
            Kind::Job => &status["succeeded"],
            Kind::CronJob => return 0,
        };
        number.as_u64().and_then(|number| u32::try_from(number).ok()).unwrap_or(0)
    }
    /// What `hold` kept; none: it is not held.
    pub fn kept(&self) -> Option<u32> {
        self.annotation(REPLICAS)?.parse().ok()
    }
    pub fn is_held(&self) -> bool {
        match self.kind {
            Kind::CronJob => self.annotation(SUSPENDED).is_some(),
            _ => self.kept().is_some(),
        }
    }
    /// Of its first container.
    pub fn image(&self) -> Option<&str> {
        self.template()["spec"]["containers"][0]["image"].as_str()
    }
    /// Of the server that serves the port.
    pub fn image_at(&self, port: u16) -> Option<&str> {
        container(&self.template()["spec"], port)?["image"].as_str()
    }
    pub fn generation(&self) -> u64 {
        self.object["metadata"]["generation"].as_u64().unwrap_or(0)
    }
    /// Of its pods.
    pub fn template(&self) -> &Value {
        match self.kind {
            Kind::CronJob => &self.object["spec"]["jobTemplate"]["spec"]["template"],
            _ => &self.object["spec"]["template"],
        }
    }
    /// What its pods are given to end.
    pub fn ends_within(&self) -> Duration {
        let given = self.template()["spec"]["terminationGracePeriodSeconds"].as_u64();
        Duration::from_secs(given.unwrap_or(ENDS_WITHIN_SECONDS))
    }
    /// Of its pods.
    pub(crate) fn selector(&self) -> Option<String> {
        if self.kind == Kind::Job {
            return Some(format!("job-name={}", self.name));
        }
        let selector = &self.object["spec"]["selector"];
        let labels = selector["matchLabels"].as_object().into_iter().flatten();
        let mut terms: Vec<String> =
            labels.filter_map(|(key, value)| Some(format!("{key}={}", value.as_str()?))).collect();
        terms.extend(selector["matchExpressions"].as_array().into_iter().flatten().filter_map(term));
        (!terms.is_empty()).then(|| terms.join(","))
    }
    fn annotation(&self, name: &str) -> Option<&str> {
        self.object["metadata"]["annotations"][name].as_str()
    }
}

/// One of `matchExpressions`, as a list of labels is asked for.
fn term(expression: &Value) -> Option<String> {
    let key = expression["key"].as_str()?;
    let values: Vec<&str> = expression["values"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let values = values.join(",");
    match expression["operator"].as_str()? {
        "In" => Some(format!("{key} in ({values})")),
        "NotIn" => Some(format!("{key} notin ({values})")),
        "Exists" => Some(key.to_owned()),
        "DoesNotExist" => Some(format!("!{key}")),
        _ => None,
    }
}

/// Those that a name means: by itself, as `kind/name`, or else by what follows the release's name in theirs.
pub fn meant<'w>(workloads: &'w [Workload], release: &str, wanted: &str) -> Vec<&'w Workload> {
    let (kind, name) = apart(wanted);
    let of_kind = |w: &Workload| kind.is_none_or(|kind| w.kind.to_string().eq_ignore_ascii_case(kind));
    let called = |name: &str| workloads.iter().filter(|w| of_kind(w) && w.name == name).collect::<Vec<_>>();
    let own = called(name);
    if own.is_empty() { called(&format!("{release}-{name}")) } else { own }
}

/// Kind and name of what is wanted.
pub(crate) fn apart(wanted: &str) -> (Option<&str>, &str) {
    wanted.split_once('/').map_or((None, wanted), |(kind, name)| (Some(kind), name))
}

/// What documents of a chart make, but for hooks.
pub fn workloads_of(documents: &[Value]) -> Vec<Workload> {
    let is_hook = |document: &&Value| !document["metadata"]["annotations"]["helm.sh/hook"].is_null();
    let workload = |document: &Value| {
        let (kind, name) = manifest::head(document);
        Some(Workload { kind: Kind::named(kind)?, name: name.to_owned(), hook: false, object: document.clone() })
    };
    documents.iter().filter(|document| !is_hook(document)).filter_map(workload).collect()
}

/// By the release's own marks; not where the chart says that it stays, nor what was there before and was adopted.
fn is_removable(object: &Value, release: &str, namespace: &str, since: &str) -> bool {
    let annotations = &object["metadata"]["annotations"];
    annotations["meta.helm.sh/release-name"] == release
        && annotations["meta.helm.sh/release-namespace"] == namespace
        && annotations["helm.sh/resource-policy"] != "keep"
        && object["metadata"]["creationTimestamp"].as_str().is_some_and(|made| made >= since)
}

impl Cluster {
    /// What Helm made for the release, and the hooks of its newest revision that are still there.
    pub async fn workloads(&self) -> Result<Vec<Workload>> {
        let hooks: Vec<(String, String)> = match self.newest_revisions(1).await?.pop() {
            Some(newest) => newest.hooks.into_iter().map(|hook| (hook.kind, hook.name)).collect(),
            None => Vec::new(),
        };
        let mut all = Vec::new();
        for kind in Kind::ALL {
            for object in self.list(&self.path(kind.group(), kind.resource()), None).await? {
                let name = object["metadata"]["name"].as_str().unwrap_or_default().to_owned();
                let annotations = &object["metadata"]["annotations"];
                let own = annotations["meta.helm.sh/release-name"] == self.release();
                let hook = !own && hooks.iter().any(|(k, n)| *n == name && *k == kind.to_string());
                if own || hook {
                    all.push(Workload { kind, name, hook, object });
                }
            }
        }
        Ok(all)
    }

    /// By its name, `kind/name`, or what follows the release's name in it.
    pub fn named<'w>(&self, workloads: &'w [Workload], wanted: &str) -> Result<&'w Workload> {
        match meant(workloads, self.release(), wanted).as_slice() {
            [] => {}
            [one] => return Ok(one),
            [first, ..] => {
                let (kind, name) = (first.kind.to_string().to_lowercase(), &first.name);
                return Err(Error::Invalid(format!(
                    "the release has more than one workload `{name}`: `{kind}/{name}` would be right"
                )));
            }
        }
        let known: Vec<String> = workloads.iter().map(|w| format!("`{}`", w.name)).collect();
        let known = if known.is_empty() { "it has none".into() } else { format!("it has {}", known.join(", ")) };
        Err(Error::NotFound(format!("the release `{}` has no workload `{wanted}`; {known}", self.release())))
    }

    /// To zero, with the number kept; a CronJob is suspended. Converges.
    pub async fn hold(&self, workload: &Workload) -> Result<()> {
        let patch = match workload.kind {
            Kind::Deployment | Kind::StatefulSet => {
                let kept = workload.kept().unwrap_or(workload.replicas()).to_string();
                json!({ "metadata": { "annotations": { REPLICAS: kept } }, "spec": { "replicas": 0 } })
            }
            Kind::CronJob if workload.object["spec"]["suspend"] == true => return Ok(()),
            Kind::CronJob => {
                json!({ "metadata": { "annotations": { SUSPENDED: "true" } }, "spec": { "suspend": true } })
            }
            // It ends by itself, and is waited for.
            Kind::Job => return Ok(()),
            Kind::DaemonSet => {
                return Err(Error::Invalid(format!(
                    "the DaemonSet `{}` can't be scaled to zero; a Deployment would be right for what writes or lets users in",
                    workload.name
                )));
            }
        };
        self.patched(workload, &patch).await
    }

    /// Back to the number that was kept, but where Helm has given it one meanwhile. Converges.
    pub async fn release_hold(&self, workload: &Workload) -> Result<()> {
        if !workload.is_held() {
            return Ok(());
        }
        let patch = match workload.kind {
            Kind::CronJob => {
                json!({ "metadata": { "annotations": { SUSPENDED: null } }, "spec": { "suspend": false } })
            }
            _ if workload.replicas() > 0 => json!({ "metadata": { "annotations": { REPLICAS: null } } }),
            _ => json!({
                "metadata": { "annotations": { REPLICAS: null } },
                "spec": { "replicas": workload.kept().unwrap_or(1) },
            }),
        };
        self.patched(workload, &patch).await
    }

    /// Ends a Job with its pods, until whose end it is there: whoever asks later finds it.
    pub async fn end_job(&self, name: &str) -> Result<()> {
        self.delete_after_its_own(&self.path(Kind::Job.group(), Kind::Job.resource()), name).await
    }

    /// Whether it is being deleted, and there until what it owns is gone.
    pub async fn goes(&self, workload: &Workload) -> Result<bool> {
        let found = self.get(&self.path(workload.kind.group(), workload.kind.resource()), &workload.name).await?;
        Ok(found.is_some_and(|found| !found["metadata"]["deletionTimestamp"].is_null()))
    }

    /// Whether the object that a document describes is there, in the release's namespace or in none. What lies elsewhere,
    /// or is of no kind that the cluster has, is not looked for.
    pub async fn has(&self, document: &Value, kinds: &Kinds) -> Result<bool> {
        let Some(path) = self.path_of(document, kinds) else { return Ok(true) };
        Ok(self.get(&path, manifest::head(document).1).await?.is_some())
    }

    /// Removes the object that a document describes, where Helm made it for the release since then (a `creationTimestamp`)
    /// and may remove it. Whether it is gone or goes. Converges.
    pub async fn remove(&self, document: &Value, kinds: &Kinds, since: &str) -> Result<bool> {
        let Some(path) = self.path_of(document, kinds) else { return Ok(false) };
        let name = manifest::head(document).1;
        match self.get(&path, name).await? {
            Some(found) if !is_removable(&found, self.release(), self.namespace(), since) => Ok(false),
            Some(_) => self.delete(&path, name).await.map(|()| true),
            None => Ok(true),
        }
    }

    /// None: it lies elsewhere than in the release's namespace or in none, or is of no kind that the cluster has.
    fn path_of(&self, document: &Value, kinds: &Kinds) -> Option<String> {
        let namespace = document["metadata"]["namespace"].as_str();
        if namespace.is_some_and(|namespace| namespace != self.namespace()) {
            return None;
        }
        let (_, resource, namespaced) = kinds.of(document)?;
        let version = document["apiVersion"].as_str().unwrap_or_default();
        let group = if version.contains('/') { format!("apis/{version}") } else { format!("api/{version}") };
        Some(if namespaced { self.path(&group, &resource) } else { format!("/{group}/{resource}") })
    }

    async fn patched(&self, workload: &Workload, patch: &Value) -> Result<()> {
        let path = self.path(workload.kind.group(), workload.kind.resource());
        self.merge(&path, &workload.name, patch).await.map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn workload(kind: Kind, name: &str, spec: Value) -> Workload {
        Workload { kind, name: name.into(), hook: false, object: json!({ "spec": spec }) }
    }

    #[test]
    fn a_name_means_what_is_called_so_and_else_what_the_release_calls_so() {
        let all = [
            workload(Kind::Deployment, "shop-web", json!({})),
            workload(Kind::StatefulSet, "shop-web", json!({})),
            workload(Kind::Deployment, "shop-admin-web", json!({})),
            workload(Kind::Deployment, "api", json!({})),
            workload(Kind::Deployment, "shop-api", json!({})),
        ];
        let of = |wanted: &str| -> Vec<String> {
            let found = meant(&all, "shop", wanted).into_iter();
            found.map(|w| format!("{}/{}", w.kind, w.name)).collect()
        };
        assert_eq!(of("web"), ["Deployment/shop-web", "StatefulSet/shop-web"]);
        assert_eq!(of("deployment/web"), ["Deployment/shop-web"]);
        assert_eq!(of("Deployment/shop-web"), ["Deployment/shop-web"]);
        assert_eq!(of("api"), ["Deployment/api"]);
        assert_eq!(of("statefulset/api"), [""; 0]);
    }

    #[test]
    fn a_selector_says_all_that_it_wants() {
        let of = |selector: Value| workload(Kind::Deployment, "web", json!({ "selector": selector })).selector();
        let expressions = json!([
            { "key": "tier", "operator": "In", "values": ["web", "api"] },
            { "key": "zone", "operator": "NotIn", "values": ["b"] },
            { "key": "app", "operator": "Exists" },
            { "key": "old", "operator": "DoesNotExist" },
        ]);
        let all = of(json!({ "matchLabels": { "a": "b" }, "matchExpressions": expressions })).unwrap();
        assert_eq!(all, "a=b,tier in (web,api),zone notin (b),app,!old");
        assert_eq!(of(json!({ "matchExpressions": [{ "key": "app", "operator": "Exists" }] })).unwrap(), "app");
        assert_eq!(of(json!({})), None);
    }

    #[test]
    fn pods_are_given_what_their_template_says_to_end() {
        let of = |kind: Kind, spec: Value| workload(kind, "web", spec).ends_within().as_secs();
        let template = json!({ "spec": { "terminationGracePeriodSeconds": 1800 } });
        assert_eq!(of(Kind::Deployment, json!({})), 30);
        assert_eq!(of(Kind::Deployment, json!({ "template": template })), 1800);
        assert_eq!(of(Kind::CronJob, json!({ "jobTemplate": { "spec": { "template": template } } })), 1800);
    }

    #[test]
    fn what_is_nobody_elses_and_need_not_stay_is_removable() {
        let made = "2024-02-29T12:00:00Z";
        let of = |name: &str, namespace: &str, policy: Value| {
            let annotations = json!({
                "meta.helm.sh/release-name": name, "meta.helm.sh/release-namespace": namespace,
                "helm.sh/resource-policy": policy,
            });
            let metadata = json!({ "annotations": annotations, "creationTimestamp": made });
            let since = |since: &str| is_removable(&json!({ "metadata": metadata }), "shop", "live", since);
            assert!(!since("2024-02-29T12:00:01Z"), "it was there before");
            assert_eq!(since(made), since("2024-02-28T23:59:59Z"));
            since(made)
        };
        assert!(of("shop", "live", Value::Null));
        assert!(!of("shop", "live", json!("keep")));
        assert!(!of("shop", "other", Value::Null) && !of("other", "live", Value::Null));
        let by_hand = json!({ "metadata": { "creationTimestamp": made } });
        assert!(!is_removable(&by_hand, "shop", "live", made));
    }
}
