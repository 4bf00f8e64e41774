//! What to do next, and nothing else: one pure function that a normal run and a recovery after a crash call alike.

use super::Kind;
use super::event::{Decision, Outcome};
use super::state::{Progress, Status, StepState, attempts};
use super::step::{Phase, Step, Stretch};
use crate::model::Failure;

#[derive(Debug, Clone, PartialEq)]
pub enum Next {
    /// Begin this attempt of the step.
    Do {
        step: Step,
        attempt: u32,
    },
    /// The step has no end: fence its effects and look what became of them.
    Probe {
        step: Step,
        attempt: u32,
    },
    Wait(Wait),
    /// Nothing more is touched until the operator decides.
    Stuck {
        step: Option<String>,
        why: String,
    },
    Done(Outcome),
}

#[derive(Debug, Clone, PartialEq)]
pub enum Wait {
    Approval,
    Window,
    /// The step failed; its next attempt is due after a while that grows with `failures`.
    Backoff {
        step: String,
        attempt: u32,
        failures: u32,
        failure: Failure,
    },
}

pub fn next(progress: &Progress) -> Next {
    if let Some(outcome) = &progress.finished {
        return Next::Done(outcome.clone());
    }
    if let Some(state) = progress.in_doubt() {
        return Next::Probe { step: state.step.clone(), attempt: state.attempts };
    }
    if let Some((Decision::Abandon, why)) = &progress.decided {
        return Next::Done(Outcome::Abandoned(why.clone()));
    }
    match &progress.turned {
        Some(why) => back(progress, why),
        None => forward(progress),
    }
}

fn forward(progress: &Progress) -> Next {
    if let Some(why) = progress.cancelled.as_ref().filter(|_| progress.stretch() == Stretch::Serving) {
        return Next::Done(Outcome::Refused(format!("cancelled: {why}")));
    }
    for step in &progress.forward {
        if progress.skips(step) {
            continue;
        }
        let Some(next) = step_next(progress, step) else { continue };
        let about_to_begin = step.phase == Phase::Recheck && matches!(next, Next::Do { .. });
        return if about_to_begin { waits(progress).map_or(next, Next::Wait) } else { next };
    }
    Next::Done(match progress.plan.kind {
        Kind::Upgrade => Outcome::Committed,
        Kind::Rollback(_) => Outcome::RolledBack("by the operator, after commit".into()),
        Kind::Rehearsal => Outcome::Rehearsed,
    })
}

/// What stands between a staged run and its downtime.
fn waits(progress: &Progress) -> Option<Wait> {
    let policy = &progress.plan.policy;
    if policy.approval_needed && !progress.approved {
        return Some(Wait::Approval);
    }
    (!policy.windows.is_empty() && !progress.window_open).then_some(Wait::Window)
}

fn back(progress: &Progress, why: &str) -> Next {
    if progress.rung >= progress.rungs().len() {
        let failure = progress.steps.values().find_map(|state| match &state.status {
            Status::Failed(failure) if state.step.phase == Phase::VerifyBack => Some(failure.message.clone()),
            _ => None,
        });
        let reason = failure.unwrap_or_default();
        return Next::Stuck {
            step: None,
            why: format!("the old version does not verify: {reason} (turned round because {why})"),
        };
    }
    for step in progress.back() {
        if let Some(next) = step_next(progress, &step) {
            return next;
        }
    }
    Next::Done(Outcome::RolledBack(why.to_owned()))
}

/// What there is to do for this step; none when it is done.
fn step_next(progress: &Progress, step: &Step) -> Option<Next> {
    let Some(state) = progress.steps.get(&step.id) else {
        return Some(Next::Do { step: step.clone(), attempt: 1 });
    };
    let again = || Some(Next::Do { step: step.clone(), attempt: state.attempts + 1 });
    match &state.status {
        Status::Probed | Status::Due => again(),
        Status::Succeeded(_) if progress.stale(state) => again(),
        Status::Succeeded(_) => None,
        Status::Failed(failure) => Some(failed(state, failure)),
        Status::Running => Some(Next::Probe { step: step.clone(), attempt: state.attempts }),
    }
}

/// What is waited out may answer at any moment: its pauses grow no further than after so many failures.
const LONGEST_WAIT: u32 = 5;

fn failed(state: &StepState, failure: &Failure) -> Next {
    let step = &state.step;
    let serving = step.phase.stretch() == Stretch::Serving;
    let again = |failures| {
        let (step, attempt) = (step.id.clone(), state.attempts);
        Next::Wait(Wait::Backoff { step, attempt, failures, failure: failure.clone() })
    };
    if state.waits > 0 {
        return again(state.waits.min(LONGEST_WAIT));
    }
    if state.failures < attempts(step.phase) && (!serving || failure.retryable) {
        return again(state.failures);
    }
    if serving {
        return Next::Done(Outcome::Refused(format!("`{}` failed: {}", step.id, failure.message)));
    }
    Next::Stuck { step: Some(step.id.clone()), why: failure.message.clone() }
}
