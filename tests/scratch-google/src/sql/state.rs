//! What there is: instances, backup runs, operations.

use super::disk::Disk;
use crate::discovery::Call;
use crate::refusal::Refusal;
use jiff::Timestamp;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Project and instance.
pub(super) type Key = (String, String);

#[derive(Default)]
pub(crate) struct State {
    pub instances: BTreeMap<Key, Value>,
    pub disks: BTreeMap<Key, Arc<dyn Disk>>,
    /// By instance and id.
    pub backups: BTreeMap<(Key, u64), Value>,
    /// Oldest first.
    pub operations: Vec<Value>,
    /// Names that can't be used again for a week.
    pub deleted: BTreeSet<Key>,
    last_id: u64,
}

impl State {
    /// As Google's: milliseconds since 1970, each once.
    pub(super) fn new_id(&mut self) -> u64 {
        let now = u64::try_from(Timestamp::now().as_millisecond()).unwrap_or(0);
        self.last_id = now.max(self.last_id + 1);
        self.last_id
    }

    pub(super) fn instance(&self, key: &Key) -> Result<&Value, Refusal> {
        self.instances.get(key).ok_or_else(Refusal::no_instance)
    }

    /// Each instance does one thing at a time.
    pub(super) fn idle(&self, key: &Key) -> Result<(), Refusal> {
        let runs = |operation: &&Value| operation["status"] != "DONE" && is_of(operation, key);
        if self.operations.iter().any(|operation| runs(&operation)) { Err(Refusal::in_progress()) } else { Ok(()) }
    }
}

pub(super) fn is_of(operation: &Value, key: &Key) -> bool {
    operation["targetProject"] == key.0.as_str() && operation["targetId"] == key.1.as_str()
}

/// The instance that a path names.
pub(super) fn key(call: &Call) -> Key {
    (call.variable("project").to_owned(), call.variable("instance").to_owned())
}

pub(super) fn now() -> Value {
    format!("{:.3}", Timestamp::now()).into()
}

/// The settings were edited.
pub(super) fn new_version(instance: &mut Value) {
    let version = instance["settings"]["settingsVersion"].as_str().and_then(|text| text.parse::<u64>().ok());
    let version = version.unwrap_or(0) + 1;
    instance["settings"]["settingsVersion"] = version.to_string().into();
    instance["etag"] = crate::sql::operations::hash(&format!("{} {version}", instance["name"])).into();
}

/// The address of a resource in the answers.
pub(super) fn link(path: &str) -> Value {
    format!("https://sqladmin.googleapis.com/v1/{path}").into()
}
