//! What runs, held against what the newest revision says.

use super::Kubernetes;
use super::errors::verb_error;
use super::held::is_of_run;
use crate::context::StepContext;
use crate::model::VerbError;
use serde_json::Value;
use std::collections::BTreeMap;
use upgraded_kubernetes::{Kind, Workload, manifest};

/// What says how many replicas another has.
const SCALERS: [&str; 2] = ["HorizontalPodAutoscaler", "ScaledObject"];

impl Kubernetes {
    /// A line for each object that is gone, and each workload that somebody changed.
    pub async fn drift(&self, cx: &StepContext) -> Result<Vec<String>, VerbError> {
        let cluster = self.cluster().await?;
        let newest = cluster.newest().await.map_err(verb_error)?;
        let live = cluster.workloads().await.map_err(verb_error)?;
        let documents = manifest::read(&newest.manifest).map_err(verb_error)?;
        let kinds = cluster.kinds(&documents).await.map_err(verb_error)?;
        // What answers to load may have answered to the start of what this run brought.
        let may_scale = is_of_run(&newest, &cx.run);
        let mut found = Vec::new();
        for document in &documents {
            cx.activity.touch();
            let (kind, name) = manifest::head(document);
            match Kind::named(kind) {
                Some(kind) => match live.iter().find(|w| w.kind == kind && w.name == name) {
                    Some(workload) => {
                        let number = other_number(workload, document);
                        found.extend(number.filter(|_| !may_scale && !scales(&documents, workload)));
                        found.extend(changed(workload, document));
                    }
                    // One that has ended may go.
                    None if kind == Kind::Job => {}
                    None => found.push(format!("the {kind} `{name}` is gone")),
                },
                None => match cluster.has(document, &kinds).await {
                    Ok(false) => found.push(format!("the {kind} `{name}` is gone")),
                    // Who may not look can't say.
                    Ok(true) | Err(upgraded_kubernetes::Error::Denied(_)) => {}
                    Err(error) => return Err(verb_error(error)),
                },
            }
        }
        Ok(found)
    }
}

/// Whether something of the release says how many replicas a workload has.
fn scales(documents: &[Value], workload: &Workload) -> bool {
    let leads_there = |document: &Value| {
        let (scaler, target) = (manifest::head(document).0, &document["spec"]["scaleTargetRef"]);
        let kind = target["kind"].as_str().unwrap_or("Deployment");
        SCALERS.contains(&scaler) && kind == workload.kind.to_string() && target["name"] == workload.name.as_str()
    };
    documents.iter().any(leads_there)
}

fn other_number(live: &Workload, document: &Value) -> Option<String> {
    let stated = document["spec"]["replicas"].as_u64()?;
    let is_other = !live.is_held()
        && stated != u64::from(live.replicas())
        && document["metadata"]["annotations"][upgraded_kubernetes::REPLICAS].is_null();
    let (kind, name, runs) = (live.kind, &live.name, live.replicas());
    is_other.then(|| format!("the {kind} `{name}` has {runs} replicas instead of {stated}"))
}

fn changed(live: &Workload, document: &Value) -> Vec<String> {
    let mut found = Vec::new();
    let (kind, name) = (live.kind, &live.name);
    let runs = &live.object["spec"]["template"]["spec"]["containers"];
    for stated in document["spec"]["template"]["spec"]["containers"].as_array().into_iter().flatten() {
        let inside = stated["name"].as_str().unwrap_or_default();
        let container = runs.as_array().into_iter().flatten().find(|container| container["name"] == inside);
        let Some(container) = container else {
            found.push(format!("the {kind} `{name}` has no container `{inside}` any more"));
            continue;
        };
        for part in ["image", "command", "args"] {
            if !stated[part].is_null() && !alike(&stated[part], &container[part]) {
                let said = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                let (runs, stated) = (said(&container[part]), said(&stated[part]));
                found.push(format!("`{inside}` of the {kind} `{name}` has the {part} `{runs}` instead of `{stated}`"));
            }
        }
        let there = variables(container);
        for (variable, stated) in variables(stated) {
            let same = |there: &&Value| stated["value"].is_null() || alike(&there["value"], &stated["value"]);
            if !there.get(variable).is_some_and(same) {
                found.push(format!("`{inside}` of the {kind} `{name}` has another value of `{variable}`"));
            }
        }
    }
    found
}

/// By name: of several, the last is what a process gets.
fn variables(container: &Value) -> BTreeMap<&str, &Value> {
    let all = container["env"].as_array().into_iter().flatten();
    all.map(|variable| (variable["name"].as_str().unwrap_or_default(), variable)).collect()
}

/// The API leaves out what is empty.
fn alike(one: &Value, other: &Value) -> bool {
    let is_empty = |value: &Value| value.is_null() || value == "" || value.as_array().is_some_and(Vec::is_empty);
    one == other || is_empty(one) && is_empty(other)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn found(stated: Value, runs: Value) -> Vec<String> {
        let of = |container: Value| json!({ "spec": { "template": { "spec": { "containers": [container] } } } });
        let workload = Workload { kind: Kind::Deployment, name: "api".into(), hook: false, object: of(runs) };
        changed(&workload, &of(stated))
    }

    #[test]
    fn what_is_empty_and_what_is_not_there_are_the_same() {
        let stated = json!({
            "name": "api", "image": "api:1", "command": [], "args": [],
            "env": [
                { "name": "PROXY", "value": "" }, { "name": "MODE", "value": "fast" }, { "name": "KEY", "valueFrom": {} },
            ],
        });
        let runs = |proxy: Value, mode: &str| {
            let env = json!([proxy, { "name": "MODE", "value": mode }, { "name": "KEY", "valueFrom": { "x": 1 } }]);
            json!({ "name": "api", "image": "api:1", "env": env })
        };
        let empty = || json!({ "name": "PROXY" });
        assert_eq!(found(stated.clone(), runs(empty(), "fast")), Vec::<String>::new());
        assert_eq!(
            found(stated.clone(), runs(empty(), "slow")),
            ["`api` of the Deployment `api` has another value of `MODE`"]
        );
        let set = json!({ "name": "PROXY", "value": "http://proxy" });
        assert_eq!(
            found(stated.clone(), runs(set, "fast")),
            ["`api` of the Deployment `api` has another value of `PROXY`"]
        );
        let mut told = runs(empty(), "fast");
        told["args"] = json!(["serve"]);
        assert_eq!(found(stated, told), ["`api` of the Deployment `api` has the args `[\"serve\"]` instead of `[]`"]);
    }

    #[test]
    fn of_a_variable_that_is_there_twice_the_last_counts() {
        let of = |first: &str, last: &str| {
            let env = json!([{ "name": "MODE", "value": first }, { "name": "MODE", "value": last }]);
            json!({ "name": "api", "image": "api:1", "env": env })
        };
        assert_eq!(found(of("slow", "fast"), of("slow", "fast")), Vec::<String>::new());
        assert_eq!(found(of("slow", "fast"), of("fast", "slow")).len(), 1);
    }

    #[test]
    fn a_number_that_something_of_the_release_sets_is_nobodys_change() {
        let object = json!({ "spec": { "replicas": 5 } });
        let workload = Workload { kind: Kind::Deployment, name: "api".into(), hook: false, object };
        let of = |kind: &str, target: Value| json!([{ "kind": kind, "spec": { "scaleTargetRef": target } }]);
        let scaled = |documents: Value| scales(documents.as_array().unwrap(), &workload);
        assert!(scaled(of("HorizontalPodAutoscaler", json!({ "kind": "Deployment", "name": "api" }))));
        assert!(scaled(of("ScaledObject", json!({ "name": "api" }))));
        assert!(!scaled(of("HorizontalPodAutoscaler", json!({ "kind": "StatefulSet", "name": "api" }))));
        assert!(!scaled(of("HorizontalPodAutoscaler", json!({ "kind": "Deployment", "name": "web" }))));
        let said = other_number(&workload, &json!({ "spec": { "replicas": 2 } }));
        assert_eq!(said.as_deref(), Some("the Deployment `api` has 5 replicas instead of 2"));
        assert_eq!(other_number(&workload, &json!({ "spec": {} })), None);
    }
}
