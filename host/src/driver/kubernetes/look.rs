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
        let mut found = Vec::new();
        for document in manifest::read(&newest.manifest).map_err(verb_error)? {
            cx.activity.touch();
            let (kind, name) = manifest::head(&document);
            match Kind::named(kind) {
                Some(kind) => match live.iter().find(|w| w.kind == kind && w.name == name) {
                    Some(workload) => found.extend(changed(workload, &document)),
                    None => found.push(format!("the {kind} `{name}` is gone")),
                },
                None => match cluster.has(&document).await {
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
            if !stated[part].is_null() && stated[part] != container[part] {
                let said = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                let (runs, stated) = (said(&container[part]), said(&stated[part]));
                found.push(format!("`{inside}` of the {kind} `{name}` has the {part} `{runs}` instead of `{stated}`"));
            }
        }
        for variable in stated["env"].as_array().into_iter().flatten() {
            let there = container["env"].as_array().into_iter().flatten().find(|v| v["name"] == variable["name"]);
            let same = |there: &Value| variable["value"].is_null() || there["value"] == variable["value"];
            if !there.is_some_and(same) {
                let variable = variable["name"].as_str().unwrap_or_default();
                found.push(format!("`{inside}` of the {kind} `{name}` has another value of `{variable}`"));
            }
        }
    }
    found
}
