//! Operations: `PENDING`, `RUNNING`, the effect, `DONE`.

use super::state::{Key, State, link, now};
use crate::core::{Core, Verdict};
use crate::discovery::Call;
use crate::fault::Fate;
use crate::paging::page;
use crate::refusal::Refusal;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use std::sync::Arc;

/// What an operation does when its time has come. An error is the operation's own.
pub(super) type Effect = Box<dyn FnOnce(&Core) -> Result<(), String> + Send>;

pub(super) struct Start<'a> {
    /// `BACKUP_VOLUME`
    pub kind: &'a str,
    pub key: Key,
    pub user: &'a str,
    pub backup: Option<u64>,
    /// When it goes from `PENDING` to `RUNNING`.
    pub running: Effect,
    /// The state is not locked; it may block.
    pub effect: Effect,
    /// After an effect that failed, or never was.
    pub failed: Effect,
}

/// The instance is idle, and stays so until the state is let go.
pub(super) fn start(core: &Arc<Core>, state: &mut State, start: Start<'_>, fate: Fate) -> Value {
    let id = state.new_id();
    let hash = hash(&format!("{:?} {id}", start.key));
    let name = format!("{}-{}-{}-{}-{}", &hash[..8], &hash[8..12], &hash[12..16], &hash[16..20], &hash[20..32]);
    let (project, instance) = &start.key;
    let mut operation = json!({
        "kind": "sql#operation",
        "name": name,
        "operationType": start.kind,
        "status": "PENDING",
        "user": start.user,
        "insertTime": now(),
        "targetProject": project,
        "targetId": instance,
        "targetLink": link(&format!("projects/{project}/instances/{instance}")),
        "selfLink": link(&format!("projects/{project}/operations/{name}")),
    });
    if let Some(backup) = start.backup {
        operation["backupContext"] = json!({ "kind": "sql#backupContext", "backupId": backup.to_string() });
    }
    state.operations.push(operation.clone());
    let (running, effect, failed) = (start.running, start.effect, start.failed);
    let task = Arc::clone(core);
    core.spawn(async move {
        tokio::time::sleep(task.pace().sql).await;
        set(&task, &name, &[("status", json!("RUNNING")), ("startTime", now())]);
        let begun = running(&task);
        let outcome = match (task.endure(&fate, task.pace().sql).await, begun) {
            (Verdict::Stop, _) => return,
            (Verdict::Fail(message), _) | (_, Err(message)) => Err(message),
            (Verdict::GoOn, Ok(())) => {
                let at = Arc::clone(&task);
                let done = tokio::task::spawn_blocking(move || effect(&at)).await;
                done.unwrap_or_else(|_| Err("the effect panicked".to_owned()))
            }
        };
        let mut last = vec![("status", json!("DONE")), ("endTime", now())];
        if let Err(message) = outcome {
            // Only what it sets itself depends on it.
            let _ = failed(&task);
            let error = json!({ "kind": "sql#operationError", "code": "INTERNAL_ERROR", "message": message });
            last.push(("error", json!({ "kind": "sql#operationErrors", "errors": [error] })));
        }
        set(&task, &name, &last);
    });
    operation
}

/// Does nothing.
pub(super) fn nothing() -> Effect {
    Box::new(|_| Ok(()))
}

fn set(core: &Core, name: &str, fields: &[(&str, Value)]) {
    let mut state = core.sql.state();
    let Some(operation) = state.operations.iter_mut().find(|operation| operation["name"] == name) else { return };
    for (field, value) in fields {
        operation[*field] = value.clone();
    }
}

pub(super) fn get(core: &Core, call: &Call) -> Result<Value, Refusal> {
    let (project, name) = (call.variable("project"), call.variable("operation"));
    let state = core.sql.state();
    let found = state.operations.iter().find(|o| o["name"] == name && o["targetProject"] == project);
    found.cloned().ok_or_else(|| Refusal::not_found("The requested operation was not found."))
}

pub(super) fn list(core: &Core, call: &Call) -> Result<Value, Refusal> {
    let (project, instance) = (call.variable("project"), call.text("instance"));
    let state = core.sql.state();
    let wanted = |o: &&Value| o["targetProject"] == project && (instance.is_empty() || o["targetId"] == instance);
    // Newest first, as Google's.
    let all = state.operations.iter().rev().filter(wanted).cloned().collect();
    let page = page(all, call.number("maxResults"), 100, call.text("pageToken"))?;
    let mut answer = json!({ "kind": "sql#operationsList", "items": page.items });
    if let Some(next) = page.next {
        answer["nextPageToken"] = next.into();
    }
    Ok(answer)
}

/// Hexadecimal.
pub(super) fn hash(text: &str) -> String {
    Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect()
}
