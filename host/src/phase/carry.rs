//! A server of another version takes the place of the one that holds a datastore. It does not read what the old one
//! wrote: what the quiesce saved is restored into it, and held against what was saved. What the old one wrote stays beside
//! until the run commits, and takes its place again on the way back.

use super::drill::same;
use super::{RunContext, backup, host_failure, output, recorded};
use crate::context::StepContext;
use crate::model::{Failure, Origin};
use crate::plan::Kind;
use crate::plan::step::Phase;
use serde_json::{Value, json};

pub async fn carry(run: &RunContext<'_>, cx: &StepContext) -> Result<Value, Failure> {
    let name = &cx.binding.name;
    // Of a path, the first hop alone brings another server.
    let version = run.progress.plan.hops.first().map(|hop| hop.target.as_str()).unwrap_or_default();
    if !run.hands.renew_server(cx, version).await? {
        return output(&json!({ "carried": false }));
    }
    let saved = run.progress.output(Phase::BackupFinal, name);
    let saved = saved.ok_or_else(|| host_failure("missing", format!("no bytes of `{name}` are held")))?;
    let backup = backup::whole(run, recorded(saved)?)?;
    run.hands.keep_copy(name, &cx.step)?;
    let datastore = run.datastore(cx)?;
    datastore.restore(cx, &Origin::Backup(backup.clone())).await?;
    same(&backup.manifest, &datastore.manifest(cx, None).await?).map_err(|difference| {
        host_failure("carry-differs", format!("what the new server of `{name}` holds differs: {difference}"))
    })?;
    output(&json!({ "carried": true }))
}

/// The data of a rollback by hand is restored by the steps that follow.
pub async fn back(run: &RunContext<'_>, cx: &StepContext) -> Result<Value, Failure> {
    let of = match &run.progress.plan.kind {
        Kind::Rollback(way) => Some(way.of),
        Kind::Upgrade | Kind::Rehearsal => None,
    };
    // In downtime nobody wrote to the new one.
    let written_to = run.progress.started_any(Phase::Admit);
    run.hands.put_server_back(cx, of, written_to).await?;
    Ok(Value::Null)
}

/// The old servers' data is not needed any more; after a rollback by hand it is what was written since.
pub async fn let_go(run: &RunContext<'_>, cx: &StepContext) -> Result<Value, Failure> {
    let plan = &run.progress.plan;
    for datastore in &plan.carries {
        run.hands.let_go_of_server(cx, datastore, matches!(plan.kind, Kind::Rollback(_))).await?;
    }
    Ok(Value::Null)
}
