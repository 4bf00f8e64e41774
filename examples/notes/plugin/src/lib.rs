//! What the vendor of notes ships for `upgraded`: how its releases follow each other, what an upgrade consists of, and
//! how to tell from outside that a release stands and is right.

use schemars::JsonSchema;
use serde::Deserialize;
use upgraded_sdk::prelude::*;
use upgraded_sdk::rules::{Known, Rules};
use upgraded_sdk::{Command, serde_json};

/// Its links are absolute.
const BREAKING: &str = "2.0.0";

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
        let tags = host.checkout().releases()?;
        let versions = tags.iter().filter_map(|(tag, _)| tag.strip_prefix('v'));
        Ok(versions.map(|version| Release { breaking: version == BREAKING, ..Release::new(version) }).collect())
    }

    fn detect(_: &Call<Settings>, host: &ProductHost) -> Result<Installed> {
        match host.checkout().active()? {
            Some((_, Some(tag))) => Ok(Installed::new(tag.trim_start_matches('v'))),
            Some((commit, None)) => Err(Error::conflict(format!("`{commit}` is active and is no release"))),
            None => Err(Error::not_found("no release is active")),
        }
    }

    fn path(call: &Call<Settings>, host: &ProductHost, installed: &Installed, wanted: &str) -> Result<Vec<Hop>> {
        // Later migrations count on what these did; on 1.3.0 only the next major version does.
        let is_stop = |version: &str| version == "1.1.0" || (version == "1.3.0" && wanted.starts_with("2."));
        let releases = Self::releases(call, host)?;
        let known: Vec<Known> = releases.iter().map(|r| Known { stop: is_stop(&r.version), ..r.into() }).collect();
        let legs = Rules::default().majors(true).path(&known, &installed.version, wanted)?;
        let (web, front) = (call.service("web")?, call.service("front")?);
        let migrate = Once::new(web.clone(), ["migrate"]).repeatable().success(r"\[migrate\] done");
        let hops = legs.into_iter().map(|leg| {
            let hop = Hop::new(leg.source, leg.target).act(migrate.clone()).act(Wave::new([web.clone()]));
            let hop = hop.quiesce([web.clone()]).gate([front.clone()]).undo(Undo::RestoreData);
            let note = "Links are absolute: `notes.toml` names the address that users open";
            if leg.breaking { hop.breaking().note(note) } else { hop }
        });
        Ok(hops.collect())
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

upgraded_sdk::export!(product Notes);

#[cfg(test)]
mod tests;
