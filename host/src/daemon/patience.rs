//! What a run waits for: windows, the time between attempts; and where the operator sees that it waits.

use super::clock;
use super::host::{Entry, Host};
use super::views;
use crate::api::types::{Choice, State, Stuck, WaitReason, Waiting};
use crate::config::window::{Window, Windows};
use crate::journal::Record;
use crate::pipeline::{Parked, Patience};
use crate::plan::Estimates;
use crate::plan::event::{Decision, Event};
use crate::plan::next::Wait;
use async_trait::async_trait;
use jiff::Timestamp;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Between looks at the clock while waiting for a window: the system's clock may be set.
const LOOK: Duration = Duration::from_secs(if cfg!(feature = "failpoints") { 1 } else { 20 });
/// The last look may take so long of the room that a window had.
const LATE: Duration = Duration::from_secs(600);
const FIRST_BACKOFF: Duration = Duration::from_secs(1);
const LONGEST_BACKOFF: Duration = Duration::from_secs(300);
/// Servers start with the machine, and may have a crash of their own to recover from.
const STARTING_UP: Duration = Duration::from_secs(600);

pub struct Waits {
    pub host: Arc<Host>,
    pub entry: Arc<Entry>,
    pub run: u64,
    pub windows: Vec<Window>,
    pub estimates: Estimates,
    /// Until then what doesn't answer is waited for.
    pub starting_up: Option<Instant>,
}

/// How much longer what doesn't answer is waited for, where a start of the machine has interrupted the run.
pub fn starting_up(records: &[Record], boot_id: &str, now: Timestamp, uptime: Duration) -> Option<Duration> {
    let booted = now.checked_sub(uptime).ok()?;
    let in_this_boot = |record: &Record| matches!(&record.event, Event::Resumed { boot_id: of, .. } if of == boot_id);
    let (before, since) = records.split_at(records.iter().position(in_this_boot)?);
    // A run that began in this boot has no other before its first `Resumed`.
    let in_another = |record: &Record| record.at < booted || matches!(record.event, Event::Resumed { .. });
    if !before.iter().any(in_another) {
        return None;
    }
    let passed = Duration::try_from(now.duration_since(since.first()?.at)).unwrap_or_default();
    STARTING_UP.checked_sub(passed)
}

impl Waits {
    /// The room for the run and a rollback.
    fn needed(&self) -> Duration {
        let records = self.host.journal.records(self.run).unwrap_or_default();
        views::needed(&self.estimates, views::rehearsed(&records).as_ref())
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
                let needed = self.needed();
                let until = Windows(&self.windows).next_fit(clock::now(), needed);
                let message = match until {
                    Some(_) => "waits for its window".into(),
                    None => format!("no window is long enough for {} s", needed.as_secs()),
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
        let needed = self.needed();
        while !Windows(&self.windows).fits(clock::now(), needed) {
            tokio::time::sleep(LOOK).await;
        }
    }

    fn has_room(&self) -> bool {
        Windows(&self.windows).fits(clock::now(), self.needed().saturating_sub(LATE))
    }

    async fn backoff(&self, failures: u32) {
        tokio::time::sleep(Self::backoff_of(failures)).await;
    }

    fn starting_up(&self) -> bool {
        self.starting_up.is_some_and(|until| Instant::now() < until)
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

#[cfg(test)]
mod tests {
    use super::*;

    fn record(second: i64, event: Event) -> Record {
        Record { number: 0, at: Timestamp::from_second(second).unwrap(), event }
    }

    fn resumed(second: i64, boot_id: &str) -> Record {
        record(second, Event::Resumed { host_version: String::new(), boot_id: boot_id.into() })
    }

    #[test]
    fn a_start_of_the_machine_is_waited_for_where_it_has_interrupted_the_run() {
        let began = || record(1000, Event::WindowOpened);
        let left = |records: &[Record], now: i64, uptime: u64| {
            starting_up(records, "now", Timestamp::from_second(now).unwrap(), Duration::from_secs(uptime))
        };
        let seconds = |of| Some(Duration::from_secs(of));
        // The machine was started at 2000.
        let rebooted = [began(), resumed(2030, "now"), record(2031, Event::WindowOpened), resumed(2100, "now")];
        assert_eq!(left(&rebooted[..2], 2030, 30), seconds(600));
        assert_eq!(left(&rebooted, 2130, 130), seconds(500), "another start of the daemon gives no more time");
        assert_eq!(left(&rebooted, 2631, 631), None);
        assert_eq!(left(&rebooted[..1], 2030, 30), None, "nobody has taken it up yet");
        // The machine was started before the run began.
        assert_eq!(left(&rebooted[..2], 2030, 5000), None);
        assert_eq!(left(&[began(), resumed(1500, "before"), resumed(2030, "now")], 2030, 5000), seconds(600));
    }
}
