//! The `files` datastore: folders and files that the operator named, saved and put back as whole trees.
//!
//! Everything is the host's `trees`; this plugin only goes through the paths and joins what they say.

use schemars::JsonSchema;
use serde::Deserialize;
use upgraded_sdk::prelude::*;
use upgraded_sdk::{BackupRef, Paths, joined};

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Settings {
    /// Folders and files, absolute or beneath the platform's folder; a table names them.
    pub paths: Paths,
}

pub struct FilesStore;

impl Datastore for FilesStore {
    type Settings = Settings;
    const NAME: &'static str = "files";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");

    fn preflight(_: &Call<Settings>, host: &DatastoreHost, _: &Hop) -> Result<Vec<Finding>> {
        let mut findings = Vec::new();
        for path in host.trees().list()? {
            if let Err(error) = host.trees().mark(&path) {
                findings.push(joined::unreadable(&path, error)?);
            }
        }
        Ok(findings)
    }

    fn fence(call: &Call<Settings>, host: &DatastoreHost) -> Result<String> {
        // A folder can't be locked: those who write are stopped, and a mark that moves shows who was not.
        Self::mark(call, host)
    }

    fn mark(_: &Call<Settings>, host: &DatastoreHost) -> Result<String> {
        let paths = host.trees().list()?;
        let marks = joined::each(&paths, |path| host.trees().mark(path))?;
        Ok(joined::mark(&marks))
    }

    fn unfence(_: &Call<Settings>, _: &DatastoreHost) -> Result<()> {
        Ok(())
    }

    fn freeze(_: &Call<Settings>, host: &DatastoreHost) -> Result<bool> {
        for path in host.trees().list()? {
            host.trees().freeze(&path)?;
        }
        Ok(true)
    }

    fn backup(call: &Call<Settings>, host: &DatastoreHost, frozen: Option<&str>) -> Result<BackupRef> {
        let paths = host.trees().list()?;
        let saved = joined::of_backup(&paths, frozen, |path| save(call, host, path, frozen))?;
        Ok(BackupRef {
            artifacts: saved.iter().map(|(_, (artifact, _))| artifact.clone()).collect(),
            manifest: joined::manifest(saved.into_iter().map(|(path, (_, manifest))| (path, manifest))),
        })
    }

    fn manifest(_: &Call<Settings>, host: &DatastoreHost, frozen: Option<&str>) -> Result<String> {
        let paths = host.trees().list()?;
        Ok(joined::manifest(joined::each(&paths, |path| host.trees().manifest(path, frozen))?))
    }

    fn restore(_: &Call<Settings>, host: &DatastoreHost, origin: &Origin) -> Result<()> {
        let paths = host.trees().list()?;
        match origin {
            Origin::Frozen(step) => {
                for path in &paths {
                    host.trees().swap(path, step)?;
                }
            }
            Origin::Backup(backup) => {
                for (path, artifact) in joined::pairs(&paths, &backup.artifacts)? {
                    host.trees().put_back(path, artifact)?;
                }
            }
        }
        Ok(())
    }

    fn discard(_: &Call<Settings>, host: &DatastoreHost, frozen: &str) -> Result<()> {
        for path in host.trees().list()? {
            host.trees().discard(&path, frozen)?;
        }
        Ok(())
    }
}

/// Saves a path and says what the bytes hold. A tree that is written to meanwhile has no such manifest: then a copy is
/// made, which nobody writes to, and saved instead.
fn save(call: &Call<Settings>, host: &DatastoreHost, path: &str, frozen: Option<&str>) -> Result<(String, String)> {
    let trees = host.trees();
    let before = trees.manifest(path, frozen)?;
    let artifact = trees.save(path, frozen)?;
    if trees.manifest(path, frozen)? == before {
        return Ok((artifact, before));
    }
    if let Some(step) = frozen {
        return Err(Error::conflict(format!("the copy of `{path}` that `{step}` made changed while it was saved")));
    }
    host.info(&format!("`{path}` is written to while it is saved: saving a copy of it"));
    trees.freeze(path)?;
    let saved = trees.manifest(path, Some(&call.step)).and_then(|manifest| {
        let artifact = trees.save(path, Some(&call.step))?;
        Ok((artifact, manifest))
    });
    trees.discard(path, &call.step)?;
    saved
}

#[cfg(test)]
mod tests;

upgraded_sdk::export!(datastore FilesStore);
