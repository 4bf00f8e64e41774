//! Deployments and what is done about them.

use super::{Decision, RunSummary};
use crate::config::Diagnostics;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// One deployment as it stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Deployment {
    /// The file's name without `.toml`.
    pub name: String,
    /// The product's plugin; null while the file can't be read.
    pub product: Option<String>,
    /// What runs, as last detected.
    pub installed: Option<String>,
    pub detected_at: Option<Timestamp>,
    /// The file's `version` line.
    pub wanted: Option<String>,
    pub state: State,
    /// The newest run, ended or not.
    pub last_run: Option<RunSummary>,
}

/// What the daemon does about a deployment at this moment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum State {
    /// Nothing to do: the installed version is the wanted one.
    Idle,
    /// Reads what is installed, the way there, and the preflight's findings, or is about to; nothing is touched.
    Planning,
    Waiting(Waiting),
    Running(Running),
    Stuck(Stuck),
    /// The file, a plugin or the preflight says no; nothing was touched.
    Error {
        message: String,
        /// Mistakes in the file, each with its place.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        diagnostics: Option<Diagnostics>,
    },
    /// The wanted version failed here and is not tried again until the `version` line changes or somebody says `retry`.
    Quarantined {
        version: String,
        run: u64,
        why: String,
    },
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Waiting {
    /// The run that waits; null before there is one.
    pub run: Option<u64>,
    pub reason: WaitReason,
    /// For a person.
    pub message: String,
    /// When it goes on by itself; null: not known, or not by itself.
    pub until: Option<Timestamp>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WaitReason {
    /// For a person's `approve`.
    Approval,
    /// For a window with room for the run and a rollback.
    Window,
    /// For other runs of this daemon.
    Slot,
    /// Before a failed step's next attempt, or before a look that failed is repeated.
    Backoff,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Running {
    pub run: u64,
    /// `backup`, `drill`, `quiesce`, `apply`, …; kebab-case.
    pub phase: String,
    /// The step's id within the run.
    pub step: String,
    /// What it does, for a person.
    #[serde(default)]
    pub title: String,
    pub progress: Option<Progress>,
    pub started_at: Timestamp,
    /// Why the run is on its way back; null on the way there.
    pub turned_round: Option<String>,
}

/// How far a step is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    pub done: u64,
    pub total: Option<u64>,
    /// `bytes`, `rows`, `migrations`, …; may be empty.
    pub unit: String,
    pub message: String,
}

/// Nothing further is touched until somebody decides.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Stuck {
    pub run: u64,
    /// What stands where.
    pub what: String,
    pub choices: Vec<Choice>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Choice {
    pub decision: Decision,
    /// What would happen then.
    pub effect: String,
}
