//! Whether a backup is of the paths that the deployment's file names now.

use super::looks::{Ready, failure};
use crate::config::Grants;
use crate::driver::beside::{artifact_name, one_component};
use crate::model::Failure;
use crate::plan::SavedBackup;
use std::collections::BTreeSet;

pub fn are_those_of(ready: &Ready, datastore: &str, backup: &SavedBackup, run: u64) -> Result<(), Failure> {
    let config = ready.deployment.datastores.iter().find(|config| config.binding.name == datastore);
    config.map_or(Ok(()), |config| compare(&config.grants, datastore, backup, run))
}

/// Of a datastore that is its paths; a server's artifacts have names of their own.
fn compare(grants: &Grants, datastore: &str, backup: &SavedBackup, run: u64) -> Result<(), Failure> {
    let named = grants.paths.keys().chain(grants.volumes.keys()).chain(grants.claims.keys());
    let now: BTreeSet<String> = named.map(|name| one_component(name)).collect();
    let then: BTreeSet<String> = backup.artifacts.iter().map(|key| artifact_name(key).to_owned()).collect();
    if now.is_empty() || grants.server.is_some() || grants.google.is_some() || now == then {
        return Ok(());
    }
    let listed = |names: &BTreeSet<String>| names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    let message = format!(
        "the backup of `{datastore}` in run {run} is of the paths {}, and the deployment's file names {}: name those of the \
         backup, by the same names, until the rollback is done",
        listed(&then),
        listed(&now)
    );
    Err(failure("paths", &message))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    #[test]
    fn a_backup_of_other_paths_is_refused_before_anything_is_stopped() {
        let grants = |names: &[&str], volumes: &[&str]| Grants {
            paths: names.iter().map(|name| ((*name).to_owned(), PathBuf::from("/srv").join(name))).collect(),
            volumes: volumes.iter().map(|name| ((*name).to_owned(), (*name).to_owned())).collect(),
            ..Grants::default()
        };
        let artifacts = ["shop/r1-backup-late-main/main/data%2Ffiles", "shop/r1-backup-late-main/main/media"];
        let backup = SavedBackup { artifacts: artifacts.map(str::to_owned).to_vec(), manifest: String::new() };
        let fits = |grants: Grants| compare(&grants, "main", &backup, 1);
        assert!(fits(grants(&["data/files", "media"], &[])).is_ok());
        assert!(fits(grants(&["data/files"], &["media"])).is_ok(), "by its name, wherever it lies");
        for other in [&["data/files"][..], &["data/files", "media", "more"], &["data/files", "pictures"]] {
            let failure = fits(grants(other, &[])).unwrap_err();
            assert!(failure.message.contains("`data%2Ffiles`, `media`"), "{}", failure.message);
        }
        assert!(fits(grants(&[], &[])).is_ok(), "a server's");
    }
}
