//! What the vendor of notes ships for `upgraded`: how its releases follow each other, what an upgrade consists of, and
//! how to tell from outside that a release stands and is right.

use schemars::JsonSchema;
use serde::Deserialize;
use upgraded_sdk::prelude::*;
use upgraded_sdk::rules::{Known, Leg, Rules};
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
        Ok(released(&host.checkout().releases()?).collect())
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
        let tags = host.checkout().releases()?;
        let known = released(&tags).map(|r| Known { stop: is_stop(&r.version), ..Known::from(&r) });
        let legs = Rules::default().majors(true).path(&known.collect::<Vec<_>>(), &installed.version, wanted)?;
        let (web, front) = (call.service("web")?, call.service("front")?);
        let migrate = Once::new(web.clone(), ["migrate"]).repeatable().success(r"\[migrate\] done");
        let hop = |leg: Leg| {
            let notes = notes(host, &tags, &leg.passes)?;
            let hop = Hop { breaking: leg.breaking, notes, ..Hop::new(leg.source, leg.target) };
            let hop = hop.act(migrate.clone()).act(Wave::new([web.clone()]));
            Ok(hop.quiesce([web.clone()]).gate([front.clone()]).undo(Undo::RestoreData))
        };
        legs.into_iter().map(hop).collect()
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

fn released(tags: &[(String, String)]) -> impl Iterator<Item = Release> {
    let versions = tags.iter().filter_map(|(tag, _)| tag.strip_prefix('v'));
    versions.map(|version| Release { breaking: version == BREAKING, ..Release::new(version) })
}

/// What each release says to users, newest first: where one breaks something, a hop ends at it.
fn notes(host: &ProductHost, tags: &[(String, String)], versions: &[String]) -> Result<Vec<String>> {
    let mut lines = Vec::new();
    for version in versions.iter().rev() {
        let Some((_, commit)) = tags.iter().find(|(tag, _)| tag.strip_prefix('v') == Some(version)) else { continue };
        let text = host.checkout().read_text(commit, "NOTES.md")?;
        let said = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
        lines.extend(said.map(|line| if versions.len() > 1 { format!("{version}: {line}") } else { line.into() }));
    }
    Ok(lines)
}

upgraded_sdk::export!(product Notes);

#[cfg(test)]
mod tests;
