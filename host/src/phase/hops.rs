//! Stage, edits, apply and verify: what happens hop by hop.

use super::hands::Hands;
use super::{RunContext, global_step, without_blockers};
use crate::context::StepContext;
use crate::model::{Failure, Finding, Hop, Role, Severity};
use crate::plan::PlannedEdit;
use crate::plan::step::Step;
use serde_json::Value;

fn hop<'a>(run: &'a RunContext<'_>, step: &Step) -> (usize, &'a Hop) {
    let number = step.hop.unwrap_or_default();
    (number, &run.progress.plan.hops[number])
}

/// The token that pins what was brought here. The platform reads the files as the hop will leave them.
pub async fn stage(run: &RunContext<'_>, step: &Step, cx: &StepContext) -> Result<Value, Failure> {
    let (number, hop) = hop(run, step);
    let _planned = Overlaid::new(run, number);
    Ok(Value::String(run.platform(cx)?.stage(cx, hop).await?))
}

/// The edits of a path up to a hop, laid over the project's files until this is dropped.
struct Overlaid<'a>(&'a dyn Hands);

impl<'a> Overlaid<'a> {
    fn new(run: &RunContext<'a>, hop: usize) -> Self {
        let edits: Vec<&PlannedEdit> = run.progress.plan.edits.iter().take(hop + 1).flatten().collect();
        run.hands.lay_over(&edits);
        Self(run.hands)
    }
}

impl Drop for Overlaid<'_> {
    fn drop(&mut self) {
        self.0.clear_overlay();
    }
}

/// The vault's key of the bytes that an edit replaces.
pub fn old_bytes_key(deployment: &str, run: u64, hop: usize, edit: usize) -> String {
    format!("{deployment}/{}/files/{edit}", global_step(run, &format!("h{hop}-edits")))
}

pub async fn edits(run: &RunContext<'_>, step: &Step, cx: &StepContext) -> Result<Value, Failure> {
    let (number, _) = hop(run, step);
    let edits = &run.progress.plan.edits[number];
    run.hands.put_edits(cx, edits, &|edit| old_bytes_key(&cx.deployment, run.run, number, edit)).await?;
    Ok(Value::Null)
}

pub async fn apply(run: &RunContext<'_>, step: &Step, cx: &StepContext) -> Result<Value, Failure> {
    let (number, hop) = hop(run, step);
    let staged = run.staged(&cx.binding.name, number);
    let act = step.act.unwrap_or_default() as u32;
    run.platform(cx)?.apply(cx, hop, &staged, act).await?;
    Ok(Value::Null)
}

pub async fn verify(run: &RunContext<'_>, step: &Step, cx: &StepContext) -> Result<Value, Failure> {
    let (_, hop) = hop(run, step);
    let findings = if cx.binding.role == Role::Product {
        behind_the_gate(run.bound.product.1.verify(cx, &hop.target).await?, hop)
    } else {
        run.platform(cx)?.verify(cx, hop, step.act.map(|act| act as u32)).await?
    };
    without_blockers(findings)
}

/// A check that asks at the gate fails in each run, and finds nothing wrong before one.
fn behind_the_gate(findings: Vec<Finding>, hop: &Hop) -> Vec<Finding> {
    let Some(gate) = hop.gate.first() else { return findings };
    let with = |finding: Finding| match finding.severity {
        Severity::Blocker => {
            let message = format!("{}; the gate (`{}`) is shut while this is asked", finding.message, gate.name);
            Finding { message, ..finding }
        }
        Severity::Info | Severity::Warning => finding,
    };
    findings.into_iter().map(with).collect()
}
