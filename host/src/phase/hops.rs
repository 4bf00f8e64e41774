//! Stage, edits, apply and verify: what happens hop by hop.

use super::{RunContext, global_step, without_blockers};
use crate::context::StepContext;
use crate::model::{Failure, Hop, Role};
use crate::plan::step::Step;
use serde_json::Value;

fn hop<'a>(run: &'a RunContext<'_>, step: &Step) -> (usize, &'a Hop) {
    let number = step.hop.unwrap_or_default();
    (number, &run.progress.plan.hops[number])
}

/// The token that pins what was brought here.
pub async fn stage(run: &RunContext<'_>, step: &Step, cx: &StepContext) -> Result<Value, Failure> {
    let (_, hop) = hop(run, step);
    Ok(Value::String(run.platform(cx)?.stage(cx, hop).await?))
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
        run.bound.product.1.verify(cx, &hop.target).await?
    } else {
        run.platform(cx)?.verify(cx, hop, step.act.map(|act| act as u32)).await?
    };
    without_blockers(findings)
}
