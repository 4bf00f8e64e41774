//! What runs, held against what the newest revision says.

use super::Kubernetes;
use super::errors::verb_error;
use crate::context::StepContext;
use crate::model::VerbError;
use serde_json::Value;
use upgraded_kubernetes::{Kind, Workload, manifest};

impl Kubernetes {
    /// A line for each object that is gone, and each workload that somebody changed.
    pub async fn drift(&self, cx: &StepContext) -> Result<Vec<String>, VerbError> {
        let cluster = self.cluster().await?;
        let newest = cluster.newest().await.map_err(verb_error)?;
        let live = cluster.workloads().await.map_err(verb_error)?;
        let documents = manifest::read(&newest.manifest).map_err(verb_error)?;
        let kinds = cluster.kinds(&documents).await.map_err(verb_error)?;
        let mut found = Vec::new();
        for document in documents {
            cx.activity.touch();
            let (kind, name) = manifest::head(&document);
            match Kind::named(kind) {
                Some(kind) => match live.iter().find(|w| w.kind == kind && w.name == name) {
                    Some(workload) => found.extend(changed(workload, &document)),
                    None => found.push(format!("the {kind} `{name}` is gone")),
                },
                None => match cluster.has(&document, &kinds).await {
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

fn changed(live: &Workload, document: &Value) -> Vec<String> {
    let mut found = Vec::new();
    let (kind, name) = (live.kind, &live.name);
    if let Some(stated) = document["spec"]["replicas"].as_u64()
        && !live.is_held()
        && stated != u64::from(live.replicas())
        && document["metadata"]["annotations"][upgraded_kubernetes::REPLICAS].is_null()
    {
        found.push(format!("the {kind} `{name}` has {} replicas instead of {stated}", live.replicas()));
    }
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
        for variable in stated["env"].as_array().into_iter().flatten() {
            let there = container["env"].as_array().into_iter().flatten().find(|v| v["name"] == variable["name"]);
            let same = |there: &Value| variable["value"].is_null() || alike(&there["value"], &variable["value"]);
            if !there.is_some_and(same) {
                let variable = variable["name"].as_str().unwrap_or_default();
                found.push(format!("`{inside}` of the {kind} `{name}` has another value of `{variable}`"));
            }
        }
    }
    found
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
}
