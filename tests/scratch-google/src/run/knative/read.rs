//! From Knative's form to that of v2.

use super::super::spec::{LATEST, REVISION};
use super::super::state::etag;
use crate::refusal::Refusal;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

/// Annotations that are fields in v2. What else is in these namespaces is the service's own, and is left out.
const OWN: &[&str] =
    &["run.googleapis.com/", "serving.knative.dev/", "autoscaling.knative.dev/", "cloud.googleapis.com/"];

/// `name`: the full one.
pub(super) fn service(name: &str, given: &Value) -> Result<Value, Refusal> {
    let (metadata, spec) = (&given["metadata"], &given["spec"]);
    let annotations = &metadata["annotations"];
    let mut service = json!({ "template": template(&spec["template"])? });
    set(&mut service, "annotations", foreign(annotations));
    set(&mut service, "labels", foreign(&metadata["labels"]));
    set(&mut service, "client", annotations["run.googleapis.com/client-name"].clone());
    set(&mut service, "clientVersion", annotations["run.googleapis.com/client-version"].clone());
    if let Some(ingress) = annotations["run.googleapis.com/ingress"].as_str() {
        service["ingress"] = match ingress {
            "all" => "INGRESS_TRAFFIC_ALL",
            "internal" => "INGRESS_TRAFFIC_INTERNAL_ONLY",
            "internal-and-cloud-load-balancing" => "INGRESS_TRAFFIC_INTERNAL_LOAD_BALANCER",
            other => return Err(Refusal::invalid(format!("run.googleapis.com/ingress: `{other}`"))),
        }
        .into();
    }
    let targets: Vec<Value> = spec["traffic"].as_array().into_iter().flatten().map(target).collect();
    service["traffic"] = targets.into();
    let version = metadata["resourceVersion"].as_str().and_then(|version| version.parse().ok());
    if let Some(time) = version.and_then(|version| Timestamp::from_microsecond(version).ok()) {
        service["etag"] = etag(name, time).into();
    }
    Ok(service)
}

fn template(given: &Value) -> Result<Value, Refusal> {
    let (metadata, spec) = (&given["metadata"], &given["spec"]);
    let mut template = json!({});
    set(&mut template, "revision", metadata["name"].clone());
    set(&mut template, "labels", metadata["labels"].clone());
    set(&mut template, "annotations", foreign(&metadata["annotations"]));
    set(&mut template, "maxInstanceRequestConcurrency", spec["containerConcurrency"].clone());
    set(&mut template, "serviceAccount", spec["serviceAccountName"].clone());
    if let Some(seconds) = spec["timeoutSeconds"].as_i64() {
        template["timeout"] = format!("{seconds}s").into();
    }
    let scale = |name: &str| metadata["annotations"][name].as_str().and_then(|text| text.parse::<i32>().ok());
    let (least, most) = (scale("autoscaling.knative.dev/minScale"), scale("autoscaling.knative.dev/maxScale"));
    if let Some(least) = least {
        template["scaling"]["minInstanceCount"] = least.into();
    }
    if let Some(most) = most {
        template["scaling"]["maxInstanceCount"] = most.into();
    }
    let containers =
        spec["containers"].as_array().into_iter().flatten().map(container).collect::<Result<Vec<_>, _>>()?;
    template["containers"] = containers.into();
    Ok(template)
}

fn container(given: &Value) -> Result<Value, Refusal> {
    let mut container = json!({});
    for (field, value) in given.as_object().into_iter().flatten() {
        match field.as_str() {
            "args" | "command" | "image" | "name" | "ports" | "workingDir" => container[field] = value.clone(),
            "resources" => container["resources"] = json!({ "limits": value["limits"], "cpuIdle": true }),
            "env" => {
                let plain = |variable: &Value| json!({ "name": variable["name"], "value": variable["value"] });
                container["env"] = value.as_array().into_iter().flatten().map(plain).collect();
            }
            other => return Err(Refusal::invalid(format!("The double knows no `{other}` of a container in v1."))),
        }
    }
    Ok(container)
}

fn target(given: &Value) -> Value {
    let mut target = match given["revisionName"].as_str() {
        Some(revision) if given["latestRevision"] != true => json!({ "type": REVISION, "revision": revision }),
        _ => json!({ "type": LATEST }),
    };
    set(&mut target, "percent", given["percent"].clone());
    set(&mut target, "tag", given["tag"].clone());
    target
}

fn foreign(given: &Value) -> Value {
    let is_own = |name: &str| OWN.iter().any(|prefix| name.starts_with(prefix));
    let kept: Map<String, Value> = given
        .as_object()
        .into_iter()
        .flatten()
        .filter(|(name, _)| !is_own(name))
        .map(|(k, v)| (k.clone(), v.clone()))
        .collect();
    if kept.is_empty() { Value::Null } else { kept.into() }
}

fn set(value: &mut Value, field: &str, to: Value) {
    if !to.is_null() {
        value[field] = to;
    }
}
