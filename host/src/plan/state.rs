//! What a run's events come to. [`Progress::apply`] is the one table of which event may follow which, live and on
//! replay; everything else here reads.

mod reading;

use super::event::{Decision, Effect, EffectResult, Event, Outcome, Verdict};
use super::step::{Phase, Step, Stretch};
use super::{Kind, Plan};
use crate::model::Failure;
use serde_json::Value;
use std::collections::BTreeMap;

/// An event that can't follow. In a journal it means damage, or a newer release's records.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("event {number} (`{event}`) can't follow: {why}")]
pub struct IllegalEvent {
    pub number: usize,
    pub event: String,
    pub why: String,
}

/// A run so far.
#[derive(Debug, Clone)]
pub struct Progress {
    pub plan: Plan,
    pub forward: Vec<Step>,
    pub approved: bool,
    pub window_open: bool,
    pub cancelled: Option<String>,
    /// Why the run turned round.
    pub turned: Option<String>,
    /// The ways back that failed already.
    pub rung: usize,
    pub decided: Option<(Decision, String)>,
    pub finished: Option<Outcome>,
    /// How often a daemon took the run up again.
    pub resumes: u32,
    pub steps: BTreeMap<String, StepState>,
    events: usize,
}

#[derive(Debug, Clone)]
pub struct StepState {
    pub step: Step,
    pub attempts: u32,
    /// Failures since the last success or the operator's `resume`.
    pub failures: u32,
    /// How often the step was waited out in a row; 0 where its last failure counts.
    pub waits: u32,
    pub status: Status,
    pub effects: Vec<EffectState>,
    /// The output of the first success: what a repetition is compared with.
    pub first_output: Option<Value>,
    /// [`Progress::resumes`] at the last success.
    pub settled_at: u32,
    /// The last attempt that a crash ended.
    pub interrupted: u32,
}

impl StepState {
    /// What must not be done twice by the next attempt: finished effects that don't converge. One that failed counts
    /// only where a crash hid the step's own failure.
    pub fn prior(&self) -> Vec<crate::plan::event::EffectResultOf> {
        self.effects
            .iter()
            .filter(|e| !e.effect.repeatable)
            .filter_map(|e| {
                let result = e.result.clone()?;
                let counts = matches!(result, EffectResult::Done(_)) || e.effect.attempt == self.interrupted;
                counts.then(|| crate::plan::event::EffectResultOf { effect: e.effect.clone(), result })
            })
            .collect()
    }

    /// Of the last attempt, those without a result.
    pub fn effects_in_doubt(&self) -> impl Iterator<Item = &EffectState> {
        self.effects.iter().filter(|effect| effect.effect.attempt == self.attempts && effect.result.is_none())
    }
}

#[derive(Debug, Clone, PartialEq)]
pub enum Status {
    /// Started and without an end: in doubt whenever nobody is at it.
    Running,
    /// Its effects were fenced and looked at; it is to be done again.
    Probed,
    Succeeded(Value),
    Failed(Failure),
    /// Failed, and the wait before the next attempt is over.
    Due,
}

#[derive(Debug, Clone)]
pub struct EffectState {
    pub effect: Effect,
    pub result: Option<EffectResult>,
}

impl Progress {
    pub fn replay<'a>(events: impl IntoIterator<Item = &'a Event>) -> Result<Self, IllegalEvent> {
        let mut events = events.into_iter();
        let Some(Event::Planned { plan }) = events.next() else {
            return Err(IllegalEvent { number: 0, event: "first".into(), why: "a run begins with its plan".into() });
        };
        let mut progress = Self::new((**plan).clone());
        for event in events {
            progress.apply(event)?;
        }
        Ok(progress)
    }

    pub fn new(plan: Plan) -> Self {
        let forward = plan.forward();
        Self {
            plan,
            forward,
            approved: false,
            window_open: false,
            cancelled: None,
            turned: None,
            rung: 0,
            decided: None,
            finished: None,
            resumes: 0,
            steps: BTreeMap::new(),
            events: 1,
        }
    }

    /// How many events there were, the plan included.
    pub fn events(&self) -> usize {
        self.events
    }

    pub fn apply(&mut self, event: &Event) -> Result<(), IllegalEvent> {
        self.admit(event).map_err(|why| IllegalEvent {
            number: self.events,
            event: format!("{event:?}").chars().take(120).collect(),
            why,
        })?;
        self.events += 1;
        Ok(())
    }

    fn admit(&mut self, event: &Event) -> Result<(), String> {
        if let Some(outcome) = &self.finished {
            return Err(format!("the run is finished ({outcome:?})"));
        }
        match event {
            Event::Planned { .. } => Err("a run has one plan".into()),
            Event::Approved { .. } => {
                self.approved = true;
                Ok(())
            }
            Event::WindowOpened => {
                self.window_open = true;
                Ok(())
            }
            Event::Resumed { .. } => {
                self.resumes += 1;
                // The window is looked at again: what waited may have missed it.
                if self.stretch() == Stretch::Serving {
                    self.window_open = false;
                }
                Ok(())
            }
            Event::Started { step, attempt } => self.started(step, *attempt),
            Event::Effect(effect) => {
                let state = self.running(&effect.step, effect.attempt)?;
                if state.effects.iter().any(|e| e.effect.attempt == effect.attempt && e.effect.number == effect.number)
                {
                    return Err("this effect began already".into());
                }
                state.effects.push(EffectState { effect: effect.clone(), result: None });
                Ok(())
            }
            Event::EffectEnded { step, attempt, number, result } => {
                let state = self.running(step, *attempt)?;
                let effect =
                    state.effects.iter_mut().find(|e| e.effect.attempt == *attempt && e.effect.number == *number);
                match effect {
                    Some(effect) if effect.result.is_none() => {
                        effect.result = Some(result.clone());
                        Ok(())
                    }
                    _ => Err("this effect is not under way".into()),
                }
            }
            Event::Succeeded { step, attempt, output } => self.succeeded(step, *attempt, output),
            Event::Failed { step, attempt, failure, waited_out: true } => self.waited_out(step, *attempt, failure),
            Event::Failed { step, attempt, failure, waited_out: false } => self.failed(step, *attempt, failure),
            Event::Probed { step, attempt, verdicts } => self.probed(step, *attempt, verdicts),
            Event::BackoffElapsed { step, attempt } => match self.steps.get_mut(step) {
                Some(state) if matches!(state.status, Status::Failed(_)) && state.attempts == *attempt => {
                    state.status = Status::Due;
                    Ok(())
                }
                _ => Err("the step is not waiting for its next attempt".into()),
            },
            Event::CancelRequested { why, .. } => self.cancel(why),
            Event::Decided { decision, why, .. } => self.decide(*decision, why),
            Event::Finished { outcome } => {
                if let Some(step) = self.in_doubt() {
                    return Err(format!("step `{}` has no end", step.step.id));
                }
                self.finished = Some(outcome.clone());
                Ok(())
            }
        }
    }

    fn started(&mut self, id: &str, attempt: u32) -> Result<(), String> {
        if let Some(other) = self.in_doubt() {
            return Err(format!("step `{}` has no end", other.step.id));
        }
        let step = self.known_step(id).ok_or_else(|| format!("the plan has no step `{id}` here"))?;
        let state = self.steps.entry(id.to_owned()).or_insert_with(|| StepState {
            step,
            attempts: 0,
            failures: 0,
            waits: 0,
            status: Status::Probed,
            effects: Vec::new(),
            first_output: None,
            settled_at: 0,
            interrupted: 0,
        });
        if attempt != state.attempts + 1 {
            return Err(format!("attempt {attempt} does not follow attempt {}", state.attempts));
        }
        state.attempts = attempt;
        state.status = Status::Running;
        // Of a journal in which users were shut out though it was cancelled.
        if let Some(why) = self.cancelled.clone().filter(|_| self.stretch() == Stretch::Downtime) {
            self.turn(format!("cancelled: {why}"));
        }
        Ok(())
    }

    fn succeeded(&mut self, id: &str, attempt: u32, output: &Value) -> Result<(), String> {
        let resumes = self.resumes;
        let state = self.running(id, attempt)?;
        state.status = Status::Succeeded(output.clone());
        (state.failures, state.waits) = (0, 0);
        state.settled_at = resumes;
        let first = state.first_output.get_or_insert_with(|| output.clone()).clone();
        let step = state.step.clone();
        match step.phase {
            Phase::Fence if first != *output => self.mark_moved(&step, &first, output),
            Phase::Seal => {
                let fence =
                    self.steps.values().find(|s| s.step.phase == Phase::Fence && s.step.binding == step.binding);
                match fence.and_then(|fence| fence.first_output.clone()) {
                    Some(mark) if mark == *output => {}
                    mark => self.mark_moved(&step, &mark.unwrap_or_default(), output),
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn mark_moved(&mut self, step: &Step, before: &Value, now: &Value) {
        let datastore = step.binding.as_deref().unwrap_or_default();
        self.turn(format!(
            "somebody wrote to `{datastore}` while it was fenced: its mark moved from {before} to {now}"
        ));
    }

    fn failed(&mut self, id: &str, attempt: u32, failure: &Failure) -> Result<(), String> {
        let state = self.running(id, attempt)?;
        state.failures += 1;
        state.waits = 0;
        state.status = Status::Failed(failure.clone());
        let (phase, failures) = (state.step.phase, state.failures);
        let why = format!("`{id}` failed: {}", failure.message);
        if phase == Phase::Recheck {
            // Its place may be another run's by the next attempt: place and window are had together.
            self.window_open = false;
        }
        match phase.stretch() {
            Stretch::Downtime => self.turn(why),
            // A way back that does not lead there: the next one is wider.
            Stretch::Back if escalates(phase) && failures >= attempts(phase) && self.is_upgrade() => {
                self.rung += 1;
            }
            _ => {}
        }
        Ok(())
    }

    fn waited_out(&mut self, id: &str, attempt: u32, failure: &Failure) -> Result<(), String> {
        let can_be = self.can_be_waited_out(id, failure);
        let state = self.running(id, attempt)?;
        if !can_be {
            return Err("waiting does not mend this failure".into());
        }
        state.waits += 1;
        state.status = Status::Failed(failure.clone());
        if state.step.phase == Phase::Recheck {
            self.window_open = false;
        }
        Ok(())
    }

    fn probed(&mut self, id: &str, attempt: u32, verdicts: &[(u32, Verdict)]) -> Result<(), String> {
        let state = self.running(id, attempt)?;
        let mut lost = None;
        for (number, verdict) in verdicts {
            let effect = state.effects.iter_mut().find(|e| e.effect.attempt == attempt && e.effect.number == *number);
            let Some(effect) = effect else { return Err(format!("there is no effect {number} to probe")) };
            match verdict {
                Verdict::Done(value) => effect.result = Some(EffectResult::Done(value.clone())),
                Verdict::NotDone => {}
                Verdict::Unknown if effect.effect.repeatable => {}
                Verdict::Unknown => lost = Some(effect.effect.verb.clone()),
            }
        }
        state.status = Status::Probed;
        state.interrupted = attempt;
        if let Some(verb) = lost {
            let message = format!("it isn't known whether `{verb}` was done, and it must not be done twice");
            let failure = Failure { code: "in-doubt".into(), message, retryable: false };
            state.status = Status::Running;
            return self.failed(id, attempt, &failure);
        }
        Ok(())
    }

    fn cancel(&mut self, why: &str) -> Result<(), String> {
        if self.turned.is_some() {
            return Err("the run is on its way back already".into());
        }
        match self.stretch() {
            Stretch::Serving => {}
            Stretch::Downtime => self.turn(format!("cancelled: {why}")),
            Stretch::Admitted => return Err("users are in already: ask for a rollback".into()),
            Stretch::Back => return Err("a rollback can't be cancelled".into()),
        }
        self.cancelled = Some(why.to_owned());
        Ok(())
    }

    fn decide(&mut self, decision: Decision, why: &str) -> Result<(), String> {
        match decision {
            Decision::Resume => {
                for state in self.steps.values_mut().filter(|s| matches!(s.status, Status::Failed(_))) {
                    state.status = Status::Due;
                    state.failures = 0;
                }
                let rungs = self.rungs().len();
                if self.turned.is_some() && self.rung >= rungs {
                    self.rung = rungs.saturating_sub(1);
                }
            }
            Decision::Rollback => {
                if self.turned.is_some() {
                    return Err("the run is on its way back already".into());
                }
                if matches!(self.plan.kind, Kind::Rollback(_)) {
                    return Err("this run is a rollback".into());
                }
                if self.stretch() == Stretch::Serving {
                    self.cancelled = Some(why.to_owned());
                } else {
                    self.turn(format!("the operator asked for it: {why}"));
                }
            }
            Decision::Abandon => {}
        }
        self.decided = Some((decision, why.to_owned()));
        Ok(())
    }

    fn turn(&mut self, why: String) {
        self.turned.get_or_insert(why);
    }

    fn running(&mut self, id: &str, attempt: u32) -> Result<&mut StepState, String> {
        match self.steps.get_mut(id) {
            Some(state) if state.status == Status::Running && state.attempts == attempt => Ok(state),
            _ => Err(format!("attempt {attempt} of step `{id}` is not under way")),
        }
    }

    fn known_step(&self, id: &str) -> Option<Step> {
        let steps = if self.turned.is_some() { self.back() } else { self.forward.clone() };
        steps.into_iter().find(|step| step.id == id)
    }
}

fn escalates(phase: Phase) -> bool {
    matches!(phase, Phase::Rebuild | Phase::VerifyBack)
}

/// How often a step is tried before its failure counts.
pub fn attempts(phase: Phase) -> u32 {
    match (phase, phase.stretch()) {
        (Phase::Rebuild | Phase::VerifyBack, _) => 2,
        // A late backup that fails is no reason for anything but to try again.
        (Phase::BackupLate, _) => u32::MAX,
        (_, Stretch::Serving) => 3,
        (_, Stretch::Downtime) => 1,
        (_, Stretch::Admitted | Stretch::Back) => 5,
    }
}
