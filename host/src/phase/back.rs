//! The way back: data, files and code of the old version, and whether it stands.

use super::downtime::Frozen;
use super::drill::same;
use super::hops::old_bytes_key;
use super::host_failure;
use super::{RunContext, global_step, output, recorded, without_blockers};
use crate::context::StepContext;
use crate::model::{Act, BackupRef, Failure, Origin, Role};
use crate::plan::Kind;
use crate::plan::step::{Phase, Rung, Step};
use serde_json::Value;

/// The bytes of the quiesce: the frozen copy, or the final backup.
fn origin(run: &RunContext<'_>, cx: &StepContext) -> Result<Origin, Failure> {
    let name = &cx.binding.name;
    if let Kind::Rollback(way) = &run.progress.plan.kind {
        let origin = way.origins.get(name).cloned();
        return origin.ok_or_else(|| host_failure("missing", format!("no bytes of `{name}` are held")));
    }
    if run.progress.frozen(name) {
        return Ok(Origin::Frozen(global_step(run.run, &format!("{}-{name}", Phase::Freeze))));
    }
    let backup = run.progress.output(Phase::BackupFinal, name);
    let backup = backup.ok_or_else(|| host_failure("missing", format!("no bytes of `{name}` are held")))?;
    Ok(Origin::Backup(recorded(backup)?))
}

pub async fn restore(run: &RunContext<'_>, cx: &StepContext) -> Result<Value, Failure> {
    run.hands.keep_copy(&cx.binding.name, &cx.step)?;
    run.datastore(cx)?.restore(cx, &origin(run, cx)?).await?;
    Ok(Value::Null)
}

/// The restored data is what the quiesce left.
pub async fn compare(run: &RunContext<'_>, cx: &StepContext) -> Result<Value, Failure> {
    let expected = match origin(run, cx)? {
        Origin::Backup(BackupRef { manifest, .. }) => Some(manifest),
        Origin::Frozen(_) => {
            let frozen = run.progress.output(Phase::Freeze, &cx.binding.name);
            frozen.map(recorded::<Frozen>).transpose()?.and_then(|frozen| frozen.manifest)
        }
    };
    let found = run.datastore(cx)?.manifest(cx, None).await?;
    match expected {
        Some(expected) => same(&expected, &found).map_err(|difference| {
            let message = format!("what was restored into `{}` differs: {difference}", cx.binding.name);
            host_failure("restore-differs", message)
        })?,
        None => return Err(host_failure("missing", "nothing is recorded to compare the restored data with")),
    }
    Ok(Value::Null)
}

pub async fn files(run: &RunContext<'_>, cx: &StepContext) -> Result<Value, Failure> {
    let files = run.progress.files(|hop, edit| old_bytes_key(&cx.deployment, run.run, hop, edit));
    output(&run.hands.put_files_back(cx, &files).await?)
}

pub async fn revert(run: &RunContext<'_>, cx: &StepContext) -> Result<Value, Failure> {
    let staged = run.staged(&cx.binding.name, 0);
    run.platform(cx)?.revert(cx, &run.progress.plan.whole(), &staged).await?;
    Ok(Value::Null)
}

pub async fn rebuild(run: &RunContext<'_>, step: &Step, cx: &StepContext) -> Result<Value, Failure> {
    let rungs = run.progress.rungs();
    let Some(Rung::Rebuild(once)) = step.rung.and_then(|rung| rungs.get(rung)) else {
        return Err(host_failure("missing", "this way back has no rebuild"));
    };
    let hop = run.progress.plan.standing_old(vec![Act::Command(once.clone())]);
    let staged = run.staged(&cx.binding.name, 0);
    run.platform(cx)?.apply(cx, &hop, &staged, 0).await?;
    Ok(Value::Null)
}

/// The old version stands, seen from its platforms and from outside.
pub async fn verify(run: &RunContext<'_>, cx: &StepContext) -> Result<Value, Failure> {
    let plan = &run.progress.plan;
    let findings = if cx.binding.role == Role::Product {
        run.bound.product.1.verify(cx, old_version(plan)).await?
    } else {
        let acts = plan.whole().acts;
        run.platform(cx)?.verify(cx, &plan.standing_old(acts), None).await?
    };
    without_blockers(findings)
}

/// Where the way back leads: a rollback by hand was planned from the hops of the run that it takes back.
fn old_version(plan: &crate::plan::Plan) -> &str {
    match &plan.kind {
        Kind::Upgrade => &plan.from,
        Kind::Rollback(_) => &plan.to,
    }
}
