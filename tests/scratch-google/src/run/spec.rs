//! What a client may set in a service or a job, what stands there if it sets nothing, and what can't be.

use crate::refusal::Refusal;
use serde_json::{Value, json};

pub(super) const SERVICE: &[&str] = &[
    "annotations",
    "binaryAuthorization",
    "client",
    "clientVersion",
    "customAudiences",
    "defaultUriDisabled",
    "description",
    "functionalType",
    "iapEnabled",
    "ingress",
    "invokerIamDisabled",
    "labels",
    "launchStage",
    "scaling",
    "template",
    "traffic",
];

pub(super) const JOB: &[&str] =
    &["annotations", "binaryAuthorization", "client", "clientVersion", "labels", "launchStage", "template"];

/// What every container is told.
const RESERVED: [&str; 4] = ["PORT", "K_SERVICE", "K_REVISION", "K_CONFIGURATION"];

pub(super) const LATEST: &str = "TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST";
pub(super) const REVISION: &str = "TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION";

/// Sets what Google sets.
pub(super) fn complete_service(service: &mut Value) {
    fill(service, "ingress", &json!("INGRESS_TRAFFIC_ALL"));
    fill(service, "launchStage", &json!("GA"));
    fill(service, "traffic", &json!([{ "type": LATEST, "percent": 100 }]));
    let template = &mut service["template"];
    fill(template, "timeout", &json!("300s"));
    fill(template, "maxInstanceRequestConcurrency", &json!(80));
    fill(template, "scaling", &json!({ "maxInstanceCount": 100 }));
    fill(template, "serviceAccount", &json!("100000000001-compute@developer.gserviceaccount.com"));
    for container in template["containers"].as_array_mut().into_iter().flatten() {
        fill(container, "ports", &json!([{ "name": "http1", "containerPort": 8080 }]));
        fill(container, "resources", &json!({ "limits": { "cpu": "1000m", "memory": "512Mi" }, "cpuIdle": true }));
    }
}

pub(super) fn complete_job(job: &mut Value) {
    fill(job, "launchStage", &json!("GA"));
    let template = &mut job["template"];
    fill(template, "taskCount", &json!(1));
    fill(&mut template["template"], "maxRetries", &json!(3));
    fill(&mut template["template"], "timeout", &json!("600s"));
}

/// `template`: of a revision or a task.
pub(super) fn check_containers(template: &Value) -> Result<(), Refusal> {
    let containers = template["containers"].as_array().map_or(0, Vec::len);
    if containers == 0 {
        return Err(Refusal::invalid("template.containers: Revision template should contain at least one container."));
    }
    for (index, container) in template["containers"].as_array().into_iter().flatten().enumerate() {
        let names = container["env"].as_array().into_iter().flatten().filter_map(|variable| variable["name"].as_str());
        let reserved: Vec<&str> = names.filter(|name| RESERVED.contains(name)).collect();
        if !reserved.is_empty() {
            return Err(Refusal::invalid(format!(
                "template.containers[{index}].env: The following reserved env names were provided: {}. These values are \
                 automatically set by the system.",
                reserved.join(", ")
            )));
        }
    }
    Ok(())
}

pub(super) fn check_traffic(service: &Value) -> Result<(), Refusal> {
    let targets = service["traffic"].as_array().map(Vec::as_slice).unwrap_or_default();
    let sum: i64 = targets.iter().filter_map(|target| target["percent"].as_i64()).sum();
    if sum != 100 {
        return Err(Refusal::invalid(format!("traffic: percentages of the targets must sum to 100, not {sum}.")));
    }
    let mut tags: Vec<&str> = targets.iter().filter_map(|target| target["tag"].as_str()).collect();
    tags.sort_unstable();
    let count = tags.len();
    tags.dedup();
    if tags.len() != count {
        return Err(Refusal::invalid("traffic: a tag can only be used by one target."));
    }
    for (index, target) in targets.iter().enumerate() {
        let names = target["revision"].as_str().is_some_and(|name| !name.is_empty());
        if names != (target["type"] == REVISION) {
            let what = format!("traffic[{index}]: a revision is named if, and only if, the type is {REVISION}.");
            return Err(Refusal::invalid(what));
        }
        // Tags are labels of a host name.
        let tag = target["tag"].as_str().unwrap_or("a");
        let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if !tag.starts_with(|first: char| first.is_ascii_lowercase()) || tag.len() > 46 || !tag.bytes().all(fits) {
            return Err(Refusal::invalid(format!("traffic[{index}]: `{tag}` is no tag.")));
        }
    }
    Ok(())
}

fn fill(value: &mut Value, field: &str, usual: &Value) {
    let missing = match &value[field] {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        Value::String(text) => text.is_empty() || text.ends_with("_UNSPECIFIED"),
        _ => false,
    };
    if missing {
        value[field] = usual.clone();
    }
}
