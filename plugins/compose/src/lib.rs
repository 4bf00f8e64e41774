//! The `compose` platform: a Compose project whose version is written in its files. What is to run is said by the files
//! alone; images are brought here and pinned while the old version serves, and a name that somebody moves meanwhile is
//! pointed back.
//!
//! Every function converges: `control.start` and `control.roll` make containers what the files say, and what runs something
//! else is found by asking the engine, not by remembering.

mod edition;
mod pins;
mod preflight;
mod services;
mod version;

use edition::Edition;
use pins::Pins;
use schemars::JsonSchema;
use serde::Deserialize;
use upgraded_sdk::prelude::*;
use upgraded_sdk::{Act, HopServices, Level, OneOff};

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Settings {
    /// The key of `.env` that holds the version, for a product whose plugin does not edit the files itself.
    pub version_key: Option<String>,
    /// Services whose images' tags in the Compose files are the version.
    pub version_services: Vec<String>,
    /// How the version is written there; `{version}` stands for it.
    #[schemars(regex(pattern = r"\{version\}"))]
    pub version_text: String,
    /// The vendor's files, where they come with each release in the platform's `repository`.
    pub edition: Option<Edition>,
    /// How long a service may be silent until it is healthy, in seconds.
    #[schemars(range(min = 1))]
    pub idle_seconds: u64,
    /// Which files the operator grants.
    pub compose: Granted,
}

/// What a platform's `compose` says of files; empty is what Compose finds by itself.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", default)]
pub struct Granted {
    pub files: Vec<String>,
    pub env_files: Vec<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            version_key: None,
            version_services: Vec::new(),
            version_text: "{version}".into(),
            edition: None,
            idle_seconds: 120,
            compose: Granted::default(),
        }
    }
}

impl Settings {
    fn idle_ms(&self) -> u64 {
        self.idle_seconds * 1000
    }
}

pub struct Compose;

impl Platform for Compose {
    type Settings = Settings;
    const NAME: &'static str = "compose";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");

    fn components(_: &Call<Settings>, host: &PlatformHost) -> Result<Vec<Component>> {
        let component = |service: upgraded_sdk::Service| Component {
            name: service.name.name,
            version: service.version.unwrap_or_else(|| "none".into()),
            digest: service.digest,
        };
        Ok(host.services().list()?.into_iter().map(component).collect())
    }

    fn preflight(call: &Call<Settings>, host: &PlatformHost, hop: &Hop) -> Result<Vec<Finding>> {
        preflight::look(call, host, hop)
    }

    fn stage(_: &Call<Settings>, host: &PlatformHost, hop: &Hop) -> Result<String> {
        Pins::stage(host, hop)?.token()
    }

    fn edits(call: &Call<Settings>, host: &PlatformHost, hop: &Hop) -> Result<Vec<Edit>> {
        let mut edits = match &call.settings.edition {
            Some(edition) => edition::edits(edition, host, hop)?,
            None => Vec::new(),
        };
        edits.extend(version::edits(&call.settings, host, &hop.target)?);
        Ok(edits)
    }

    fn quiesce(call: &Call<Settings>, host: &PlatformHost, hop: &Hop) -> Result<()> {
        let named = HopServices::of(&call.binding, hop);
        host.stop(&named.gate)?;
        host.stop(&named.stopped_for_the_change())
    }

    fn apply(call: &Call<Settings>, host: &PlatformHost, hop: &Hop, staged: &str, act: u32) -> Result<()> {
        let pins = Pins::read(staged)?;
        // On the way back a rebuild runs as an act of a hop that leads to where the old version was.
        let images = if hop.target == pins.target { &pins.images } else { &pins.former };
        pins::point(host, images)?;
        match hop.numbered(act)? {
            Act::Command(once) => command(host, once),
            Act::Wave(wave) => {
                host.wave(&HopServices::of(&call.binding, hop), wave, call.settings.idle_ms())?;
                match hop.acts.len() == act as usize + 1 {
                    true => services::bring_up_to_date(call, host, hop),
                    false => Ok(()),
                }
            }
        }
    }

    fn verify(call: &Call<Settings>, host: &PlatformHost, hop: &Hop, act: Option<u32>) -> Result<Vec<Finding>> {
        match act {
            Some(act) => match hop.numbered(act)? {
                Act::Wave(wave) => {
                    let named = HopServices::of(&call.binding, hop);
                    host.do_not_stand(&named.own(&wave.services), call.settings.idle_ms())
                }
                Act::Command(_) => Ok(Vec::new()),
            },
            None => {
                let named = HopServices::of(&call.binding, hop);
                let mut findings = host.do_not_stand(&named.behind_the_gate(), call.settings.idle_ms())?;
                findings.extend(services::others(host, &named)?);
                Ok(findings)
            }
        }
    }

    fn admit(call: &Call<Settings>, host: &PlatformHost, hop: &Hop) -> Result<()> {
        host.start(&HopServices::of(&call.binding, hop).gate, call.settings.idle_ms())
    }

    fn revert(call: &Call<Settings>, host: &PlatformHost, hop: &Hop, staged: &str) -> Result<()> {
        let pins = Pins::read(staged)?;
        pins::point(host, &pins.former)?;
        // What came with the upgrade and the old files don't have could hold ports and names that the old version needs.
        let services = hop.services().into_iter().filter(|service| service.platform == call.binding);
        let came = pins.came(host, &services.collect::<Vec<_>>())?;
        host.compose().remove(&came)?;
        let named = HopServices::of(&call.binding, hop);
        let all = host.compose().services(false)?;
        let names = all.into_iter().map(|service| ServiceRef::new(&call.binding, service.name));
        let behind: Vec<ServiceRef> = names.filter(|name| !named.gate.contains(name)).collect();
        host.put(&named, &behind, call.settings.idle_ms())?;
        // What the new version's containers used until now.
        host.compose().remove(&came)?;
        say_what_stays(host, &pins)
    }
}

/// Nothing takes it away later: a container of the gate may use it until users are let in, or it is somebody else's.
fn say_what_stays(host: &PlatformHost, pins: &Pins) -> Result<()> {
    let stays: Vec<String> = pins.since(host)?.iter().map(|resource| format!("`{resource}`")).collect();
    if !stays.is_empty() {
        let why = "something uses it, or it may not be the upgrade's";
        let message = format!("made since the upgrade was staged, and left, since {why}: {}", stays.join(", "));
        host.log(Level::Warn, &message, &[]);
    }
    Ok(())
}

/// A command in a fresh container of the act's service.
fn command(host: &PlatformHost, once: &Once) -> Result<()> {
    let exit = host.compose().run(&OneOff {
        service: once.service.name.clone(),
        argv: once.argv.clone(),
        repeatable: once.repeatable,
        success: once.success.clone(),
        progress: None,
        idle_ms: once.idle_ms,
    })?;
    if exit.code == 0 {
        return Ok(());
    }
    let tail = exit.tail.trim_end();
    let says = if tail.is_empty() { ", and said nothing".to_owned() } else { format!(":\n{tail}") };
    let name = format!("{} {}", once.service.name, once.argv.join(" "));
    Err(Error::other("command-failed", format!("`{name}` ended with {}{says}", exit.code)))
}

#[cfg(test)]
mod tests;

upgraded_sdk::export!(platform Compose);
