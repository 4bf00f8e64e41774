//! What is told to those who watch.

use super::{Deployment, Failure, Outcome, Progress, StepState};
use crate::activity::Level;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Something that happened, for those who watch. Not the journal: notices may be lost, a [`News::Gap`] says so.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Notice {
    /// Rises, across restarts of the daemon too; the event's id on the stream.
    pub id: u64,
    pub at: Timestamp,
    /// Null: concerns all.
    pub deployment: Option<String>,
    pub run: Option<u64>,
    #[serde(flatten)]
    pub news: News,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum News {
    /// Versions or state are no longer what they were.
    Changed {
        now: Box<Deployment>,
    },
    /// A step began or ended.
    Step {
        step: String,
        phase: String,
        title: String,
        state: StepState,
        attempt: u32,
        failure: Option<Failure>,
    },
    Progress {
        step: String,
        phase: String,
        progress: Progress,
    },
    Line {
        step: Option<String>,
        level: Level,
        message: String,
    },
    /// The run is over.
    Finished {
        outcome: Outcome,
    },
    /// The deployment's file is gone.
    Removed,
    /// Notices before this one were dropped: read the state again.
    Gap,
}

impl News {
    /// The event's name on the stream.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Changed { .. } => "changed",
            Self::Step { .. } => "step",
            Self::Progress { .. } => "progress",
            Self::Line { .. } => "line",
            Self::Finished { .. } => "finished",
            Self::Removed => "removed",
            Self::Gap => "gap",
        }
    }
}
