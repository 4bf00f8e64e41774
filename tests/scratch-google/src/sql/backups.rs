//! Backup runs, and what brings one back.

use super::operations::{Start, nothing, start};
use super::state::{Key, State, key, link, now};
use crate::core::Core;
use crate::discovery::Call;
use crate::fault::Fate;
use crate::paging::page;
use crate::refusal::Refusal;
use serde_json::{Value, json};
use std::sync::Arc;

pub(super) fn get(core: &Core, call: &Call) -> Result<Value, Refusal> {
    let key = key(call);
    let state = core.sql.state();
    state.instance(&key)?;
    find(&state, &key, call.variable("id")).map(|(_, run)| run.clone())
}

pub(super) fn list(core: &Core, call: &Call) -> Result<Value, Refusal> {
    let key = key(call);
    let state = core.sql.state();
    state.instance(&key)?;
    // Newest first, as Google's.
    let runs = state.backups.iter().rev().filter(|((of, _), _)| *of == key).map(|(_, run)| run.clone()).collect();
    let page = page(runs, call.number("maxResults"), 20, call.text("pageToken"))?;
    let mut answer = json!({ "kind": "sql#backupRunsList", "items": page.items });
    if let Some(next) = page.next {
        answer["nextPageToken"] = next.into();
    }
    Ok(answer)
}

pub(super) fn insert(core: &Arc<Core>, call: &Call, caller: &str, fate: Fate) -> Result<Value, Refusal> {
    let key = key(call);
    let mut state = core.sql.state();
    let instance = state.instance(&key)?;
    runnable(instance)?;
    let version = instance["databaseVersion"].clone();
    state.idle(&key)?;
    let id = state.new_id();
    let (project, name) = &key;
    let mut run = json!({
        "kind": "sql#backupRun",
        "id": id.to_string(),
        "instance": name,
        "type": "ON_DEMAND",
        "backupKind": "SNAPSHOT",
        "status": "ENQUEUED",
        "enqueuedTime": now(),
        "windowStartTime": now(),
        "databaseVersion": version,
        "location": call.body["location"].as_str().unwrap_or("us"),
        "selfLink": link(&format!("projects/{project}/instances/{name}/backupRuns/{id}")),
    });
    if call.body["description"].is_string() {
        run["description"] = call.body["description"].clone();
    }
    state.backups.insert((key.clone(), id), run);
    let disk = state.disks.get(&key).cloned();
    let path = core.sql.backup_path(project, id);
    let at = (key.clone(), id);
    let running = becomes(&at, json!({ "status": "RUNNING" }), "startTime");
    let good = becomes(&at, json!({ "status": "SUCCESSFUL" }), "endTime");
    let effect = Box::new(move |core: &Core| {
        let disk = disk.ok_or("the instance has no disk")?;
        disk.back_up(&path).map_err(|error| error.to_string())?;
        good(core)
    });
    let error = json!({ "kind": "sql#operationError", "code": "INTERNAL_ERROR", "message": "The backup failed." });
    let failed = becomes(&at, json!({ "status": "FAILED", "error": error }), "endTime");
    let backup = Start { kind: "BACKUP_VOLUME", key, user: caller, backup: Some(id), running, effect, failed };
    Ok(start(core, &mut state, backup, fate))
}

pub(super) fn delete(core: &Arc<Core>, call: &Call, caller: &str, fate: Fate) -> Result<Value, Refusal> {
    let key = key(call);
    let mut state = core.sql.state();
    state.instance(&key)?;
    let (id, _) = find(&state, &key, call.variable("id"))?;
    state.idle(&key)?;
    let path = core.sql.backup_path(&key.0, id);
    let at = (key.clone(), id);
    let running = becomes(&at, json!({ "status": "DELETION_PENDING" }), "endTime");
    let failed = becomes(&at, json!({ "status": "DELETION_FAILED" }), "endTime");
    let effect = Box::new(move |core: &Core| {
        core.sql.state().backups.remove(&at);
        // A backup of a disk that wrote nothing left nothing.
        let _ = std::fs::remove_dir_all(&path);
        Ok(())
    });
    let delete = Start { kind: "DELETE_BACKUP", key, user: caller, backup: Some(id), running, effect, failed };
    Ok(start(core, &mut state, delete, fate))
}

/// Over the instance of the path, from a backup of this one or another.
pub(super) fn restore(core: &Arc<Core>, call: &Call, caller: &str, fate: Fate) -> Result<Value, Refusal> {
    let key = key(call);
    let context = &call.body["restoreBackupContext"];
    if !context.is_object() {
        return Err(Refusal::invalid("Invalid request: restoreBackupContext is missing."));
    }
    let text =
        |field: &str, usual: &str| context[field].as_str().filter(|text| !text.is_empty()).unwrap_or(usual).to_owned();
    let source: Key = (text("project", &key.0), text("instanceId", &key.1));
    let mut state = core.sql.state();
    let target = state.instance(&key)?;
    runnable(target)?;
    let (id, run) = find(&state, &source, &text("backupRunId", ""))?;
    if run["status"] != "SUCCESSFUL" {
        return Err(Refusal::wrong_state(format!("Backup run {id} can't be restored: it is {}.", run["status"])));
    }
    if run["databaseVersion"] != target["databaseVersion"] {
        let message = "The database version of the target instance is not that of the backup.";
        return Err(Refusal::wrong_state(message));
    }
    state.idle(&key)?;
    let disk = state.disks.get(&key).cloned();
    let path = core.sql.backup_path(&source.0, id);
    let effect = Box::new(move |_: &Core| {
        let disk = disk.ok_or("the instance has no disk")?;
        disk.restore(&path).map_err(|error| error.to_string())
    });
    let restore = Start {
        kind: "RESTORE_VOLUME",
        key,
        user: caller,
        backup: Some(id),
        running: nothing(),
        effect,
        failed: nothing(),
    };
    Ok(start(core, &mut state, restore, fate))
}

fn find<'s>(state: &'s State, key: &Key, id: &str) -> Result<(u64, &'s Value), Refusal> {
    let id: u64 = id.parse().map_err(|_| Refusal::invalid(format!("Invalid value for: backup run id `{id}`.")))?;
    let run = state.backups.get(&(key.clone(), id));
    run.map(|run| (id, run)).ok_or_else(|| Refusal::not_found("The Cloud SQL backup run does not exist."))
}

fn runnable(instance: &Value) -> Result<(), Refusal> {
    if instance["state"] == "RUNNABLE" {
        return Ok(());
    }
    Err(Refusal::invalid("Invalid request: Invalid request since instance is not running."))
}

/// Sets fields of a backup run, and the time in one of them.
fn becomes(at: &(Key, u64), fields: Value, time: &'static str) -> super::operations::Effect {
    let at = at.clone();
    Box::new(move |core: &Core| {
        if let Some(run) = core.sql.state().backups.get_mut(&at) {
            for (field, value) in fields.as_object().into_iter().flatten() {
                run[field] = value.clone();
            }
            run[time] = now();
        }
        Ok(())
    })
}
