//! What a run that was given up has left held and fenced: no boot starts it, and no later run of the daemon's has to come.

use super::host::Host;
use crate::api::types::{Outcome, RunSummary};
use crate::driver::services::Hold;
use crate::journal::RunRow;
use crate::plan::state::Progress;
use std::path::Path;

/// Each with what lets it go; nothing once a later run has touched something, which goes on from there.
pub fn left(host: &Host, run: &RunSummary) -> Vec<String> {
    let rows = host.journal.runs(Some(&run.deployment), u32::MAX).unwrap_or_default();
    // What was rehearsed or refused has let nothing go.
    let touched = |row: &RunRow| row.kind != "rehearsal" && !matches!(row.outcome, Some(Outcome::Refused(_)));
    let went_on = rows.iter().take_while(|row| row.run != run.id).any(touched);
    if !matches!(run.outcome, Some(Outcome::Abandoned(_))) || went_on {
        return Vec::new();
    }
    let held = Hold::all(&host.settings.state, &run.deployment).into_iter().map(|file| held_by(&file));
    let records = host.journal.records(run.id).unwrap_or_default();
    let progress = Progress::replay(records.iter().map(|record| &record.event)).ok();
    held.chain(progress.iter().flat_map(fences)).collect()
}

fn held_by(file: &Path) -> String {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let service = name.split_once('.').map_or(&*name, |(_, service)| service);
    match std::fs::read(file) {
        // Of containers it keeps what their restart policies were.
        Ok(text) if text.starts_with(b"{") => format!(
            "`{name}` is stopped, and no restart policy starts it until it is made anew (of Compose: `docker compose up -d \
             --force-recreate {service}`); then `rm {}`",
            file.display()
        ),
        _ => format!("`{name}` is held, and nothing starts it until `rm {}`", file.display()),
    }
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
