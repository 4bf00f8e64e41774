//! One deployment's life: look at the file, plan, run, and again. A restart is the normal path: what a crash left open is
//! taken up by the same loop.

use super::clock;
use super::hands::RealHands;
use super::host::{Entry, Host};
use super::listener::listener;
use super::looks::{Ready, failure};
use super::patience::{Waits, starting_up};
use super::planning::{Looked, Refused, blockers};
use crate::api::types::{News, State};
use crate::config::edit::line_of;
use crate::config::{Deployment, Diagnostics, SecretCheck};
use crate::effect::LedgerError;
use crate::journal::{JournalError, Quarantine, Refusal, digest};
use crate::model::Failure;
use crate::pipeline::ledger::RunLedger;
use crate::pipeline::{Ended, Patience, Pipeline};
use crate::plan::event::{Decision, Event, Outcome, Verdict};
use crate::plan::next::{Next, next};
use crate::plan::step::Step;
use crate::plan::{Kind, Plan};
use jiff::Timestamp;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Of a failure of the journal: whatever is said to the run can't be written down.
const JOURNAL: &str = "journal";
/// Between looks at a deployment that only time may mend.
const LOOK_AGAIN: Duration = Duration::from_secs(60);
const LONGEST_PAUSE: Duration = Duration::from_secs(24 * 3600);

pub async fn live(host: Arc<Host>, entry: Arc<Entry>) {
    let mut outdated = 0;
    while !host.stop.is_cancelled() {
        let again = match open_run(&host, &entry) {
            // On the heap for as long as they last: a task at rest is a thousandth of their size.
            Some(run) => match Box::pin(carry_on(&host, &entry, run)).await {
                Ok(was_outdated) => {
                    outdated = if was_outdated { outdated + 1 } else { 0 };
                    match pause_after(outdated) {
                        None => continue,
                        pause => pause,
                    }
                }
                Err(failure) => {
                    tracing::error!(deployment = entry.name, run, "the run can't go on: {}", failure.message);
                    let hint = match failure.code.as_str() {
                        JOURNAL => String::new(),
                        _ => {
                            format!("; `upgradectl abandon {} --why …` ends it where that can't be mended", entry.name)
                        }
                    };
                    fail(&host, &entry, format!("run {run} can't go on: {}{hint}", failure.message));
                    Some(LOOK_AGAIN)
                }
            },
            None => {
                super::drills::sweep(&host, &entry).await;
                Box::pin(look(&host, &entry)).await
            }
        };
        if entry.seen.lock().expect("no panic holds this lock").gone {
            host.forget(&entry.name);
            // It may have come back meanwhile, and whoever told of it found us still here.
            if entry.file.exists() {
                host.ensure(&entry.name);
            }
            return;
        }
        // A run may have begun.
        if open_run(&host, &entry).is_some() && again.is_none() {
            continue;
        }
        let pause = async {
            match again {
                Some(pause) => tokio::time::sleep(pause).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = entry.nudge.notified() => {}
            () = pause => {}
            () = host.stop.cancelled() => {}
        }
    }
}

/// After so many runs in a row whose plan was outdated before users were shut out: what changes between two looks may
/// change for ever, and each run backs up and drills.
fn pause_after(outdated: u32) -> Option<Duration> {
    let more = outdated.checked_sub(2)?;
    Some(LOOK_AGAIN.saturating_mul(1 << more.min(16)).min(LONGEST_PAUSE))
}

fn open_run(host: &Host, entry: &Entry) -> Option<u64> {
    host.journal.open_run(&entry.name).ok().flatten()
}

fn fail(host: &Host, entry: &Entry, message: String) {
    host.update(entry, |seen| seen.state = State::Error { message, diagnostics: None });
}

/// Reads the file and does what it says; how long until another look is worth it, where nothing changes.
async fn look(host: &Arc<Host>, entry: &Arc<Entry>) -> Option<Duration> {
    let text = match text_of(host, entry) {
        Ok(text) => text,
        Err(again) => return again,
    };
    if let Ok(Some((settled, version))) = host.journal.settled(&entry.name)
        && settled == digest(&text)
    {
        let wanted = line_of(&text, "version").unwrap_or_default();
        if !quarantined(host, entry, &text, &wanted) {
            settle(host, entry, &text, &wanted, version);
        }
        return None;
    }
    let _turn = tokio::select! {
        turn = host.looks.acquire() => turn.ok()?,
        () = host.stop.cancelled() => return None,
    };
    // It may be another one by now.
    let text = match text_of(host, entry) {
        Ok(text) => text,
        Err(again) => return again,
    };
    let deployment = match host.parse(&entry.name, text.clone(), SecretCheck::Resolve).await {
        Ok(deployment) => deployment,
        Err(diagnostics) => {
            host.update(entry, |seen| {
                seen.wanted = line_of(&text, "version").or(seen.wanted.take());
                seen.state = mistaken(entry, diagnostics);
            });
            // A plugin may be put there, a secret be closed to others.
            return Some(LOOK_AGAIN);
        }
    };
    if quarantined(host, entry, &text, &deployment.version) {
        return None;
    }
    host.update(entry, |seen| {
        seen.product = Some(deployment.product.binding.plugin.clone());
        seen.wanted = Some(deployment.version.clone());
        seen.state = State::Planning;
    });
    let ready = match host.ready(deployment).await {
        Ok(ready) => ready,
        Err(failure) => {
            fail(host, entry, failure.message);
            return Some(LOOK_AGAIN);
        }
    };
    let activity = host.activity(entry);
    let looked = host.look(&ready, &text, None, &activity).await;
    // A run may have been asked for, or the file saved anew: what was found is another one's.
    if open_run(host, entry).is_some() {
        return None;
    }
    if text_of(host, entry).as_ref() != Ok(&text) {
        return Some(Duration::ZERO);
    }
    match looked {
        Ok(Looked::Nothing { installed, .. }) => {
            let _ = host.journal.settle(&entry.name, &digest(&text), &installed.version);
            host.update(entry, |seen| {
                seen.installed = Some(installed.version);
                seen.detected_at = Some(clock::now());
                seen.state = State::Idle;
            });
            None
        }
        Ok(Looked::Plan { plan, findings }) => {
            host.update(entry, |seen| {
                seen.installed = Some(plan.from.clone());
                seen.detected_at = Some(clock::now());
            });
            match blockers(&findings) {
                Some(why) => {
                    let refused = Refused { from: Some(plan.from.clone()), why, retryable: true };
                    refuse(host, entry, &ready.deployment.version, refused)
                }
                None => match begin(host, entry, &plan).await {
                    Ok(_) | Err(Unbegun::UnderWay(_)) => None,
                    Err(Unbegun::Failed(why)) => {
                        fail(host, entry, why);
                        Some(LOOK_AGAIN)
                    }
                },
            }
        }
        // The daemon leaves: that is no refusal.
        Err(_) if host.stop.is_cancelled() => None,
        Err(refused) => refuse(host, entry, &ready.deployment.version, refused),
    }
}

/// Or when another look is worth it, where nothing changes.
fn text_of(host: &Host, entry: &Entry) -> Result<String, Option<Duration>> {
    match crate::config::file::read_bounded(&entry.file, 1 << 20) {
        Ok(bytes) => crate::config::read::text_of(&entry.file, bytes).map_err(|diagnostics| {
            host.update(entry, |seen| seen.state = mistaken(entry, diagnostics));
            None
        }),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            entry.seen.lock().expect("no panic holds this lock").gone = true;
            Err(None)
        }
        Err(error) => {
            fail(host, entry, format!("`{}` can't be read: {error}", entry.file.display()));
            Err(Some(LOOK_AGAIN))
        }
    }
}

fn mistaken(entry: &Entry, diagnostics: Diagnostics) -> State {
    let message = format!("`{}` has mistakes", entry.file.display());
    State::Error { message, diagnostics: Some(diagnostics) }
}

/// Nothing is to be done for this very file, before and after a restart alike.
fn settle(host: &Host, entry: &Entry, text: &str, wanted: &str, installed: String) {
    let product = line_of(text, "product");
    let state = resting(host, entry, wanted, &installed);
    host.update(entry, |seen| {
        seen.product = product;
        seen.wanted = Some(wanted.to_owned());
        seen.installed = Some(installed);
        seen.state = state;
    });
}

/// Where what is wanted does not run and nothing is done about it, the last run says why.
fn resting(host: &Host, entry: &Entry, wanted: &str, installed: &str) -> State {
    if wanted == installed {
        return State::Idle;
    }
    let runs = host.journal.runs(Some(&entry.name), 20).unwrap_or_default();
    match runs.into_iter().find(|run| run.kind != "rehearsal").and_then(|run| run.outcome) {
        Some(Outcome::Refused(why) | Outcome::Abandoned(why) | Outcome::RolledBack(why)) => {
            State::Error { message: why, diagnostics: None }
        }
        Some(Outcome::Committed | Outcome::Rehearsed) | None => State::Idle,
    }
}

/// A version that failed here stays untouched; any other lifts the quarantine.
fn quarantined(host: &Host, entry: &Entry, text: &str, wanted: &str) -> bool {
    let Ok(Some(Quarantine { version, run, why, .. })) = host.journal.quarantined(&entry.name) else { return false };
    if version != wanted {
        let _ = host.journal.lift_quarantine(&entry.name);
        return false;
    }
    // The run that failed put back what it began with.
    let before = host.journal.run(run).ok().filter(|run| matches!(run.outcome, Some(Outcome::RolledBack(_))));
    host.update(entry, |seen| {
        seen.product = line_of(text, "product");
        seen.wanted = Some(version.clone());
        seen.installed = seen.installed.take().or(before.map(|run| run.from));
        seen.state = State::Quarantined { version, run, why };
    });
    true
}

fn refuse(host: &Host, entry: &Entry, wanted: &str, refused: Refused) -> Option<Duration> {
    let refusal = Refusal {
        deployment: entry.name.clone(),
        at: clock::now(),
        from: refused.from,
        to: wanted.to_owned(),
        why: refused.why.clone(),
    };
    if let Err(error) = host.journal.refuse(&refusal) {
        tracing::error!(deployment = entry.name, "{error}");
    }
    tracing::warn!(deployment = entry.name, to = refusal.to, "refused: {}", refused.why);
    host.update(entry, |seen| {
        if let Some(installed) = refusal.from {
            seen.installed = Some(installed);
            seen.detected_at = Some(refusal.at);
        }
        seen.state = State::Error { message: refused.why, diagnostics: None };
    });
    refused.retryable.then_some(LOOK_AGAIN)
}

/// Why a run did not begin.
pub enum Unbegun {
    /// Another one is open.
    UnderWay(String),
    Failed(String),
}

/// Writes the plan down; the loop takes it from there. The run's number.
pub async fn begin(host: &Host, entry: &Entry, plan: &Plan) -> Result<u64, Unbegun> {
    host.plugins.keep(&plan.bindings).await.map_err(|error| Unbegun::Failed(error.to_string()))?;
    let run = host.journal.begin(plan).map_err(|error| match error {
        JournalError::UnderWay(_) => Unbegun::UnderWay(error.to_string()),
        other => Unbegun::Failed(other.to_string()),
    })?;
    tracing::info!(deployment = entry.name, run, from = plan.from, to = plan.to, "a run begins");
    // Whoever watches is not told that all is done before the first step is.
    host.update(entry, |seen| seen.state = State::Planning);
    Ok(run)
}

/// Takes an open run to its end, or to the daemon's. Whether it was refused since its plan was outdated.
async fn carry_on(host: &Arc<Host>, entry: &Arc<Entry>, run: u64) -> Result<bool, Failure> {
    let plan = Arc::new(host.journal.plan(run).map_err(|e| failure(JOURNAL, &e))?);
    let patience = |deployment: &Deployment| -> Arc<dyn Patience> {
        let (windows, estimates) = (deployment.policy.window.clone(), plan.estimates);
        let records = host.journal.records(run).unwrap_or_default();
        let left = clock::uptime().and_then(|up| starting_up(&records, &clock::boot_id(), Timestamp::now(), up));
        let starting_up = left.map(|left| Instant::now() + left);
        Arc::new(Waits { host: host.clone(), entry: entry.clone(), run, windows, estimates, starting_up })
    };
    let Ended::Outcome(outcome) = drive(host, entry, run, &plan, patience).await? else { return Ok(false) };
    finish(host, entry, run, &plan, &outcome);
    // Any other refusal settles the file.
    let settled = host.journal.settled(&entry.name).ok().flatten().map(|(file, _)| file);
    let refused = plan.kind == Kind::Upgrade && matches!(outcome, Outcome::Refused(_));
    Ok(refused && settled != Some(digest(&plan.file)))
}

/// The same, with whatever patience there is to be.
pub async fn drive(
    host: &Arc<Host>, entry: &Arc<Entry>, run: u64, plan: &Arc<Plan>,
    patience: impl FnOnce(&Deployment) -> Arc<dyn Patience>,
) -> Result<Ended, Failure> {
    let ledger = RunLedger::open(host.journal.clone(), run, listener(host, entry, plan.clone()), None);
    let ledger = Arc::new(ledger.map_err(|e| failure(JOURNAL, &e))?);
    if let Some(given_up) = given_up(entry, run) {
        ledger.append(given_up).map_err(|e| failure(JOURNAL, &e))?;
    }
    let ready = match kept(host, entry, plan).await {
        Ok(ready) => ready,
        Err(why) => return end_given_up(&ledger).map_err(|e| failure(JOURNAL, &e))?.ok_or(why),
    };
    if ledger.with(|progress| progress.events()) > 1 {
        let resumed = Event::Resumed { host_version: env!("CARGO_PKG_VERSION").into(), boot_id: clock::boot_id() };
        ledger.append(resumed).map_err(|e| failure(JOURNAL, &e))?;
    }
    host.update(entry, |seen| {
        seen.product = Some(ready.deployment.product.binding.plugin.clone());
        seen.wanted.get_or_insert_with(|| ready.deployment.version.clone());
        seen.installed.get_or_insert_with(|| plan.from.clone());
    });
    let (patience, bound) = (patience(&ready.deployment), ready.bound.clone());
    let hands = Arc::new(RealHands { host: host.clone(), entry: entry.clone(), ready, run });
    let sink = {
        let (host, entry) = (host.clone(), entry.clone());
        Arc::new(move |step: &Step| host.sink(&entry, Some(run), Some(step)))
    };
    let stop = host.stop.clone();
    let pipeline = Arc::new(Pipeline::new(run, ledger, bound, hands, patience, sink, stop, host.slots.clone()));
    *entry.pipeline.lock().expect("no panic holds this lock") = Some(pipeline.clone());
    let ended = async {
        if let Some(given_up) = given_up(entry, run) {
            pipeline.tell(given_up)?;
        }
        pipeline.drive().await
    };
    let ended = ended.await;
    *entry.pipeline.lock().expect("no panic holds this lock") = None;
    ended.map_err(|e| failure(JOURNAL, &e))
}

/// What a run began with: its file, and the components that read it.
async fn kept(host: &Arc<Host>, entry: &Entry, plan: &Plan) -> Result<Ready, Failure> {
    let deployment = host.parse_kept(&entry.name, plan).await.map_err(|e| failure("file", &e))?;
    let vault = host.vault_of_a_run();
    let drivers = host.all_drivers(&deployment, &vault);
    let make = |config: &crate::config::BindingConfig| drivers[&super::looks::key(config)].clone();
    let bound = host.plugins.bind_kept(&deployment, &plan.bindings, make).await.map_err(|e| failure("plugin", &e))?;
    Ok(Ready { deployment, bound, drivers, vault })
}

fn given_up(entry: &Entry, run: u64) -> Option<Event> {
    let said = entry.given_up.lock().expect("no panic holds this lock").take();
    said.filter(|(of, _)| *of == run).map(|(_, event)| event)
}

/// Of a run that nothing can take up: whether what it was about was done, nobody can be asked.
fn end_given_up(ledger: &RunLedger) -> Result<Option<Ended>, LedgerError> {
    if !ledger.with(|progress| matches!(progress.decided, Some((Decision::Abandon, _)))) {
        return Ok(None);
    }
    if let Some(state) = ledger.with(|progress| progress.in_doubt().cloned()) {
        let verdicts = state.effects_in_doubt().map(|effect| (effect.effect.number, Verdict::Unknown)).collect();
        ledger.append(Event::Probed { step: state.step.id.clone(), attempt: state.attempts, verdicts })?;
    }
    let Next::Done(outcome) = ledger.with(next) else { return Ok(None) };
    ledger.append(Event::Finished { outcome: outcome.clone() })?;
    Ok(Some(Ended::Outcome(outcome)))
}

/// Shows how the run ended; what it means was written down with its end.
fn finish(host: &Host, entry: &Entry, run: u64, plan: &Plan, outcome: &Outcome) {
    tracing::info!(deployment = entry.name, run, ?outcome, "the run ended");
    let installed = match outcome {
        Outcome::Committed => Some(plan.to.clone()),
        Outcome::RolledBack(_) if plan.kind != Kind::Upgrade => Some(plan.to.clone()),
        Outcome::RolledBack(_) | Outcome::Refused(_) | Outcome::Rehearsed => Some(plan.from.clone()),
        Outcome::Abandoned(_) => None,
    };
    let quarantine = host.journal.quarantined(&entry.name).ok().flatten();
    let is_by_hand = plan.kind != Kind::Upgrade && matches!(outcome, Outcome::RolledBack(_));
    host.update(entry, |seen| {
        seen.installed = installed;
        // The run wrote it into the file, which is read anew in a moment.
        if is_by_hand {
            seen.wanted = Some(plan.to.clone());
        }
        seen.detected_at = Some(clock::now());
        seen.state = match (quarantine, outcome) {
            (Some(Quarantine { version, run, why, .. }), _) => State::Quarantined { version, run, why },
            (None, Outcome::Refused(why) | Outcome::Abandoned(why)) => {
                State::Error { message: why.clone(), diagnostics: None }
            }
            (None, Outcome::Committed | Outcome::RolledBack(_) | Outcome::Rehearsed) => State::Idle,
        };
    });
    host.hub.publish(Some(&entry.name), Some(run), News::Finished { outcome: outcome.clone() });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plans_that_are_always_outdated_are_made_less_and_less_often() {
        let minutes = |outdated| pause_after(outdated).map(|pause| pause.as_secs() / 60);
        assert_eq!([0, 1, 2, 3, 4].map(minutes), [None, None, Some(1), Some(2), Some(4)]);
        assert_eq!(minutes(u32::MAX), Some(24 * 60));
    }
}
