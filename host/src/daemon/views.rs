//! The journal as the socket shows it.

use super::outlook::Outlook;
use super::patience::choices;
use crate::api::types::*;
use crate::journal::{Journal, Record};
use crate::model::Severity;
use crate::phase::FINDINGS;
use crate::plan::event::Event;
use crate::plan::next::{Next, next};
use crate::plan::state::{Progress as RunProgress, Status};
use crate::plan::step::{Phase, Step, Stretch};
use crate::plan::{Estimates, Plan, Rehearsed};
use jiff::Timestamp;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::time::Duration;

/// Between two instants, in seconds.
pub fn seconds(from: Timestamp, to: Timestamp) -> f64 {
    to.duration_since(from).as_secs_f64()
}

fn started(records: &[Record], phases: &[Phase]) -> Option<Timestamp> {
    records.iter().find_map(|record| match &record.event {
        Event::Started { step, .. } if phases.iter().any(|phase| is_of(step, *phase)) => Some(record.at),
        _ => None,
    })
}

fn last_success(records: &[Record], phases: &[Phase]) -> Option<Timestamp> {
    records.iter().rev().find_map(|record| match &record.event {
        Event::Succeeded { step, .. } if phases.iter().any(|phase| is_of(step, *phase)) => Some(record.at),
        _ => None,
    })
}

/// The phase of a step, by its id: `h0-apply-main-1`, `b0-halt-main`, `seal-data`.
fn is_of(step: &str, phase: Phase) -> bool {
    let numbered = |text: &str| text.len() > 1 && text[1..].bytes().all(|byte| byte.is_ascii_digit());
    let rest = match step.split_once('-') {
        Some((first, rest)) if first.starts_with(['h', 'b']) && numbered(first) => rest,
        _ => step,
    };
    rest == phase.name() || rest.strip_prefix(phase.name()).is_some_and(|rest| rest.starts_with('-'))
}

const PHASES: [Phase; 31] = [
    Phase::Stage,
    Phase::BackupAhead,
    Phase::BackupFinal,
    Phase::BackupLate,
    Phase::DrillFinal,
    Phase::Drill,
    Phase::Rehearse,
    Phase::Recheck,
    Phase::Quiesce,
    Phase::FenceBack,
    Phase::Fence,
    Phase::Freeze,
    Phase::Seal,
    Phase::UnfenceBack,
    Phase::Unfence,
    Phase::Edits,
    Phase::CarryBack,
    Phase::Carry,
    Phase::Apply,
    Phase::VerifyWave,
    Phase::VerifyBack,
    Phase::Verify,
    Phase::AdmitBack,
    Phase::Admit,
    Phase::Commit,
    Phase::Halt,
    Phase::Restore,
    Phase::CompareBack,
    Phase::FilesBack,
    Phase::Revert,
    Phase::Rebuild,
];

/// The step's phase, and what it does, for a person.
pub fn shown(plan: &Plan, step: &str) -> (String, String) {
    match plan.forward().iter().find(|known| known.id == step) {
        Some(known) => (known.phase.name().to_owned(), step_view(plan, known).title),
        None => phase_and_title(step),
    }
}

fn phase_and_title(step: &str) -> (String, String) {
    // Longer names stand before those that they begin with.
    let phase = PHASES.into_iter().find(|phase| is_of(step, *phase));
    match phase {
        Some(phase) => (phase.name().to_owned(), title(phase, step)),
        None => (step.to_owned(), step.to_owned()),
    }
}

fn title(phase: Phase, step: &str) -> String {
    let after = step.split_once(phase.name()).map(|(_, rest)| rest.trim_start_matches('-')).unwrap_or_default();
    let of = |what: &str| if after.is_empty() { what.to_owned() } else { format!("{what} `{after}`") };
    let as_client =
        |what: &str| if after.is_empty() { format!("{what} as a client would") } else { of(&format!("{what} on")) };
    match phase {
        Phase::Stage => of("bring the release here for"),
        Phase::BackupAhead => format!("{} while it serves", of("back up")),
        Phase::Drill | Phase::DrillFinal => format!("{} and compare", of("restore the backup of")),
        Phase::Rehearse => "rehearse all of it on a throw-away double".into(),
        Phase::Recheck => "detect and check once more".into(),
        Phase::Quiesce => of("shut the gate and stop the writers of"),
        Phase::Fence | Phase::FenceBack => of("fence"),
        Phase::Freeze => of("make a frozen copy of"),
        Phase::BackupFinal => format!("{}, where it isn't frozen", of("back up")),
        Phase::Seal => of("make sure that nobody wrote to"),
        Phase::Unfence | Phase::UnfenceBack => of("lift the fence of"),
        Phase::Edits => "put the edited files in place".into(),
        Phase::Carry => format!("{}, where it is of another version", of("carry into the new server the data of")),
        Phase::CarryBack => of("put back the old server of"),
        Phase::Apply => of("apply on"),
        Phase::VerifyWave => of("verify the services of"),
        Phase::Verify => as_client("verify the new version"),
        Phase::Admit => of("let users in through"),
        Phase::BackupLate => format!("{}, where it is frozen", of("back up")),
        Phase::Commit => "commit".into(),
        Phase::Halt => of("stop what is new on"),
        Phase::Restore => of("bring back the data of"),
        Phase::CompareBack => of("compare what was brought back into"),
        Phase::FilesBack => "put the old files back".into(),
        Phase::Revert => of("put the old version back on"),
        Phase::Rebuild => of("rebuild what is derived, on"),
        Phase::VerifyBack => as_client("verify the old version"),
        Phase::AdmitBack => of("let users in again through"),
    }
}

fn step_view(plan: &Plan, step: &Step) -> StepView {
    StepView {
        id: step.id.clone(),
        phase: step.phase.name().into(),
        hop: step.hop.map(|hop| hop as u32),
        binding: step.binding.clone(),
        title: match (step.phase, step.hop.zip(step.act)) {
            (Phase::Apply, Some((hop, act))) => act_title(plan, hop, act),
            (Phase::VerifyWave, Some(_)) => "verify what was started".into(),
            _ if step.phase == Phase::Quiesce && step.hop.is_some() => stop_title(plan, step),
            _ => title(step.phase, &step.id),
        },
        downtime: matches!(step.phase.stretch(), Stretch::Downtime | Stretch::Back) && !plan.rolls(),
        expected_s: None,
    }
}

fn stop_title(plan: &Plan, step: &Step) -> String {
    let source = step.hop.and_then(|hop| plan.hops.get(hop)).map(|hop| hop.source.as_str()).unwrap_or_default();
    format!("stop what runs of `{source}` on `{}`", step.binding.as_deref().unwrap_or_default())
}

fn act_title(plan: &Plan, hop: usize, act: usize) -> String {
    use crate::model::Act;
    match plan.hops.get(hop).and_then(|hop| hop.acts.get(act)) {
        Some(Act::Command(once)) => format!("run `{}`", once.argv.join(" ")),
        Some(Act::Wave(wave)) => {
            let names: Vec<_> = wave.services.iter().map(|service| format!("`{}`", service.name)).collect();
            format!("start {} of `{}`", names.join(", "), plan.hops[hop].target)
        }
        None => "apply".into(),
    }
}

pub fn plan_view(plan: &Plan, findings: Vec<Finding>, outlook: &Outlook) -> PlanView {
    let view = |step: &Step| StepView { expected_s: outlook.took(&step.id), ..step_view(plan, step) };
    PlanView::new(plan, plan.forward().iter().map(view).collect(), outlook.waits(plan), findings)
}

pub fn last_run(journal: &Journal, deployment: &str) -> Option<RunSummary> {
    let row = journal.runs(Some(deployment), 1).ok()?.pop()?;
    summary(journal, row.run)
}

pub fn summary(journal: &Journal, run: u64) -> Option<RunSummary> {
    let row = journal.run(run).ok()?;
    let records = journal.records(run).ok()?;
    let Event::Planned { plan } = &records.first()?.event else { return None };
    let shut = || started(&records, &[Phase::Quiesce, Phase::Halt]);
    let open = || last_success(&records, &[Phase::Admit, Phase::AdmitBack]);
    Some(RunSummary {
        id: run,
        deployment: row.deployment,
        kind: plan.kind.clone(),
        from: row.from,
        to: row.to,
        started_at: row.started,
        ended_at: row.ended,
        downtime_s: match plan.rolls() {
            true => super::rolling::away(&records),
            false => shut().zip(open()).map(|(shut, open)| seconds(shut, open)),
        },
        outcome: row.outcome,
    })
}

pub fn run(journal: &Journal, run: u64) -> Option<Run> {
    let summary = summary(journal, run)?;
    let records = journal.records(run).ok()?;
    let progress = RunProgress::replay(records.iter().map(|record| &record.event)).ok()?;
    let mut steps: Vec<Step> = progress.forward.iter().filter(|step| !progress.skips(step)).cloned().collect();
    let planned = |step: &Step, steps: &[Step]| steps.iter().any(|known| known.id == step.id);
    let begun: Vec<Step> = order_of_first_start(&records)
        .into_iter()
        .filter_map(|id| progress.steps.get(&id).map(|state| state.step.clone()))
        .filter(|step| !planned(step, &steps))
        .collect();
    steps.extend(begun);
    let mut findings = Vec::new();
    for state in progress.steps.values() {
        if let Status::Succeeded(output) = &state.status
            && let Ok(more) = Vec::<Finding>::deserialize(output.get(FINDINGS).unwrap_or(output))
        {
            findings.extend(more.into_iter().filter(|finding| finding.severity != Severity::Info));
        }
    }
    let stuck = match next(&progress) {
        Next::Stuck { why, .. } if summary.outcome.is_none() => Some(Stuck { run, what: why, choices: choices() }),
        _ => None,
    };
    let failure = records.iter().find_map(|record| match &record.event {
        Event::Failed { step, failure, waited_out: false, .. } => {
            let (phase, _) = phase_and_title(step);
            Some(RunFailure { step: step.clone(), phase, failure: failure.clone() })
        }
        _ => None,
    });
    let approved_by = records.iter().find_map(|record| match &record.event {
        Event::Approved { by } => Some(by.clone()),
        _ => None,
    });
    let rehearsed = rehearsed(&records);
    let times = times(&records);
    let steps = steps.iter().map(|step| run_step(&progress, &times, step)).collect();
    let plan = plan_view(&progress.plan, progress.plan.findings.clone(), &Outlook::default());
    Some(Run { summary, approved_by, plan, steps, rehearsed, findings, failure, stuck, left: Vec::new() })
}

fn order_of_first_start(records: &[Record]) -> Vec<String> {
    let mut order = Vec::new();
    for record in records {
        if let Event::Started { step, .. } = &record.event
            && !order.contains(step)
        {
            order.push(step.clone());
        }
    }
    order
}

type Times = BTreeMap<String, (Option<Timestamp>, Option<Timestamp>)>;

fn times(records: &[Record]) -> Times {
    let mut times = Times::new();
    for record in records {
        match &record.event {
            Event::Started { step, .. } => {
                let entry = times.entry(step.clone()).or_default();
                entry.0.get_or_insert(record.at);
                entry.1 = None;
            }
            Event::Succeeded { step, .. } | Event::Failed { step, .. } => {
                times.entry(step.clone()).or_default().1 = Some(record.at);
            }
            _ => {}
        }
    }
    times
}

fn run_step(progress: &RunProgress, times: &Times, step: &Step) -> RunStep {
    let view = step_view(&progress.plan, step);
    let state = progress.steps.get(&step.id);
    let (started_at, ended_at) = times.get(&step.id).copied().unwrap_or_default();
    let over = progress.turned.is_some() || progress.finished.is_some();
    RunStep {
        id: view.id,
        phase: view.phase,
        hop: view.hop,
        binding: view.binding,
        title: view.title,
        state: match state.map(|state| &state.status) {
            None if over => StepState::Skipped,
            None => StepState::Pending,
            Some(Status::Running) => StepState::Running,
            Some(Status::Probed | Status::Due) => StepState::InDoubt,
            Some(Status::Succeeded(_)) => StepState::Succeeded,
            Some(Status::Failed(_)) => StepState::Failed,
        },
        attempts: state.map_or(0, |state| state.attempts),
        started_at,
        ended_at,
        failure: match state.map(|state| &state.status) {
            Some(Status::Failed(failure)) => Some(failure.clone()),
            _ => None,
        },
    }
}

/// From the deployment's newest runs.
pub fn estimates(journal: &Journal, deployment: &str) -> Estimates {
    let mut estimates = Estimates::default();
    for row in journal.runs(Some(deployment), 5).unwrap_or_default() {
        let Ok(records) = journal.records(row.run) else { continue };
        if matches!(records.first().map(|record| &record.event), Some(Event::Planned { plan }) if plan.rolls()) {
            continue;
        }
        // While it waited for somebody, or for a daemon, nothing was done.
        let stood_still =
            |event: &Event| matches!(event, Event::Resumed { .. } | Event::Decided { decision: Decision::Resume, .. });
        if records.iter().any(|record| stood_still(&record.event)) {
            continue;
        }
        let span = |first: &[Phase], last: &[Phase]| {
            started(&records, first).zip(last_success(&records, last)).map(|(from, to)| seconds(from, to))
        };
        let fill = |slot: &mut Option<f64>, value: Option<f64>| {
            if slot.is_none() {
                *slot = value;
            }
        };
        fill(&mut estimates.backup_s, span(&[Phase::BackupAhead], &[Phase::Drill]));
        fill(&mut estimates.downtime_s, span(&[Phase::Quiesce], &[Phase::Admit]));
        fill(&mut estimates.downtime_s, rehearsed(&records).and_then(|rehearsed| rehearsed.downtime_s));
        fill(&mut estimates.rollback_s, span(&[Phase::Halt], &[Phase::AdmitBack]));
    }
    estimates
}

pub fn rehearsed(records: &[Record]) -> Option<Rehearsed> {
    records.iter().rev().find_map(|record| match &record.event {
        Event::Succeeded { step, output, .. } if is_of(step, Phase::Rehearse) => {
            serde_json::from_value(output.clone()).ok()
        }
        _ => None,
    })
}

/// The room that a window must have: the downtime and a rollback. The run's own rehearsal knows best.
pub fn needed(estimates: &Estimates, rehearsed: Option<&Rehearsed>) -> Duration {
    let downtime = rehearsed.and_then(|rehearsed| rehearsed.downtime_s).or(estimates.downtime_s).unwrap_or(0.0);
    let seconds = downtime + estimates.rollback_s.unwrap_or(downtime);
    Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or(Duration::ZERO)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_has_room_for_what_the_rehearsal_measured() {
        let estimates = Estimates { backup_s: None, downtime_s: Some(60.0), rollback_s: Some(30.0) };
        let rehearsed = |downtime_s| Rehearsed { downtime_s, ..Rehearsed::default() };
        assert_eq!(needed(&estimates, None), Duration::from_secs(90));
        assert_eq!(needed(&estimates, Some(&rehearsed(None))), Duration::from_secs(90));
        assert_eq!(needed(&estimates, Some(&rehearsed(Some(600.0)))), Duration::from_secs(630));
        assert_eq!(needed(&Estimates::default(), Some(&rehearsed(Some(600.0)))), Duration::from_secs(1200));
    }
}
