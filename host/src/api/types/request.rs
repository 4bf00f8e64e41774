//! What is asked, and the answers that belong to one request alone.

use super::Decision;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SetRequest {
    pub version: String,
}

/// What became of the `version` line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VersionSet {
    pub deployment: String,
    pub file: String,
    pub before: String,
    pub version: String,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ApproveRequest {
    /// The run that was looked at; refused where another waits. Null: whichever waits.
    pub run: Option<u64>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CancelRequest {
    pub why: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RollbackRequest {
    /// The run that a former answer asked to confirm.
    pub confirm: Option<u64>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RehearseRequest {
    /// Null: the file's version.
    pub to: Option<String>,
}

/// The rehearsal is a run of its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RehearsalStarted {
    pub run: u64,
    pub from: String,
    pub to: String,
}

/// What a rollback does. 202 when it is begun, 200 when it has to be confirmed first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "kebab-case")]
pub enum RollbackAnswer {
    /// The open run turns round; or a run of its own has begun.
    Started { run: u64 },
    /// Nothing was touched. Repeat with `confirm` = `run`.
    NeedsConfirmation {
        /// The committed run that would be undone.
        run: u64,
        /// The version that it would lead back to.
        to: String,
        /// What was written from here on would be set aside.
        writes_since: Timestamp,
        message: String,
    },
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DecideRequest {
    pub decision: Decision,
    /// Kept with the run; needed to abandon.
    #[serde(default)]
    pub why: Option<String>,
}

/// What stands behind the socket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Index {
    /// The daemon's version.
    pub upgraded: String,
    pub routes: Vec<RouteInfo>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouteInfo {
    pub method: String,
    pub path: String,
    pub summary: String,
}
