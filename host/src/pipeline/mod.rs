//! Takes a run from its plan to its outcome: the loop around the pure [`next`]. Decides nothing itself; called by the
//! daemon for a new run and for one that a crash left open alike.

pub mod ledger;

#[cfg(test)]
mod simulator;

use crate::activity::{Activity, Sink};
use crate::model::Failure;
use crate::phase::hands::Hands;
use crate::phase::{self, RunContext};
use crate::plan::event::{Event, Outcome, Verdict};
use crate::plan::next::{Next, Wait, next};
use crate::plan::state::StepState;
use crate::plan::step::{Phase, Step, Stretch};
use crate::plugin::roles::Bound;
use async_trait::async_trait;
use futures::FutureExt;
use ledger::RunLedger;
use std::sync::{Arc, Mutex};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

/// Why the loop ended without an outcome.
#[derive(Debug, thiserror::Error)]
pub enum PipelineError {
    #[error(transparent)]
    Ledger(#[from] crate::effect::LedgerError),
}

/// What the loop waits for; the daemon's is made of clock, windows and the operator's words.
#[async_trait]
pub trait Patience: Send + Sync {
    /// Returns when a window with room is open. Only cancelled otherwise.
    async fn window(&self);
    /// Whether the window has room still, after the look that comes last.
    fn has_room(&self) -> bool {
        true
    }
    /// Returns when the wait before the next attempt is over.
    async fn backoff(&self, failures: u32);
    /// The machine's start has interrupted the run and is not long ago: what does not answer may be starting up.
    fn starting_up(&self) -> bool {
        false
    }
    /// The run waits or is stuck: shown to the operator.
    fn parked(&self, why: &Parked);
}

#[derive(Debug, Clone, PartialEq)]
pub enum Parked {
    Waiting(Wait),
    Stuck {
        step: Option<String>,
        why: String,
    },
    /// For other runs of this daemon.
    Slot,
    No,
}

pub struct Pipeline {
    pub run: u64,
    pub ledger: Arc<RunLedger>,
    pub bound: Bound,
    pub hands: Arc<dyn Hands>,
    pub patience: Arc<dyn Patience>,
    pub sink: Arc<dyn Fn(&Step) -> Sink + Send + Sync>,
    /// Something was recorded from outside the loop: approval, cancellation, a decision.
    pub wake: Notify,
    /// Ends the step under way; made anew for each.
    current: Mutex<CancellationToken>,
    /// The daemon shuts down: the loop ends between steps, and the step under way is ended.
    pub shutdown: CancellationToken,
    /// Runs at once; a run that waits for a person or a window leaves its place to others.
    pub slots: Arc<Semaphore>,
}

/// How the loop ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Ended {
    Outcome(Outcome),
    /// The daemon shuts down; the next one goes on.
    Shutdown,
}

impl Pipeline {
    #[expect(clippy::too_many_arguments, reason = "one place composes a run, and names each part")]
    pub fn new(
        run: u64, ledger: Arc<RunLedger>, bound: Bound, hands: Arc<dyn Hands>, patience: Arc<dyn Patience>,
        sink: Arc<dyn Fn(&Step) -> Sink + Send + Sync>, shutdown: CancellationToken, slots: Arc<Semaphore>,
    ) -> Self {
        let current = Mutex::new(CancellationToken::new());
        Self { run, ledger, bound, hands, patience, sink, wake: Notify::new(), current, shutdown, slots }
    }

    /// From outside: records the operator's word, and lets the loop look again. A cancellation or a rollback also ends
    /// the step under way.
    pub fn tell(&self, event: Event) -> Result<(), crate::effect::LedgerError> {
        let ends_step = matches!(
            event,
            Event::CancelRequested { .. } | Event::Decided { decision: crate::plan::event::Decision::Rollback, .. }
        );
        self.ledger.record_from_outside(event)?;
        if ends_step {
            self.current.lock().expect("no panic holds this lock").cancel();
        }
        self.wake.notify_one();
        Ok(())
    }

    pub async fn drive(&self) -> Result<Ended, PipelineError> {
        let mut place: Option<OwnedSemaphorePermit> = None;
        loop {
            if self.shutdown.is_cancelled() {
                return Ok(Ended::Shutdown);
            }
            let todo = self.ledger.with(next);
            match &todo {
                // Once users are shut out, nothing of other runs is worth their waiting.
                Next::Do { .. } | Next::Probe { .. } if place.is_none() && self.serves() => {
                    place = self.a_place().await;
                    continue;
                }
                Next::Wait(_) | Next::Stuck { .. } => place = None,
                _ => {}
            }
            match todo {
                Next::Do { ref step, attempt } => self.perform(&todo, step, attempt).await?,
                Next::Probe { step, attempt } => self.probe(&step, attempt).await?,
                Next::Wait(Wait::Window) => place = self.window().await?,
                Next::Wait(wait) => self.wait(wait).await?,
                Next::Stuck { step, why } => {
                    self.patience.parked(&Parked::Stuck { step, why });
                    tokio::select! {
                        () = self.wake.notified() => {}
                        () = self.shutdown.cancelled() => {}
                    }
                    self.patience.parked(&Parked::No);
                }
                Next::Done(ref outcome) => {
                    let is_over = self.ledger.with(|progress| progress.finished.is_some());
                    let finished = Event::Finished { outcome: outcome.clone() };
                    if is_over || self.ledger.append_while(&todo, finished)? {
                        return Ok(Ended::Outcome(outcome.clone()));
                    }
                }
            }
        }
    }

    fn serves(&self) -> bool {
        self.ledger.with(|progress| progress.stretch() == Stretch::Serving)
    }

    /// None when the daemon shuts down meanwhile, or somebody says something.
    async fn a_place(&self) -> Option<OwnedSemaphorePermit> {
        if let Ok(place) = self.slots.clone().try_acquire_owned() {
            return Some(place);
        }
        self.patience.parked(&Parked::Slot);
        let place = tokio::select! {
            place = self.slots.clone().acquire_owned() => place.ok(),
            () = self.wake.notified() => None,
            () = self.shutdown.cancelled() => None,
        };
        self.patience.parked(&Parked::No);
        place
    }

    /// Users are shut out while a window has room, and not once there is a place among the runs: the window may be over by
    /// then. None where something else is to be done first.
    async fn window(&self) -> Result<Option<OwnedSemaphorePermit>, PipelineError> {
        let place = tokio::select! {
            place = self.a_place_in_a_window() => place,
            () = self.wake.notified() => None,
            () = self.shutdown.cancelled() => None,
        };
        self.patience.parked(&Parked::No);
        if place.is_some() {
            self.ledger.append(Event::WindowOpened)?;
        }
        Ok(place)
    }

    async fn a_place_in_a_window(&self) -> Option<OwnedSemaphorePermit> {
        loop {
            self.patience.parked(&Parked::Waiting(Wait::Window));
            self.patience.window().await;
            let place = self.a_place().await?;
            if self.patience.window().now_or_never().is_some() {
                return Some(place);
            }
        }
    }

    async fn perform(&self, todo: &Next, step: &Step, attempt: u32) -> Result<(), PipelineError> {
        let token = self.shutdown.child_token();
        *self.current.lock().expect("no panic holds this lock") = token.clone();
        let prior = self.ledger.with(|p| p.steps.get(&step.id).map(|state| state.prior()).unwrap_or_default());
        if !self.ledger.append_while(todo, Event::Started { step: step.id.clone(), attempt })? {
            return Ok(());
        }
        let activity = Activity::new(token, (self.sink)(step));
        let progress = self.ledger.snapshot();
        let context = RunContext {
            run: self.run,
            progress: &progress,
            bound: &self.bound,
            hands: self.hands.as_ref(),
            ledger: self.ledger.clone(),
            activity,
        };
        let result = phase::perform(&context, step, attempt, prior).await;
        self.ledger.healthy()?;
        if self.shutdown.is_cancelled() && result.is_err() {
            // In doubt on purpose: the next daemon fences, probes and repeats it.
            return Ok(());
        }
        self.ledger.append(match result {
            Ok(_) if step.phase == Phase::Recheck && self.is_late() => {
                Event::Failed { step: step.id.clone(), attempt, failure: late(), waited_out: false }
            }
            Ok(output) => Event::Succeeded { step: step.id.clone(), attempt, output },
            Err(failure) => {
                let can_be = self.ledger.with(|progress| progress.can_be_waited_out(&step.id, &failure));
                let waited_out = can_be && self.patience.starting_up();
                Event::Failed { step: step.id.clone(), attempt, failure, waited_out }
            }
        })?;
        Ok(())
    }

    fn is_late(&self) -> bool {
        self.ledger.with(|progress| !progress.plan.policy.windows.is_empty()) && !self.patience.has_room()
    }

    async fn probe(&self, step: &Step, attempt: u32) -> Result<(), PipelineError> {
        let open: Vec<_> = self.ledger.with(|progress| {
            let state = progress.steps.get(&step.id);
            state.into_iter().flat_map(StepState::effects_in_doubt).cloned().collect()
        });
        let mut verdicts: Vec<(u32, Verdict)> = Vec::new();
        for effect in open {
            let verdict = self.hands.fence_and_probe(step, &effect.effect).await;
            verdicts.push((effect.effect.number, verdict));
        }
        self.ledger.append(Event::Probed { step: step.id.clone(), attempt, verdicts })?;
        Ok(())
    }

    async fn wait(&self, wait: Wait) -> Result<(), PipelineError> {
        self.patience.parked(&Parked::Waiting(wait.clone()));
        let elapsed = match &wait {
            Wait::Approval | Wait::Window => None,
            Wait::Backoff { step, attempt, .. } => {
                Some(Event::BackoffElapsed { step: step.clone(), attempt: *attempt })
            }
        };
        let over = async {
            match &wait {
                Wait::Approval | Wait::Window => std::future::pending().await,
                Wait::Backoff { failures, .. } => self.patience.backoff(*failures).await,
            }
        };
        let is_over = tokio::select! {
            () = over => true,
            () = self.wake.notified() => false,
            () = self.shutdown.cancelled() => false,
        };
        self.patience.parked(&Parked::No);
        match elapsed {
            Some(event) if is_over => Ok(self.ledger.append(event)?),
            _ => Ok(()),
        }
    }
}

fn late() -> Failure {
    let message = "the window has no room any more: the last look took too long".into();
    Failure { code: "window".into(), message, retryable: true }
}
