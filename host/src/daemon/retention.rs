//! Lets go what policy no longer keeps: frozen copies and what was set aside, backups beyond the number to keep,
//! also those that lie at Google's, components that nothing refers to. Never of an open, stuck or quarantined run, nor the backup of the last committed.

use super::clock;
use super::host::{Entry, Host};
use super::looks::Ready;
use crate::activity::Activity;
use crate::config::SecretCheck;
use crate::driver::google::named::{self, Made};
use crate::effect::Effects;
use crate::journal::{KeptCopy, RunRow, digest};
use crate::plan::event::{Event, Outcome};
use crate::plan::state::Progress;
use crate::plan::step::Phase;
use crate::vault::VaultError;
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

/// Or in a crash test's build what it says.
fn every() -> Duration {
    #[cfg(feature = "failpoints")]
    if let Some(seconds) = std::env::var("UPGRADED_HOUSE_SECONDS").ok().and_then(|text| text.parse().ok()) {
        return Duration::from_secs(seconds);
    }
    Duration::from_secs(600)
}

pub async fn keep_house(host: Arc<Host>) {
    loop {
        tokio::select! {
            () = host.stop.cancelled() => return,
            () = tokio::time::sleep(every()) => {}
        }
        for entry in host.entries() {
            if let Err(why) = tidy(&host, &entry).await {
                tracing::warn!(deployment = entry.name, "keeping house: {why}");
            }
        }
        if let Err(error) = forget_components(&host).await {
            tracing::warn!("keeping house: {error}");
        }
        crate::memory::give_back();
    }
}

async fn tidy(host: &Arc<Host>, entry: &Arc<Entry>) -> Result<(), String> {
    let runs = host.journal.runs(Some(&entry.name), u32::MAX).map_err(|e| e.to_string())?;
    if runs.is_empty() || runs.iter().any(|run| run.outcome.is_none()) {
        return Ok(());
    }
    let text = tokio::fs::read_to_string(&entry.file).await.map_err(|e| e.to_string())?;
    let copies = host.journal.kept(Some(&entry.name)).map_err(|e| e.to_string())?;
    let stands = runs.first().map(|newest| (newest.run, digest(&text)));
    // Nothing is asked of plugins and vault where nothing came and nothing grows old.
    if copies.is_empty() && *entry.tidied.lock().expect("no panic holds this lock") == stands {
        return Ok(());
    }
    let deployment = host.parse(&entry.name, text, SecretCheck::NameOnly).await.map_err(|e| e.to_string())?;
    let (policy, name) = (deployment.policy.clone(), entry.name.clone());
    let ready = host.ready(deployment).await.map_err(|failure| failure.message)?;
    let old = |copy: &KeptCopy| is_old(copy.made, clock::now(), policy.keep_frozen);
    for copy in copies.iter().filter(|copy| old(copy)) {
        if let Err(why) = let_go(host, &ready, copy).await {
            tracing::warn!(deployment = name, "keeping house: the copy `{}` stays: {why}", copy.step);
        }
    }
    let quarantined = host.journal.quarantined(&name).ok().flatten().map(|entry| entry.run);
    let held: BTreeSet<u64> = kept(&runs, policy.keep_backups as usize).chain(quarantined).collect();
    let newest = runs.first().map_or(0, |run| run.run);
    host.journal.forget_manifests_but_of(&name, &held, newest).map_err(|e| e.to_string())?;
    let pinned = pinned(host, &held)?;
    // What a former life of the state folder saved is the operator's to forget.
    let known: BTreeSet<u64> = runs.iter().map(|run| run.run).collect();
    let gone = move |step: &str| run_of(step).is_some_and(|run| known.contains(&run) && !held.contains(&run));
    // Forgetting keeps everybody else from the vault, and users who are shut out would wait for it.
    if !all_serve(host) {
        return Ok(());
    }
    let (vault, deployment, former, all) = (ready.vault.clone(), name.clone(), gone.clone(), host.clone());
    let forgotten = tokio::task::spawn_blocking(move || -> Result<bool, VaultError> {
        let artifacts = vault.list(&format!("{deployment}/"))?;
        let gone = |key: &String| former(key.split('/').nth(1).unwrap_or_default());
        let keys: Vec<String> = artifacts.into_iter().map(|artifact| artifact.key).filter(gone).collect();
        // Whoever comes later waits in its recheck.
        vault.forget(&keys, || all_serve(&all))
    });
    if !forgotten.await.map_err(|e| e.to_string())?.map_err(|e| e.to_string())? {
        return Ok(());
    }
    for (binding, _) in &ready.bound.platforms {
        let drivers = ready.drivers.get(&(binding.role, binding.name.clone()));
        if let Some(drivers) = drivers.filter(|drivers| drivers.compose.is_some() || drivers.pods.is_some()) {
            // A run that began meanwhile may need what no former one does.
            let keep = |id: &str| pinned.contains(id) || began_since(host, &entry.name, newest);
            drivers.images.let_go(keep).await.map_err(|e| e.to_string())?;
        }
    }
    let machine = host.machine();
    // A drill of which something is left is found by its name.
    let cleared = |step: &str| gone(step) && !machine.scratch(&name, step).exists();
    let_go_at_googles(host, &ready, named::of_steps(&machine.state, &name, cleared)).await?;
    *entry.tidied.lock().expect("no panic holds this lock") = stands;
    Ok(())
}

/// No run shuts users out, or is about to.
fn all_serve(host: &Host) -> bool {
    !host.entries().iter().any(|entry| entry.shuts_out())
}

/// One that a clock which was wrong made later than now is not old.
fn is_old(made: Timestamp, now: Timestamp, keep: Duration) -> bool {
    SignedDuration::try_from(keep).is_ok_and(|keep| now.duration_since(made) >= keep)
}

/// Of the newest runs first, those whose backups stay. One that was refused has changed nothing that they could bring back.
fn kept(runs: &[RunRow], keep: usize) -> impl Iterator<Item = u64> {
    let committed = runs.iter().find(|run| run.outcome == Some(Outcome::Committed));
    runs.iter().filter(|run| run.may_have_touched()).take(keep).chain(committed).map(|run| run.run)
}

/// Of `r12-backup-ahead-main`.
pub fn run_of(step: &str) -> Option<u64> {
    step.strip_prefix('r')?.split('-').next()?.parse().ok()
}

fn began_since(host: &Host, deployment: &str, run: u64) -> bool {
    host.journal.runs(Some(deployment), 1).map_or(true, |runs| runs.first().is_some_and(|newest| newest.run > run))
}

/// What the stages of these runs pinned, in their own words.
fn pinned(host: &Host, runs: &BTreeSet<u64>) -> Result<String, String> {
    let mut tokens = String::new();
    for run in runs {
        for record in host.journal.records(*run).map_err(|e| e.to_string())? {
            if let Event::Succeeded { step, output: serde_json::Value::String(token), .. } = &record.event
                && step.contains("-stage-")
            {
                tokens.push_str(token);
            }
        }
    }
    Ok(tokens)
}

/// Backups that these steps left there.
async fn let_go_at_googles(host: &Host, ready: &Ready, made: Vec<Made>) -> Result<(), String> {
    if made.is_empty() {
        return Ok(());
    }
    for (binding, _) in &ready.bound.datastores {
        let drivers = ready.drivers.get(&(binding.role, binding.name.clone()));
        let Some(store) = drivers.and_then(|drivers| drivers.cloud_sql.as_ref()) else { continue };
        let mut cx = ready.context(binding, &Activity::silent());
        cx.step = format!("let-go-{}", binding.name);
        // Its record are the names that are forgotten last.
        cx.effects = Effects::unjournaled(&cx.step);
        store.let_go(&cx, &made).await.map_err(|error| error.to_string())?;
    }
    named::forget(&host.machine().state, &ready.deployment.name, &made).map_err(|error| error.to_string())
}

/// What was set aside goes to the vault before it leaves, and so does the copy of a run that nobody took to an end: it may
/// be all there is of the data before.
async fn let_go(host: &Host, ready: &Ready, copy: &KeptCopy) -> Result<(), String> {
    let Some((binding, datastore)) = ready.bound.datastore(&copy.binding) else {
        return Err(format!("`{}` of run {} has a copy, and is no longer in the file", copy.binding, copy.run));
    };
    let mut cx = ready.context(binding, &Activity::silent());
    cx.step = format!("r{}-let-go-{}", copy.run, copy.binding);
    // Its record is the row that it removes last.
    cx.effects = Effects::unjournaled(&cx.step);
    let set_aside = copy.step.contains("-restore-");
    let frozen = copy.step.contains("-freeze-");
    if set_aside || (frozen && may_be_all_there_is(host, copy)?) {
        match datastore.backup(&cx, Some(&copy.step)).await {
            // A restore may not have come so far, or a removal was cut off. But what would save it may be what is missing: what
            // is gone can't be counted either.
            Err(error) if error.is_not_found() => match datastore.manifest(&cx, Some(&copy.step)).await {
                Err(gone) if gone.is_not_found() => {
                    tracing::warn!(deployment = copy.deployment, "nothing is left of the copy `{}`: {gone}", copy.step);
                }
                _ => return Err(error.to_string()),
            },
            saved => drop(saved.map_err(|error| error.to_string())?),
        }
    }
    datastore.discard(&cx, &copy.step).await.map_err(|e| e.to_string())?;
    host.journal.let_go(copy).map_err(|e| e.to_string())
}

/// A freeze made it, nobody took the run to an end, and no restore has put it in the place of what was live.
fn may_be_all_there_is(host: &Host, copy: &KeptCopy) -> Result<bool, String> {
    let outcome = host.journal.run(copy.run).map_err(|e| e.to_string())?.outcome;
    if !matches!(outcome, Some(Outcome::Abandoned(_))) {
        return Ok(false);
    }
    let records = host.journal.records(copy.run).map_err(|e| e.to_string())?;
    let run = Progress::replay(records.iter().map(|record| &record.event)).map_err(|e| e.to_string())?;
    Ok(run.frozen(&copy.binding) && run.output(Phase::Restore, &copy.binding).is_none())
}

async fn forget_components(host: &Host) -> Result<(), String> {
    let mut digests = BTreeSet::new();
    for run in host.journal.runs(None, u32::MAX).map_err(|e| e.to_string())? {
        let plan = host.journal.plan(run.run).map_err(|e| e.to_string())?;
        digests.extend(plan.bindings.into_iter().map(|binding| binding.digest));
    }
    host.plugins.keep_only(digests).await.map_err(|e| e.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::VerbError;
    use crate::plugin::roles::CallError;

    #[test]
    fn runs_that_were_refused_push_no_backups_out() {
        let row = |run, kind: &str, outcome| RunRow {
            run,
            deployment: "shop".into(),
            kind: kind.into(),
            from: "1".into(),
            to: "2".into(),
            started: Timestamp::UNIX_EPOCH,
            ended: None,
            outcome: Some(outcome),
        };
        let refused = || Outcome::Refused("cancelled".into());
        let back = || Outcome::RolledBack("it failed".into());
        let runs = [
            row(9, "upgrade", refused()),
            row(8, "rehearsal", Outcome::Rehearsed),
            row(7, "upgrade", back()),
            row(6, "upgrade", refused()),
            row(5, "upgrade", back()),
            row(4, "upgrade", Outcome::Committed),
            row(3, "upgrade", Outcome::Committed),
        ];
        let held = |keep| kept(&runs, keep).collect::<BTreeSet<u64>>().into_iter().collect::<Vec<_>>();
        assert_eq!(held(1), [4, 7]);
        assert_eq!(held(3), [4, 5, 7]);
        assert_eq!(held(9), [3, 4, 5, 7]);
    }

    #[test]
    fn what_is_made_by_a_clock_ahead_is_not_old() {
        let at = |seconds| Timestamp::from_second(seconds).unwrap();
        let day = Duration::from_secs(86_400);
        assert!(is_old(at(0), at(86_400), day));
        assert!(!is_old(at(0), at(86_399), day));
        assert!(!is_old(at(1_000_000), at(0), day));
    }

    #[test]
    fn a_copy_that_is_not_there_is_gone_and_one_that_can_not_be_saved_is_not() {
        let refused = |error| CallError::Refused { plugin: "files".into(), function: "backup", error };
        assert!(refused(VerbError::NotFound("`data`".into())).is_not_found());
        for error in [VerbError::Invalid("a socket".into()), VerbError::Unavailable("full".into()), VerbError::Timeout]
        {
            assert!(!refused(error).is_not_found());
        }
    }
}
