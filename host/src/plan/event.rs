//! What a run's journal consists of. Numbered per run; [`super::state::Progress::apply`] is the one table that says
//! which event may follow which.

use super::Plan;
use crate::model::Failure;
use serde::{Deserialize, Serialize};
use serde_json::Value;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Event {
    /// A run's first event: everything that was decided before it.
    Planned {
        plan: Box<Plan>,
    },
    Approved {
        by: String,
    },
    /// A window with room for the run and a rollback is open.
    WindowOpened,
    Started {
        step: String,
        attempt: u32,
    },
    Effect(Effect),
    EffectEnded {
        step: String,
        attempt: u32,
        number: u32,
        result: EffectResult,
    },
    Succeeded {
        step: String,
        attempt: u32,
        output: Value,
    },
    Failed {
        step: String,
        attempt: u32,
        failure: Failure,
        /// The machine had just booted: what does not answer may be starting up, and the failure does not count.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        waited_out: bool,
    },
    /// What became of the step that a crash left in doubt, effect by effect, after each was fenced.
    Probed {
        step: String,
        attempt: u32,
        verdicts: Vec<(u32, Verdict)>,
    },
    /// The wait before a step's next attempt is over.
    BackoffElapsed {
        step: String,
        attempt: u32,
    },
    /// A daemon took the run up again.
    Resumed {
        host_version: String,
        boot_id: String,
    },
    CancelRequested {
        by: String,
        why: String,
    },
    /// The operator's word on a stuck run, or a rollback of one that has not admitted yet.
    Decided {
        by: String,
        decision: Decision,
        why: String,
    },
    Finished {
        outcome: Outcome,
    },
}

/// One changing verb of the host inside a step, as it was about to be done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Effect {
    pub step: String,
    pub attempt: u32,
    /// From 0 within the attempt.
    pub number: u32,
    /// `interface.verb`, for example `process.run`.
    pub verb: String,
    /// SHA-256 of the arguments as JSON, hexadecimal.
    pub arguments: String,
    /// What finds it again: a job's folder, a path, a database's name. Never a secret.
    pub handle: String,
    /// The verb converges: doing it again is safe, whatever became of it.
    pub repeatable: bool,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EffectResult {
    Done(Value),
    Failed(Failure),
}

/// An effect with its end.
#[derive(Debug, Clone, PartialEq)]
pub struct EffectResultOf {
    pub effect: Effect,
    pub result: EffectResult,
}

/// What a driver found out about an effect that has no end in the journal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// It was done, and this is what it returned.
    Done(Value),
    NotDone,
    Unknown,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Decision {
    Resume,
    Rollback,
    Abandon,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", content = "why", rename_all = "kebab-case")]
pub enum Outcome {
    Committed,
    /// It went well on a double; nothing live was changed.
    Rehearsed,
    /// Back at the old version; why it turned round.
    RolledBack(String),
    /// Ended before anything was touched.
    Refused(String),
    /// Given up by the operator.
    Abandoned(String),
}
