//! The drill: a backup is restored into a throw-away double, by the method that a rollback would use, and what came out
//! is held against what went in, line by line. Of a database server the double is one of its own, or, where there can be
//! none, a database on the server itself.

use super::host_failure;
use super::{RunContext, output, recorded};
use crate::activity::Level;
use crate::context::{Site, StepContext};
use crate::driver::Doubled;
use crate::model::{BackupRef, Failure, Finding, Origin};
use crate::plan::step::{Phase, Step};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// In the output, beside where it was and how long it took.
pub const FINDINGS: &str = "findings";
const IN_A_DOUBLE: &str = "double";
const ON_THE_SERVER: &str = "server";

pub async fn drill(run: &RunContext<'_>, step: &Step, mut cx: StepContext) -> Result<Value, Failure> {
    let of = if step.phase == Phase::DrillFinal { Phase::BackupFinal } else { Phase::BackupAhead };
    let recorded_backup = run.progress.output(of, &cx.binding.name);
    let saved = recorded(recorded_backup.ok_or_else(|| host_failure("missing", "there is no backup to drill"))?)?;
    let backup = super::backup::whole(run, saved)?;
    cx.site = run.hands.drill_site(&cx.step, &cx.binding.name);
    run.hands.clear_drill(&cx).await?;
    let Doubled { site, why } = run.hands.drill_double(&cx).await?;
    let findings: Vec<Finding> = why.iter().map(|why| on_the_server(&cx, why)).collect();
    let place = if matches!(site, Site::Drill { server: Some(_), .. }) { IN_A_DOUBLE } else { ON_THE_SERVER };
    let scratch = std::mem::replace(&mut cx.site, site);
    let began = std::time::Instant::now();
    let outcome = restore_and_compare(run, &cx, &backup).await;
    let seconds = began.elapsed().as_secs_f64();
    cx.site = scratch;
    let cleared = run.hands.clear_drill(&cx).await;
    outcome?;
    cleared?;
    output(&json!({ "seconds": seconds, "in": place, FINDINGS: findings }))
}

fn on_the_server(cx: &StepContext, why: &str) -> Finding {
    let name = &cx.binding.name;
    let message =
        format!("the drill of `{name}` was a database on its server, of which there could be no double: {why}");
    cx.activity.line(Level::Warn, message.clone());
    Finding::warning("host", &format!("drill-on-server-{name}"), message)
}

async fn restore_and_compare(run: &RunContext<'_>, cx: &StepContext, backup: &BackupRef) -> Result<(), Failure> {
    let datastore = run.datastore(cx)?;
    datastore.restore(cx, &Origin::Backup(backup.clone())).await?;
    let restored = datastore.manifest(cx, None).await?;
    same(&backup.manifest, &restored).map_err(|difference| {
        host_failure(
            "drill-differs",
            format!("the backup of `{}` restores to something else: {difference}", cx.binding.name),
        )
    })
}

/// Differences shown in a message.
const SHOWN: usize = 5;

/// In place of a digest, or of a count as well: it moved while it was saved, and whatever is there fits.
const ANY: &str = "*";

/// Compares two manifests; the error names what differs.
pub fn same(expected: &str, found: &str) -> Result<(), String> {
    if expected == found {
        return Ok(());
    }
    let lines = |text: &str| -> BTreeMap<String, String> {
        text.lines()
            .map(|line| {
                let (id, rest) = line.split_once('\t').unwrap_or((line, ""));
                (id.to_owned(), rest.replace('\t', " "))
            })
            .collect()
    };
    let (expected, found) = (lines(expected), lines(found));
    let mut differences = Vec::new();
    for (id, value) in &expected {
        match found.get(id) {
            None => differences.push(format!("`{id}` is missing")),
            Some(other) if other != value && !fits(value, other) => {
                differences.push(format!("`{id}` is `{other}` instead of `{value}`"))
            }
            Some(_) => {}
        }
    }
    differences.extend(found.keys().filter(|id| !expected.contains_key(*id)).map(|id| format!("`{id}` is extra")));
    if differences.is_empty() {
        return Ok(());
    }
    let more = differences.len().saturating_sub(SHOWN);
    differences.truncate(SHOWN);
    if more > 0 {
        differences.push(format!("and {more} more"));
    }
    Err(differences.join(", "))
}

fn fits(expected: &str, found: &str) -> bool {
    match expected.split_once(' ') {
        Some((count, ANY)) => count == ANY || found.split(' ').next() == Some(count),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_moved_while_it_was_saved_may_be_anything() {
        let found = "sequence/a\t1\t7 called\ntable/t\t2\tabc";
        assert_eq!(same("sequence/a\t1\t*\ntable/t\t2\tabc", found), Ok(()));
        assert!(same("sequence/a\t1\t6 called\ntable/t\t2\tabc", found).is_err());
        assert!(same("sequence/a\t2\t*\ntable/t\t2\tabc", found).is_err());
        assert_eq!(same("sequence/a\t1\t*\ntable/t\t*\t*", found), Ok(()));
        assert!(same("sequence/a\t1\t*\nsequence/b\t1\t*\ntable/t\t2\tabc", found).is_err(), "it has to be there");
    }
}
