//! From the form of v2 to Knative's.

use super::super::services::short;
use super::super::spec::LATEST;
use super::super::state::version;
use serde_json::{Value, json};

pub(super) const VERSION: &str = "serving.knative.dev/v1";

pub(super) fn service(value: &Value) -> Value {
    let mut metadata = metadata(value);
    metadata["labels"]["cloud.googleapis.com/location"] = region(value).into();
    let annotations = &mut metadata["annotations"];
    annotations["serving.knative.dev/creator"] = value["creator"].clone();
    annotations["serving.knative.dev/lastModifier"] = value["lastModifier"].clone();
    let ingress = match value["ingress"].as_str() {
        Some("INGRESS_TRAFFIC_INTERNAL_ONLY") => "internal",
        Some("INGRESS_TRAFFIC_INTERNAL_LOAD_BALANCER") => "internal-and-cloud-load-balancing",
        _ => "all",
    };
    annotations["run.googleapis.com/ingress"] = ingress.into();
    annotations["run.googleapis.com/ingress-status"] = ingress.into();
    for (field, name) in [("client", "client-name"), ("clientVersion", "client-version")] {
        if value[field].is_string() {
            annotations[format!("run.googleapis.com/{name}")] = value[field].clone();
        }
    }
    let all = |field: &str, with_url: bool| -> Vec<Value> {
        value[field].as_array().into_iter().flatten().map(|target| traffic(value, target, with_url)).collect()
    };
    let is_reconciling = value["reconciling"] == true;
    let others = value["conditions"].as_array().into_iter().flatten().filter(|_| !is_reconciling);
    let conditions: Vec<Value> = std::iter::once(&value["terminalCondition"]).chain(others).map(condition).collect();
    let mut status = json!({
        "observedGeneration": number(&value["observedGeneration"]),
        "conditions": conditions,
        "traffic": all("trafficStatuses", true),
        "url": value["uri"],
        "address": { "url": value["uri"] },
    });
    for (field, name) in
        [("latestReadyRevision", "latestReadyRevisionName"), ("latestCreatedRevision", "latestCreatedRevisionName")]
    {
        if let Some(revision) = value[field].as_str() {
            status[name] = short(revision).into();
        }
    }
    let template = &value["template"];
    let mut of_template = json!({ "labels": template["labels"], "annotations": annotations_of(template) });
    if template["revision"].is_string() {
        of_template["name"] = template["revision"].clone();
    }
    let spec = json!({
        "template": { "metadata": without_null(of_template), "spec": revision_spec(template) },
        "traffic": all("traffic", false),
    });
    json!({ "apiVersion": VERSION, "kind": "Service", "metadata": metadata, "spec": spec, "status": status })
}

pub(super) fn revision(service: &Value, value: &Value) -> Value {
    let mut metadata = metadata(value);
    metadata["labels"]["serving.knative.dev/service"] = short(service["name"].as_str().unwrap_or_default()).into();
    metadata["labels"]["cloud.googleapis.com/location"] = region(value).into();
    let conditions: Vec<Value> = value["conditions"].as_array().into_iter().flatten().map(condition).collect();
    let status = json!({
        "observedGeneration": number(&value["observedGeneration"]),
        "conditions": conditions,
        "imageDigest": value["containerStatuses"][0]["imageDigest"],
    });
    json!({
        "apiVersion": VERSION,
        "kind": "Revision",
        "metadata": metadata,
        "spec": revision_spec(value),
        "status": without_null(status),
    })
}

fn metadata(value: &Value) -> Value {
    let name = value["name"].as_str().unwrap_or_default();
    let project = name.split('/').nth(1).unwrap_or_default();
    let text = |field: &Value| field.as_object().cloned().unwrap_or_default();
    json!({
        "name": short(name),
        "namespace": project,
        "uid": value["uid"],
        "resourceVersion": version(value["etag"].as_str().unwrap_or_default()),
        "generation": number(&value["generation"]),
        "creationTimestamp": value["createTime"],
        "labels": text(&value["labels"]),
        "annotations": text(&value["annotations"]),
    })
}

/// A template's, or a revision's.
fn revision_spec(value: &Value) -> Value {
    let containers = value["containers"].as_array().into_iter().flatten();
    let container = |container: &Value| {
        let mut plain = json!({ "resources": { "limits": container["resources"]["limits"] } });
        for field in ["args", "command", "env", "image", "name", "ports", "workingDir"] {
            if !container[field].is_null() {
                plain[field] = container[field].clone();
            }
        }
        plain
    };
    let seconds = value["timeout"].as_str().and_then(|text| text.trim_end_matches('s').parse::<i32>().ok());
    without_null(json!({
        "containerConcurrency": value["maxInstanceRequestConcurrency"],
        "timeoutSeconds": seconds,
        "serviceAccountName": value["serviceAccount"],
        "containers": containers.map(container).collect::<Vec<_>>(),
    }))
}

fn annotations_of(template: &Value) -> Value {
    let mut annotations = json!(template["annotations"].as_object().cloned().unwrap_or_default());
    for (field, name) in [("minInstanceCount", "minScale"), ("maxInstanceCount", "maxScale")] {
        if let Some(count) = template["scaling"][field].as_i64() {
            annotations[format!("autoscaling.knative.dev/{name}")] = count.to_string().into();
        }
    }
    annotations
}

fn traffic(service: &Value, target: &Value, with_url: bool) -> Value {
    let is_latest = target["type"] == LATEST;
    let ready = service["latestReadyRevision"].as_str().map(short);
    without_null(json!({
        "latestRevision": is_latest.then_some(true),
        // What serves has a name, also where it is the latest.
        "revisionName": if is_latest { with_url.then_some(ready).flatten() } else { target["revision"].as_str() },
        "percent": target["percent"],
        "tag": target["tag"],
        "url": with_url.then(|| target["uri"].clone()),
    }))
}

fn condition(value: &Value) -> Value {
    let status = match value["state"].as_str() {
        Some("CONDITION_SUCCEEDED") => "True",
        Some("CONDITION_FAILED") => "False",
        _ => "Unknown",
    };
    // Knative writes reasons in another way.
    let reason = ["reason", "revisionReason"].iter().find_map(|field| value[*field].as_str()).map(|reason| {
        let capital = |word: &str| {
            word.get(..1).unwrap_or_default().to_owned() + &word.get(1..).unwrap_or_default().to_lowercase()
        };
        reason.split('_').map(capital).collect::<String>()
    });
    without_null(json!({
        "type": value["type"],
        "status": status,
        "reason": reason,
        "message": value["message"],
        "lastTransitionTime": value["lastTransitionTime"],
    }))
}

fn without_null(mut value: Value) -> Value {
    if let Some(fields) = value.as_object_mut() {
        fields.retain(|_, value| !value.is_null());
    }
    value
}

/// `"3"` in v2 is 3 here.
fn number(value: &Value) -> i64 {
    value.as_str().and_then(|text| text.parse().ok()).unwrap_or(0)
}

fn region(value: &Value) -> &str {
    value["name"].as_str().and_then(|name| name.split('/').nth(3)).unwrap_or_default()
}
