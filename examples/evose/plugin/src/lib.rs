//! What the vendor of Evose ships for `upgraded`: the published upgrade procedure for Docker Compose, as code.

mod smoke;

use schemars::JsonSchema;
use serde::Deserialize;
use upgraded_sdk::prelude::*;
use upgraded_sdk::rules::{Known, Leg, Rules, Version};
use upgraded_sdk::{Change, IDLE_MS, serde_json};

const SETTINGS_FILE: &str = ".env";
const VERSION: &str = "EVOSE_VERSION";
/// Since 2.0.0 the one is called the other.
const SECRET: &str = "EVOSE_SECRET";
const RENAMED_SECRET: &str = "EVOSE_APP_SECRET";

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Settings {
    /// Where the API listens behind the gateway, for example `http://127.0.0.1:8000`; list it under `http` as well.
    url: String,
    /// The vendor's index of releases, for example `https://releases.example.com/releases.json`; list its server under
    /// `http` as well.
    releases: String,
    /// Who logs in for the smoke tests.
    #[serde(default = "admin")]
    user: String,
    password: Secret,
}

fn admin() -> String {
    "admin".into()
}

struct Evose;

impl Product for Evose {
    type Settings = Settings;
    const NAME: &'static str = "evose";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");

    fn releases(call: &Call<Settings>, host: &ProductHost) -> Result<Vec<Release>> {
        published(host, &call.settings.releases)
    }

    fn detect(call: &Call<Settings>, host: &ProductHost) -> Result<Installed> {
        let url = format!("{}/health", call.settings.url);
        let health = host.http().get(&url)?;
        let told: serde_json::Value = serde_json::from_slice(&health.body).unwrap_or_default();
        let version = told["version"].as_str().map(Installed::new);
        version.ok_or_else(|| Error::unavailable(format!("`{url}` says {} and no version", health.status)))
    }

    fn path(call: &Call<Settings>, host: &ProductHost, installed: &Installed, wanted: &str) -> Result<Vec<Hop>> {
        let releases = published(host, &call.settings.releases)?;
        // Newest first: what stands before a breaking one is the only way to it.
        let stops = std::iter::once(false).chain(releases.iter().map(|release| release.breaking));
        let known = releases.iter().zip(stops).map(|(release, stop)| Known { stop, ..Known::from(release) });
        let legs = Rules::default().majors(true).path(&known.collect::<Vec<_>>(), &installed.version, wanted)?;
        legs.into_iter().map(|leg| hop(call, &releases, leg)).collect()
    }

    fn edits(_: &Call<Settings>, host: &ProductHost, hop: &Hop) -> Result<Vec<Edit>> {
        let text = host.files().read_text(SETTINGS_FILE)?;
        if !hop.breaking || !text.lines().any(|line| key(line) == Some(SECRET)) {
            return Ok(vec![Edit::set(SETTINGS_FILE, VERSION, &hop.target, "the images of the release")]);
        }
        let why = format!("the images of the release; `{SECRET}` is called `{RENAMED_SECRET}` since 2.0.0");
        let change = Change::Content(renamed(&text, hop)?.into_bytes());
        Ok(vec![Edit { path: SETTINGS_FILE.into(), change, why }])
    }

    fn verify(call: &Call<Settings>, host: &ProductHost, release: &str) -> Result<Vec<Finding>> {
        smoke::test(&call.settings, host, release)
    }
}

#[derive(Deserialize)]
struct Index {
    releases: Vec<Published>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Published {
    version: String,
    published: Option<String>,
    #[serde(default)]
    breaking: bool,
    #[serde(default)]
    migration_guide: Vec<String>,
    #[serde(default)]
    notes: Vec<String>,
}

/// Newest first; what a release breaks is the first that it says.
fn published(host: &ProductHost, url: &str) -> Result<Vec<Release>> {
    let answer = host.http().get(url).map_err(|error| error.about("the index of releases"))?;
    if answer.status != 200 {
        return Err(Error::unavailable(format!("the index of releases: `{url}` is answered with {}", answer.status)));
    }
    let index: Index = serde_json::from_slice(&answer.body)
        .map_err(|error| Error::invalid(format!("the index of releases at `{url}` can't be read: {error}")))?;
    let release = |entry: Published| {
        let notes = entry.migration_guide.into_iter().chain(entry.notes).collect();
        Release { published: entry.published, breaking: entry.breaking, notes, ..Release::new(entry.version) }
    };
    let mut releases: Vec<Release> = index.releases.into_iter().map(release).collect();
    releases.sort_by_cached_key(|release| std::cmp::Reverse(Version::parse(&release.version)));
    Ok(releases)
}

/// `evose-init` migrates both databases and ends; then everything else starts.
fn hop(call: &Call<Settings>, releases: &[Release], leg: Leg) -> Result<Hop> {
    let service = |name| call.service(name);
    let (init, api, worker) = (service("evose-init")?, service("evose-api")?, service("evose-worker")?);
    let migrations = Watch {
        service: init.clone(),
        success: r"\[init\] migrations complete".into(),
        failure: r"\[init\] (migration failed|error)".into(),
        progress: Some(r"\[init\] (?:applying migration (?<message>\S+)|backfilled (?<done>\d+)/(?<total>\d+))".into()),
        idle_ms: IDLE_MS,
    };
    // A breaking release is the last of its hop, so what it breaks comes first.
    let passed = releases.iter().filter(|release| leg.passes.contains(&release.version));
    let notes = passed.flat_map(|release| release.notes.iter().map(|note| format!("{}: {note}", release.version)));
    let hop = Hop {
        breaking: leg.breaking,
        // "Schedule a formal downtime window": a major version is a run of its own.
        rest: leg.breaking,
        notes: notes.collect(),
        ..Hop::new(leg.source, leg.target)
    };
    Ok(hop
        .act(Wave::new([init]).follow(migrations))
        .act(Wave::new([api.clone(), worker.clone()]))
        .quiesce([worker, api])
        .gate([service("gateway")?])
        .undo(Undo::RestoreData))
}

/// The target's version, and the secret under its new name. Its line keeps its value as it is quoted there.
fn renamed(text: &str, hop: &Hop) -> Result<String> {
    let mut versions = 0;
    let line = |line: &str| match key(line) {
        Some(SECRET) => line.replacen(SECRET, RENAMED_SECRET, 1),
        Some(VERSION) if line.contains(&hop.source) => {
            versions += 1;
            line.replacen(&hop.source, &hop.target, 1)
        }
        _ => line.to_owned(),
    };
    let text: String = text.split_inclusive('\n').map(line).collect();
    match versions {
        1 => Ok(text),
        _ => {
            Err(Error::conflict(format!("`{SETTINGS_FILE}` does not say once `{VERSION}={}`, which runs", hop.source)))
        }
    }
}

fn key(line: &str) -> Option<&str> {
    let line = line.trim_start();
    let line = line.strip_prefix("export ").unwrap_or(line);
    line.split_once('=').map(|(key, _)| key.trim())
}

upgraded_sdk::export!(product Evose);

#[cfg(test)]
mod tests;
