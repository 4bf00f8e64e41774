//! What the vendor of Evose ships for `upgraded`: the published upgrade procedures for Docker Compose and for Kubernetes, as
//! code.

mod index;
mod smoke;

use schemars::JsonSchema;
use serde::Deserialize;
use upgraded_sdk::prelude::*;
use upgraded_sdk::rules::{Known, Leg, Rules};
use upgraded_sdk::{Change, IDLE_MS, serde_json};

const HELM: &str = "helm";
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
        index::releases(host, &call.settings.releases)
    }

    fn detect(call: &Call<Settings>, host: &ProductHost) -> Result<Installed> {
        let url = format!("{}/health", call.settings.url);
        let health = host.http().get(&url)?;
        let told: serde_json::Value = serde_json::from_slice(&health.body).unwrap_or_default();
        let version = told["version"].as_str().map(Installed::new);
        version.ok_or_else(|| Error::unavailable(format!("`{url}` says {} and no version", health.status)))
    }

    fn path(call: &Call<Settings>, host: &ProductHost, installed: &Installed, wanted: &str) -> Result<Vec<Hop>> {
        let releases = index::releases(host, &call.settings.releases)?;
        // Newest first: what stands before a breaking one is the only way to it.
        let stops = std::iter::once(false).chain(releases.iter().map(|release| release.breaking));
        let known = releases.iter().zip(stops).map(|(release, stop)| Known { stop, ..Known::from(release) });
        let legs = Rules::default().majors(true).path(&known.collect::<Vec<_>>(), &installed.version, wanted)?;
        legs.into_iter().map(|leg| hop(call, &releases, leg)).collect()
    }

    fn edits(call: &Call<Settings>, host: &ProductHost, hop: &Hop) -> Result<Vec<Edit>> {
        // The chart has both names of the secret, and the platform writes the version into the values.
        if call.bindings.iter().any(|binding| binding.plugin == HELM) {
            return Ok(Vec::new());
        }
        let version = Edit::set(SETTINGS_FILE, VERSION, &hop.target, "the images of the release");
        let text = host.files().read_text(SETTINGS_FILE)?;
        let has = |key: &str| text.lines().any(|line| line.split('=').next().is_some_and(|name| name.trim() == key));
        if !hop.breaking || !has(SECRET) || has(RENAMED_SECRET) {
            return Ok(vec![version]);
        }
        // Compose resolves it to the same value, however that is quoted.
        let line_end = if text.ends_with('\n') { "" } else { "\n" };
        let text = format!("{text}{line_end}{RENAMED_SECRET}=${{{SECRET}}}\n");
        let why = format!("`{SECRET}` is called `{RENAMED_SECRET}` since 2.0.0, and keeps its value");
        let renamed = Edit { path: SETTINGS_FILE.into(), change: Change::Content(text.into_bytes()), why };
        Ok(vec![renamed, version])
    }

    fn verify(call: &Call<Settings>, host: &ProductHost, release: &str) -> Result<Vec<Finding>> {
        smoke::test(&call.settings, host, release)
    }
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
    let hop = Hop { breaking: leg.breaking, notes: notes.collect(), ..Hop::new(leg.source, leg.target) };
    Ok(hop
        .act(Wave::new([init]).follow(migrations))
        .act(Wave::new([api.clone(), worker.clone()]))
        .quiesce([worker, api])
        .gate([service("gateway")?])
        .undo(Undo::RestoreData))
}

upgraded_sdk::export!(product Evose);

#[cfg(test)]
mod tests;
