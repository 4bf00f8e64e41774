//! Where a rehearsal lies: a folder in the daemon's state, or beside it where the engine can't look into that, and a Compose
//! project, pods or a release of its own; and how both vanish.

use super::copy::{copy_project, size_bytes};
use crate::config::Deployment;
use crate::context::StepContext;
use crate::daemon::host::Host;
use crate::daemon::looks::{Ready, failure};
use crate::driver::beside::work;
use crate::driver::compose::double::{Double, REHEARSAL_LABEL, project_name};
use crate::driver::durable::free_bytes;
use crate::driver::process::end_marked_of;
use crate::driver::server::Around;
use crate::driver::{Drivers, Rehearsable};
use crate::model::{BackupRef, Failure, Role};
use crate::vault::Vault;
use serde_json::Value;
use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Restored, frozen, and in the vault of the double's own run.
const COPIES: u64 = 3;

pub struct Site {
    double: Arc<Double>,
    drivers: Arc<Drivers>,
    live: Rehearsable,
    deployment: Deployment,
}

/// The project that runs, as far as its double is made of it.
pub struct Original {
    /// As `docker compose config` has it, where that is asked.
    pub live: Arc<Value>,
    /// Where its data is, in its folder.
    apart: Vec<PathBuf>,
}

/// On one file system.
struct Needed {
    data: u64,
    /// Of the project's folder.
    copy: u64,
}

/// What a host of a double is made with.
#[derive(Clone)]
pub struct Place {
    pub double: Arc<Double>,
    /// The double's volumes, by what is live.
    volumes: BTreeMap<String, String>,
}

impl Site {
    pub async fn of(host: &Host, ready: &Ready) -> Result<Self, Failure> {
        let deployment = ready.deployment.clone();
        let missing = || failure("missing", &"there is nothing to rehearse");
        let platform = deployment.platforms.first().ok_or_else(missing)?;
        let drivers = ready.drivers.get(&(Role::Platform, platform.binding.name.clone())).ok_or_else(missing)?.clone();
        let live = drivers.rehearsable().ok_or_else(missing)?;
        let origin = deployment.directory().cloned().ok_or_else(missing)?;
        let state = &host.settings.state;
        let folder = live.folder(state).await?.join(&deployment.name);
        let of = format!("{}\0{}", state.display(), deployment.name);
        let project = project_name("rehearsal", &deployment.name, &of);
        let double = Double { project, deployment: deployment.name.clone(), label: REHEARSAL_LABEL, folder, origin };
        Ok(Self { double: Arc::new(double), drivers, live, deployment })
    }

    /// Nothing of an earlier one is left. Converges.
    pub async fn clear(&self, cx: &StepContext) -> Result<(), Failure> {
        let (project, folder) = (&self.double.project, self.double.folder.clone());
        end_marked_of(project).await;
        self.live.discard(&self.double).await?;
        if let Rehearsable::Containers(_) = self.live {
            self.drivers.images.discard(&format!("{project}-")).await?;
            self.drivers.images.let_go_of(project).await?;
        }
        let removed = work::run(cx, folder.clone(), move |_| match std::fs::remove_dir_all(&folder) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                let message = format!("`{}` can't be removed: {error}", folder.display());
                Err(crate::model::VerbError::other("io", message))
            }
            _ => Ok(()),
        });
        Ok(removed.await?)
    }

    pub async fn original(&self) -> Result<Original, Failure> {
        let (live, mut apart) = match &self.live {
            Rehearsable::Containers(Around::Compose(compose)) => {
                let live = compose.configuration().await?;
                let apart = writable_binds(&live);
                (live, apart)
            }
            Rehearsable::Containers(Around::Pods(pods)) => (Arc::default(), pods.written_paths().await?),
            Rehearsable::Release(release) => (Arc::default(), release.written_paths().await?),
        };
        apart.extend(self.deployment.datastores.iter().flat_map(|datastore| datastore.grants.paths.values().cloned()));
        apart.retain(|path| path.starts_with(&self.double.origin) && *path != self.double.origin);
        Ok(Original { live, apart })
    }

    /// The disk of what is live is not filled by a rehearsal.
    pub async fn has_room(
        &self, cx: &StepContext, vault: &Vault, backups: &BTreeMap<String, BackupRef>, original: &Original,
    ) -> Result<(), Failure> {
        let keys: Vec<String> = backups.values().flat_map(|backup| backup.artifacts.iter().cloned()).collect();
        let vault = vault.clone();
        let sizes = move || keys.iter().map(|key| vault.find(key).map(|artifact| artifact.size_bytes)).sum();
        let bytes: Result<u64, crate::vault::VaultError> =
            tokio::task::spawn_blocking(sizes).await.map_err(|error| failure("vault", &error))?;
        let data = bytes.map_err(|error| failure("vault", &error))?.saturating_mul(COPIES);
        let (from, apart) = (self.double.origin.clone(), original.apart.clone());
        let copy = work::run(cx, self.double.copy(), move |pulse| size_bytes(&from, &apart, pulse)).await?;
        let folder = &self.double.folder;
        for place in [Some(folder.clone()), self.live.place().await?].into_iter().flatten() {
            let Some(free) = free_bytes(&place) else { continue };
            let needed = Needed { data, copy: if file_system(&place) == file_system(folder) { copy } else { 0 } };
            if let Some(why) = needed.lacks_room(&place, free) {
                return Err(failure("space", &why));
            }
        }
        Ok(())
    }

    /// Lays out what the project's folder has beside data.
    pub async fn copy_project(&self, cx: &StepContext, original: &Original) -> Result<(), Failure> {
        let (from, to, apart) = (self.double.origin.clone(), self.double.copy(), original.apart.clone());
        let copied = work::run(cx, to.clone(), move |pulse| copy_project(&from, &to, &apart, pulse));
        Ok(copied.await?)
    }

    pub fn double(&self, live: &Value) -> Place {
        let all = live["volumes"].as_object().into_iter().flatten();
        let volumes =
            all.filter_map(|(key, entry)| Some((entry["name"].as_str()?.to_owned(), self.double.volume(key))));
        Place { double: self.double.clone(), volumes: volumes.collect() }
    }
}

impl Place {
    /// The deployment as its double has it.
    pub fn instead_of(&self, mut deployment: Deployment) -> Deployment {
        let double = &self.double;
        // So that what it makes is told from what is live.
        deployment.name.clone_from(&double.project);
        for platform in &mut deployment.platforms {
            let grants = &mut platform.grants;
            grants.directory = grants.directory.as_deref().map(|path| double.moved(path));
            grants.compose.project = Some(double.project.clone());
            grants.services.clear();
        }
        for datastore in &mut deployment.datastores {
            let grants = &mut datastore.grants;
            grants.paths.values_mut().for_each(|path| *path = double.moved(path));
            grants.volumes.values_mut().for_each(|volume| *volume = self.volume(volume));
        }
        let policy = &mut deployment.policy;
        policy.window.clear();
        policy.approve = crate::config::Approve::Never;
        policy.drill = crate::config::Drill::Off;
        policy.rehearse = false;
        for entry in &mut policy.disposable {
            if let Some(volume) = entry.strip_prefix("volume:") {
                *entry = format!("volume:{}", self.volume(volume));
            } else if let Some(path) = entry.strip_prefix("path:") {
                *entry = format!("path:{}", double.moved(&double.origin.join(path)).display());
            }
        }
        deployment
    }

    fn volume(&self, live: &str) -> String {
        // What is anonymous is called by its service.
        let named = |live: &str| if live.contains(':') { live.to_owned() } else { self.double.volume(live) };
        self.volumes.get(live).cloned().unwrap_or_else(|| named(live))
    }
}

fn writable_binds(rendered: &Value) -> Vec<PathBuf> {
    let services = rendered["services"].as_object().into_iter().flatten();
    let mounts = services.flat_map(|(_, service)| service["volumes"].as_array().into_iter().flatten());
    let writable = mounts.filter(|mount| mount["type"] == "bind" && mount["read_only"] != true);
    writable.filter_map(|mount| Some(PathBuf::from(mount["source"].as_str()?))).collect()
}

impl Needed {
    fn lacks_room(&self, place: &Path, free: u64) -> Option<String> {
        let mib = |bytes: u64| bytes.div_ceil(1 << 20);
        let needed = self.data.saturating_add(self.copy);
        let copy = match self.copy {
            0 => String::new(),
            copy => format!(" ({} of them for a copy of the project's folder)", mib(copy)),
        };
        let message = format!(
            "a rehearsal may need {} MiB{copy} on the file system of `{}`, which has {} MiB free; nothing was started",
            mib(needed),
            place.display(),
            mib(free)
        );
        (free < needed).then_some(message)
    }
}

/// On which the path lies, or will lie.
fn file_system(path: &Path) -> Option<u64> {
    path.ancestors().find_map(|path| path.metadata().ok()).map(|found| found.dev())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folders_copy_counts_beside_its_data() {
        const MIB: u64 = 1 << 20;
        let lacks = |data, copy, free| Needed { data, copy }.lacks_room(Path::new("/var"), free);
        assert_eq!(lacks(3 * MIB, 2 * MIB, 5 * MIB), None);
        assert_eq!(lacks(3 * MIB, 0, 3 * MIB), None);
        let why = lacks(3 * MIB, 2 * MIB, 4 * MIB).unwrap();
        assert!(
            why.starts_with("a rehearsal may need 5 MiB (2 of them for a copy of the project's folder) on"),
            "{why}"
        );
        let why = lacks(3 * MIB, 0, 1).unwrap();
        assert!(
            why.ends_with("3 MiB on the file system of `/var`, which has 1 MiB free; nothing was started"),
            "{why}"
        );
    }

    #[test]
    fn what_is_not_there_yet_lies_where_its_folder_does() {
        let scratch = tempfile::tempdir().unwrap();
        assert_eq!(file_system(&scratch.path().join("a/b")), file_system(scratch.path()));
        assert_ne!(file_system(Path::new("/proc/self")), file_system(scratch.path()));
    }
}
