//! Jobs. They have no reconciliation to wait for: an image is looked for when the job runs.

use super::conditions::succeeded;
use super::services::{in_place, missing, same_version, short, validated};
use super::state::{Job, State, any, generation, time, touch, uid};
use super::{mask, operations, resource_of, spec};
use crate::core::Core;
use crate::discovery::Call;
use crate::paging::page;
use crate::refusal::Refusal;
use serde_json::{Value, json};
use std::sync::Arc;

pub(super) fn get(core: &Core, call: &Call) -> Result<Value, Refusal> {
    let name = resource_of(call);
    let state = core.run.state();
    state.jobs.get(&name).map(|job| job.value.clone()).ok_or_else(|| missing("JOB", &name))
}

pub(super) fn list(core: &Core, call: &Call) -> Result<Value, Refusal> {
    let place = resource_of(call);
    let state = core.run.state();
    let all = in_place(state.jobs.values().map(|job| &job.value), &place, "jobs");
    let page = page(all, call.number("pageSize"), 100, call.text("pageToken"))?;
    let mut answer = json!({ "jobs": page.items });
    if let Some(next) = page.next {
        answer["nextPageToken"] = next.into();
    }
    Ok(answer)
}

pub(super) fn create(core: &Arc<Core>, call: &Call, caller: &str) -> Result<Value, Refusal> {
    let id = call.text("jobId");
    if id.is_empty() || id.len() >= 64 {
        return Err(Refusal::invalid("job_id: must begin with letter and contain fewer than 64 characters."));
    }
    make(core, call, &format!("{}/jobs/{id}", resource_of(call)), caller)
}

pub(super) fn patch(core: &Arc<Core>, call: &Call, caller: &str) -> Result<Value, Refusal> {
    let name = resource_of(call);
    let mut state = core.run.state();
    let Some(job) = state.jobs.get(&name) else {
        drop(state);
        return if call.is_set("allowMissing") { make(core, call, &name, caller) } else { Err(missing("JOB", &name)) };
    };
    same_version(&job.value, &call.body)?;
    // A patch of a job has no mask: it is the whole job.
    let mut wanted = mask::apply(&job.value, &call.body, "", spec::JOB)?;
    spec::complete_job(&mut wanted);
    spec::check_containers(&wanted["template"]["template"])?;
    if call.is_set("validateOnly") {
        return Ok(any_of_job(validated(&wanted)));
    }
    let now = state.now();
    wanted["generation"] = (generation(&wanted) + 1).to_string().into();
    wanted["observedGeneration"] = wanted["generation"].clone();
    wanted["lastModifier"] = caller.into();
    touch(&mut wanted, now);
    if let Some(job) = state.jobs.get_mut(&name) {
        job.value = wanted.clone();
    }
    Ok(at_once(core, &mut state, &wanted))
}

pub(super) fn delete(core: &Core, call: &Call) -> Result<Value, Refusal> {
    let name = resource_of(call);
    let mut state = core.run.state();
    let mut gone = state.jobs.get(&name).map(|job| job.value.clone()).ok_or_else(|| missing("JOB", &name))?;
    if !matches!(call.text("etag"), "" | "*") {
        same_version(&gone, &json!({ "etag": call.text("etag") }))?;
    }
    if call.is_set("validateOnly") {
        return Ok(any_of_job(validated(&gone)));
    }
    state.jobs.remove(&name);
    gone["deleteTime"] = time(state.now());
    Ok(at_once(core, &mut state, &gone))
}

fn make(core: &Arc<Core>, call: &Call, name: &str, caller: &str) -> Result<Value, Refusal> {
    let mut state = core.run.state();
    if state.jobs.contains_key(name) {
        return Err(Refusal::exists(format!("Resource '{}' already exists.", short(name))));
    }
    let now = state.now();
    let mut value = mask::apply(&json!({}), &call.body, "", spec::JOB)?;
    spec::complete_job(&mut value);
    spec::check_containers(&value["template"]["template"])?;
    for (field, set) in [
        ("name", json!(name)),
        ("uid", json!(uid(name, now))),
        ("generation", json!("1")),
        ("observedGeneration", json!("1")),
        ("createTime", time(now)),
        ("creator", json!(caller)),
        ("lastModifier", json!(caller)),
        ("executionCount", json!(0)),
        ("terminalCondition", succeeded("Ready", now)),
    ] {
        value[field] = set;
    }
    touch(&mut value, now);
    if call.is_set("validateOnly") {
        return Ok(any_of_job(validated(&value)));
    }
    state.jobs.insert(name.to_owned(), Job { value: value.clone(), ..Job::default() });
    Ok(at_once(core, &mut state, &value))
}

/// An operation that is done as soon as it starts.
fn at_once(core: &Core, state: &mut State, job: &Value) -> Value {
    let name = job["name"].as_str().unwrap_or_default();
    let mut operation = state.start(name, any("Job", job));
    state.finish(operation["name"].as_str().unwrap_or_default(), Ok(any("Job", job)));
    operation["done"] = true.into();
    operation["response"] = any("Job", job);
    operations::ended(core);
    operation
}

fn any_of_job(mut operation: Value) -> Value {
    operation["response"]["@type"] = "type.googleapis.com/google.cloud.run.v2.Job".into();
    operation
}
