//! Cloud Run Admin API v2: services with real servers behind them, jobs with real programs.

mod conditions;
mod container;
mod executions;
mod front;
mod image;
mod jobs;
mod mask;
mod operations;
mod reconcile;
mod revisions;
mod services;
mod spec;
mod state;
mod traffic;

pub(crate) mod knative;

pub use container::Environment;
pub use image::{Image, Request, Response};

use crate::core::Core;
use crate::discovery::Call;
use crate::fault::Fate;
use crate::refusal::Refusal;
use image::Images;
use serde_json::{Value, json};
use state::State;
use std::sync::{Arc, Mutex, MutexGuard};
use tokio::sync::watch;

#[derive(Default)]
pub(crate) struct Run {
    state: Mutex<State>,
    pub images: Images,
    /// Counts what ended.
    ended: watch::Sender<u64>,
}

impl Run {
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nothing panics while it holds the lock")
    }
}

/// The id of a method after this.
pub(crate) const METHODS: &str = "run.projects.locations.";

pub(crate) async fn answer(core: &Arc<Core>, call: &Call, caller: &str, fate: Fate) -> Result<Value, Refusal> {
    if call.document.is_knative() {
        return knative::answer(core, call, caller, fate);
    }
    match call.method.id.trim_start_matches(METHODS) {
        "services.create" => services::create(core, call, caller, fate),
        "services.delete" => services::delete(core, call, fate),
        "services.get" => services::get(core, call),
        "services.list" => services::list(core, call),
        "services.patch" => services::patch(core, call, caller, fate),
        "services.revisions.delete" => revisions::delete(core, call, fate),
        "services.revisions.get" => revisions::get(core, call),
        "services.revisions.list" => revisions::list(core, call),
        "services.testIamPermissions" | "jobs.testIamPermissions" => Ok(permissions(core, call)),
        "jobs.create" => jobs::create(core, call, caller),
        "jobs.delete" => jobs::delete(core, call),
        "jobs.get" => jobs::get(core, call),
        "jobs.list" => jobs::list(core, call),
        "jobs.patch" => jobs::patch(core, call, caller),
        "jobs.run" => executions::run(core, call, caller, fate),
        "jobs.executions.cancel" => executions::cancel(core, call),
        "jobs.executions.get" => executions::get(core, call),
        "jobs.executions.list" => executions::list(core, call),
        "operations.get" => operations::get(core, call),
        "operations.list" => operations::list(core, call),
        "operations.wait" => operations::wait(core, call).await,
        other => unreachable!("a method of the document without an answer: `{other}`"),
    }
}

/// `projects/p/locations/l/services/s`, as far as the path names it.
pub(crate) fn resource_of(call: &Call) -> String {
    let parts = [
        ("projects", "projectsId"),
        ("locations", "locationsId"),
        ("services", "servicesId"),
        ("jobs", "jobsId"),
        ("revisions", "revisionsId"),
        ("executions", "executionsId"),
        ("operations", "operationsId"),
    ];
    let named = parts.iter().map(|(kind, variable)| (kind, call.variable(variable))).filter(|(_, id)| !id.is_empty());
    named.map(|(kind, id)| format!("{kind}/{id}")).collect::<Vec<_>>().join("/")
}

/// A service that is there and ready, without a request. The answer is its address.
pub(crate) fn by_hand(core: &Arc<Core>, name: &str, image: &str, variables: &[(&str, &str)]) -> Result<String, String> {
    let variables: Vec<Value> = variables.iter().map(|(name, value)| json!({ "name": name, "value": value })).collect();
    let body = json!({ "template": { "containers": [{ "image": image, "env": variables }] } });
    let caller = "operator@example.com";
    let wish = services::Wish {
        name,
        body: &body,
        mask: "",
        only_asks: false,
        forces_revision: false,
        may_create: true,
        caller,
    };
    services::make(core, wish, Fate::Usual).map_err(|refusal| refusal.message)?;
    let begun = std::time::Instant::now();
    while begun.elapsed() < core.pace().run + core.pace().startup + PATIENCE {
        let value = core.run.state().services.get(name).map(|service| service.value.clone()).unwrap_or_default();
        match value["terminalCondition"]["state"].as_str() {
            Some("CONDITION_SUCCEEDED") => return Ok(value["uri"].as_str().unwrap_or_default().to_owned()),
            Some("CONDITION_FAILED") => return Err(value["terminalCondition"]["message"].to_string()),
            _ => std::thread::sleep(std::time::Duration::from_millis(2)),
        }
    }
    Err("it does not get ready".to_owned())
}

/// On a busy machine, beside what an operation takes.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(20);

fn permissions(core: &Core, call: &Call) -> Value {
    let asked = call.body["permissions"].as_array().map(Vec::as_slice).unwrap_or_default();
    let held: Vec<&Value> =
        asked.iter().filter(|asked| asked.as_str().is_some_and(|asked| core.login.may(asked))).collect();
    if held.is_empty() { json!({}) } else { json!({ "permissions": held }) }
}

/// The service or job of a request gets a label and a new etag.
pub(crate) fn edited_by_somebody_else(core: &Core, call: &Call) {
    let name = if call.document.is_knative() { knative::service_of(call) } else { resource_of(call) };
    core.run.state().edit(&name);
}
