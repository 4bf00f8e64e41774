//! The rehearsal: the whole path on a throw-away double of the deployment, with the data of the backups ahead.

use super::{RunContext, backup, host_failure, output, recorded};
use crate::context::StepContext;
use crate::model::{Failure, VerbError};
use crate::plan::step::Phase;
use serde_json::Value;
use std::collections::BTreeMap;

/// The verb of the one effect: what a crash leaves of the double is found by its step.
pub const VERB: &str = "rehearsal.run";

pub async fn rehearse(run: &RunContext<'_>, cx: &StepContext) -> Result<Value, Failure> {
    let plan = &run.progress.plan;
    let mut backups = BTreeMap::new();
    for datastore in plan.datastores() {
        let saved = run.progress.output(Phase::BackupAhead, datastore);
        let missing = || host_failure("missing", format!("there is no backup of `{datastore}` to rehearse with"));
        backups.insert(datastore.to_owned(), backup::whole(run, recorded(saved.ok_or_else(missing)?)?)?);
    }
    let work = async { run.hands.rehearse(cx, plan, backups).await.map_err(VerbError::Other) };
    let rehearsed = cx.effects.perform(VERB, &(&plan.from, &plan.to), &cx.step, true, work).await?;
    output(&rehearsed)
}
