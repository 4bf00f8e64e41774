//! What the vendor of Infrahub ships for `upgraded`: the published upgrade procedures for Docker Compose and for Kubernetes,
//! as code.

mod index;
mod validation;
mod values;

use index::Index;
use schemars::JsonSchema;
use serde::Deserialize;
use upgraded_sdk::prelude::*;
use upgraded_sdk::rules::{Leg, Rules, Version};
use upgraded_sdk::{Change, IDLE_MS, serde_json};

const HELM: &str = "helm";
const SETTINGS_FILE: &str = ".env";
const VERSION: &str = "VERSION";
const CACHE_ADDRESS: &str = "INFRAHUB_CACHE_ADDRESS";
const MIGRATED: &str = "Database migration completed";
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
    /// The cache's host and port, for example `cache:6379`; 1.9.0 needs it in `.env`, and its chart in the values.
    cache_address: Option<String>,
    /// The chart's values that the cache's address goes to.
    #[serde(default = "values_file")]
    values: String,
    /// The artifact that the validation generates.
    #[serde(default = "artifact")]
    artifact: String,
}

fn artifact() -> String {
    "upgrade-check".into()
}

fn values_file() -> String {
    "values.yaml".into()
}

impl Settings {
    fn cache_for(&self, release: &str) -> Result<&str> {
        self.cache_address.as_deref().ok_or_else(|| {
            let needs = "needs `cache-address` under `[settings]`: the cache's host and port, like `cache:6379`";
            Error::invalid(format!("{release} {needs}"))
        })
    }
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
        let names_cache = Version::parse(&hop.target).is_some_and(|target| target.minor() >= NAMES_CACHE);
        let why = "Redis host configuration, since 1.9.0";
        // The platform writes the version into the values.
        if on_helm(call) {
            return if names_cache { values_for(call, host, hop, why) } else { Ok(Vec::new()) };
        }
        let mut edits = vec![Edit::set(SETTINGS_FILE, VERSION, &hop.target, "the images of the release")];
        if names_cache && !is_set(&host.files().read_text(SETTINGS_FILE)?, CACHE_ADDRESS) {
            edits.push(Edit::set(SETTINGS_FILE, CACHE_ADDRESS, call.settings.cache_for(&hop.target)?, why));
        }
        Ok(edits)
    }

    fn verify(call: &Call<Settings>, host: &ProductHost, release: &str) -> Result<Vec<Finding>> {
        validation::validate(&call.settings, host, release)
    }
}

fn on_helm(call: &Call<Settings>) -> bool {
    call.bindings.iter().any(|binding| binding.plugin == HELM)
}

fn values_for(call: &Call<Settings>, host: &ProductHost, hop: &Hop, why: &str) -> Result<Vec<Edit>> {
    let (file, text) = (&call.settings.values, host.files().read_text(&call.settings.values)?);
    let address = call.settings.cache_address.as_deref().unwrap_or_default();
    let Some(text) = values::with(&text, "cache", "address", address).map_err(|error| error.about(file))? else {
        return Ok(Vec::new());
    };
    call.settings.cache_for(&hop.target)?;
    Ok(vec![Edit { path: file.clone(), change: Change::Content(text.into_bytes()), why: why.into() }])
}

/// The database, whose folder is saved while it is stopped, comes first; then `infrahub upgrade`, where the release has
/// another graph; then who uses it.
fn hop(call: &Call<Settings>, index: &Index, leg: Leg) -> Result<Hop> {
    let service = |name| call.service(name);
    let (database, server, worker) = (service("database")?, service("infrahub-server")?, service("task-worker")?);
    let mut hop = Hop::new(&leg.source, &leg.target).act(Wave::new([database.clone()]));
    let migrates = index.migrates(&leg);
    hop = hop.undo(if migrates { Undo::RestoreData } else { Undo::CodeOnly });
    if on_helm(call) {
        // A hook of the chart, which every upgrade runs; it has nothing to do where the graph stays.
        let upgrade = service("infrahub-upgrade")?;
        hop = hop.act(Wave::new([upgrade.clone()]).follow(migrations(upgrade)));
    } else if migrates {
        let upgrade = Once::new(server.clone(), ["infrahub", "upgrade"]).repeatable();
        hop = hop.act(upgrade.success(MIGRATED));
    }
    (hop.breaking, hop.notes, hop.expected_seconds) = (leg.breaking, index.notes(&leg), typical(&leg));
    let hop = hop.act(Wave::new([server.clone()])).act(Wave::new([worker.clone()]));
    Ok(hop.quiesce([worker, server, database]).gate([service("gateway")?]))
}

fn migrations(service: ServiceRef) -> Watch {
    Watch {
        service,
        success: MIGRATED.into(),
        failure: "Migration .* failed".into(),
        progress: Some(r"Applying migration (?<message>\S+) \((?<done>\d+)/(?<total>\d+)\)".into()),
        idle_ms: IDLE_MS,
    }
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
