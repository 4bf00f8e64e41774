//! From a deployment's file to a plan, or to the rule that says no. Only reads.

use super::checks;
use super::host::Host;
use super::looks::{Ready, failure};
use super::requirements;
use super::rolling;
use super::servers::Servers;
use crate::activity::Activity;
use crate::config::{Approve, Deployment, Drill, GoogleConfig};
use crate::driver::project::{Project, is_dotenv};
use crate::journal::Journal;
use crate::model::{Change, Failure, Finding, Hop, Installed, Role, Severity, VerbError};
use crate::plan::*;
use similar::TextDiff;

/// Of all that one look finds.
const FINDINGS_BYTES: usize = 16 << 20;
/// Of a refusal: it is written down, and told to everybody who watches.
const WHY_BYTES: usize = 16 << 10;

/// What came of looking.
pub enum Looked {
    /// The installed version is the wanted one.
    Nothing {
        installed: Installed,
        findings: Vec<Finding>,
    },
    Plan {
        plan: Box<Plan>,
        findings: Vec<Finding>,
    },
}

impl Looked {
    pub fn findings(&self) -> &[Finding] {
        match self {
            Self::Nothing { findings, .. } | Self::Plan { findings, .. } => findings,
        }
    }
}

/// Why there is no plan.
#[derive(Debug, Clone)]
pub struct Refused {
    pub from: Option<String>,
    pub why: String,
    /// Nothing but time may mend it.
    pub retryable: bool,
}

impl Refused {
    fn of(from: Option<&str>, failure: Failure) -> Self {
        Self { from: from.map(str::to_owned), why: failure.message, retryable: failure.retryable }
    }
}

impl Host {
    pub async fn detect(&self, ready: &Ready, activity: &Activity) -> Result<Installed, Refused> {
        let (binding, product) = &ready.bound.product;
        let detected = product.detect(&ready.context(binding, activity)).await;
        detected.map_err(|error| Refused::of(None, error.into()))
    }

    pub async fn path(
        &self, ready: &Ready, installed: &Installed, to: &str, activity: &Activity,
    ) -> Result<Vec<Hop>, Refused> {
        let (binding, product) = &ready.bound.product;
        let cx = ready.context(binding, activity);
        let answer = product.path(&cx, installed, to).await;
        let mut hops = answer.map_err(|error| match error {
            crate::plugin::roles::CallError::Refused { error: VerbError::Invalid(rule), .. } => {
                Refused { from: Some(installed.version.clone()), why: rule, retryable: false }
            }
            other => Refused::of(Some(&installed.version), other.into()),
        })?;
        // A hop whose background work must finish first ends the run; the next look goes on from there.
        if let Some(rest) = hops.iter().position(|hop| hop.rest) {
            hops.truncate(rest + 1);
        }
        Ok(hops)
    }

    /// Detect, path, preflight and edits; `to`: the file's version where none is named.
    pub async fn look(
        &self, ready: &Ready, text: &str, to: Option<&str>, activity: &Activity,
    ) -> Result<Looked, Refused> {
        let to = to.unwrap_or(&ready.deployment.version);
        let installed = self.detect(ready, activity).await?;
        let refused = |failure| Refused::of(Some(&installed.version), failure);
        if installed.version == to {
            let findings = self.verify_standing(ready, &installed.version, None, activity).await.map_err(refused)?;
            return Ok(Looked::Nothing { installed, findings });
        }
        let hops = self.path(ready, &installed, to, activity).await?;
        let Some(last) = hops.last() else {
            let why = format!("there is no path from `{}` to `{to}`", installed.version);
            return Err(Refused { from: Some(installed.version), why, retryable: false });
        };
        let mut plan = Plan {
            schema: PLAN_SCHEMA,
            host_version: env!("CARGO_PKG_VERSION").into(),
            deployment: ready.deployment.name.clone(),
            kind: Kind::Upgrade,
            from: installed.version.clone(),
            to: last.target.clone(),
            file: text.to_owned(),
            bindings: planned_bindings(ready),
            edits: Vec::new(),
            carries: Vec::new(),
            policy: planned_policy(&ready.deployment, &hops),
            hops,
            findings: Vec::new(),
            estimates: super::views::estimates(&self.journal, &ready.deployment.name),
        };
        // The platforms' preflight looks at the files as the edits will leave them.
        let edits = self.edits(ready, &plan, activity).await;
        let findings = self.preflight(ready, &plan, &installed, activity).await;
        ready.clear_overlay();
        let mut findings = findings.map_err(refused)?;
        match edits {
            Ok((edits, servers)) => {
                plan.edits = edits;
                findings.extend(self.carried(ready, &plan, &servers, activity).await);
                plan.carries = servers.carried(&plan);
            }
            Err(failure) => findings.push(Finding::blocker("host", "edits", failure.message)),
        }
        if plan.policy.rehearse
            && let Err(why) = super::rehearsal::can_be_rehearsed(ready).await
        {
            let hint = "without `rehearse = true` under `[policy]` it is upgraded unrehearsed";
            findings.push(Finding::blocker("host", "rehearsal", why).hint(hint));
        }
        findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
        plan.findings = findings.iter().filter(|f| f.severity != Severity::Blocker).cloned().collect();
        Ok(Looked::Plan { plan: Box::new(plan), findings })
    }

    /// The plugins' preflight, the host's own checks, and whether the old version stands.
    pub async fn preflight(
        &self, ready: &Ready, plan: &Plan, installed: &Installed, activity: &Activity,
    ) -> Result<Vec<Finding>, Failure> {
        let whole = plan.whole();
        let mut findings = checks::host(self, ready, activity).await;
        findings.extend(checks::claims_in_use(ready, &whole).await);
        let mut running = installed.components.clone();
        for (binding, platform) in &ready.bound.platforms {
            running.extend(platform.components(&ready.context(binding, activity)).await?);
        }
        findings.extend(requirements::unmet(&plan.hops, &running));
        findings.extend(rolling::unfit(&plan.hops));
        findings.extend(price_of_drills(&ready.deployment));
        let (binding, product) = &ready.bound.product;
        for hop in &plan.hops {
            findings.extend(product.preflight(&ready.context(binding, activity), hop).await?);
            bounded(&findings)?;
        }
        for (binding, platform) in &ready.bound.platforms {
            findings.extend(platform.preflight(&ready.context(binding, activity), &whole).await?);
        }
        for (binding, datastore) in &ready.bound.datastores {
            findings.extend(datastore.preflight(&ready.context(binding, activity), &whole).await?);
        }
        findings.extend(self.verify_standing(ready, &plan.from, Some(plan), activity).await?);
        // A path of several hops says many a thing more than once.
        let mut said = std::collections::BTreeSet::new();
        findings.retain(|f| said.insert((f.source.clone(), f.id.clone(), f.message.clone())));
        Ok(findings)
    }

    /// What fails before anything was touched is no fault of the new version.
    async fn verify_standing(
        &self, ready: &Ready, version: &str, plan: Option<&Plan>, activity: &Activity,
    ) -> Result<Vec<Finding>, Failure> {
        let mut findings = Vec::new();
        if let Some(plan) = plan {
            let standing = plan.standing_old(plan.whole().acts);
            for (binding, platform) in &ready.bound.platforms {
                findings.extend(platform.verify(&ready.context(binding, activity), &standing, None).await?);
            }
        }
        let (binding, product) = &ready.bound.product;
        findings.extend(product.verify(&ready.context(binding, activity), version).await?);
        for finding in &mut findings {
            finding.message = format!("the installed version does not verify: {}", finding.message);
        }
        Ok(findings)
    }

    /// The product's, then the platforms', each seeing the former's. They stay laid over the files.
    async fn edits(
        &self, ready: &Ready, plan: &Plan, activity: &Activity,
    ) -> Result<(Vec<Vec<PlannedEdit>>, Servers), Failure> {
        let mut servers = Servers::default();
        let Some((main, _)) = ready.bound.platforms.first() else {
            return Ok((vec![Vec::new(); plan.hops.len()], servers));
        };
        ready.clear_overlay();
        servers.look(ready, activity).await?;
        let mut all = Vec::new();
        for hop in &plan.hops {
            let mut planned = Vec::new();
            let (binding, product) = &ready.bound.product;
            let proposals = product.edits(&ready.context(binding, activity), hop).await?;
            for edit in proposals {
                planned.extend(plan_edit(ready, &main.name, edit, activity).await?);
            }
            for (binding, platform) in &ready.bound.platforms {
                for edit in platform.edits(&ready.context(binding, activity), hop).await? {
                    planned.extend(plan_edit(ready, &binding.name, edit, activity).await?);
                }
            }
            servers.look_again(ready, hop, activity).await?;
            all.push(planned);
        }
        Ok((all, servers))
    }
}

/// The edit with its bytes and diff; none where it changes nothing.
async fn plan_edit(
    ready: &Ready, platform: &str, edit: crate::model::Edit, activity: &Activity,
) -> Result<Option<PlannedEdit>, Failure> {
    let Some(drivers) = ready.drivers.get(&(Role::Platform, platform.to_owned())) else { return Ok(None) };
    let cx = ready.context(&ready.bound.product.0, activity);
    let old = match drivers.project.read(&cx, &edit.path).await {
        Ok(bytes) => Some(bytes),
        Err(VerbError::NotFound(_)) if !matches!(edit.change, Change::Set(_)) || is_dotenv(&edit.path) => None,
        Err(error) => return Err(Failure { message: format!("`{}`: {error}", edit.path), ..error.into() }),
    };
    let new = Project::render(&edit.path, old.as_deref(), &edit.change)
        .map_err(|error| Failure { message: format!("`{}`: {error}", edit.path), ..error.into() })?;
    let executable = matches!(edit.change, Change::Program(_));
    let owned = drivers.project.mode_and_owner(&edit.path).await?;
    if old == new && (!executable || owned.is_some_and(|owned| owned.mode & 0o111 != 0)) {
        return Ok(None);
    }
    ready.lay_over(platform, &edit.path, new.as_deref());
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (before, after) = (old.as_deref().map(text).unwrap_or_default(), new.as_deref().map(text).unwrap_or_default());
    let diff = TextDiff::from_lines(&before, &after)
        .unified_diff()
        .header(
            &format!("{} (now)", edit.path),
            &format!("{} ({})", edit.path, if new.is_some() { "new" } else { "removed" }),
        )
        .to_string();
    Ok(Some(PlannedEdit {
        platform: platform.to_owned(),
        path: edit.path,
        why: edit.why,
        before: old.zip(owned).map(|(old, owned)| Replaced { digest: Project::digest(&old), owned }),
        after: new.map(|content| Replacement { digest: Project::digest(&content), content, executable }),
        diff,
    }))
}

pub fn planned_bindings(ready: &Ready) -> Vec<PlannedBinding> {
    let digests = &ready.bound.digests;
    let digest = |b: &crate::model::Binding| digests.get(&(b.role, b.name.clone())).cloned().unwrap_or_default();
    let bindings = ready.bound.bindings();
    bindings.into_iter().map(|binding| PlannedBinding { digest: digest(&binding), binding }).collect()
}

fn planned_policy(deployment: &Deployment, hops: &[Hop]) -> PlannedPolicy {
    let policy = &deployment.policy;
    PlannedPolicy {
        approve: policy.approve,
        approval_needed: match policy.approve {
            Approve::Never => false,
            Approve::Breaking => hops.iter().any(|hop| hop.breaking),
            Approve::Always => true,
        },
        windows: policy.window.iter().map(|window| window.text.clone()).collect(),
        drill: policy.drill,
        undrilled: drilled_at_a_price(deployment)
            .filter(|(_, google)| !google.drill)
            .map(|(name, _)| name.to_owned())
            .collect(),
        rehearse: policy.rehearse,
        idle_ms: u64::try_from(policy.idle.as_millis()).unwrap_or(u64::MAX),
    }
}

/// Datastores whose drill costs money, and what it restores into; whether the operator has asked for it.
fn drilled_at_a_price(deployment: &Deployment) -> impl Iterator<Item = (&str, &GoogleConfig)> {
    let stores = deployment.datastores.iter();
    stores.filter_map(|store| Some((store.binding.name.as_str(), store.grants.google.as_ref()?)))
}

fn price_of_drills(deployment: &Deployment) -> Vec<Finding> {
    if deployment.policy.drill == Drill::Off {
        return Vec::new();
    }
    let info = |id: String, message| Finding { severity: Severity::Info, ..Finding::warning("host", &id, message) };
    let finding = |(name, google): (&str, &GoogleConfig)| {
        let instance = &google.instance;
        if google.drill {
            let message = format!(
                "the backup of `{name}` is drilled in a second instance as large as `{instance}`, which Google charges for \
                 as long as it is there: it is made for the drill, and deleted after it"
            );
            return info(format!("drilled-{name}"), message);
        }
        let message =
            format!("the backup of `{name}` is not drilled: it would take a second instance as large as `{instance}`");
        let hint =
            "`drill = true` under its `google` asks for it; Google charges the instance for as long as it is there";
        info(format!("not-drilled-{name}"), message).hint(hint)
    };
    drilled_at_a_price(deployment).map(finding).collect()
}

/// What nobody could read, nobody is to hold.
fn bounded(findings: &[Finding]) -> Result<(), Failure> {
    let bytes: usize = findings.iter().map(|f| f.message.len() + f.hint.as_ref().map_or(0, String::len)).sum();
    if bytes > FINDINGS_BYTES {
        return Err(failure("size", &format!("{} findings with {bytes} bytes", findings.len())));
    }
    Ok(())
}

/// Every blocker in one sentence each.
pub fn blockers(findings: &[Finding]) -> Option<String> {
    let blockers: Vec<String> = findings
        .iter()
        .filter(|finding| finding.severity == Severity::Blocker)
        .map(|finding| match &finding.hint {
            Some(hint) => format!("{} ({hint})", finding.message),
            None => finding.message.clone(),
        })
        .collect();
    (!blockers.is_empty()).then(|| shortened(blockers.join("; ")))
}

fn shortened(mut why: String) -> String {
    if why.len() > WHY_BYTES {
        why.truncate(why.floor_char_boundary(WHY_BYTES));
        why.push('…');
    }
    why
}

/// Whether what the way back of a committed run needs is there.
pub async fn can_go_back(journal: &Journal, ready: &Ready, of: &Plan, way: &WayBack) -> Result<(), Failure> {
    super::servers::can_go_back(ready, of, way.of).await?;
    is_held(ready, way).await?;
    if of.rolls() {
        return Ok(());
    }
    for (binding, _) in &ready.bound.datastores {
        let Some(backup) = way.backups.get(&binding.name) else {
            let message = format!("run {} holds no backup of `{}`", way.of, binding.name);
            return Err(failure("missing", &message));
        };
        super::paths::are_those_of(ready, &binding.name, backup, way.of)?;
        if journal.manifest(&backup.manifest).map_err(|error| failure("journal", &error))?.is_none() {
            let message = format!("what the backup of `{}` held in run {} is not known any more", binding.name, way.of);
            return Err(failure("missing", &message));
        }
        let drivers = ready.drivers.get(&(binding.role, binding.name.clone()));
        // In the vault is a note of what lies at Google's.
        if let Some(store) = drivers.and_then(|drivers| drivers.cloud_sql.as_ref()) {
            store.check_saved(&ready.context(binding, &Activity::silent()), &backup.artifacts).await?;
        }
    }
    Ok(())
}

/// Whether the vault has what goes back: another may have taken its place, and somebody may have tidied it.
pub async fn is_held(ready: &Ready, way: &WayBack) -> Result<(), Failure> {
    let (vault, of) = (ready.vault.clone(), format!("{}/", ready.deployment.name));
    let listed =
        tokio::task::spawn_blocking(move || vault.list(&of)).await.map_err(|error| failure("vault", &error))?;
    let held = listed.map_err(|error| Failure { retryable: true, ..failure("vault", &error) })?;
    let lost = way.artifacts().find(|key| !held.iter().any(|artifact| artifact.key == *key));
    match lost {
        Some(key) => {
            let message = format!("the vault has no `{key}`, without which run {} can't be taken back", way.of);
            Err(failure("missing", &message))
        }
        None => Ok(()),
    }
}

/// A rollback by hand: the way back of a committed run, as a plan of its own.
pub fn rollback(ready: &Ready, of: &Plan, way: WayBack, text: &str) -> Plan {
    let mut bindings = planned_bindings(ready);
    // A backup is read and counted by the component that made it.
    for now in bindings.iter_mut().filter(|now| now.binding.role == Role::Datastore) {
        if let Some(then) = of.bindings.iter().find(|then| then.binding == now.binding) {
            now.digest.clone_from(&then.digest);
        }
    }
    Plan {
        schema: PLAN_SCHEMA,
        host_version: env!("CARGO_PKG_VERSION").into(),
        deployment: of.deployment.clone(),
        kind: Kind::Rollback(Box::new(way)),
        from: of.to.clone(),
        to: of.from.clone(),
        file: text.to_owned(),
        bindings,
        hops: of.hops.clone(),
        edits: vec![Vec::new(); of.hops.len()],
        carries: of.carries.clone(),
        policy: PlannedPolicy { approval_needed: false, windows: Vec::new(), ..of.policy.clone() },
        findings: Vec::new(),
        estimates: Estimates::default(),
    }
}
