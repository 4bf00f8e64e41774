//! The way back: data, files and code of the old version, and whether it stands.

use super::backup;
use super::downtime::Frozen;
use super::drill::same;
use super::hops::old_bytes_key;
use super::host_failure;
use super::{RunContext, global_step, output, recorded, without_blockers};
use crate::context::StepContext;
use crate::model::{Act, Failure, Origin, Role};
use crate::plan::step::{Phase, Rung, Step};
use crate::plan::{Kind, SavedBackup};
use serde_json::Value;

/// The bytes of the quiesce, with the manifest's digest where one is recorded.
enum Held {
    Frozen { step: String, manifest: Option<String> },
    Saved(SavedBackup),
}

fn held(run: &RunContext<'_>, cx: &StepContext) -> Result<Held, Failure> {
    let name = &cx.binding.name;
    let missing = || host_failure("missing", format!("no bytes of `{name}` are held"));
    if let Kind::Rollback(way) = &run.progress.plan.kind {
        return way.backups.get(name).cloned().map(Held::Saved).ok_or_else(missing);
    }
    if run.progress.frozen(name) {
        let frozen = run.progress.output(Phase::Freeze, name).map(recorded::<Frozen>).transpose()?;
        let step = global_step(run.run, &format!("{}-{name}", Phase::Freeze));
        return Ok(Held::Frozen { step, manifest: frozen.and_then(|frozen| frozen.manifest) });
    }
    let saved = run.progress.output(Phase::BackupFinal, name).ok_or_else(missing)?;
    Ok(Held::Saved(recorded(saved)?))
}

pub async fn restore(run: &RunContext<'_>, cx: &StepContext) -> Result<Value, Failure> {
    run.hands.keep_copy(&cx.binding.name, &cx.step)?;
    let origin = match held(run, cx)? {
        Held::Frozen { step, .. } => Origin::Frozen(step),
        Held::Saved(saved) => Origin::Backup(backup::whole(run, saved)?),
    };
    run.hands.stop_hooked(cx).await?;
    run.datastore(cx)?.restore(cx, &origin).await?;
    Ok(Value::Null)
}

/// The restored data is what the quiesce left.
pub async fn compare(run: &RunContext<'_>, cx: &StepContext) -> Result<Value, Failure> {
    let expected = match held(run, cx)? {
        Held::Frozen { manifest, .. } => manifest,
        Held::Saved(saved) => Some(saved.manifest),
    };
    let expected =
        expected.ok_or_else(|| host_failure("missing", "nothing is recorded to compare the restored data with"))?;
    let found = run.datastore(cx)?.manifest(cx, None).await?;
    same(&run.hands.manifest(&expected)?, &found).map_err(|difference| {
        host_failure("restore-differs", format!("what was restored into `{}` differs: {difference}", cx.binding.name))
    })?;
    Ok(Value::Null)
}

pub async fn files(run: &RunContext<'_>, cx: &StepContext) -> Result<Value, Failure> {
    let files = run.progress.files(|hop, edit| old_bytes_key(&cx.deployment, run.run, hop, edit));
    output(&run.hands.put_files_back(cx, &files).await?)
}

pub async fn revert(run: &RunContext<'_>, cx: &StepContext) -> Result<Value, Failure> {
    let datastores = run.progress.plan.datastores();
    let restored = datastores.into_iter().filter(|name| run.progress.output(Phase::Restore, name).is_some());
    run.hands.start_hooked(cx, &restored.collect::<Vec<_>>()).await?;
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
        Kind::Upgrade | Kind::Rehearsal => &plan.from,
        Kind::Rollback(_) => &plan.to,
    }
}
