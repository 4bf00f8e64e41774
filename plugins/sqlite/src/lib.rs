//! The `sqlite` datastore: database files that the operator named, saved and put back through SQLite itself.
//!
//! Everything is the host's `sqlite`; this plugin only goes through the paths and joins what they say.

use schemars::JsonSchema;
use serde::Deserialize;
use upgraded_sdk::prelude::*;
use upgraded_sdk::{BackupRef, Paths, joined};

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Settings {
    /// Database files, absolute or beneath the platform's folder; a table names them.
    pub paths: Paths,
}

pub struct SqliteStore;

impl Datastore for SqliteStore {
    type Settings = Settings;
    const NAME: &'static str = "sqlite";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");

    fn preflight(_: &Call<Settings>, host: &DatastoreHost, _: &Hop) -> Result<Vec<Finding>> {
        let mut findings = Vec::new();
        for path in host.sqlite().list()? {
            match host.sqlite().check(&path, None) {
                Ok(problems) => findings.extend(wrong(&path, &problems)),
                Err(error) => findings.push(joined::unreadable(&path, error)?),
            }
        }
        Ok(findings)
    }

    fn fence(_: &Call<Settings>, host: &DatastoreHost) -> Result<String> {
        let paths = host.sqlite().list()?;
        Ok(joined::mark(&joined::every(&paths, |path| host.sqlite().fence(path))?))
    }

    fn mark(_: &Call<Settings>, host: &DatastoreHost) -> Result<String> {
        let paths = host.sqlite().list()?;
        Ok(joined::mark(&joined::each(&paths, |path| host.sqlite().mark(path))?))
    }

    fn unfence(_: &Call<Settings>, host: &DatastoreHost) -> Result<()> {
        for path in host.sqlite().list()?.iter().rev() {
            host.sqlite().unfence(path)?;
        }
        Ok(())
    }

    fn freeze(_: &Call<Settings>, host: &DatastoreHost) -> Result<bool> {
        for path in host.sqlite().list()? {
            host.sqlite().freeze(&path)?;
        }
        Ok(true)
    }

    fn backup(_: &Call<Settings>, host: &DatastoreHost, frozen: Option<&str>) -> Result<BackupRef> {
        let paths = host.sqlite().list()?;
        let saved = joined::of_backup(&paths, frozen, |path| host.sqlite().save(path, frozen))?;
        Ok(BackupRef {
            artifacts: saved.iter().map(|(_, (artifact, _))| artifact.clone()).collect(),
            manifest: joined::manifest(saved.into_iter().map(|(path, (_, manifest))| (path, manifest))),
        })
    }

    fn manifest(_: &Call<Settings>, host: &DatastoreHost, frozen: Option<&str>) -> Result<String> {
        let paths = host.sqlite().list()?;
        Ok(joined::manifest(joined::each(&paths, |path| host.sqlite().manifest(path, frozen))?))
    }

    fn restore(_: &Call<Settings>, host: &DatastoreHost, origin: &Origin) -> Result<()> {
        let paths = host.sqlite().list()?;
        match origin {
            Origin::Frozen(step) => {
                for path in &paths {
                    host.sqlite().swap(path, step)?;
                }
            }
            Origin::Backup(backup) => {
                for (path, artifact) in joined::pairs(&paths, &backup.artifacts)? {
                    host.sqlite().put_back(path, artifact)?;
                }
            }
        }
        Ok(())
    }

    fn discard(_: &Call<Settings>, host: &DatastoreHost, frozen: &str) -> Result<()> {
        for path in host.sqlite().list()? {
            host.sqlite().discard(&path, frozen)?;
        }
        Ok(())
    }
}

/// Many an application never enforces its references: what is wrong with them is no damage.
fn wrong(path: &str, problems: &[String]) -> Option<Finding> {
    let (references, broken): (Vec<&str>, Vec<&str>) =
        problems.iter().map(String::as_str).partition(|problem| problem.starts_with("reference: "));
    if !broken.is_empty() {
        let damaged = Finding::blocker("integrity", format!("`{path}` is damaged: {}", first_of(&broken)));
        return Some(damaged.hint(format!(
            "repair it first (`sqlite3 {path} .recover`): a backup of a damaged database is no way back"
        )));
    }
    let finding = || Finding::warning("references", format!("in `{path}`, {}", first_of(&references)));
    (!references.is_empty()).then(finding)
}

fn first_of(problems: &[&str]) -> String {
    let shown: Vec<&str> = problems.iter().take(3).copied().collect();
    let more = match problems.len().saturating_sub(shown.len()) {
        0 => String::new(),
        more => format!(", and {more} more"),
    };
    format!("{}{more}", shown.join("; "))
}

#[cfg(test)]
mod tests;

upgraded_sdk::export!(datastore SqliteStore);
