//! Instances.

use super::operations::{Start, hash, nothing, start};
use super::state::{key, link, new_version, now};
use crate::core::Core;
use crate::discovery::Call;
use crate::fault::Fate;
use crate::paging::page;
use crate::refusal::Refusal;
use serde_json::{Value, json};
use std::sync::Arc;

pub(super) fn get(core: &Core, call: &Call) -> Result<Value, Refusal> {
    core.sql.state().instance(&key(call)).cloned()
}

pub(super) fn list(core: &Core, call: &Call) -> Result<Value, Refusal> {
    if !call.text("filter").is_empty() {
        return Err(Refusal::invalid("Invalid filter: the double knows none."));
    }
    let project = call.variable("project");
    let state = core.sql.state();
    let all = state.instances.iter().filter(|((of, _), _)| of == project).map(|(_, value)| value.clone()).collect();
    let page = page(all, call.number("maxResults"), 100, call.text("pageToken"))?;
    let mut answer = json!({ "kind": "sql#instancesList", "items": page.items });
    if let Some(next) = page.next {
        answer["nextPageToken"] = next.into();
    }
    Ok(answer)
}

pub(super) fn insert(core: &Arc<Core>, call: &Call, caller: &str, fate: Fate) -> Result<Value, Refusal> {
    let project = call.variable("project");
    let name = call.body["name"].as_str().unwrap_or_default();
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if name.is_empty() || name.len() > 98 || !name.bytes().all(fits) {
        return Err(Refusal::invalid(format!("Invalid request: instance name ({name}).")));
    }
    if call.body["settings"]["tier"].as_str().is_none_or(str::is_empty) {
        return Err(Refusal::invalid("Invalid request: the tier of the instance is missing."));
    }
    let key = (project.to_owned(), name.to_owned());
    let mut state = core.sql.state();
    if state.instances.contains_key(&key) || state.deleted.contains(&key) {
        let message = "The Cloud SQL instance already exists. When you delete an instance, you can't reuse the name of \
                       the deleted instance until one week from the deletion date.";
        return Err(Refusal::exists(message));
    }
    let disk = state.disks.get(&key).cloned().unwrap_or_else(|| core.sql.new_disk(project, name));
    let region = call.body["region"].as_str().filter(|text| !text.is_empty()).unwrap_or("us-central1");
    let version = call.body["databaseVersion"].as_str().unwrap_or("POSTGRES_15");
    let mut value = json!({
        "kind": "sql#instance",
        "name": name,
        "project": project,
        "region": region,
        "gceZone": format!("{region}-a"),
        "databaseVersion": version,
        "state": "PENDING_CREATE",
        "instanceType": "CLOUD_SQL_INSTANCE",
        "backendType": "SECOND_GEN",
        "connectionName": format!("{project}:{region}:{name}"),
        "createTime": now(),
        "selfLink": link(&format!("projects/{project}/instances/{name}")),
        "serviceAccountEmailAddress": format!("p1-{}@gcp-sa-cloud-sql.iam.gserviceaccount.com", &hash(name)[..6]),
        "settings": settings(&call.body["settings"]),
    });
    new_version(&mut value);
    state.instances.insert(key.clone(), value);
    state.disks.insert(key.clone(), Arc::clone(&disk));
    let at = key.clone();
    let effect = Box::new(move |core: &Core| {
        if let Some(instance) = core.sql.state().instances.get_mut(&at) {
            instance["state"] = "RUNNABLE".into();
            instance["ipAddresses"] = addresses(&instance["settings"], &disk.address());
        }
        Ok(())
    });
    let at = key.clone();
    let failed = Box::new(move |core: &Core| {
        if let Some(instance) = core.sql.state().instances.get_mut(&at) {
            instance["state"] = "FAILED".into();
        }
        Ok(())
    });
    let create = Start { kind: "CREATE", key, user: caller, backup: None, running: nothing(), effect, failed };
    Ok(start(core, &mut state, create, fate))
}

pub(super) fn delete(core: &Arc<Core>, call: &Call, caller: &str, fate: Fate) -> Result<Value, Refusal> {
    let key = key(call);
    let mut state = core.sql.state();
    let instance = state.instance(&key)?;
    if instance["settings"]["deletionProtectionEnabled"] == true {
        let message = "The instance is protected. Please disable the deletion protection and try again. To disable \
                       deletion protection, update the instance settings with deletionProtectionEnabled set to false.";
        return Err(Refusal::wrong_state(message));
    }
    state.idle(&key)?;
    if let Some(instance) = state.instances.get_mut(&key) {
        instance["state"] = "PENDING_DELETE".into();
    }
    let at = key.clone();
    let effect = Box::new(move |core: &Core| {
        let mut state = core.sql.state();
        state.instances.remove(&at);
        state.backups.retain(|(instance, _), _| *instance != at);
        state.deleted.insert(at.clone());
        let disk = state.disks.remove(&at);
        drop(state);
        disk.inspect(|disk| disk.remove());
        Ok(())
    });
    let at = key.clone();
    let failed = Box::new(move |core: &Core| {
        if let Some(instance) = core.sql.state().instances.get_mut(&at) {
            instance["state"] = "RUNNABLE".into();
        }
        Ok(())
    });
    let delete = Start { kind: "DELETE", key, user: caller, backup: None, running: nothing(), effect, failed };
    Ok(start(core, &mut state, delete, fate))
}

/// Fields of the settings are laid over each other, lists replaced.
pub(super) fn patch(core: &Arc<Core>, call: &Call, caller: &str, fate: Fate) -> Result<Value, Refusal> {
    let key = key(call);
    let mut state = core.sql.state();
    let instance = state.instance(&key)?;
    let given = &call.body["settings"]["settingsVersion"];
    if given.is_string() && *given != instance["settings"]["settingsVersion"] {
        return Err(Refusal::stale());
    }
    state.idle(&key)?;
    let (at, change) = (key.clone(), call.body.clone());
    let effect = Box::new(move |core: &Core| {
        if let Some(instance) = core.sql.state().instances.get_mut(&at) {
            let version = instance["settings"]["settingsVersion"].clone();
            overlay(&mut instance["settings"], &change["settings"]);
            instance["settings"]["settingsVersion"] = version;
            if change["databaseVersion"].is_string() {
                instance["databaseVersion"] = change["databaseVersion"].clone();
            }
            new_version(instance);
        }
        Ok(())
    });
    let update =
        Start { kind: "UPDATE", key, user: caller, backup: None, running: nothing(), effect, failed: nothing() };
    Ok(start(core, &mut state, update, fate))
}

pub(super) fn restart(core: &Arc<Core>, call: &Call, caller: &str, fate: Fate) -> Result<Value, Refusal> {
    let key = key(call);
    let mut state = core.sql.state();
    state.instance(&key)?;
    state.idle(&key)?;
    let disk = state.disks.get(&key).cloned();
    let effect =
        Box::new(move |_: &Core| disk.map_or(Ok(()), |disk| disk.restart().map_err(|error| error.to_string())));
    let restart =
        Start { kind: "RESTART", key, user: caller, backup: None, running: nothing(), effect, failed: nothing() };
    Ok(start(core, &mut state, restart, fate))
}

/// Where it has a private network, its server is reached there, and its public address leads nowhere.
fn addresses(settings: &Value, address: &str) -> Value {
    match settings["ipConfiguration"]["privateNetwork"].is_string() {
        true => json!([
            { "type": "PRIMARY", "ipAddress": "203.0.113.7" },
            { "type": "PRIVATE", "ipAddress": address },
        ]),
        false => json!([{ "type": "PRIMARY", "ipAddress": address }]),
    }
}

fn settings(given: &Value) -> Value {
    let mut settings = json!({
        "kind": "sql#settings",
        "activationPolicy": "ALWAYS",
        "availabilityType": "ZONAL",
        "pricingPlan": "PER_USE",
        "edition": "ENTERPRISE",
        "dataDiskType": "PD_SSD",
        "dataDiskSizeGb": "10",
        "storageAutoResize": true,
        "deletionProtectionEnabled": false,
        "backupConfiguration": { "kind": "sql#backupConfiguration", "enabled": false },
        "ipConfiguration": { "ipv4Enabled": true },
    });
    overlay(&mut settings, given);
    settings
}

fn overlay(value: &mut Value, change: &Value) {
    match (value, change) {
        (Value::Object(value), Value::Object(change)) => {
            for (field, change) in change {
                overlay(value.entry(field.clone()).or_insert(Value::Null), change);
            }
        }
        (_, Value::Null) => {}
        (value, change) => *value = change.clone(),
    }
}
