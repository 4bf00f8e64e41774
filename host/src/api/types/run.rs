//! Runs, their steps, and what these wrote.

use super::{Failure, Finding, Outcome, PlanView, Stuck};
use crate::activity::Level;
use crate::plan::{Kind, Rehearsed};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// One attempt to take a deployment along its path.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunSummary {
    pub id: u64,
    pub deployment: String,
    /// `"upgrade"`, `"rehearsal"` or `{"rollback": {"of": <run>}}`.
    pub kind: Kind,
    pub from: String,
    pub to: String,
    pub started_at: Timestamp,
    /// Null while it is open.
    pub ended_at: Option<Timestamp>,
    /// How long users were shut out; null: not at all, or not over yet.
    pub downtime_s: Option<f64>,
    /// `{"outcome": "committed"}`, `{"outcome": "rolled-back", "why": …}`, …; null while it is open.
    pub outcome: Option<Outcome>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Run {
    #[serde(flatten)]
    pub summary: RunSummary,
    pub approved_by: Option<String>,
    pub plan: PlanView,
    /// Those of the plan and, after them, those of the way back.
    pub steps: Vec<RunStep>,
    /// What a rehearsal found out, where the run had one.
    pub rehearsed: Option<Rehearsed>,
    /// What drill and verify noticed; the preflight's stand in the plan.
    pub findings: Vec<Finding>,
    /// What turned it round or stopped it.
    pub failure: Option<RunFailure>,
    pub stuck: Option<Stuck>,
    /// Of one that was abandoned: what it holds still, each with what lets it go.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunStep {
    pub id: String,
    pub phase: String,
    /// The index into the plan's hops; null: of the whole path.
    pub hop: Option<u32>,
    pub binding: Option<String>,
    pub title: String,
    pub state: StepState,
    /// From 1; 0: not begun.
    pub attempts: u32,
    pub started_at: Option<Timestamp>,
    pub ended_at: Option<Timestamp>,
    pub failure: Option<Failure>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StepState {
    Pending,
    Running,
    Succeeded,
    Failed,
    /// A crash left it without an end, and nobody looked yet.
    InDoubt,
    /// The run turned round before it.
    Skipped,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunFailure {
    pub step: String,
    pub phase: String,
    #[serde(flatten)]
    pub failure: Failure,
}

/// What was written while steps ran.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Logs {
    /// Oldest first.
    pub lines: Vec<LogLine>,
    /// Pass it as `since` for what comes after: to `logs`, or to `events` to be told.
    pub next: u64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LogLine {
    /// Rises; the same as the notice's of this line.
    pub id: u64,
    pub at: Timestamp,
    pub deployment: String,
    pub run: Option<u64>,
    pub step: Option<String>,
    pub level: Level,
    pub message: String,
}
