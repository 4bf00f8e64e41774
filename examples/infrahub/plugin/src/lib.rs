//! What the vendor of Infrahub ships for `upgraded`: the published upgrade procedure for Docker Compose, as code.

mod index;
mod validation;

use index::Index;
use schemars::JsonSchema;
use serde::Deserialize;
use upgraded_sdk::prelude::*;
use upgraded_sdk::rules::{Leg, Rules, Version};
use upgraded_sdk::serde_json;

const SETTINGS_FILE: &str = ".env";
const VERSION: &str = "VERSION";
const CACHE_ADDRESS: &str = "INFRAHUB_CACHE_ADDRESS";
/// The first release that needs the cache's address.
const NAMES_CACHE: (u64, u64) = (1, 9);

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Settings {
    /// Where the server listens, for example `http://127.0.0.1:8000`; list it under `http` as well.
    url: String,
    /// The address of the release index; list its server under `http` as well.
    releases: String,
    /// An API token, for the validation.
    token: Secret,
    /// The cache's host and port, for example `cache:6379`; 1.9.0 needs it in `.env`.
    cache_address: Option<String>,
    /// The artifact that the validation generates.
    #[serde(default = "artifact")]
    artifact: String,
}

fn artifact() -> String {
    "upgrade-check".into()
}

struct Infrahub;

impl Product for Infrahub {
    type Settings = Settings;
    const NAME: &'static str = "infrahub";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");

    fn releases(call: &Call<Settings>, host: &ProductHost) -> Result<Vec<Release>> {
        let release = |entry: index::Entry| Release {
            published: entry.published,
            breaking: entry.breaking,
            notes: entry.notes,
            ..Release::new(entry.version)
        };
        Ok(Index::read(host, &call.settings.releases)?.releases.into_iter().map(release).collect())
    }

    fn detect(call: &Call<Settings>, host: &ProductHost) -> Result<Installed> {
        let url = format!("{}/api/config", call.settings.url);
        let answer = host.http().get(&url)?;
        let config: serde_json::Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        let version = config["version"].as_str().map(Installed::new);
        version.ok_or_else(|| Error::unavailable(format!("`{url}` says {} and no version", answer.status)))
    }

    /// Patches directly, minors one after the other, a major version from the last minor before it.
    fn path(call: &Call<Settings>, host: &ProductHost, installed: &Installed, wanted: &str) -> Result<Vec<Hop>> {
        let installed = installed.version.as_str();
        if Version::parse(wanted).is_some_and(|wanted| Version::parse(installed).is_some_and(|now| wanted < now)) {
            return Err(Error::invalid(format!(
                "downgrading from `{installed}` to `{wanted}`: Not supported, use backup restoration; `upgradectl \
                 rollback` goes back with the data of before the upgrade"
            )));
        }
        let index = Index::read(host, &call.settings.releases)?;
        let rules = Rules::default().minors_one_at_a_time().majors(true);
        let legs = rules.path(&index.known(), installed, wanted)?;
        legs.into_iter().map(|leg| hop(call, &index, leg)).collect()
    }

    fn edits(call: &Call<Settings>, host: &ProductHost, hop: &Hop) -> Result<Vec<Edit>> {
        let mut edits = vec![Edit::set(SETTINGS_FILE, VERSION, &hop.target, "the images of the release")];
        let names_cache = Version::parse(&hop.target).is_some_and(|target| target.minor() >= NAMES_CACHE);
        if names_cache && !is_set(&host.files().read_text(SETTINGS_FILE)?, CACHE_ADDRESS) {
            let address = call.settings.cache_address.as_ref().ok_or_else(|| {
                let needs = "needs `cache-address` under `[settings]`: the cache's host and port, like `cache:6379`";
                Error::invalid(format!("{} {needs}", hop.target))
            })?;
            edits.push(Edit::set(SETTINGS_FILE, CACHE_ADDRESS, address, "Redis host configuration, since 1.9.0"));
        }
        Ok(edits)
    }

    fn verify(call: &Call<Settings>, host: &ProductHost, release: &str) -> Result<Vec<Finding>> {
        validation::validate(&call.settings, host, release)
    }
}

/// The database, whose volume is saved while it is stopped, comes first; then `infrahub upgrade`, where the release has
/// another graph; then who uses it.
fn hop(call: &Call<Settings>, index: &Index, leg: Leg) -> Result<Hop> {
    let service = |name| call.service(name);
    let (database, server, worker) = (service("database")?, service("infrahub-server")?, service("task-worker")?);
    let mut hop = Hop::new(&leg.source, &leg.target).act(Wave::new([database.clone()]));
    if index.migrates(&leg) {
        let upgrade = Once::new(server.clone(), ["infrahub", "upgrade"]).repeatable();
        hop = hop.act(upgrade.success("Database migration completed")).undo(Undo::RestoreData);
    } else {
        hop = hop.undo(Undo::CodeOnly);
    }
    (hop.breaking, hop.notes, hop.expected_seconds) = (leg.breaking, index.notes(&leg), typical(&leg));
    let hop = hop.act(Wave::new([server.clone()])).act(Wave::new([worker.clone()]));
    Ok(hop.quiesce([worker, server, database]).gate([service("gateway")?]))
}

/// "Typical upgrade times": 5 to 10 minutes for a patch, 10 to 30 for a minor version, 30 to 60 for a major one.
fn typical(leg: &Leg) -> Option<(u32, u32)> {
    let (from, to) = (Version::parse(&leg.source)?, Version::parse(&leg.target)?);
    Some(match (from.major() == to.major(), from.minor() == to.minor()) {
        (false, _) => (1800, 3600),
        (true, false) => (600, 1800),
        (true, true) => (300, 600),
    })
}

fn is_set(env: &str, key: &str) -> bool {
    let value = |line: &str| line.split_once('=').filter(|(known, _)| known.trim() == key).map(|(_, v)| v.trim().len());
    env.lines().filter_map(value).any(|length| length > 0)
}

upgraded_sdk::export!(product Infrahub);

#[cfg(test)]
mod tests;
