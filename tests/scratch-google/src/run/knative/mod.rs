//! Cloud Run Admin API v1, as `gcloud` speaks it: the same services in the form of Knative. The region is in the host's
//! name.

mod read;
mod write;

use super::services::{self, Wish, in_place, missing};
use super::state::{Revision, Service};
use crate::core::Core;
use crate::discovery::Call;
use crate::fault::Fate;
use crate::refusal::Refusal;
use serde_json::{Value, json};
use std::sync::Arc;

pub(super) fn answer(core: &Arc<Core>, call: &Call, caller: &str, fate: Fate) -> Result<Value, Refusal> {
    match call.method.id.trim_start_matches("run.namespaces.") {
        "services.create" => put(core, call, caller, fate, true),
        "services.replaceService" => put(core, call, caller, fate, false),
        "services.get" => get(core, &service_of(call)),
        "services.list" => Ok(list(core, call)),
        "revisions.get" => revision(core, call),
        "revisions.list" => Ok(revisions(core, call)),
        other => unreachable!("a method of the document without an answer: `{other}`"),
    }
}

/// The full name of the service that a request is about.
pub(super) fn service_of(call: &Call) -> String {
    let in_path = call.variable("servicesId");
    let id = if in_path.is_empty() { call.body["metadata"]["name"].as_str().unwrap_or_default() } else { in_path };
    format!("{}/services/{id}", place(call))
}

fn place(call: &Call) -> String {
    format!("projects/{}/locations/{}", call.variable("namespacesId"), call.region)
}

fn put(core: &Arc<Core>, call: &Call, caller: &str, fate: Fate, creates: bool) -> Result<Value, Refusal> {
    let name = service_of(call);
    let body = read::service(&name, &call.body)?;
    let wish = Wish {
        name: &name,
        body: &body,
        mask: "",
        only_asks: call.text("dryRun") == "all",
        forces_revision: false,
        may_create: false,
        caller,
    };
    let operation = if creates { services::make(core, wish, fate)? } else { services::change(core, wish, fate)? };
    if wish.only_asks {
        return Ok(write::service(&operation["response"]));
    }
    get(core, &name)
}

fn get(core: &Core, name: &str) -> Result<Value, Refusal> {
    let state = core.run.state();
    let service = state.services.get(name).ok_or_else(|| missing("SERVICE", name))?;
    Ok(write::service(&service.value))
}

fn list(core: &Core, call: &Call) -> Value {
    let state = core.run.state();
    let all = in_place(state.services.values().map(|service| &service.value), &place(call), "services");
    let items: Vec<Value> = all.iter().map(write::service).collect();
    json!({ "apiVersion": write::VERSION, "kind": "ServiceList", "items": items, "metadata": {} })
}

fn revision(core: &Core, call: &Call) -> Result<Value, Refusal> {
    let id = call.variable("revisionsId");
    let state = core.run.state();
    let found = all_revisions(state.services.values(), place(call)).find(|(_, revision)| revision.id == id);
    let (service, revision) = found.ok_or_else(|| missing("REVISION", &format!("{}/revisions/{id}", place(call))))?;
    Ok(write::revision(&service.value, &revision.value))
}

fn revisions(core: &Core, call: &Call) -> Value {
    let state = core.run.state();
    let selector = call.text("labelSelector");
    let fits = |revision: &Value| {
        selector.split(',').filter(|part| !part.is_empty()).all(|part| {
            let (label, wanted) = part.split_once('=').unwrap_or((part, ""));
            revision["metadata"]["labels"][label.trim()] == wanted.trim_start_matches('=').trim()
        })
    };
    let all = all_revisions(state.services.values(), place(call));
    let items: Vec<Value> = all.map(|(service, revision)| write::revision(&service.value, &revision.value)).collect();
    let items: Vec<Value> = items.into_iter().rev().filter(fits).collect();
    json!({ "apiVersion": write::VERSION, "kind": "RevisionList", "items": items, "metadata": {} })
}

/// Those of one region.
fn all_revisions<'s>(
    services: impl Iterator<Item = &'s Service>, place: String,
) -> impl Iterator<Item = (&'s Service, &'s Revision)> {
    let prefix = format!("{place}/services/");
    let here = move |service: &&Service| service.value["name"].as_str().is_some_and(|name| name.starts_with(&prefix));
    services.filter(here).flat_map(|service| service.revisions.iter().map(move |revision| (service, revision)))
}
