//! What the vendor of notes ships for `upgraded`: how its releases follow each other, what an upgrade consists of, and
//! how to tell from outside that a release stands and is right.

use schemars::JsonSchema;
use semver::Version;
use serde::Deserialize;
use upgraded_sdk::prelude::*;
use upgraded_sdk::{Command, serde_json};

/// Every way across one of these stops there: later migrations count on what it did. 1.3.0 only matters to 2.0.0.
static STOPS: [Version; 2] = [Version::new(1, 1, 0), Version::new(1, 3, 0)];
static BREAKING: Version = Version::new(2, 0, 0);

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Settings {
    /// Where the product listens behind its gate, for example `http://127.0.0.1:8081`; list it under `http` as well.
    web: String,
    /// The address that users open; 2.0.0 needs it.
    base_url: Option<String>,
}

struct Notes;

impl Product for Notes {
    type Settings = Settings;
    const NAME: &'static str = "notes";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");

    fn releases(_: &Call<Settings>, host: &ProductHost) -> Result<Vec<Release>> {
        let release =
            |version: &Version| Release { breaking: *version == BREAKING, ..Release::new(version.to_string()) };
        Ok(released(host)?.iter().map(release).collect())
    }

    fn detect(_: &Call<Settings>, host: &ProductHost) -> Result<Installed> {
        match host.checkout().active()? {
            Some((_, Some(tag))) => Ok(Installed::new(tag.trim_start_matches('v'))),
            Some((commit, None)) => Err(Error::conflict(format!("`{commit}` is active and is no release"))),
            None => Err(Error::not_found("no release is active")),
        }
    }

    fn path(call: &Call<Settings>, host: &ProductHost, installed: &Installed, wanted: &str) -> Result<Vec<Hop>> {
        let (from, to) = (version(&installed.version)?, version(wanted)?);
        if !released(host)?.contains(&to) {
            return Err(Error::invalid(format!("there is no release `{to}`")));
        }
        if to < from {
            return Err(Error::invalid(format!("downgrade: {from} is installed, and no release goes back to {to}")));
        }
        let stops = STOPS.iter().filter(|stop| from < **stop && **stop < to && (stop.minor == 1 || to >= BREAKING));
        let ends: Vec<&Version> = stops.chain((from < to).then_some(&to)).collect();
        std::iter::once(&from).chain(ends.iter().copied()).zip(&ends).map(|(from, to)| hop(call, from, to)).collect()
    }

    fn edits(call: &Call<Settings>, host: &ProductHost, hop: &Hop) -> Result<Vec<Edit>> {
        if !hop.breaking || host.files().read_text("notes.toml")?.contains("\nbase-url") {
            return Ok(Vec::new());
        }
        let address = call.settings.base_url.as_ref();
        let address = address.ok_or_else(|| Error::invalid("2.0.0 needs `base-url` under `[settings]`"))?;
        Ok(vec![Edit::set("notes.toml", "web.base-url", address, "links are absolute since 2.0.0")])
    }

    fn verify(call: &Call<Settings>, host: &ProductHost, release: &str) -> Result<Vec<Finding>> {
        let health = host.http().get(&format!("{}/health", call.settings.web))?;
        let told: serde_json::Value = serde_json::from_slice(&health.body).unwrap_or_default();
        if health.status != 200 || told["version"] != release {
            let message = format!("{release} should run, and `/health` says {}: {}", health.status, health.text());
            return Ok(vec![Finding::blocker("not-running", message)]);
        }
        let smoke = host.process().run(&Command { repeatable: true, ..Command::new("smoke") })?;
        Ok(if smoke.code == 0 { Vec::new() } else { vec![Finding::blocker("smoke", smoke.tail.trim())] })
    }
}

fn hop(call: &Call<Settings>, from: &Version, to: &Version) -> Result<Hop> {
    let (web, front) = (call.service("web")?, call.service("front")?);
    let migrate = Once::new(web.clone(), ["migrate"]).repeatable().success(r"\[migrate\] done");
    let hop = Hop::new(from.to_string(), to.to_string()).act(migrate).act(Wave::new([web.clone()]));
    let hop = hop.quiesce([web]).gate([front]).undo(Undo::RestoreData);
    let note = "Links are absolute: `notes.toml` names the address that users open";
    Ok(if *to == BREAKING { hop.breaking().note(note) } else { hop })
}

fn released(host: &ProductHost) -> Result<Vec<Version>> {
    let tags = host.checkout().releases()?;
    Ok(tags.iter().filter_map(|(tag, _)| Version::parse(tag.strip_prefix('v')?).ok()).collect())
}

fn version(text: &str) -> Result<Version> {
    Version::parse(text).map_err(|why| Error::invalid(format!("`{text}` is no version of notes: {why}")))
}

upgraded_sdk::export!(product Notes);

#[cfg(test)]
mod tests;
