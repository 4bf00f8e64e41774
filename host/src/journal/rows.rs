//! What the journal's tables hold, as it comes out of them.

use crate::plan::event::{Event, Outcome};
use jiff::Timestamp;
use rusqlite::Row;
use serde::{Deserialize, Serialize};

/// One event with its place and time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// From 0 within the run.
    pub number: u64,
    pub at: Timestamp,
    #[serde(flatten)]
    pub event: Event,
}

/// One run, without its events.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunRow {
    pub run: u64,
    pub deployment: String,
    /// `upgrade` or `rollback`.
    pub kind: String,
    pub from: String,
    pub to: String,
    pub started: Timestamp,
    pub ended: Option<Timestamp>,
    pub outcome: Option<Outcome>,
}

impl RunRow {
    /// A rehearsal is done on a double, and a run that was refused ended while users were served.
    pub fn may_have_touched(&self) -> bool {
        self.kind != "rehearsal" && !matches!(self.outcome, Some(Outcome::Refused(_)))
    }
}

/// A target that never became a run, and why.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Refusal {
    pub deployment: String,
    pub at: Timestamp,
    pub from: Option<String>,
    pub to: String,
    pub why: String,
}

/// A target that failed after quiesce; not tried again until the version line changes or the operator says so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quarantine {
    pub deployment: String,
    pub version: String,
    pub run: u64,
    pub why: String,
}

/// A local copy of a datastore that a step made: frozen, or set aside by a restore.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptCopy {
    pub deployment: String,
    pub run: u64,
    pub binding: String,
    /// The step's global name, which is the copy's.
    pub step: String,
    pub made: Timestamp,
}

pub(super) const RUNS_OF: &str = "SELECT run, deployment, kind, source, target, started, ended, outcome FROM runs \
     WHERE ?1 IS NULL OR deployment = ?1 ORDER BY run DESC LIMIT ?2";
pub(super) const OPEN_RUNS: &str = "SELECT run, deployment, kind, source, target, started, ended, outcome FROM runs \
     WHERE outcome IS NULL AND (?1 IS NULL OR deployment = ?1) ORDER BY run";
pub(super) const ONE_RUN: &str =
    "SELECT run, deployment, kind, source, target, started, ended, outcome FROM runs WHERE run = ?1";
pub(super) const REFUSALS: &str = "SELECT deployment, source, target, why, at FROM refusals \
     WHERE ?1 IS NULL OR deployment = ?1 ORDER BY at DESC LIMIT ?2";
pub(super) const COPIES: &str =
    "SELECT deployment, run, binding, step, made FROM copies WHERE ?1 IS NULL OR deployment = ?1 ORDER BY made";

impl RunRow {
    pub(super) fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        let ended: Option<String> = row.get(6)?;
        let outcome: Option<String> = row.get(7)?;
        Ok(Self {
            run: row.get::<_, i64>(0)? as u64,
            deployment: row.get(1)?,
            kind: row.get(2)?,
            from: row.get(3)?,
            to: row.get(4)?,
            started: time(&row.get::<_, String>(5)?),
            ended: ended.as_deref().map(time),
            outcome: outcome.and_then(|json| serde_json::from_str(&json).ok()),
        })
    }
}

impl Refusal {
    pub(super) fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            deployment: row.get(0)?,
            from: row.get(1)?,
            to: row.get(2)?,
            why: row.get(3)?,
            at: time(&row.get::<_, String>(4)?),
        })
    }
}

impl Quarantine {
    pub(super) fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self { deployment: row.get(0)?, version: row.get(1)?, run: row.get::<_, i64>(2)? as u64, why: row.get(3)? })
    }
}

impl KeptCopy {
    pub(super) fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            deployment: row.get(0)?,
            run: row.get::<_, i64>(1)? as u64,
            binding: row.get(2)?,
            step: row.get(3)?,
            made: time(&row.get::<_, String>(4)?),
        })
    }
}

/// Times are written by us alone; one that does not parse is shown as the epoch and harms nothing.
pub(super) fn time(text: &str) -> Timestamp {
    text.parse().unwrap_or(Timestamp::UNIX_EPOCH)
}
