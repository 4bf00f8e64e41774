//! The `cloud-sql` datastore: an instance of Google Cloud SQL, backed up on demand and restored in place.
//!
//! The whole instance goes back, all of its databases. What it holds is known to Google alone, so a manifest is the list
//! of its databases; where the operator grants `server`, the product's database is counted row by row as well, over
//! PostgreSQL's protocol, and the mark is the server's own evidence of the last write. There is no fence: that nobody
//! writes is the platform's work, and seen by nobody being connected.

mod rows;

use schemars::JsonSchema;
use serde::Deserialize;
use upgraded_sdk::prelude::*;
use upgraded_sdk::{BackupRef, Instance};

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Settings {
    /// The same server, reached directly: what it holds can be counted then.
    #[serde(default)]
    pub server: Option<Server>,
}

/// The rest of the server's table is the host's.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Server {
    /// The product's database.
    #[schemars(extend("x-site" = "name"))]
    pub database: String,
}

pub struct CloudSql;

/// In place of a mark, where there is no evidence.
const UNSEEN: &str = "unseen";

impl Datastore for CloudSql {
    type Settings = Settings;
    const NAME: &'static str = "cloud-sql";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");

    fn preflight(call: &Call<Settings>, host: &DatastoreHost, hop: &Hop) -> Result<Vec<Finding>> {
        let instance = match host.cloud_sql().look() {
            Ok(instance) => instance,
            Err(Error::NotFound(why) | Error::Invalid(why)) => return Ok(vec![Finding::blocker("instance", why)]),
            Err(Error::Conflict(why)) => return Ok(vec![replicas(hop, why)]),
            Err(Error::Denied(why)) => {
                let hint = "look at `project` under `google`; the daemon's account needs `roles/cloudsql.admin` there, or \
                            at least the rights to get instances, and to create, get, list and restore backup runs";
                return Ok(vec![Finding::blocker("google", why).hint(hint)]);
            }
            Err(error) => return Err(error),
        };
        let mut findings = Vec::new();
        if !instance.runnable {
            let message = format!(
                "the instance `{}` is {}, and can be neither backed up nor restored",
                instance.name, instance.state
            );
            findings.push(Finding::blocker("instance", message));
        }
        findings.push(price(&instance));
        findings.extend(kept(&instance));
        match &call.settings.server {
            Some(server) => findings.extend(counted(host, &instance, server)?),
            None => {
                let message = "what the instance holds is not counted, and nothing tells whether somebody writes while the \
                               upgrade works: a restore is compared by the names of its databases alone";
                let hint = "grant `server`, the address and an account of the database, to have rows counted";
                findings.push(Finding::warning("not-counted", message).hint(hint));
            }
        }
        Ok(findings)
    }

    /// Once nobody else is connected.
    fn fence(call: &Call<Settings>, host: &DatastoreHost) -> Result<String> {
        if let Some(server) = &call.settings.server {
            rows::until_alone(host, &server.database)?;
        }
        mark(call, host)
    }
    fn mark(call: &Call<Settings>, host: &DatastoreHost) -> Result<String> {
        mark(call, host)
    }
    fn unfence(_: &Call<Settings>, _: &DatastoreHost) -> Result<()> {
        Ok(())
    }
    fn backup(call: &Call<Settings>, host: &DatastoreHost, frozen: Option<&str>) -> Result<BackupRef> {
        if let Some(step) = frozen {
            // It is a backup already, and stays one.
            host.info(&format!("what `{step}` set aside is a backup at Google's, and stays there"));
            return Ok(BackupRef { artifacts: Vec::new(), manifest: String::new() });
        }
        let before = manifest(call, host)?;
        let artifact = host.cloud_sql().save()?;
        let after = manifest(call, host)?;
        Ok(BackupRef { artifacts: vec![artifact], manifest: rows::with_moved(&before, &after) })
    }
    fn manifest(call: &Call<Settings>, host: &DatastoreHost, _: Option<&str>) -> Result<String> {
        manifest(call, host)
    }
    fn restore(_: &Call<Settings>, host: &DatastoreHost, origin: &Origin) -> Result<()> {
        match origin {
            Origin::Backup(backup) => match &backup.artifacts[..] {
                [artifact] => host.cloud_sql().put_back(artifact),
                other => Err(Error::invalid(format!("a backup is one artifact, not {}", other.len()))),
            },
            Origin::Frozen(step) => {
                Err(Error::not_found(format!("`{step}` froze nothing: an instance has no frozen copy")))
            }
        }
    }
}

fn mark(call: &Call<Settings>, host: &DatastoreHost) -> Result<String> {
    match &call.settings.server {
        Some(server) => rows::evidence(host, &server.database),
        None => Ok(UNSEEN.into()),
    }
}

fn manifest(call: &Call<Settings>, host: &DatastoreHost) -> Result<String> {
    let databases = host.cloud_sql().databases()?;
    let mut lines: Vec<String> = databases.into_iter().map(|name| format!("database/{name}\t1\t-")).collect();
    if let Some(server) = &call.settings.server {
        lines.extend(rows::count(host, &server.database)?);
    }
    lines.sort();
    Ok(lines.join("\n"))
}

/// Of a hop that rolls nothing is restored: it serves on, and goes back by code alone.
fn replicas(hop: &Hop, why: String) -> Finding {
    let mut waves = hop.acts.iter().filter_map(|act| if let Act::Wave(wave) = act { Some(wave.rolling) } else { None });
    let waves_roll = waves.next() == Some(true) && waves.all(|rolling| rolling);
    let serves_on = hop.gate.is_empty() && hop.quiesce.is_empty() && waves_roll;
    let by_code = hop.expand_only && hop.undo.iter().any(|undo| matches!(undo, Undo::CodeOnly));
    let finding = match serves_on && by_code {
        true => Finding::warning("replicas", why),
        false => Finding::blocker("replicas", why),
    };
    finding
        .hint("delete the replicas before the upgrade, and make them anew once its data is not to be restored any more")
}

/// In words: Google's prices are another for each region and contract.
fn price(instance: &Instance) -> Finding {
    let size = instance.disk_gb.map(|gb| format!(" with {gb} GB")).unwrap_or_default();
    let message = format!(
        "each run makes an on-demand backup of `{}` ({} {}{size} in {}), and a rollback with data one more: Google charges \
         them by their size until `keep-backups` lets them go; a restore takes the instance away for as long as it lasts",
        instance.name, instance.version, instance.tier, instance.region
    );
    Finding::info("price", message)
}

/// How long Google keeps them, where that is not for as long as policy wants them.
fn kept(instance: &Instance) -> Option<Finding> {
    let name = &instance.name;
    if instance.backups_managed {
        let message = format!(
            "backups of `{name}` are managed by Google's Backup and DR: its plan says how long one is kept, whatever \
             `keep-backups` says, and a rollback with data needs one that is still there"
        );
        let hint = "have the plan keep backups on demand for as long as you may want to go back";
        return Some(Finding::warning("backups-managed", message).hint(hint));
    }
    if instance.backups_outlive_it {
        return None;
    }
    let message = format!("backups lie at Google's alone, and whoever deletes `{name}` deletes them with it");
    let hint = format!("`gcloud sql instances patch {name} --retain-backups-on-delete` keeps them");
    Some(Finding::info("backups-go-with-it", message).hint(hint))
}

fn counted(host: &DatastoreHost, instance: &Instance, server: &Server) -> Result<Vec<Finding>> {
    if !instance.version.starts_with("POSTGRES") {
        let message = format!("`{}` is {}, and rows are counted on PostgreSQL alone", instance.name, instance.version);
        return Ok(vec![Finding::blocker("server", message).hint("leave `server` away")]);
    }
    if !host.cloud_sql().databases()?.contains(&server.database) {
        let message = format!("the instance `{}` has no database `{}`", instance.name, server.database);
        return Ok(vec![Finding::blocker("server", message)]);
    }
    match rows::evidence(host, &server.database) {
        Ok(_) => Ok(Vec::new()),
        Err(Error::Cancelled) => Err(Error::Cancelled),
        Err(error) => Ok(vec![Finding::blocker("server", format!("the database can't be counted: {}", error.text()))]),
    }
}

#[cfg(test)]
mod tests;

upgraded_sdk::export!(datastore CloudSql);
