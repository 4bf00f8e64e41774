//! The host's own preflight: room, vault, and that every store that is written to belongs to somebody.

use super::host::Host;
use super::looks::Ready;
use crate::activity::Activity;
use crate::config::Drill;
use crate::driver::pods::{Obstacle, Starter};
use crate::driver::server::Place;
use crate::driver::services::OpenFile;
use crate::model::{Finding, Hop, Role, Severity};
use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

pub async fn host(host: &Host, ready: &Ready, activity: &Activity) -> Vec<Finding> {
    let mut findings = Vec::new();
    if !host.journal.has_reserve() {
        findings.push(
            Finding::blocker("host", "state-full", "the state folder has no room for the journal's reserve of 16 MiB")
                .hint(format!("free some on the file system of `{}`", host.settings.state.display())),
        );
    }
    let mut stores = on_servers(ready, activity, &mut findings).await;
    let (state, vault) = (host.settings.state.clone(), host.settings.vault.clone());
    let paths = on_this_machine(ready, &mut findings).await;
    let bound = paths.clone();
    let drilled = ready.deployment.policy.drill != Drill::Off;
    let room = tokio::task::spawn_blocking(move || {
        stores.extend(paths.into_iter().map(|path| Store::of_path(path, drilled)));
        let mut findings = room(&stores, &vault, &state);
        findings.extend(vault_beside_data(&stores, &vault));
        findings
    });
    findings.extend(room.await.unwrap_or_default());
    findings.extend(unbound_stores(ready, &bound).await);
    findings.extend(hooks(ready).await);
    findings.extend(units(ready).await);
    findings.extend(misnamed(ready));
    findings
}

/// A hook's service is one of its platform's.
async fn hooks(ready: &Ready) -> Vec<Finding> {
    let mut findings = Vec::new();
    for config in &ready.deployment.datastores {
        let Some(hook) = &config.grants.hook else { continue };
        let drivers = ready.drivers.get(&(Role::Platform, hook.service.platform.clone()));
        let why = match drivers.and_then(|drivers| drivers.around()) {
            Some(around) => around.container_of(&hook.service.name).await.err().map(|error| error.to_string()),
            None => Some(format!("hooks run in containers alone, and `{}` has none", hook.service.platform)),
        };
        let name = &config.binding.name;
        let finding = |why| Finding::blocker("host", &format!("hook-{name}"), format!("the hook of `{name}`: {why}"));
        findings.extend(why.map(finding));
    }
    findings
}

/// What a file of variables says reaches somebody.
fn misnamed(ready: &Ready) -> Vec<Finding> {
    let mut findings = Vec::new();
    for platform in &ready.deployment.platforms {
        let region = ready.drivers.get(&super::looks::key(platform)).and_then(|drivers| drivers.cloud_run.as_ref());
        for (file, meant) in region.into_iter().flat_map(|region| region.misnamed()) {
            let message = format!("`{file}` is of no service or job that the deployment names, and goes nowhere");
            let hint = match meant {
                Some(name) => format!("`{name}.env` would be for `{name}`"),
                None => {
                    "`NAME.env` is for the service or the job that `google` calls `NAME`, and `.env` for all".into()
                }
            };
            findings.push(Finding::warning("host", &format!("variables-{file}"), message).hint(hint));
        }
    }
    findings
}

/// Nobody else starts what a run stopped.
async fn units(ready: &Ready) -> Vec<Finding> {
    let mut findings = Vec::new();
    for platform in &ready.deployment.platforms {
        let pods = ready.drivers.get(&super::looks::key(platform)).and_then(|drivers| drivers.pods.as_ref());
        let Some(pods) = pods else { continue };
        // Where it can't be told, the platform's own check says why.
        findings.extend(pods.starters().await.unwrap_or_default().iter().map(|starter| match &starter.obstacle {
            Some(obstacle) => started_elsewhere(starter, obstacle),
            None => started_through(starter),
        }));
    }
    findings
}

fn started_through(Starter { service, unit, .. }: &Starter) -> Finding {
    let message = format!("the pods of `{service}` are stopped and started through their unit `{unit}`");
    Finding::new("host", &format!("unit-{service}"), Severity::Info, message)
}

fn started_elsewhere(starter: &Starter, obstacle: &Obstacle) -> Finding {
    let Starter { service, unit, file, quadlet, of_a_user, .. } = starter;
    let by = file.as_ref().map(|file| format!(" (`{}`)", file.display())).unwrap_or_default();
    let message = format!(
        "the unit `{unit}`{by} starts the pods of `{service}`, and they can't be started and stopped through it: {}",
        obstacle.why()
    );
    let systemctl = if *of_a_user { "systemctl --user" } else { "systemctl" };
    let end = match (quadlet, file) {
        (true, _) => format!("`{systemctl} stop {unit}`, take that file away, `{systemctl} daemon-reload`"),
        (false, Some(_)) => format!("`{systemctl} disable --now '{unit}'`"),
        (false, None) => format!(
            "`{systemctl} disable --now '{unit}'`, or of a quadlet `{systemctl} stop {unit}`, take its file away, \
             `{systemctl} daemon-reload`"
        ),
    };
    let hint = format!(
        "mend that; or {end}, and play its file once by hand: from then on its pods are the daemon's, and \
         `podman-restart.service` starts them at boot"
    );
    Finding::blocker("host", &format!("unit-{service}"), message).hint(hint)
}

fn device(path: &Path) -> Option<u64> {
    path.ancestors().find_map(|path| path.metadata().ok()).map(|meta| meta.dev())
}

/// What one datastore holds.
struct Store {
    /// Where its copies will lie.
    place: PathBuf,
    bytes: u64,
    /// What the state folder takes of it for a while.
    state_bytes: u64,
}

impl Store {
    fn of_path(place: PathBuf, drilled: bool) -> Self {
        let bytes = size(&place);
        Self { place, bytes, state_bytes: if drilled { bytes.saturating_mul(2) } else { 0 } }
    }
}

/// The folders, files, volumes and claims of all datastores.
async fn on_this_machine(ready: &Ready, findings: &mut Vec<Finding>) -> Vec<PathBuf> {
    let mut all = Vec::new();
    for (binding, _) in &ready.bound.datastores {
        let Some(drivers) = ready.drivers.get(&(binding.role, binding.name.clone())) else { continue };
        match drivers.trees.places().await {
            Ok(places) => all.extend(places),
            Err(error) => {
                let message = format!("the data of `{}` isn't there: {error}", binding.name);
                findings.push(Finding::blocker("host", &format!("paths-{}", binding.name), message));
            }
        }
    }
    all
}

/// The databases of servers on this machine. One that can't be asked is for its plugin to name.
async fn on_servers(ready: &Ready, activity: &Activity, findings: &mut Vec<Finding>) -> Vec<Store> {
    let mut stores = Vec::new();
    for (binding, _) in &ready.bound.datastores {
        let Some(drivers) = ready.drivers.get(&(binding.role, binding.name.clone())) else { continue };
        // Its disk is Google's to watch.
        if drivers.cloud_sql.is_some() {
            continue;
        }
        let cx = ready.context(binding, activity);
        if let Ok(Some(Place { folder: Some(place), bytes })) = drivers.mysql.place(&cx).await {
            stores.push(Store { place, bytes, state_bytes: 0 });
        }
        match drivers.postgres.place(&cx).await.ok().flatten() {
            // An archive that is restored lies in the state folder as a file.
            Some(Place { folder: Some(place), bytes }) => stores.push(Store { place, bytes, state_bytes: bytes }),
            Some(Place { folder: None, .. }) => {
                let message =
                    format!("whether the server of `{}` has room can't be seen: its folder isn't known", binding.name);
                findings.push(
                    Finding::warning("host", "space-unknown", message)
                        .hint("`GRANT pg_read_all_settings TO …` lets the role of `server.user` see it"),
                );
            }
            None => {}
        }
    }
    stores
}

fn vault_beside_data(stores: &[Store], vault: &Path) -> Option<Finding> {
    let vault = device(vault)?;
    let place = &stores.iter().find(|store| device(&store.place) == Some(vault))?.place;
    let message = format!("the vault lies on the same file system as `{}`: one lost disk loses both", place.display());
    Some(
        Finding::warning("host", "vault-beside-data", message)
            .hint("set `vault` in `upgraded.toml` to a folder on another disk"),
    )
}

/// What must be free, by file system: the frozen copy, the growth of a migration and what is set aside beside the data;
/// a backup in the vault; what the state folder takes for a while.
fn room(stores: &[Store], vault: &Path, state: &Path) -> Vec<Finding> {
    let mut needed: BTreeMap<u64, (PathBuf, u64)> = BTreeMap::new();
    let mut add = |path: &Path, bytes: u64| {
        if let Some(device) = device(path) {
            needed.entry(device).or_insert_with(|| (path.to_owned(), 0)).1 += bytes;
        }
    };
    for Store { place, bytes, state_bytes } in stores {
        add(place, bytes.saturating_mul(3));
        add(vault, *bytes);
        add(state, *state_bytes);
    }
    let short = |(path, bytes): (PathBuf, u64)| {
        let existing = path.ancestors().find(|path| path.exists())?;
        let room = rustix::fs::statvfs(existing).ok()?;
        let free = room.f_bavail.saturating_mul(room.f_frsize);
        (free < bytes).then(|| {
            let mib = |bytes: u64| bytes.div_ceil(1 << 20);
            let message = format!(
                "the file system of `{}` has {} MiB free, and {} MiB may be needed",
                existing.display(),
                mib(free),
                mib(bytes)
            );
            Finding::blocker("host", "space", message).hint("free some, or move the vault elsewhere")
        })
    };
    needed.into_values().filter_map(short).collect()
}

fn size(path: &Path) -> u64 {
    let Ok(meta) = path.symlink_metadata() else { return 0 };
    if !meta.is_dir() {
        return meta.len();
    }
    let Ok(entries) = std::fs::read_dir(path) else { return 0 };
    entries.flatten().map(|entry| size(&entry.path())).sum()
}

/// What goes on with a claim while it is copied, and after another folder took its place.
pub async fn claims_in_use(ready: &Ready, hop: &Hop) -> Vec<Finding> {
    let services = hop.services();
    let mut findings = Vec::new();
    for (binding, _) in &ready.bound.datastores {
        let Some(drivers) = ready.drivers.get(&(binding.role, binding.name.clone())) else { continue };
        // Where it can't be told, the claim's own check says why.
        for (claim, pods) in drivers.trees.mounted_elsewhere(&services).await.unwrap_or_default() {
            let message = format!(
                "the claim `{claim}` is mounted by the pod `{}`, which the upgrade does not stop",
                pods.join("`, `")
            );
            let hint = "end it first; what belongs to the product its plugin has to stop";
            findings.push(Finding::blocker("host", "claim-in-use", message).hint(hint));
        }
    }
    findings
}

/// Whatever the services have open for writing belongs to a datastore or may be lost.
async fn unbound_stores(ready: &Ready, bound: &[PathBuf]) -> Vec<Finding> {
    let deployment = &ready.deployment;
    let directory = deployment.directory().cloned().unwrap_or_default();
    let disposable: Vec<PathBuf> = deployment
        .policy
        .disposable
        .iter()
        .filter_map(|entry| entry.strip_prefix("path:"))
        .map(|path| directory.join(path))
        .collect();
    let accounted = |path: &Path| {
        let companion = |base: &Path| {
            let (path, base) = (path.as_os_str().as_encoded_bytes(), base.as_os_str().as_encoded_bytes());
            // SQLite's own companions, and the copies that lie beside a store while policy keeps them.
            path.strip_prefix(base)
                .is_some_and(|rest| matches!(rest, b"-wal" | b"-shm" | b"-journal") || rest.starts_with(b".upgraded-"))
        };
        bound.iter().any(|base| path.starts_with(base) || companion(base))
            || disposable.iter().any(|base| path.starts_with(base) || companion(base))
    };
    let mut found: BTreeSet<OpenFile> = BTreeSet::new();
    let mut findings = Vec::new();
    for platform in &deployment.platforms {
        if let Some(drivers) = ready.drivers.get(&super::looks::key(platform)) {
            match drivers.services.open_for_writing().await {
                Ok(files) => found.extend(files),
                Err(error) => findings.push(Finding::blocker("host", "unbound-store", error.to_string())),
            }
        }
    }
    let blocker = |OpenFile { path, store, service }: OpenFile| {
        let named = store.as_deref().and_then(|store| store.split_once(':'));
        let (what, disposable) = match named {
            Some((kind, name)) => (format!("the {kind} `{name}`"), format!("{kind}:{name}")),
            None => {
                let shown = path.strip_prefix(&directory).unwrap_or(&path).display().to_string();
                (format!("`{}`", path.display()), format!("path:{shown}"))
            }
        };
        let message = format!("`{service}` writes to {what}, which no datastore names");
        let hint = format!(
            "name it in a datastore's `paths`, or list `{disposable}` under `[policy] disposable` if it may be lost"
        );
        Finding::blocker("host", "unbound-store", message).hint(hint)
    };
    let may_be_lost =
        |file: &OpenFile| file.store.as_ref().is_some_and(|store| deployment.policy.disposable.contains(store));
    findings.extend(found.into_iter().filter(|file| !accounted(&file.path) && !may_be_lost(file)).map(blocker));
    findings
}
