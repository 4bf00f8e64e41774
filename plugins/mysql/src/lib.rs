//! The `mysql` datastore: one database of a MySQL or MariaDB server, fenced, saved, counted and put back.
//!
//! Everything is the host's `mysql`; this plugin says what its answers mean.

use schemars::JsonSchema;
use serde::Deserialize;
use upgraded_sdk::prelude::*;
use upgraded_sdk::{BackupRef, Secret};

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Settings {
    /// The server, and the database that belongs to this datastore.
    pub server: ServerSettings,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ServerSettings {
    /// A service of the platform, in whose container the server runs.
    #[serde(default)]
    pub service: Option<String>,
    /// Else: a Unix socket or its folder, or an address of this machine.
    #[serde(default)]
    pub host: Option<String>,
    /// 3306 where none is named.
    #[serde(default)]
    pub port: Option<u16>,
    /// The account that the host connects as.
    pub user: String,
    #[serde(default)]
    pub password: Option<Secret>,
    /// The product's database.
    #[schemars(extend("x-site" = "name"))]
    pub database: String,
    /// Of no use here.
    #[serde(default)]
    pub maintenance: Option<String>,
    /// Of no use here.
    #[serde(default)]
    pub tools: Option<String>,
}

pub struct MysqlStore;

impl Datastore for MysqlStore {
    type Settings = Settings;
    const NAME: &'static str = "mysql";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");

    fn preflight(_: &Call<Settings>, host: &DatastoreHost, _: &Hop) -> Result<Vec<Finding>> {
        match host.mysql().check() {
            Ok(problems) => Ok(problems.into_iter().enumerate().map(problem).collect()),
            Err(error) => Ok(vec![unreachable(error)?]),
        }
    }

    fn fence(_: &Call<Settings>, host: &DatastoreHost) -> Result<String> {
        host.mysql().fence()
    }

    fn mark(_: &Call<Settings>, host: &DatastoreHost) -> Result<String> {
        host.mysql().mark()
    }

    fn unfence(_: &Call<Settings>, host: &DatastoreHost) -> Result<()> {
        host.mysql().unfence()
    }

    fn freeze(_: &Call<Settings>, host: &DatastoreHost) -> Result<bool> {
        host.mysql().freeze()
    }

    fn backup(_: &Call<Settings>, host: &DatastoreHost, frozen: Option<&str>) -> Result<BackupRef> {
        let (artifacts, manifest) = host.mysql().save(frozen)?;
        Ok(BackupRef { artifacts, manifest })
    }

    fn manifest(_: &Call<Settings>, host: &DatastoreHost, frozen: Option<&str>) -> Result<String> {
        host.mysql().manifest(frozen)
    }

    fn restore(_: &Call<Settings>, host: &DatastoreHost, origin: &Origin) -> Result<()> {
        match origin {
            Origin::Backup(backup) => host.mysql().put_back(&backup.artifacts),
            Origin::Frozen(step) => host.mysql().swap(step),
        }
    }

    fn discard(_: &Call<Settings>, host: &DatastoreHost, frozen: &str) -> Result<()> {
        host.mysql().discard(frozen)
    }
}

/// An id of its own for each.
fn problem((number, message): (usize, String)) -> Finding {
    let id = if number == 0 { "server".to_owned() } else { format!("server-{}", number + 1) };
    Finding::blocker(id, message)
}

/// The finding for a server that can't be asked; what says nothing about it stays an error.
fn unreachable(error: Error) -> Result<Finding> {
    match error {
        Error::Cancelled | Error::Timeout => Err(error),
        Error::Denied(why) => Ok(Finding::blocker("denied", why)),
        error => Ok(Finding::blocker("connection", error.text())
            .hint("start the server, and name its service, or its address, in the `server` table")),
    }
}

#[cfg(test)]
mod tests;

upgraded_sdk::export!(datastore MysqlStore);
