//! Revisions: made of a template, never changed, deleted when nothing needs them.

use super::conditions::{Why, judged, reconciling};
use super::services::{missing, short};
use super::state::{Revision, Service, any, etag, time, uid};
use super::{operations, resource_of};
use crate::core::{Core, Verdict};
use crate::discovery::Call;
use crate::fault::Fate;
use crate::paging::page;
use crate::refusal::Refusal;
use jiff::Timestamp;
use serde_json::{Value, json};
use std::sync::Arc;

/// Of a template to a revision.
const COPIED: &[&str] = &[
    "annotations",
    "containers",
    "encryptionKey",
    "executionEnvironment",
    "labels",
    "maxInstanceRequestConcurrency",
    "scaling",
    "serviceAccount",
    "sessionAffinity",
    "timeout",
    "volumes",
    "vpcAccess",
];

/// Whether this template is another than that of the newest revision.
pub(super) fn needed(service: &Service, template: &Value) -> bool {
    let Some(newest) = service.revisions.last() else { return true };
    let name = template["revision"].as_str().unwrap_or_default();
    let is_new_name = !name.is_empty() && service.revision(name).is_none();
    is_new_name || without_name(template) != newest.template
}

/// The name in the template, or the next generated one.
pub(super) fn name(service: &Service, template: &Value) -> Result<String, Refusal> {
    let service_id = short(service.value["name"].as_str().unwrap_or_default());
    let Some(name) = template["revision"].as_str().filter(|name| !name.is_empty()) else {
        let number = service.made + 1;
        return Ok(format!("{service_id}-{number:05}-{}", letters(service_id, number)));
    };
    if service.revision(name).is_some() {
        let message = format!("Revision named '{name}' with different configuration already exists.");
        return Err(Refusal::exists(message));
    }
    let begins = name.strip_prefix(service_id).is_some_and(|rest| rest.starts_with('-'));
    if begins && name.len() < 64 {
        return Ok(name.to_owned());
    }
    let message = format!("template.revision: must start with the service's name and a dash: `{service_id}-`.");
    Err(Refusal::invalid(message))
}

pub(super) fn make(core: &Core, service: &Value, id: &str, number: u32, now: Timestamp) -> Revision {
    let parent = service["name"].as_str().unwrap_or_default();
    let name = format!("{parent}/revisions/{id}");
    let template = &service["template"];
    let mut value = json!({
        "name": name,
        "uid": uid(&name, now),
        "generation": number.to_string(),
        "createTime": time(now),
        "updateTime": time(now),
        "launchStage": service["launchStage"],
        "service": short(parent),
        "reconciling": true,
        "conditions": [reconciling("Ready", now)],
        "etag": etag(&name, now),
    });
    for field in COPIED {
        if !template[field].is_null() {
            value[field] = template[field].clone();
        }
    }
    let containers = template["containers"].as_array().into_iter().flatten();
    let digests = containers.filter_map(|container| {
        let digest = core.run.images.digest(container["image"].as_str()?)?;
        Some(json!({ "name": container["name"].as_str().unwrap_or(""), "imageDigest": digest }))
    });
    value["containerStatuses"] = digests.collect();
    Revision { id: id.to_owned(), value, template: without_name(template), ready: false, instance: None }
}

/// Sets what came of it.
pub(super) fn judge(revision: &mut Revision, image: Option<&Why>, health: Option<&Why>, now: Timestamp) {
    let why = image.or(health);
    revision.value["conditions"] = json!([
        judged("Ready", now, why),
        judged("ResourcesAvailable", now, image),
        judged("ContainerHealthy", now, health.or(image)),
    ]);
    revision.value["reconciling"] = false.into();
    revision.value["observedGeneration"] = revision.value["generation"].clone();
}

pub(super) fn get(core: &Core, call: &Call) -> Result<Value, Refusal> {
    let name = resource_of(call);
    let state = core.run.state();
    let service = state.services.get(&parent(&name));
    let revision = service.and_then(|service| service.revision(short(&name)));
    revision.map(|revision| revision.value.clone()).ok_or_else(|| missing("REVISION", &name))
}

pub(super) fn list(core: &Core, call: &Call) -> Result<Value, Refusal> {
    let name = resource_of(call);
    let state = core.run.state();
    let service = state.services.get(&name).ok_or_else(|| missing("SERVICE", &name))?;
    // Newest first, as Google's.
    let all = service.revisions.iter().rev().map(|revision| revision.value.clone()).collect();
    let page = page(all, call.number("pageSize"), 100, call.text("pageToken"))?;
    let mut answer = json!({ "revisions": page.items });
    if let Some(next) = page.next {
        answer["nextPageToken"] = next.into();
    }
    Ok(answer)
}

pub(super) fn delete(core: &Arc<Core>, call: &Call, fate: Fate) -> Result<Value, Refusal> {
    let name = resource_of(call);
    let id = short(&name).to_owned();
    let mut state = core.run.state();
    let service = state.services.get(&parent(&name)).ok_or_else(|| missing("SERVICE", &parent(&name)))?;
    let revision = service.revision(&id).ok_or_else(|| missing("REVISION", &name))?;
    let serves = |status: &Value| status["revision"] == id.as_str();
    let is_latest =
        service.revisions.last().is_some_and(|newest| newest.id == id) || service.latest_ready() == Some(&id);
    if is_latest || service.value["trafficStatuses"].as_array().is_some_and(|all| all.iter().any(serves)) {
        let why = format!("Revision '{id}' cannot be deleted: it is the latest one, or traffic or a tag goes to it.");
        return Err(Refusal::wrong_state(why));
    }
    let mut gone = revision.value.clone();
    if call.is_set("validateOnly") {
        return Ok(super::services::validated(&gone));
    }
    gone["deleteTime"] = time(state.now());
    let operation = state.start(&name, any("Revision", &gone));
    let operation_name = operation["name"].as_str().unwrap_or_default().to_owned();
    let task = Arc::clone(core);
    core.spawn(async move {
        let outcome = match task.endure(&fate, task.pace().run).await {
            Verdict::GoOn => Ok(any("Revision", &gone)),
            Verdict::Fail(message) => Err(operations::Failure { code: operations::code::INTERNAL, message }),
            Verdict::Stop => return,
        };
        let mut state = task.run.state();
        if let (true, Some(service)) = (outcome.is_ok(), state.services.get_mut(&parent(&name))) {
            service.revisions.retain(|revision| revision.id != id);
        }
        state.finish(&operation_name, outcome);
        drop(state);
        operations::ended(&task);
    });
    Ok(operation)
}

fn without_name(template: &Value) -> Value {
    let mut template = template.clone();
    if let Some(fields) = template.as_object_mut() {
        fields.remove("revision");
    }
    template
}

/// The service of a revision.
fn parent(name: &str) -> String {
    name.rsplit_once("/revisions/").map_or(name, |(parent, _)| parent).to_owned()
}

/// Three, as a generated name ends: the same for the same revision.
fn letters(service: &str, number: u32) -> String {
    use sha2::{Digest as _, Sha256};
    let consonants = b"bcdfghjklmnpqrstvwxz";
    let hash = Sha256::digest(format!("{service} {number}"));
    hash.iter().take(3).map(|byte| char::from(consonants[usize::from(*byte) % consonants.len()])).collect()
}
