//! The `postgres` datastore: one database of a PostgreSQL server, fenced, frozen, saved, counted and put back.
//!
//! Only SQL and decisions are here; connections, `pg_dump` and `pg_restore` are the host's. Everything goes through
//! [`server::Server`], so that the tests run the same code against a real server without a component.
//!
//! Databases are named from steps ([`names`]). A copy is made under a name of its own, given owner, grants and settings,
//! and only then renamed to the name under which it counts: a name that exists is a copy that is whole.

mod copies;
mod evidence;
mod facts;
mod fence;
mod manifest;
mod names;
mod note;
mod preflight;
mod properties;
mod public;
mod quote;
mod restore;
mod server;

use names::Names;
use schemars::JsonSchema;
use serde::Deserialize;
use server::Granted;
use upgraded_sdk::prelude::*;
use upgraded_sdk::{BackupRef, Secret};

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Settings {
    /// The server, and the database that belongs to this datastore.
    pub server: ServerSettings,
    /// Databases of the same owner that belong to something else.
    #[serde(default)]
    pub unrelated: Vec<String>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ServerSettings {
    /// A Unix socket's folder, or an address of this machine; not where `service` names its container.
    #[serde(default)]
    pub host: Option<String>,
    /// The service of a platform with an `engine` in whose container the server runs.
    #[serde(default)]
    pub service: Option<String>,
    #[serde(default)]
    pub port: Option<u16>,
    /// The role that the host connects as.
    pub user: String,
    #[serde(default)]
    pub password: Option<Secret>,
    /// The product's database.
    #[schemars(extend("x-site" = "name"))]
    pub database: String,
    /// Where databases are made and renamed; `postgres` where none is named.
    #[serde(default)]
    pub maintenance: Option<String>,
    /// The folder of `pg_dump` and `pg_restore`; found where none is named.
    #[serde(default)]
    pub tools: Option<String>,
}

pub struct PostgresStore;

impl Datastore for PostgresStore {
    type Settings = Settings;
    const NAME: &'static str = "postgres";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");

    fn preflight(call: &Call<Settings>, host: &DatastoreHost, _: &Hop) -> Result<Vec<Finding>> {
        preflight::run(&Granted(host), &names(call), &call.settings.unrelated)
    }
    fn fence(call: &Call<Settings>, host: &DatastoreHost) -> Result<String> {
        fence::fence(&Granted(host), &names(call))
    }
    fn mark(call: &Call<Settings>, host: &DatastoreHost) -> Result<String> {
        fence::mark(&Granted(host), &names(call))
    }
    fn unfence(call: &Call<Settings>, host: &DatastoreHost) -> Result<()> {
        fence::unfence(&Granted(host), &names(call))
    }
    fn freeze(call: &Call<Settings>, host: &DatastoreHost) -> Result<bool> {
        copies::freeze(&Granted(host), &names(call))
    }
    fn backup(call: &Call<Settings>, host: &DatastoreHost, frozen: Option<&str>) -> Result<BackupRef> {
        copies::backup(&Granted(host), &names(call), frozen)
    }
    fn manifest(call: &Call<Settings>, host: &DatastoreHost, frozen: Option<&str>) -> Result<String> {
        copies::manifest(&Granted(host), &names(call), frozen)
    }
    fn restore(call: &Call<Settings>, host: &DatastoreHost, origin: &Origin) -> Result<()> {
        match origin {
            Origin::Frozen(step) => restore::from_frozen(&Granted(host), &names(call), step),
            Origin::Backup(backup) => restore::from_backup(&Granted(host), &names(call), backup),
        }
    }
    fn discard(call: &Call<Settings>, host: &DatastoreHost, frozen: &str) -> Result<()> {
        copies::discard(&Granted(host), &names(call), frozen)
    }
}

fn names(call: &Call<Settings>) -> Names {
    Names::new(&call.settings.server.database, &call.step)
}

#[cfg(test)]
mod tests;

upgraded_sdk::export!(datastore PostgresStore);
