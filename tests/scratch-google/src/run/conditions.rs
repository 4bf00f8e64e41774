//! Conditions, as the console shows them.

use super::state::time;
use jiff::Timestamp;
use serde_json::{Value, json};

/// Why something is not ready: the field that says it and its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Why {
    pub field: &'static str,
    pub reason: &'static str,
    pub message: String,
}

pub(super) fn succeeded(kind: &str, now: Timestamp) -> Value {
    json!({ "type": kind, "state": "CONDITION_SUCCEEDED", "lastTransitionTime": time(now) })
}

pub(super) fn reconciling(kind: &str, now: Timestamp) -> Value {
    json!({ "type": kind, "state": "CONDITION_RECONCILING", "lastTransitionTime": time(now) })
}

pub(super) fn failed(kind: &str, now: Timestamp, why: &Why) -> Value {
    json!({
        "type": kind,
        "state": "CONDITION_FAILED",
        "severity": "ERROR",
        "message": why.message,
        "lastTransitionTime": time(now),
        why.field: why.reason,
    })
}

/// By its outcome.
pub(super) fn judged(kind: &str, now: Timestamp, why: Option<&Why>) -> Value {
    why.map_or_else(|| succeeded(kind, now), |why| failed(kind, now, why))
}
