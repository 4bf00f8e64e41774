//! Quiesce, fence, freeze, seal, unfence, admit: shutting users and writers out, and letting them in again.

use super::hands::Moment;
use super::{RunContext, output};
use crate::activity::Level;
use crate::context::StepContext;
use crate::model::Failure;
use crate::plan::step::{Phase, Step};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Forward it stops the old version, and before each later hop what the hop before it started; on the way back what is
/// new.
pub async fn quiesce(run: &RunContext<'_>, step: &Step, cx: &StepContext) -> Result<Value, Failure> {
    let plan = &run.progress.plan;
    let hop = step.hop.map_or_else(|| plan.whole(), |number| plan.hops[number].clone());
    run.platform(cx)?.quiesce(cx, &hop).await?;
    Ok(Value::Null)
}

/// The mark. What a hook does before a copy is done first, and the hook's other end with the fence's.
pub async fn fence(run: &RunContext<'_>, cx: &StepContext) -> Result<Value, Failure> {
    run.hands.hook(cx, Moment::Before).await?;
    Ok(Value::String(run.datastore(cx)?.fence(cx).await?))
}

/// A local copy, opened and counted.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Frozen {
    pub frozen: bool,
    /// SHA-256 of the copy's manifest.
    pub manifest: Option<String>,
}

pub async fn freeze(run: &RunContext<'_>, cx: &StepContext) -> Result<Value, Failure> {
    let datastore = run.datastore(cx)?;
    if cx.attempt == 1 {
        // One of that name is of another life: the state folder was lost, and the vault with it.
        match datastore.discard(cx, &cx.step).await {
            Err(error) if error.is_not_found() => {}
            discarded => discarded?,
        }
    }
    run.hands.keep_copy(&cx.binding.name, &cx.step)?;
    let frozen = datastore.freeze(cx).await?;
    let manifest = match frozen {
        true => Some(run.hands.keep_manifest(&datastore.manifest(cx, Some(&cx.step)).await?)?),
        false => None,
    };
    output(&Frozen { frozen, manifest })
}

/// The mark again; that it has not moved is the journal's table to say.
pub async fn seal(run: &RunContext<'_>, cx: &StepContext) -> Result<Value, Failure> {
    Ok(Value::String(run.datastore(cx)?.mark(cx).await?))
}

/// Nothing is copied behind this fence: no hook is wanted, and one of the new version might not work.
pub async fn fence_back(run: &RunContext<'_>, cx: &StepContext) -> Result<Value, Failure> {
    match run.datastore(cx)?.fence(cx).await.map_err(Failure::from) {
        Ok(mark) => Ok(Value::String(mark)),
        Err(failure) if needs_no_fence(&failure) => {
            let message = format!("what is live is put aside without a fence: {}", failure.message);
            cx.activity.line(Level::Warn, message);
            Ok(Value::Null)
        }
        Err(failure) => Err(failure),
    }
}

/// What the new version moved away, damaged or put something else in the place of: nobody writes there, and the restore
/// sets it aside as it is.
fn needs_no_fence(failure: &Failure) -> bool {
    ["not-found", "invalid", "damaged"].contains(&failure.code.as_str())
}

/// What a hook did before is undone once.
pub async fn unfence(run: &RunContext<'_>, cx: &StepContext) -> Result<Value, Failure> {
    run.datastore(cx)?.unfence(cx).await?;
    let progress = run.progress;
    let is_undone = progress.output(Phase::Unfence, &cx.binding.name).is_some();
    if progress.started_any(Phase::Fence) && !is_undone {
        run.hands.hook(cx, Moment::After).await?;
    }
    Ok(Value::Null)
}

pub async fn admit(run: &RunContext<'_>, cx: &StepContext) -> Result<Value, Failure> {
    run.platform(cx)?.admit(cx, &run.progress.plan.whole()).await?;
    Ok(Value::Null)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::VerbError;

    #[test]
    fn data_that_is_gone_or_broken_needs_no_fence_on_the_way_back() {
        let path = || "`shop.db`".to_owned();
        for error in [VerbError::NotFound(path()), VerbError::Invalid(path()), VerbError::other("damaged", path())] {
            assert!(needs_no_fence(&error.into()));
        }
        for error in [
            VerbError::Unavailable(path()),
            VerbError::Conflict(path()),
            VerbError::Denied(path()),
            VerbError::Cancelled,
            VerbError::other("io", path()),
        ] {
            assert!(!needs_no_fence(&error.into()));
        }
    }
}
