//! What the vendor of AEGIS ships for `upgraded`: the published upgrade procedures for podman, as code.

mod database;
mod hop;
mod index;

use index::{Entry, Index};
use schemars::JsonSchema;
use serde::Deserialize;
use upgraded_sdk::prelude::*;
use upgraded_sdk::rules::Rules;
use upgraded_sdk::{Response, serde_json};

const SETTINGS_FILE: &str = ".env";
const VERSION: &str = "AEGIS_IMAGE_TAG";
/// How often something is looked at that takes a while.
const LOOKS: u64 = 60;
const LOOK_EVERY_MS: u64 = 500;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Settings {
    /// Where the runtime listens, for example `http://127.0.0.1:8088`; list it under `http` as well.
    url: String,
    /// The address of the release index; list its server under `http` as well.
    releases: String,
}

struct Aegis;

impl Product for Aegis {
    type Settings = Settings;
    const NAME: &'static str = "aegis";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");

    fn releases(call: &Call<Settings>, host: &ProductHost) -> Result<Vec<Release>> {
        let index = Index::read(host, &call.settings.releases)?;
        let known = index.known();
        let release = |entry: &Entry| Release {
            published: entry.published.clone(),
            breaking: known.iter().any(|one| one.version == entry.version && one.breaking),
            notes: entry.notes.clone(),
            ..Release::new(&entry.version)
        };
        Ok(index.entries().iter().map(release).collect())
    }

    fn detect(call: &Call<Settings>, host: &ProductHost) -> Result<Installed> {
        let health = host.http().get(&format!("{}/health", call.settings.url))?;
        match told(&health)["version"].as_str() {
            Some(version) => Ok(Installed::new(version)),
            None => Err(Error::unavailable(format!("the runtime does not say its version: {}", health.text()))),
        }
    }

    fn path(call: &Call<Settings>, host: &ProductHost, installed: &Installed, wanted: &str) -> Result<Vec<Hop>> {
        let index = Index::read(host, &call.settings.releases)?;
        let legs = Rules::default().majors(true).path(&index.known(), &installed.version, wanted)?;
        legs.into_iter().map(|leg| hop::of(call, &index, leg)).collect()
    }

    /// "Update Image Tag": "Edit .env to point to the new version"; where it brings another PostgreSQL, "Update image tag in
    /// pod-database.yaml".
    fn edits(call: &Call<Settings>, host: &ProductHost, hop: &Hop) -> Result<Vec<Edit>> {
        let index = Index::read(host, &call.settings.releases)?;
        let (from, to) = (index.find(&hop.source)?, index.find(&hop.target)?);
        let mut edits = vec![Edit::set(SETTINGS_FILE, VERSION, &hop.target, "the images of the release")];
        if from.postgres != to.postgres {
            edits.push(database::edit(host, &to.postgres)?);
        }
        Ok(edits)
    }

    fn verify(call: &Call<Settings>, host: &ProductHost, release: &str) -> Result<Vec<Finding>> {
        let url = &call.settings.url;
        let expected = Index::read(host, &call.settings.releases)?.find(release)?.db_migration.clone();
        let mut findings = Vec::new();
        let mut health = serde_json::Value::Null;
        // A worker says so a moment after it was started.
        for look in 1..=LOOKS {
            health = told(&host.http().get(&format!("{url}/health"))?);
            if health["worker"] == release || host.cancelled() {
                break;
            }
            host.progress(look, Some(LOOKS), "looks", "waiting for the Temporal worker");
            host.pause(LOOK_EVERY_MS);
        }
        for (id, what, is, right) in [
            ("version", "the runtime", &health["version"], release),
            ("worker", "the Temporal worker", &health["worker"], release),
            ("db-migration", "the database", &health["db_migration"], expected.as_str()),
        ] {
            if is != right {
                findings
                    .push(Finding::blocker(id, format!("{what} should be at {right}, and `/health` says {health}")));
            }
        }
        let answer = host.http().get(&format!("{url}/v1/agents"))?;
        let agents = told(&answer);
        let same = |key: &str| !agents[key].is_null() && agents[key] == agents["ledger"][key];
        if answer.status != 200 || !same("count") || !same("checksum") {
            let message = format!("the agents are not what the ledger says: {} {}", answer.status, answer.text());
            findings.push(Finding::blocker("agents", message));
        }
        Ok(findings)
    }
}

fn told(answer: &Response) -> serde_json::Value {
    serde_json::from_slice(&answer.body).unwrap_or_default()
}

upgraded_sdk::export!(product Aegis);

#[cfg(test)]
mod tests;
