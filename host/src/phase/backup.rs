//! Backups into the vault: of what is live, or of the frozen copy after admission. Each is read back before it counts.

use super::hands::Moment;
use super::{RunContext, global_step, output};
use crate::context::StepContext;
use crate::model::{BackupRef, Failure};
use crate::plan::SavedBackup;
use crate::plan::step::Phase;
use serde_json::Value;

/// Of what users write to, between what its hook does before and after; that is done whatever happened between.
pub async fn ahead(run: &RunContext<'_>, cx: &StepContext) -> Result<Value, Failure> {
    // Of data that changes meanwhile a copy is made and saved: it is found, where nobody comes to remove it.
    run.hands.keep_copy(&cx.binding.name, &cx.step)?;
    let saved = match run.hands.hook(cx, Moment::Before).await {
        Ok(()) => live(run, cx).await,
        Err(failure) => Err(failure),
    };
    let after = run.hands.hook(cx, Moment::After).await;
    let saved = saved?;
    run.hands.copy_is_gone(&cx.binding.name, &cx.step)?;
    after?;
    Ok(saved)
}

/// Of the frozen copy, where there is one already.
pub async fn last(run: &RunContext<'_>, cx: &StepContext) -> Result<Value, Failure> {
    match run.progress.frozen(&cx.binding.name) {
        true => late(run, cx).await,
        false => live(run, cx).await,
    }
}

async fn live(run: &RunContext<'_>, cx: &StepContext) -> Result<Value, Failure> {
    let backup = run.datastore(cx)?.backup(cx, None).await?;
    checked(run, cx, backup).await
}

pub async fn late(run: &RunContext<'_>, cx: &StepContext) -> Result<Value, Failure> {
    let frozen = global_step(run.run, &format!("{}-{}", Phase::Freeze, cx.binding.name));
    let backup = run.datastore(cx)?.backup(cx, Some(&frozen)).await?;
    checked(run, cx, backup).await
}

async fn checked(run: &RunContext<'_>, cx: &StepContext, backup: BackupRef) -> Result<Value, Failure> {
    run.hands.check_backup(cx, &backup).await?;
    let manifest = run.hands.keep_manifest(&backup.manifest)?;
    output(&SavedBackup { artifacts: backup.artifacts, manifest })
}

/// What a plugin that restores is handed.
pub fn whole(run: &RunContext<'_>, saved: SavedBackup) -> Result<BackupRef, Failure> {
    let manifest = run.hands.manifest(&saved.manifest)?;
    Ok(BackupRef { artifacts: saved.artifacts, manifest })
}
