//! What a plan is shown with beside its steps: how long each took before, and what it will wait for.

use super::{clock, views};
use crate::api::types::{WaitReason, Waiting};
use crate::config::Approve;
use crate::config::window::{Window, Windows};
use crate::journal::{Journal, Record};
use crate::plan::Plan;
use crate::plan::event::Event;
use jiff::Timestamp;
use std::collections::BTreeMap;

/// Runs that are looked at for how long a step takes.
const RUNS: u32 = 5;

/// Nothing is expected of a plan that is history.
#[derive(Default)]
pub struct Outlook {
    /// In seconds, by step: the newest success. None of a hop's steps, which differ from release to release.
    took: BTreeMap<String, f64>,
    /// When the next window with room opens.
    opens: Option<Timestamp>,
}

impl Outlook {
    pub fn of(journal: &Journal, plan: &Plan, windows: &[Window]) -> Self {
        let runs = journal.runs(Some(&plan.deployment), RUNS).unwrap_or_default();
        let mut took = BTreeMap::new();
        for records in runs.iter().filter_map(|run| journal.records(run.run).ok()) {
            for (step, seconds) in durations(&records) {
                took.entry(step).or_insert(seconds);
            }
        }
        let opens = Windows(windows).next_fit(clock::now(), views::needed(&plan.estimates, None));
        Self { took, opens: opens.filter(|_| !windows.is_empty()) }
    }

    pub fn took(&self, step: &str) -> Option<f64> {
        self.took.get(step).copied()
    }

    /// In the order in which they come.
    pub fn waits(&self, plan: &Plan) -> Vec<Waiting> {
        let mut waits = Vec::new();
        let mut wait = |reason, message, until| waits.push(Waiting { run: None, reason, message, until });
        if plan.policy.approval_needed {
            let breaking = plan.hops.iter().filter(|hop| hop.breaking).map(|hop| format!("`{}`", hop.target));
            let why = match plan.policy.approve {
                Approve::Breaking => {
                    let which = breaking.collect::<Vec<_>>().join(", ");
                    format!("for a person, since {which} breaks something")
                }
                Approve::Always | Approve::Never => "for a person".to_owned(),
            };
            wait(WaitReason::Approval, format!("{why}: `upgradectl approve {}`", plan.deployment), None);
        }
        if !plan.policy.windows.is_empty() {
            wait(WaitReason::Window, "for a window with room for it and for a rollback".to_owned(), self.opens);
        }
        waits
    }
}

fn durations(records: &[Record]) -> BTreeMap<String, f64> {
    let mut began: BTreeMap<&str, Timestamp> = BTreeMap::new();
    let mut took = BTreeMap::new();
    for record in records {
        match &record.event {
            Event::Started { step, .. } => {
                began.insert(step, record.at);
            }
            Event::Succeeded { step, .. } if !of_a_hop(step) => {
                if let Some(began) = began.get(step.as_str()) {
                    took.insert(step.clone(), views::seconds(*began, record.at));
                }
            }
            _ => {}
        }
    }
    took
}

/// `h0-apply-main-1`
fn of_a_hop(step: &str) -> bool {
    step.strip_prefix('h').is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
}
