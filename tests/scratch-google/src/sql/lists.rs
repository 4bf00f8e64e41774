//! What an instance holds, and how it is reached.

use super::state::{key, link};
use crate::core::Core;
use crate::discovery::Call;
use crate::refusal::Refusal;
use serde_json::{Value, json};

pub(super) fn users(core: &Core, call: &Call) -> Result<Value, Refusal> {
    let key = key(call);
    let disk = disk(core, call)?;
    let user =
        |name: String| json!({ "kind": "sql#user", "name": name, "host": "", "instance": key.1, "project": key.0 });
    Ok(json!({ "kind": "sql#usersList", "items": disk.users().into_iter().map(user).collect::<Vec<_>>() }))
}

pub(super) fn databases(core: &Core, call: &Call) -> Result<Value, Refusal> {
    let (project, instance) = key(call);
    let disk = disk(core, call)?;
    let database = |name: String| {
        json!({
            "kind": "sql#database",
            "name": name,
            "charset": "UTF8",
            "collation": "en_US.UTF8",
            "instance": instance,
            "project": project,
            "selfLink": link(&format!("projects/{project}/instances/{instance}/databases/{name}")),
        })
    };
    Ok(json!({ "kind": "sql#databasesList", "items": disk.databases().into_iter().map(database).collect::<Vec<_>>() }))
}

pub(super) fn connect(core: &Core, call: &Call) -> Result<Value, Refusal> {
    let state = core.sql.state();
    let instance = state.instance(&key(call))?;
    let mut settings = json!({ "kind": "sql#connectSettings" });
    for field in ["backendType", "connectionName", "databaseVersion", "ipAddresses", "region"] {
        if !instance[field].is_null() {
            settings[field] = instance[field].clone();
        }
    }
    Ok(settings)
}

fn disk(core: &Core, call: &Call) -> Result<std::sync::Arc<dyn super::Disk>, Refusal> {
    let key = key(call);
    let state = core.sql.state();
    if state.instance(&key)?["state"] != "RUNNABLE" {
        return Err(Refusal::invalid("Invalid request: Invalid request since instance is not running."));
    }
    state.disks.get(&key).cloned().ok_or_else(Refusal::no_instance)
}
