//! What a run waits for: windows, the time between attempts; and where the operator sees that it waits.

use super::clock;
use super::host::{Entry, Host};
use crate::api::types::{Choice, State, Stuck, WaitReason, Waiting};
use crate::config::window::{Window, Windows};
use crate::pipeline::{Parked, Patience};
use crate::plan::event::Decision;
use crate::plan::next::Wait;
use async_trait::async_trait;
use std::sync::Arc;
use std::time::Duration;

/// Between looks at the clock while waiting for a window: the system's clock may be set.
const LOOK: Duration = Duration::from_secs(if cfg!(feature = "failpoints") { 1 } else { 20 });
const FIRST_BACKOFF: Duration = Duration::from_secs(1);
const LONGEST_BACKOFF: Duration = Duration::from_secs(300);

pub struct Waits {
    pub host: Arc<Host>,
    pub entry: Arc<Entry>,
    pub run: u64,
    pub windows: Vec<Window>,
    /// The run and a rollback.
    pub needed: Duration,
}

impl Waits {
    fn next_opening(&self) -> Option<jiff::Timestamp> {
        let windows = Windows(&self.windows);
        windows.next_fit(clock::now(), self.needed)
    }

    fn backoff_of(failures: u32) -> Duration {
        FIRST_BACKOFF.saturating_mul(1 << failures.saturating_sub(1).min(9)).min(LONGEST_BACKOFF)
    }

    fn waiting(&self, wait: &Wait) -> Waiting {
        let run = Some(self.run);
        match wait {
            Wait::Approval => Waiting {
                run,
                reason: WaitReason::Approval,
                message: format!("waits for `upgradectl approve {}`", self.entry.name),
                until: None,
            },
            Wait::Window => {
                let until = self.next_opening();
                let message = match until {
                    Some(_) => "waits for its window".into(),
                    None => format!("no window is long enough for {} s", self.needed.as_secs()),
                };
                Waiting { run, reason: WaitReason::Window, message, until }
            }
            Wait::Backoff { step, failures, failure, .. } => Waiting {
                run,
                reason: WaitReason::Backoff,
                message: format!("`{step}` failed and is tried again: {}", failure.message),
                until: clock::now().checked_add(Self::backoff_of(*failures)).ok(),
            },
        }
    }
}

#[async_trait]
impl Patience for Waits {
    async fn window(&self) {
        while !Windows(&self.windows).fits(clock::now(), self.needed) {
            tokio::time::sleep(LOOK).await;
        }
    }

    async fn backoff(&self, failures: u32) {
        tokio::time::sleep(Self::backoff_of(failures)).await;
    }

    fn parked(&self, why: &Parked) {
        match why {
            Parked::No => {}
            Parked::Slot => {
                let message = "waits for other runs of this daemon to end".to_owned();
                let waiting = Waiting { run: Some(self.run), reason: WaitReason::Slot, message, until: None };
                self.host.update(&self.entry, |seen| seen.state = State::Waiting(waiting));
            }
            Parked::Waiting(wait) => {
                let waiting = self.waiting(wait);
                self.host.update(&self.entry, |seen| seen.state = State::Waiting(waiting));
            }
            Parked::Stuck { step, why } => {
                let what = match step {
                    Some(step) => format!("`{step}` failed: {why}"),
                    None => why.clone(),
                };
                tracing::error!(deployment = self.entry.name, run = self.run, "stuck: {what}");
                let stuck = Stuck { run: self.run, what, choices: choices() };
                self.host.update(&self.entry, |seen| seen.state = State::Stuck(stuck));
            }
        }
    }
}

pub fn choices() -> Vec<Choice> {
    let choice = |decision, effect: &str| Choice { decision, effect: effect.into() };
    vec![
        choice(Decision::Resume, "tries again where it stopped"),
        choice(Decision::Rollback, "turns the run round, where it has not"),
        choice(Decision::Abandon, "leaves everything as it stands and ends the run"),
    ]
}
