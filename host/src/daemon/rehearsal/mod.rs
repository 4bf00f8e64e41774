//! The rehearsal: an ordinary run on a throw-away double of the deployment. A host of its own, with a journal and a vault
//! of its own, plans and takes the path; what differs is where everything lies ([`Site`]) and that nothing of it stays.

mod copy;
mod site;

use super::actor;
use super::host::{Entry, Host};
use super::looks::{Ready, failure, key};
use super::planning::{Looked, blockers};
use super::views;
use crate::activity::{Activity, Level};
use crate::api::types::{News, StepState};
use crate::config::{BindingConfig, Deployment, SecretCheck};
use crate::context::StepContext;
use crate::driver::Drivers;
use crate::effect::Effects;
use crate::model::{BackupRef, Binding, Failure, Origin, Role, VerbError};
use crate::phase::same;
use crate::pipeline::{Ended, Parked, Patience};
use crate::plan::event::Outcome;
use crate::plan::next::Wait;
use crate::plan::{Plan, Rehearsed};
use async_trait::async_trait;
use futures::StreamExt;
pub use site::{Place, Site};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

/// A fresh server may turn connections away for so long after it is healthy.
const SERVER_WITHIN: Duration = Duration::from_secs(60);
const AGAIN_AFTER: Duration = Duration::from_millis(500);
const TRIES: u32 = 5;

/// Or why there can't be a double of it.
pub async fn can_be_rehearsed(ready: &Ready) -> Result<(), String> {
    has_a_double(&ready.deployment)?;
    for drivers in ready.deployment.platforms.iter().filter_map(|platform| ready.drivers.get(&key(platform))) {
        if let Some(live) = drivers.rehearsable() {
            live.has_a_place().await.map_err(|error| error.to_string())?;
        }
    }
    Ok(())
}

fn has_a_double(deployment: &Deployment) -> Result<(), String> {
    let [platform] = &deployment.platforms[..] else {
        return Err("a rehearsal needs a deployment with one platform".into());
    };
    match (&platform.grants.engine, &platform.grants.kubernetes) {
        (Some(_), _) => {}
        (None, Some(kubernetes)) if kubernetes.rehearsal_namespace.is_some() => {}
        (None, Some(_)) => {
            return Err("a rehearsal of a release needs a namespace for its double, in which nothing else is: \
                        `rehearsal-namespace` in `[platform.kubernetes]` names one"
                .into());
        }
        (None, None) => {
            let plugin = &platform.binding.plugin;
            return Err(format!(
                "there is no throw-away double of the platform `{plugin}`: only of one with an `engine`, or of a release"
            ));
        }
    }
    for datastore in &deployment.datastores {
        if let Some(server) = datastore.grants.server.as_ref().filter(|server| server.service.is_none()) {
            return Err(format!(
                "the server of `{}` at `{}` is no service of the platform, so that there is no double of it; \
                 `server.service` names one that is",
                datastore.binding.name, server.host
            ));
        }
    }
    Ok(())
}

/// Takes the plan's path on a double with the data of the backups. Leaves nothing of it, however it ends.
pub async fn rehearse(
    host: &Host, ready: &Ready, run: u64, cx: &StepContext, plan: &Plan, backups: BTreeMap<String, BackupRef>,
) -> Result<Rehearsed, Failure> {
    has_a_double(&ready.deployment).map_err(|why| failure("rehearsal", &why))?;
    let began = Instant::now();
    let site = Site::of(host, ready).await?;
    site.clear(cx).await?;
    let outcome = play(host, ready, &site, run, cx, plan, backups).await;
    let cleared = site.clear(cx).await;
    let rehearsed = outcome?;
    cleared?;
    Ok(Rehearsed { took_s: began.elapsed().as_secs_f64(), ..rehearsed })
}

async fn play(
    host: &Host, ready: &Ready, site: &Site, run: u64, cx: &StepContext, plan: &Plan,
    backups: BTreeMap<String, BackupRef>,
) -> Result<Rehearsed, Failure> {
    let activity = &cx.activity;
    activity.line(Level::Info, "rehearsal: makes the double");
    let original = site.original().await?;
    site.has_room(cx, &ready.vault, &backups, &original).await?;
    site.copy_project(cx, &original).await?;
    let stop = activity.cancellation().child_token();
    let text = crate::config::edit::with_version(&plan.file, &plan.to).map_err(|error| failure("file", &error))?;
    let (inner, entry) = host.of_double(site.double(&original.live), &text, run, stop.clone()).await?;
    let notices = inner.hub.subscribe(None, None);
    let work = async {
        let deployment = inner.parse(&entry.name, text.clone(), SecretCheck::NameOnly).await;
        let deployment = deployment.map_err(|error| failure("file", &error))?;
        stand_up(&inner, &deployment, ready, activity, backups).await?;
        take_the_path(&inner, &entry, deployment, &text, plan, activity, stop).await
    };
    let result = tokio::select! {
        result = work => result,
        () = told(notices, activity) => Err(failure("rehearsal", &"its notices ended")),
    };
    if activity.cancelled() {
        return Err(VerbError::Cancelled.into());
    }
    result
}

/// The old version runs on the double, with its data.
async fn stand_up(
    inner: &Arc<Host>, deployment: &Deployment, live: &Ready, activity: &Activity,
    mut backups: BTreeMap<String, BackupRef>,
) -> Result<(), Failure> {
    let ready = inner.ready(deployment.clone()).await?;
    // Backups lie in the live vault, and are handed to nobody but the deployment that made them.
    let named = Deployment { name: live.deployment.name.clone(), ..deployment.clone() };
    let restoring = inner.ready_with(named, live.vault.clone()).await?;
    let platform = ready.bound.platforms.first().map(|(binding, _)| binding.clone());
    let platform = platform.ok_or_else(|| failure("missing", &"there is no platform"))?;
    let drivers = drivers_of(&ready, &platform)?.clone();
    let double = drivers.rehearsable().ok_or_else(|| failure("missing", &"there is nothing to rehearse"))?;
    let making = |what: &str| making(&ready, &platform, what, activity);
    if let (Some(compose), Some(built)) = (&drivers.compose, &drivers_of(live, &platform)?.compose) {
        let declared = compose.declared(&making("look"), false).await?;
        for service in declared.iter().filter(|service| service.builds) {
            // Built for what is live, and called by the double's name.
            let container = built.container_of(&service.name).await?;
            if let (Some(container), Some(image)) = (container, &service.image) {
                drivers.images.point(&making("images"), image, &container.image_id).await?;
            }
        }
    }
    double.lay_out(&making("create")).await?;
    let (servers, files): (Vec<_>, Vec<_>) =
        deployment.datastores.iter().partition(|datastore| datastore.grants.server.is_some());
    for datastore in files.into_iter().chain(servers) {
        let name = &datastore.binding.name;
        if let Some(service) = datastore.grants.server.as_ref().and_then(|server| server.service.as_ref()) {
            let service = [double.whole(service)];
            drivers.services.start(&making("server"), &service).await?;
            drivers.services.wait_healthy(&making("server"), &service, 0).await?;
            give_accounts(live, &ready, datastore, activity).await?;
        }
        let backup = backups.remove(name);
        let backup = backup.ok_or_else(|| failure("missing", &format!("there is no backup of `{name}`")))?;
        activity.line(Level::Info, format!("rehearsal: restores `{name}`"));
        restore(&restoring, &datastore.binding, &backup, activity).await?;
    }
    activity.line(Level::Info, "rehearsal: starts the old version");
    let all = double.start_all(&making("up")).await?;
    drivers.services.wait_healthy(&making("up"), &all, 0).await?;
    Ok(())
}

/// Without them a server may still do: what misses them says so.
async fn give_accounts(
    live: &Ready, double: &Ready, datastore: &BindingConfig, activity: &Activity,
) -> Result<(), Failure> {
    let (Some(own), Some(theirs)) = (live.drivers.get(&key(datastore)), double.drivers.get(&key(datastore))) else {
        return Ok(());
    };
    let cx = live.context(&datastore.binding, activity);
    match own.give_accounts(&cx, theirs).await {
        Err(VerbError::Cancelled) => Err(VerbError::Cancelled.into()),
        Err(error) => {
            let name = &datastore.binding.name;
            activity.line(Level::Warn, format!("rehearsal: the server of `{name}` lacks accounts: {error}"));
            Ok(())
        }
        Ok(()) => Ok(()),
    }
}

async fn restore(ready: &Ready, binding: &Binding, backup: &BackupRef, activity: &Activity) -> Result<(), Failure> {
    let found = ready.bound.datastore(&binding.name);
    let (_, datastore) =
        found.ok_or_else(|| failure("missing", &format!("there is no datastore `{}`", binding.name)))?;
    let cx = making(ready, binding, &format!("restore-{}", binding.name), activity);
    let began = Instant::now();
    loop {
        match datastore.restore(&cx, &Origin::Backup(backup.clone())).await.map_err(Failure::from) {
            Ok(()) => break,
            Err(failure) if failure.retryable && began.elapsed() < SERVER_WITHIN => {
                tokio::time::sleep(AGAIN_AFTER).await;
            }
            Err(failure) => return Err(failure),
        }
    }
    let restored = datastore.manifest(&cx, None).await?;
    same(&backup.manifest, &restored).map_err(|difference| {
        failure("rehearsal", &format!("the backup of `{}` restores to something else: {difference}", binding.name))
    })
}

/// Plans as for what is live, and runs the plan to its end.
async fn take_the_path(
    inner: &Arc<Host>, entry: &Arc<Entry>, deployment: Deployment, text: &str, plan: &Plan, activity: &Activity,
    stop: CancellationToken,
) -> Result<Rehearsed, Failure> {
    let failed = |why: &str| {
        failure(
            "rehearsal",
            &format!("on a double, {} → {} does not go well: {why}; nothing live was touched", plan.from, plan.to),
        )
    };
    let ready = inner.ready(deployment).await?;
    let looked = inner.look(&ready, text, Some(&plan.to), activity).await.map_err(|refused| failed(&refused.why))?;
    let Looked::Plan { plan: planned, findings } = looked else {
        return Err(failed("the double has the new version already"));
    };
    if planned.from != plan.from {
        return Err(failed(&format!("`{}` runs there, and `{}` is live", planned.from, plan.from)));
    }
    if let Some(why) = blockers(&findings) {
        return Err(failed(&why));
    }
    drop(ready);
    inner.plugins.keep(&planned.bindings).await.map_err(|error| failure("plugin", &error))?;
    let run = inner.journal.begin(&planned).map_err(|error| failure("journal", &error))?;
    let patience = Arc::new(Once { stop, stuck: Mutex::default() });
    let ended = actor::drive(inner, entry, run, &Arc::new(*planned), |_| patience.clone()).await?;
    let stuck = patience.stuck.lock().expect("no panic holds this lock").clone();
    let seen = views::run(&inner.journal, run).ok_or_else(|| failure("journal", &"the double's run can't be read"))?;
    match (ended, stuck) {
        (_, Some(why)) => Err(failed(&why)),
        (Ended::Outcome(Outcome::Committed), None) => Ok(measured(&seen)),
        (Ended::Outcome(Outcome::RolledBack(why) | Outcome::Refused(why) | Outcome::Abandoned(why)), None) => {
            Err(failed(&why))
        }
        (Ended::Outcome(Outcome::Rehearsed), None) => Err(failed("it rehearsed in its turn")),
        (Ended::Shutdown, None) => Err(VerbError::Cancelled.into()),
    }
}

fn measured(run: &crate::api::types::Run) -> Rehearsed {
    let took = |step: &crate::api::types::RunStep| {
        let (from, to) = step.started_at.zip(step.ended_at)?;
        Some((step.title.clone(), views::seconds(from, to)))
    };
    Rehearsed {
        took_s: 0.0,
        downtime_s: run.summary.downtime_s,
        steps: run.steps.iter().filter(|step| step.state == StepState::Succeeded).filter_map(took).collect(),
    }
}

fn drivers_of<'a>(ready: &'a Ready, platform: &Binding) -> Result<&'a Arc<Drivers>, Failure> {
    let drivers = ready.drivers.get(&(Role::Platform, platform.name.clone()));
    drivers.ok_or_else(|| failure("missing", &format!("there is no platform `{}`", platform.name)))
}

/// For what makes the double: all of it is thrown away as a whole, so that nobody needs a record of its parts.
fn making(ready: &Ready, binding: &Binding, what: &str, activity: &Activity) -> StepContext {
    let step = format!("rehearsal-{what}");
    StepContext { effects: Effects::unjournaled(&step), step, ..ready.context(binding, activity) }
}

/// What the double's run says is said of the step that rehearses.
async fn told(mut notices: crate::api::NoticeStream, activity: &Activity) {
    while let Some(notice) = notices.next().await {
        match notice.news {
            News::Line { level, message, .. } => activity.line(level, format!("rehearsal: {message}")),
            News::Progress { progress, .. } => {
                let message = format!("rehearsal: {}", progress.message);
                activity.progress(progress.done, progress.total, &progress.unit, &message);
            }
            News::Step { title, state: StepState::Running, .. } => {
                activity.line(Level::Info, format!("rehearsal: {title}"));
            }
            News::Step { .. } | News::Changed { .. } | News::Finished { .. } | News::Removed | News::Gap => {
                activity.touch();
            }
        }
    }
}

/// Nobody decides about a double: where it would wait for a person, it has failed.
struct Once {
    stop: CancellationToken,
    stuck: Mutex<Option<String>>,
}

#[async_trait]
impl Patience for Once {
    async fn window(&self) {}

    async fn backoff(&self, _failures: u32) {
        tokio::time::sleep(AGAIN_AFTER).await;
    }

    fn parked(&self, why: &Parked) {
        if let Some(why) = has_failed(why) {
            *self.stuck.lock().expect("no panic holds this lock") = Some(why);
            self.stop.cancel();
        }
    }
}

/// Where nobody comes to mend it. What is tried for ever has failed after so many tries as end any other step.
fn has_failed(parked: &Parked) -> Option<String> {
    match parked {
        Parked::Stuck { why, .. } => Some(format!("neither the new version stands nor the way back: {why}")),
        Parked::Waiting(Wait::Backoff { step, failures, failure, .. }) if *failures >= TRIES => {
            Some(format!("`{step}` failed {failures} times: {}", failure.message))
        }
        Parked::Waiting(_) | Parked::Slot | Parked::No => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_late_backup_that_fails_again_and_again_ends_a_rehearsal() {
        let failed = |failures| {
            let failure = Failure { code: "vault".into(), message: "no space is left".into(), retryable: true };
            has_failed(&Parked::Waiting(Wait::Backoff {
                step: "backup-late-main".into(),
                attempt: failures,
                failures,
                failure,
            }))
        };
        assert_eq!(failed(4), None);
        assert_eq!(failed(5).as_deref(), Some("`backup-late-main` failed 5 times: no space is left"));
        assert_eq!(has_failed(&Parked::Slot), None);
    }
}
