//! Executions of jobs: the image's program runs once, for all tasks.

use super::conditions::{Why, judged, reconciling};
use super::container::{Environment, run_to_end};
use super::operations::{Failure, code, ended};
use super::resource_of;
use super::services::{missing, same_version, short};
use super::state::{any, etag, time, uid};
use crate::core::{Core, Verdict};
use crate::discovery::Call;
use crate::fault::Fate;
use crate::paging::page;
use crate::refusal::Refusal;
use serde_json::{Value, json};
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

pub(super) fn get(core: &Core, call: &Call) -> Result<Value, Refusal> {
    let name = resource_of(call);
    let state = core.run.state();
    let job = state.jobs.get(parent(&name));
    let found = job.and_then(|job| job.executions.iter().find(|execution| execution["name"] == name));
    found.cloned().ok_or_else(|| missing("EXECUTION", &name))
}

pub(super) fn list(core: &Core, call: &Call) -> Result<Value, Refusal> {
    let name = resource_of(call);
    let state = core.run.state();
    let job = state.jobs.get(&name).ok_or_else(|| missing("JOB", &name))?;
    let all = job.executions.iter().rev().cloned().collect();
    let page = page(all, call.number("pageSize"), 100, call.text("pageToken"))?;
    let mut answer = json!({ "executions": page.items });
    if let Some(next) = page.next {
        answer["nextPageToken"] = next.into();
    }
    Ok(answer)
}

pub(super) fn run(core: &Arc<Core>, call: &Call, caller: &str, fate: Fate) -> Result<Value, Refusal> {
    let name = resource_of(call);
    if call.body["overrides"].is_object() && !core.login.may("run.jobs.runWithOverrides") {
        return Err(Refusal::denied("run.jobs.runWithOverrides", &name));
    }
    let mut state = core.run.state();
    let now = state.now();
    let job = state.jobs.get_mut(&name).ok_or_else(|| missing("JOB", &name))?;
    same_version(&job.value, &call.body)?;
    let mut template = job.value["template"]["template"].clone();
    overlay(&mut template["containers"][0], &call.body["overrides"]["containerOverrides"][0]);
    let number = job.executions.len() + 1;
    let execution_name = format!("{name}/executions/{}-{}", short(&name), &uid(&name, now)[..5]);
    let environment = Environment::of_container(&template["containers"][0])
        .with("CLOUD_RUN_JOB", short(&name))
        .with("CLOUD_RUN_EXECUTION", short(&execution_name))
        .with("CLOUD_RUN_TASK_INDEX", "0")
        .with("CLOUD_RUN_TASK_COUNT", "1");
    let execution = json!({
        "name": execution_name,
        "uid": uid(&execution_name, now),
        "creator": caller,
        "generation": "1",
        "createTime": time(now),
        "startTime": time(now),
        "updateTime": time(now),
        "launchStage": "GA",
        "job": short(&name),
        "taskCount": 1,
        "parallelism": 1,
        "runningCount": 1,
        "template": template,
        "reconciling": true,
        "conditions": [reconciling("Completed", now)],
        "etag": etag(&execution_name, now),
    });
    if call.body["validateOnly"] == true {
        return Ok(
            json!({ "name": format!("{name}/operations/none"), "done": true, "response": any("Execution", &execution) }),
        );
    }
    job.value["executionCount"] = number.into();
    job.value["latestCreatedExecution"] = reference(&execution, "EXECUTION_RUNNING");
    job.executions.push(execution.clone());
    let ends = CancellationToken::new();
    job.ends.insert(execution_name.clone(), ends.clone());
    let operation = state.start(&name, any("Execution", &execution));
    let operation_name = operation["name"].as_str().unwrap_or_default().to_owned();
    let task = Arc::clone(core);
    core.spawn(async move { carry_out(&task, &execution_name, &operation_name, environment, fate, ends).await });
    Ok(operation)
}

/// Its program ends, unless it is a function of the test's: of that nobody hears any more.
pub(super) fn cancel(core: &Core, call: &Call) -> Result<Value, Refusal> {
    let name = resource_of(call);
    let mut state = core.run.state();
    let job = state.jobs.get(parent(&name)).ok_or_else(|| missing("JOB", parent(&name)))?;
    let found = job.executions.iter().find(|execution| execution["name"] == name);
    let execution = any("Execution", found.ok_or_else(|| missing("EXECUTION", &name))?);
    if let Some(ends) = job.ends.get(&name).filter(|_| call.body["validateOnly"] != true) {
        ends.cancel();
    }
    let mut operation = state.start(&name, execution.clone());
    state.finish(operation["name"].as_str().unwrap_or_default(), Ok(execution.clone()));
    operation["done"] = true.into();
    operation["response"] = execution;
    ended(core);
    Ok(operation)
}

const CANCELLED: &str = "CANCELLED";

async fn carry_out(
    core: &Core, name: &str, operation: &str, environment: Environment, fate: Fate, ends: CancellationToken,
) {
    let image = core.run.images.get(&environment.image);
    let shown = environment.image.clone();
    let program = async {
        match core.endure(&fate, core.pace().run).await {
            Verdict::GoOn => Some((run_to_end(image, environment).await, None)),
            Verdict::Fail(message) => Some((Some(1), Some(message))),
            Verdict::Stop => None,
        }
    };
    let why = match ends.run_until_cancelled(program).await {
        Some(None) => return,
        None => {
            let message = format!("Execution {} was cancelled.", short(name));
            Some(Why { field: "executionReason", reason: CANCELLED, message })
        }
        Some(Some((Some(0), _))) => None,
        Some(Some((Some(_), said))) => {
            let usual = format!("Task {}-task0 failed with message: The container exited with an error.", short(name));
            let message = said.unwrap_or(usual);
            Some(Why { field: "executionReason", reason: "NON_ZERO_EXIT_CODE", message })
        }
        Some(Some((None, _))) => {
            Some(Why { field: "reason", reason: "CONTAINER_MISSING", message: format!("Image '{shown}' not found.") })
        }
    };
    let mut state = core.run.state();
    let now = state.now();
    let Some(job) = state.jobs.get_mut(parent(name)) else { return };
    let Some(execution) = job.executions.iter_mut().find(|execution| execution["name"] == name) else { return };
    if let Some(fields) = execution.as_object_mut() {
        fields.remove("runningCount");
    }
    let (count, status) = match &why {
        None => ("succeededCount", "EXECUTION_SUCCEEDED"),
        Some(why) if why.reason == CANCELLED => ("cancelledCount", "EXECUTION_CANCELLED"),
        Some(_) => ("failedCount", "EXECUTION_FAILED"),
    };
    execution[count] = 1.into();
    execution["completionTime"] = time(now);
    execution["updateTime"] = time(now);
    execution["reconciling"] = false.into();
    execution["observedGeneration"] = "1".into();
    execution["conditions"] = json!([judged("Completed", now, why.as_ref())]);
    let execution = execution.clone();
    job.value["latestCreatedExecution"] = reference(&execution, status);
    let outcome = match why {
        None => Ok(any("Execution", &execution)),
        Some(why) => Err(Failure {
            code: if why.field == "reason" { code::NOT_FOUND } else { code::FAILED_PRECONDITION },
            message: format!(
                "Execution {} has failed to complete, 0/1 tasks were a success. {}",
                short(name),
                why.message
            ),
        }),
    };
    state.finish(operation, outcome);
    drop(state);
    ended(core);
}

fn reference(execution: &Value, status: &str) -> Value {
    let mut reference = json!({
        "name": short(execution["name"].as_str().unwrap_or_default()),
        "createTime": execution["createTime"],
        "completionStatus": status,
    });
    if !execution["completionTime"].is_null() {
        reference["completionTime"] = execution["completionTime"].clone();
    }
    reference
}

/// What a run sets for itself: arguments are replaced, variables added.
fn overlay(container: &mut Value, given: &Value) {
    if given["clearArgs"] == true {
        container["args"] = json!([]);
    } else if given["args"].as_array().is_some_and(|arguments| !arguments.is_empty()) {
        container["args"] = given["args"].clone();
    }
    for variable in given["env"].as_array().into_iter().flatten() {
        let mut all = container["env"].as_array().cloned().unwrap_or_default();
        all.retain(|known| known["name"] != variable["name"]);
        all.push(variable.clone());
        container["env"] = all.into();
    }
}

fn parent(name: &str) -> &str {
    name.rsplit_once("/executions/").map_or(name, |(parent, _)| parent)
}
