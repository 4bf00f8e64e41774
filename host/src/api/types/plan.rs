//! A plan as it is shown: the journal's own format stays the host's.

use super::Waiting;
use crate::config::{Approve, Drill, Policy};
use crate::model::{Finding, Hop, Requirement, Severity, Undo};
use crate::plan::{Estimates, Kind, Plan, PlannedEdit};
use serde::{Deserialize, Serialize};

/// What would happen, or was planned to happen: every step before it is taken.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PlanView {
    pub deployment: String,
    pub kind: Kind,
    pub from: String,
    pub to: String,
    /// No blocker stands against it.
    pub ready: bool,
    pub hops: Vec<HopView>,
    /// In the order in which they are taken.
    pub steps: Vec<StepView>,
    /// Where it will wait, in order.
    pub waits: Vec<Waiting>,
    pub policy: PolicyView,
    /// Blockers first.
    pub findings: Vec<Finding>,
    pub estimates: Estimates,
}

/// One step between two releases.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HopView {
    pub from: String,
    pub to: String,
    pub breaking: bool,
    /// Background work must finish after it: a run ends there.
    pub rest: bool,
    /// Release notes, a line each, breaking changes first.
    pub notes: Vec<String>,
    /// `code-only`, `rebuild`, `restore-data`; narrowest first.
    pub undo: Vec<String>,
    pub requires: Vec<Requirement>,
    /// From and to, as the vendor says.
    pub expected_s: Option<(u32, u32)>,
    pub edits: Vec<EditView>,
}

/// A change to one file. Secrets stand in it as placeholders.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EditView {
    /// The platform whose `directory` the path starts from.
    pub platform: String,
    pub path: String,
    pub why: String,
    /// Unified.
    pub diff: String,
}

/// One step of a plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StepView {
    /// Unique within the run.
    pub id: String,
    /// `stage`, `backup`, `drill`, `quiesce`, `freeze`, `edits`, `apply`, `verify`, `admit`, `commit`, …
    pub phase: String,
    /// The index into `hops`; null: of the whole path.
    pub hop: Option<u32>,
    /// Who is called; null: the host itself.
    pub binding: Option<String>,
    /// What it does, for a person.
    pub title: String,
    /// Users are shut out while it runs.
    pub downtime: bool,
    /// From earlier runs and drills.
    pub expected_s: Option<f64>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyView {
    pub approve: Approve,
    /// Whether this path needs an approval.
    pub approval_needed: bool,
    /// As written; empty: at any time.
    pub windows: Vec<String>,
    pub drill: Drill,
}

impl PlanView {
    /// `findings`: everything that preflight noticed, blockers too; where it is empty the plan's own are shown.
    pub fn new(plan: &Plan, steps: Vec<StepView>, waits: Vec<Waiting>, findings: Vec<Finding>) -> Self {
        let mut findings = if findings.is_empty() { plan.findings.clone() } else { findings };
        findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
        let no_edits = Vec::new();
        let hops = plan.hops.iter().enumerate();
        Self {
            deployment: plan.deployment.clone(),
            kind: plan.kind.clone(),
            from: plan.from.clone(),
            to: plan.to.clone(),
            ready: findings.iter().all(|finding| finding.severity != Severity::Blocker),
            hops: hops.map(|(i, hop)| HopView::new(hop, plan.edits.get(i).unwrap_or(&no_edits))).collect(),
            steps,
            waits,
            policy: PolicyView {
                approve: plan.policy.approve,
                approval_needed: plan.policy.approval_needed,
                windows: plan.policy.windows.clone(),
                drill: plan.policy.drill,
            },
            findings,
            estimates: plan.estimates,
        }
    }
}

impl PlanView {
    /// The wanted version runs.
    pub fn nothing_to_do(deployment: &str, version: &str, policy: &Policy, findings: Vec<Finding>) -> Self {
        Self {
            deployment: deployment.into(),
            kind: Kind::Upgrade,
            from: version.into(),
            to: version.into(),
            ready: findings.iter().all(|finding| finding.severity != Severity::Blocker),
            hops: Vec::new(),
            steps: Vec::new(),
            waits: Vec::new(),
            policy: PolicyView {
                approve: policy.approve,
                approval_needed: false,
                windows: policy.window.iter().map(|window| window.text.clone()).collect(),
                drill: policy.drill,
            },
            findings,
            estimates: Estimates::default(),
        }
    }
}

impl HopView {
    fn new(hop: &Hop, edits: &[PlannedEdit]) -> Self {
        Self {
            from: hop.source.clone(),
            to: hop.target.clone(),
            breaking: hop.breaking,
            rest: hop.rest,
            notes: hop.notes.clone(),
            undo: undo_names(&hop.undo),
            requires: hop.requires.clone(),
            expected_s: hop.expected_seconds,
            edits: edits.iter().map(EditView::from).collect(),
        }
    }
}

impl From<&PlannedEdit> for EditView {
    fn from(edit: &PlannedEdit) -> Self {
        Self {
            platform: edit.platform.clone(),
            path: edit.path.clone(),
            why: edit.why.clone(),
            diff: edit.diff.clone(),
        }
    }
}

fn undo_names(undo: &[Undo]) -> Vec<String> {
    if undo.is_empty() {
        return vec!["restore-data".into()];
    }
    let name = |undo: &Undo| match undo {
        Undo::CodeOnly => "code-only".into(),
        Undo::Rebuild(once) => format!("rebuild: {}", once.argv.join(" ")),
        Undo::RestoreData => "restore-data".into(),
    };
    undo.iter().map(name).collect()
}

/// What preflight says at this moment, nothing touched.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Check {
    pub deployment: String,
    pub from: String,
    /// Equal to `from` where nothing is to be done: the findings are then those of the running version.
    pub to: String,
    /// No blocker.
    pub ready: bool,
    /// Blockers first.
    pub findings: Vec<Finding>,
    pub checked_at: jiff::Timestamp,
}
