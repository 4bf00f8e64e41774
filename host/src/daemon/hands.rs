//! The host's own work in a run, with real drivers: edits, drills, the vault, what a crash left.

use super::host::{Entry, Host};
use super::looks::{Ready, failure};
use super::rehearsal;
use crate::activity::{Activity, Level};
use crate::config::{DrillIn, HookConfig};
use crate::context::{Site, StepContext};
use crate::driver::project::Rights;
use crate::driver::{Doubled, Drivers, Toward};
use crate::effect::Effects;
use crate::journal::KeptCopy;
use crate::model::{BackupRef, Binding, Failure, Finding, Role, whole};
use crate::phase::global_step;
use crate::phase::hands::{Hands, Moment};
use crate::phase::rehearse::VERB as REHEARSAL;
use crate::plan::event::{Effect, Verdict};
use crate::plan::step::{Phase, Step};
use crate::plan::{FileBack, Kind, Plan, PlannedEdit, Rehearsed};
use crate::vault::{Vault, VaultError};
use async_trait::async_trait;
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::sync::Arc;

pub struct RealHands {
    pub host: Arc<Host>,
    pub entry: Arc<Entry>,
    pub ready: Ready,
    pub run: u64,
}

impl RealHands {
    /// The binding's hook, and the platform in which it is.
    fn hook_of(&self, binding: &Binding) -> Result<Option<(&HookConfig, &Arc<Drivers>)>, Failure> {
        let mut datastores = self.ready.deployment.datastores.iter();
        let Some(config) = datastores.find(|config| config.binding == *binding) else { return Ok(None) };
        let Some(hook) = &config.grants.hook else { return Ok(None) };
        Ok(Some((hook, self.drivers(Role::Platform, &hook.service.platform)?)))
    }

    fn copy_of(&self, binding: &str, step: &str) -> KeptCopy {
        KeptCopy {
            deployment: self.entry.name.clone(),
            run: self.run,
            binding: binding.to_owned(),
            step: step.to_owned(),
            made: Timestamp::now(),
        }
    }

    fn known_databases(&self, binding: &Binding) -> Vec<String> {
        super::servers::known_databases(&self.ready.deployment, &binding.name)
    }

    fn drivers(&self, role: Role, binding: &str) -> Result<&Arc<Drivers>, Failure> {
        let drivers = self.ready.drivers.get(&(role, binding.to_owned()));
        drivers.ok_or_else(|| failure("missing", &format!("there is no {role} `{binding}`")))
    }

    pub(super) async fn in_vault<T: Send + 'static>(
        &self, work: impl FnOnce(Vault) -> Result<T, VaultError> + Send + 'static,
    ) -> Result<T, Failure> {
        let vault = self.ready.vault.clone();
        let done = tokio::task::spawn_blocking(move || work(vault)).await;
        done.map_err(|e| failure("vault", &e))?.map_err(|e| Failure { retryable: true, ..failure("vault", &e) })
    }
}

#[async_trait]
impl Hands for RealHands {
    async fn recheck(&self, plan: &Plan, activity: &Activity) -> Result<Vec<Finding>, Failure> {
        self.recheck_of(plan, activity).await
    }

    async fn check_backup(&self, _cx: &StepContext, backup: &BackupRef) -> Result<(), Failure> {
        let artifacts = backup.artifacts.clone();
        self.in_vault(move |vault| artifacts.iter().try_for_each(|key| vault.check(key))).await
    }

    fn keep_manifest(&self, manifest: &str) -> Result<String, Failure> {
        self.host.journal.keep_manifest(self.run, manifest).map_err(|e| failure("journal", &e))
    }

    fn manifest(&self, digest: &str) -> Result<String, Failure> {
        let kept = self.host.journal.manifest(digest).map_err(|e| failure("journal", &e))?;
        kept.ok_or_else(|| failure("missing", &format!("the journal has no manifest `{digest}`")))
    }

    fn drill_site(&self, step: &str, _binding: &str) -> Site {
        self.host.drill_site(&self.entry.name, step)
    }

    async fn hook(&self, cx: &StepContext, moment: Moment) -> Result<(), Failure> {
        match self.hook_of(&cx.binding)? {
            Some((hook, platform)) => run_hook(cx, hook, platform, moment).await,
            None => Ok(()),
        }
    }

    async fn stop_hooked(&self, cx: &StepContext) -> Result<(), Failure> {
        let Some((hook, platform)) = self.hook_of(&cx.binding)? else { return Ok(()) };
        Ok(platform.services.stop(cx, &[whole(&hook.service)]).await?)
    }

    async fn start_hooked(&self, cx: &StepContext, datastores: &[&str]) -> Result<(), Failure> {
        let of = |name: &&str| self.ready.deployment.datastores.iter().find(|one| one.binding.name == **name);
        let hooks = datastores.iter().filter_map(of).filter_map(|datastore| datastore.grants.hook.as_ref());
        for hook in hooks.filter(|hook| hook.service.platform == cx.binding.name) {
            let platform = self.drivers(Role::Platform, &cx.binding.name)?;
            let service = [whole(&hook.service)];
            platform.services.start(cx, &service).await?;
            platform.services.wait_healthy(cx, &service, 0).await?;
            run_hook(cx, hook, platform, Moment::After).await?;
        }
        Ok(())
    }

    async fn drill_double(&self, cx: &StepContext) -> Result<Doubled, Failure> {
        let drivers = self.drivers(cx.binding.role, &cx.binding.name)?;
        // What Google restores is a whole instance.
        if self.ready.deployment.policy.drill_in == DrillIn::Server && drivers.cloud_sql.is_none() {
            return Ok(Doubled { site: cx.site.clone(), why: None });
        }
        Ok(drivers.drill_double(cx).await?)
    }

    async fn renew_server(&self, cx: &StepContext, version: &str) -> Result<bool, Failure> {
        let (drivers, known) = (self.drivers(cx.binding.role, &cx.binding.name)?, self.known_databases(&cx.binding));
        Ok(drivers.renew_server(cx, &known, Toward::Version(version)).await?)
    }

    async fn put_server_back(&self, cx: &StepContext, of: Option<u64>, kept: bool) -> Result<(), Failure> {
        let (drivers, known) = (self.drivers(cx.binding.role, &cx.binding.name)?, self.known_databases(&cx.binding));
        Ok(drivers.put_server_back(cx, &known, of, kept).await?)
    }

    async fn let_go_of_server(&self, cx: &StepContext, datastore: &str, kept: bool) -> Result<(), Failure> {
        Ok(self.drivers(Role::Datastore, datastore)?.let_go_of_server(cx, kept).await?)
    }

    async fn clear_drill(&self, cx: &StepContext) -> Result<(), Failure> {
        super::drills::clear(self.drivers(cx.binding.role, &cx.binding.name)?, cx).await
    }

    async fn rehearse(
        &self, cx: &StepContext, plan: &Plan, backups: BTreeMap<String, BackupRef>,
    ) -> Result<Rehearsed, Failure> {
        rehearsal::rehearse(&self.host, &self.ready, self.run, cx, plan, backups).await
    }

    async fn put_edits(
        &self, cx: &StepContext, edits: &[PlannedEdit], key: &(dyn for<'a> Fn(usize) -> String + Sync),
    ) -> Result<(), Failure> {
        for (number, edit) in edits.iter().enumerate() {
            let project = &self.drivers(Role::Platform, &edit.platform)?.project;
            if edit.before.is_some() {
                self.keep_old_bytes(cx, edit, key(number)).await?;
            }
            let before = edit.before.as_ref().map(|before| before.digest.as_str());
            let content = edit.after.as_ref().map(|after| after.content.as_slice());
            let executable = edit.after.as_ref().is_some_and(|after| after.executable);
            let rights = if executable { Rights::Executable } else { Rights::AsBefore };
            project.put(cx, &edit.path, before, content, rights).await?;
        }
        Ok(())
    }

    async fn put_files_back(&self, cx: &StepContext, files: &[FileBack]) -> Result<Vec<String>, Failure> {
        let mut kept = Vec::new();
        for file in files {
            let project = &self.drivers(Role::Platform, &file.platform)?.project;
            let old = match &file.before {
                Some((replaced, key)) => {
                    if project.is_still(cx, &file.path, replaced).await? {
                        // Nothing was put there, or it was put back already.
                        continue;
                    }
                    let Some(bytes) = self.old_bytes(key).await? else { continue };
                    Some((bytes, replaced.owned))
                }
                None => None,
            };
            kept.extend(
                project
                    .put_back(cx, &file.path, &file.afters, old.as_ref().map(|(bytes, owned)| (&**bytes, *owned)))
                    .await?,
            );
        }
        for path in &kept {
            cx.activity.line(
                crate::activity::Level::Warn,
                format!("somebody changed a file during the run; that change is kept in `{path}`"),
            );
        }
        Ok(kept)
    }

    fn lay_over(&self, edits: &[&PlannedEdit]) {
        self.clear_overlay();
        for edit in edits {
            let content = edit.after.as_ref().map(|after| after.content.as_slice());
            self.ready.lay_over(&edit.platform, &edit.path, content);
        }
    }

    fn clear_overlay(&self) {
        self.ready.clear_overlay();
    }

    fn keep_copy(&self, binding: &str, step: &str) -> Result<(), Failure> {
        self.host.journal.keep(&self.copy_of(binding, step)).map_err(|e| failure("journal", &e))
    }

    fn copy_is_gone(&self, binding: &str, step: &str) -> Result<(), Failure> {
        self.host.journal.let_go(&self.copy_of(binding, step)).map_err(|e| failure("journal", &e))
    }

    async fn fence_and_probe(&self, step: &Step, effect: &Effect) -> Verdict {
        if effect.verb == REHEARSAL {
            return self.clear_rehearsal(step).await;
        }
        let product = &self.ready.bound.product.0;
        let role = step.role.unwrap_or(Role::Product);
        let Ok(drivers) = self.drivers(role, step.binding.as_ref().unwrap_or(&product.name)) else {
            return Verdict::Unknown;
        };
        // What a step started is marked with the step's global name.
        let effect = Effect { step: global_step(self.run, &effect.step), ..effect.clone() };
        let verdict = drivers.fence_and_probe(&effect).await;
        if step.phase == Phase::BackupAhead {
            self.after_a_cut(step).await;
        }
        verdict
    }
}

impl RealHands {
    /// Whatever a crash left of a rehearsal goes; it begins anew.
    async fn clear_rehearsal(&self, step: &Step) -> Verdict {
        let mut cx = self.ready.context(&self.ready.bound.product.0, &Activity::silent());
        cx.step = global_step(self.run, &step.id);
        let Ok(site) = rehearsal::Site::of(&self.host, &self.ready).await else { return Verdict::Unknown };
        match site.clear(&cx).await {
            Ok(()) => Verdict::NotDone,
            Err(_) => Verdict::Unknown,
        }
    }

    /// A copy that was cut off may not be taken again, where the run was cancelled meanwhile.
    async fn after_a_cut(&self, step: &Step) {
        let name = step.binding.as_deref().unwrap_or_default();
        let Some((binding, _)) = self.ready.bound.datastore(name) else { return };
        let mut cx = self.ready.context(binding, &Activity::silent());
        cx.step = global_step(self.run, &step.id);
        cx.effects = Effects::unjournaled(&step.id);
        if let Err(failure) = self.hook(&cx, Moment::After).await {
            tracing::warn!(
                deployment = cx.deployment,
                "after a copy of `{name}` that was cut off: {}",
                failure.message
            );
        }
    }

    /// None where the crash came before they were kept, and so before the file was replaced.
    async fn old_bytes(&self, key: &str) -> Result<Option<Vec<u8>>, Failure> {
        let wanted = key.to_owned();
        let kept = self.in_vault(move |vault| match vault.read_bytes(&wanted) {
            Err(VaultError::NotFound(_)) => Ok(None),
            read => read.map(Some),
        });
        let kept = kept.await?;
        let kind = self.host.journal.plan(self.run).map_err(|e| failure("journal", &e))?.kind;
        match (kept, kind) {
            (None, Kind::Rollback(_)) => Err(failure("missing", &format!("the vault has no `{key}`"))),
            (kept, _) => Ok(kept),
        }
    }

    /// The first attempt's are the old ones, whatever a former life kept: later ones may find what the first put there.
    async fn keep_old_bytes(&self, cx: &StepContext, edit: &PlannedEdit, key: String) -> Result<(), Failure> {
        let Some(bytes) = self.drivers(Role::Platform, &edit.platform)?.project.raw(cx, &edit.path).await? else {
            return Ok(());
        };
        let again = cx.attempt > 1;
        self.in_vault(move |vault| {
            let held = again && vault.list(&key)?.iter().any(|artifact| artifact.key == key);
            if held { Ok(()) } else { vault.save_bytes(&key, &bytes).map(|_| ()) }
        })
        .await
    }
}

async fn run_hook(cx: &StepContext, hook: &HookConfig, platform: &Drivers, moment: Moment) -> Result<(), Failure> {
    let (verb, argv) = match moment {
        Moment::Before => ("hook.before", &hook.before),
        Moment::After => ("hook.after", &hook.after),
    };
    if argv.is_empty() {
        return Ok(());
    }
    let activity = match moment {
        Moment::Before => cx.activity.clone(),
        // Who stops the run does not stop this.
        Moment::After => cx.activity.to_the_end(),
    };
    let cx = StepContext { effects: cx.effects.clone(), activity, ..cx.reading_at(cx.site.clone()) };
    if !platform.inside(&cx, verb, &hook.service.name, argv).await? {
        let message = format!("`{}` does not run, and its hook is not needed", hook.service);
        cx.activity.line(Level::Info, message);
    }
    Ok(())
}
