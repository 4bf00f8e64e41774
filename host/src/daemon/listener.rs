//! Tells those who watch what the journal got.

use super::host::{Entry, Host};
use crate::api::types::{News, Running, State, StepState};
use crate::journal::Record;
use crate::pipeline::ledger::Listener;
use crate::plan::Plan;
use crate::plan::event::Event;
use std::sync::Arc;

pub fn listener(host: &Arc<Host>, entry: &Arc<Entry>, plan: Arc<Plan>) -> Listener {
    let (host, entry) = (host.clone(), entry.clone());
    Arc::new(move |run, record: &Record| {
        let (step, attempt, state, failure) = match &record.event {
            Event::Started { step, attempt } => (step, *attempt, StepState::Running, None),
            Event::Succeeded { step, attempt, .. } => (step, *attempt, StepState::Succeeded, None),
            Event::Failed { step, attempt, failure, .. } => (step, *attempt, StepState::Failed, Some(failure.clone())),
            _ => return,
        };
        let (phase, title) = super::views::shown(&plan, step);
        if state == StepState::Running {
            let turned_round = step.starts_with('b').then(|| "on its way back".to_owned());
            let running = Running {
                run,
                phase: phase.clone(),
                step: step.clone(),
                title: title.clone(),
                progress: None,
                started_at: record.at,
                turned_round,
            };
            host.update(&entry, |seen| seen.state = State::Running(running));
        }
        let news = News::Step { step: step.clone(), phase, title, state, attempt, failure };
        host.hub.publish(Some(&entry.name), Some(run), news);
    })
}
