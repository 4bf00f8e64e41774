//! What a run that was given up has left held and fenced: no boot starts it, and no later run of the daemon's has to come.

use super::host::Host;
use crate::api::types::{Outcome, RunSummary};
use crate::driver::services::Hold;
use crate::plan::state::Progress;

/// Each with what lets it go; nothing once a later run has begun, which goes on from there.
pub fn left(host: &Host, run: &RunSummary) -> Vec<String> {
    let newest = host.journal.runs(Some(&run.deployment), 1).unwrap_or_default();
    if !matches!(run.outcome, Some(Outcome::Abandoned(_))) || newest.first().map(|row| row.run) != Some(run.id) {
        return Vec::new();
    }
    let held = Hold::all(&host.settings.state, &run.deployment).into_iter().map(|file| {
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        format!("`{name}` is held, and nothing starts it until `rm {}`", file.display())
    });
    let records = host.journal.records(run.id).unwrap_or_default();
    let progress = Progress::replay(records.iter().map(|record| &record.event)).ok();
    held.chain(progress.iter().flat_map(fences)).collect()
}

fn fences(progress: &Progress) -> Vec<String> {
    let fenced = progress.plan.bindings.iter().filter(|planned| progress.is_fenced(&planned.binding.name));
    let lifted_by = |plugin: &str| match plugin {
        "postgres" => Some("refuses connections until `ALTER DATABASE … ALLOW_CONNECTIONS true`"),
        "mysql" => Some("has locked accounts until `ALTER USER … ACCOUNT UNLOCK` for each of `…_up_fence.accounts`"),
        // Theirs ends with the run.
        _ => None,
    };
    let told = fenced.filter_map(|planned| {
        Some(format!("the datastore `{}` {}", planned.binding.name, lifted_by(&planned.binding.plugin)?))
    });
    told.collect()
}
