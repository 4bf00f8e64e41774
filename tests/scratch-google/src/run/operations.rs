//! Long-running operations.

use super::resource_of;
use super::state::{State, uid};
use crate::core::Core;
use crate::discovery::Call;
use crate::paging::page;
use crate::refusal::Refusal;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;

/// Codes of `google.rpc`.
pub(super) mod code {
    pub(in super::super) const NOT_FOUND: i32 = 5;
    pub(in super::super) const PERMISSION_DENIED: i32 = 7;
    pub(in super::super) const FAILED_PRECONDITION: i32 = 9;
    pub(in super::super) const INTERNAL: i32 = 13;
}

/// How an operation ended badly.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    pub code: i32,
    pub message: String,
}

/// A client that names no time waits so long at most.
const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Default)]
pub(crate) struct Operations {
    by_name: BTreeMap<String, Value>,
    /// Oldest first.
    order: Vec<String>,
}

impl State {
    /// An operation in the place of a resource. `metadata`: an `Any`.
    pub(crate) fn start(&mut self, resource: &str, metadata: Value) -> Value {
        let place = resource.split('/').take(4).collect::<Vec<_>>().join("/");
        let name = format!("{place}/operations/{}", uid(resource, self.now()));
        let operation = json!({ "name": name, "done": false, "metadata": metadata });
        self.operations.by_name.insert(name.clone(), operation.clone());
        self.operations.order.push(name);
        operation
    }

    /// `outcome`: an `Any`.
    pub(crate) fn finish(&mut self, name: &str, outcome: Result<Value, Failure>) {
        let Some(operation) = self.operations.by_name.get_mut(name) else { return };
        operation["done"] = true.into();
        match outcome {
            Ok(response) => {
                operation["metadata"] = response.clone();
                operation["response"] = response;
            }
            Err(failure) => operation["error"] = json!({ "code": failure.code, "message": failure.message }),
        }
    }
}

/// Tells those who wait.
pub(super) fn ended(core: &Core) {
    core.run.ended.send_modify(|times| *times += 1);
}

pub(super) fn get(core: &Core, call: &Call) -> Result<Value, Refusal> {
    let name = resource_of(call);
    let state = core.run.state();
    let operation = state.operations.by_name.get(&name).cloned();
    operation.ok_or_else(|| Refusal::not_found(format!("Operation {name} was not found.")))
}

pub(super) fn list(core: &Core, call: &Call) -> Result<Value, Refusal> {
    let place = format!("{}/operations/", resource_of(call));
    let done = match call.text("filter") {
        "" => None,
        "done:true" => Some(true),
        "done:false" => Some(false),
        other => return Err(Refusal::invalid(format!("Invalid filter: {other}"))),
    };
    let state = core.run.state();
    let all = &state.operations;
    let wanted = all.order.iter().filter(|name| name.starts_with(&place)).filter_map(|name| all.by_name.get(name));
    let wanted = wanted.filter(|operation| done.is_none_or(|done| operation["done"] == done)).cloned().collect();
    let page = page(wanted, call.number("pageSize"), 100, call.text("pageToken"))?;
    let mut answer = json!({ "operations": page.items });
    if let Some(next) = page.next {
        answer["nextPageToken"] = next.into();
    }
    Ok(answer)
}

/// Until the operation is done, or the time that the client names is over.
pub(super) async fn wait(core: &Core, call: &Call) -> Result<Value, Refusal> {
    let patience = call.body["timeout"].as_str().and_then(duration).unwrap_or(PATIENCE).min(PATIENCE);
    let mut ended = core.run.ended.subscribe();
    let done = async {
        loop {
            let operation = get(core, call)?;
            if operation["done"] == true {
                return Ok(operation);
            }
            if ended.changed().await.is_err() {
                return Ok(operation);
            }
        }
    };
    match tokio::time::timeout(patience, done).await {
        Ok(operation) => operation,
        Err(_) => get(core, call),
    }
}

/// `3.5s`
fn duration(text: &str) -> Option<Duration> {
    Duration::try_from_secs_f64(text.strip_suffix('s')?.parse().ok()?).ok()
}
