//! What the vendor of Tessallite ships for `upgraded`: the published procedure as code, for Docker Compose and for Google's
//! Cloud Run.

mod compose;
mod hop;
mod index;

use index::{Entry, Index};
use schemars::JsonSchema;
use serde::Deserialize;
use upgraded_sdk::prelude::*;
use upgraded_sdk::rules::{Known, Rules, Version};
use upgraded_sdk::{Change, Response, Role, serde_json};

/// "Update in this order"; the gateway, which is the gate, comes last.
const SERVICES: [&str; 5] = ["model-service", "query-router", "optimizer", "scheduler", "frontend"];
const GATEWAY: &str = "gateway";
const COMPOSE: &str = "compose.yaml";
const ENV: &str = ".env";
const PUBLIC_URL: &str = "TESSALLITE_PUBLIC_URL";

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Settings {
    /// Where the frontend listens, for example `http://127.0.0.1:3000`; list it under `http` as well.
    url: String,
    /// The address of the release index; list its server under `http` as well.
    releases: String,
    /// The address that users open; 2.0.0 needs it.
    public_url: Option<String>,
}

struct Tessallite;

impl Product for Tessallite {
    type Settings = Settings;
    const NAME: &'static str = "tessallite";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");

    fn releases(call: &Call<Settings>, host: &ProductHost) -> Result<Vec<Release>> {
        let index = Index::read(host, &call.settings.releases)?;
        let release = |entry: &Entry| Release {
            published: entry.published.clone(),
            breaking: entry.breaking,
            notes: entry.notes.clone(),
            ..Release::new(&entry.version)
        };
        Ok(index.entries().iter().map(release).collect())
    }

    fn detect(call: &Call<Settings>, host: &ProductHost) -> Result<Installed> {
        let health = host.http().get(&format!("{}/api/health", call.settings.url))?;
        match told(&health)["version"].as_str() {
            Some(version) => Ok(Installed::new(version)),
            None => Err(Error::unavailable(format!("the frontend does not say its version: {}", health.text()))),
        }
    }

    fn path(call: &Call<Settings>, host: &ProductHost, installed: &Installed, wanted: &str) -> Result<Vec<Hop>> {
        let index = Index::read(host, &call.settings.releases)?;
        let known = index.entries().iter().map(|entry| Known {
            version: entry.version.clone(),
            stop: index.stop_before_major(&entry.version, &installed.version),
            breaking: entry.breaking,
        });
        let legs = Rules::default().majors(true).path(&known.collect::<Vec<_>>(), &installed.version, wanted)?;
        legs.into_iter().map(|leg| hop::of(call, &index, leg)).collect()
    }

    /// "Pin the image tag", where a file has it; and the new setting, which `.env` has on either platform.
    fn edits(call: &Call<Settings>, host: &ProductHost, hop: &Hop) -> Result<Vec<Edit>> {
        let mut edits = Vec::new();
        if !on_cloud_run(call) {
            edits.push(images(&host.files().read_text(COMPOSE)?, &hop.target)?);
        }
        let needs_url = Version::parse(&hop.target).is_some_and(|target| target.major() >= 2);
        if needs_url && !is_set(&settings_file(host)?, PUBLIC_URL) {
            let url = call.settings.public_url.as_ref();
            let url = url.ok_or_else(|| {
                Error::invalid(format!(
                    "{} needs `public-url` under `[settings]`: the address that users open",
                    hop.target
                ))
            })?;
            edits.push(Edit::set(ENV, PUBLIC_URL, url, "models have links since 2.0.0"));
        }
        Ok(edits)
    }

    /// "Confirm status ok", and that `db_migration` is what the release notes say.
    fn verify(call: &Call<Settings>, host: &ProductHost, release: &str) -> Result<Vec<Finding>> {
        let url = &call.settings.url;
        let (answer, mut findings) = (host.http().get(&format!("{url}/api/health"))?, Vec::new());
        let health = told(&answer);
        for service in SERVICES {
            let own = if service == "frontend" { &health } else { &health["services"][service] };
            if own["status"] != "ok" || own["version"] != release {
                let message = format!("`{service}` should be `ok` at {release}, and `/api/health` says {own}");
                findings.push(Finding::blocker(service, message));
            }
        }
        let index = Index::read(host, &call.settings.releases)?;
        let (expected, at) = (&index.find(release)?.db_migration, &health["db_migration"]);
        if at != expected {
            let message = format!("the database should be at migration {expected}, and `/api/health` says {at}");
            findings.push(Finding::blocker("db-migration", message));
        }
        let answer = host.http().get(&format!("{url}/api/models"))?;
        let models = told(&answer);
        let same = |key: &str| !models[key].is_null() && models[key] == models["catalogue"][key];
        if answer.status != 200 || !same("count") || !same("checksum") {
            let message = format!("the models are not what the catalogue says: {} {}", answer.status, answer.text());
            findings.push(Finding::blocker("models", message));
        }
        Ok(findings)
    }
}

/// Registry and repository stay the operator's.
fn images(file: &str, release: &str) -> Result<Edit> {
    let mut images = Vec::new();
    for service in SERVICES.into_iter().chain([GATEWAY]) {
        let image = compose::image(file, service)
            .ok_or_else(|| Error::invalid(format!("`{COMPOSE}` has no line `image:` for the service `{service}`")))?;
        let image = compose::retagged(image, release).ok_or_else(|| {
            Error::invalid(format!("the image of `{service}` is `{image}`, and `repository:tag` would be right"))
        })?;
        images.push((format!("services.{service}.image"), image));
    }
    Ok(Edit { path: COMPOSE.into(), change: Change::Set(images), why: format!("the images of {release}") })
}

/// There may be none yet.
fn settings_file(host: &ProductHost) -> Result<String> {
    match host.files().read_text(ENV) {
        Err(Error::NotFound(_)) => Ok(String::new()),
        other => other,
    }
}

fn on_cloud_run(call: &Call<Settings>) -> bool {
    call.bindings.iter().any(|binding| binding.role == Role::Platform && binding.plugin == "cloud-run")
}

fn told(answer: &Response) -> serde_json::Value {
    serde_json::from_slice(&answer.body).unwrap_or_default()
}

fn is_set(env: &str, key: &str) -> bool {
    let value =
        |line: &str| line.split_once('=').filter(|(known, _)| known.trim() == key).map(|(_, v)| v.trim().to_owned());
    env.lines().filter_map(value).any(|value| !value.is_empty())
}

upgraded_sdk::export!(product Tessallite);

#[cfg(test)]
mod tests;
