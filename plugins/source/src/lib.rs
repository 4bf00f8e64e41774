//! The `source` platform: releases of a git repository, each laid out in a folder of its own, a link naming the active
//! one; services and commands are the machine's own and the operator's.
//!
//! Every function converges: `activate` flips to what is wanted, `start` and `stop` say how it should be, and what runs
//! the wrong code is found by comparing the active commit, not by remembering.

mod active;
mod preflight;
mod revision;
mod services;

use schemars::JsonSchema;
use serde::Deserialize;
use upgraded_sdk::prelude::*;
use upgraded_sdk::{Act, Command, HopServices};

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Settings {
    /// How a release's tag is written; `{version}` stands for the version. A version that is a commit is taken as it is.
    #[schemars(regex(pattern = r"\{version\}"))]
    pub tag: String,
    /// Name of the command that builds a release in its folder, once, while the old one serves.
    pub build: Option<String>,
    /// How long a service may be silent until it is healthy, in seconds.
    #[schemars(range(min = 1))]
    pub idle_seconds: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self { tag: "v{version}".into(), build: None, idle_seconds: 120 }
    }
}

impl Settings {
    fn idle_ms(&self) -> u64 {
        self.idle_seconds * 1000
    }
}

pub struct Source;

impl Platform for Source {
    type Settings = Settings;
    const NAME: &'static str = "source";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");

    fn components(call: &Call<Settings>, host: &PlatformHost) -> Result<Vec<Component>> {
        let active = host.checkout().active()?;
        let (commit, version) = match &active {
            Some((commit, tag)) => {
                (Some(commit.clone()), revision::version_of(&call.settings.tag, commit, tag.as_deref()))
            }
            None => (None, "none".into()),
        };
        let services = host.services().list()?;
        Ok(services
            .into_iter()
            .map(|service| Component {
                name: service.name.name,
                version: service.version.unwrap_or_else(|| version.clone()),
                digest: service.digest.or_else(|| commit.clone()),
            })
            .collect())
    }

    fn preflight(call: &Call<Settings>, host: &PlatformHost, hop: &Hop) -> Result<Vec<Finding>> {
        preflight::look(call, host, hop)
    }

    fn stage(call: &Call<Settings>, host: &PlatformHost, hop: &Hop) -> Result<String> {
        let staged = revision::Staged::fetch(call, host, hop)?;
        let target = staged.commit(call, host, &hop.target)?;
        // The source stands laid out already: it is active, or the target of the hop before.
        host.checkout().prepare(&target, call.settings.build.as_deref())?;
        staged.token()
    }

    fn quiesce(call: &Call<Settings>, host: &PlatformHost, hop: &Hop) -> Result<()> {
        let named = HopServices::of(&call.binding, hop);
        host.stop(&named.gate)?;
        host.stop(&named.stopped_for_the_change())
    }

    fn apply(call: &Call<Settings>, host: &PlatformHost, hop: &Hop, staged: &str, act: u32) -> Result<()> {
        active::ensure(call, host, hop, staged, &hop.target)?;
        match hop.numbered(act)? {
            Act::Command(once) => command(host, once),
            Act::Wave(wave) => services::wave(call, host, hop, wave),
        }
    }

    fn verify(call: &Call<Settings>, host: &PlatformHost, hop: &Hop, act: Option<u32>) -> Result<Vec<Finding>> {
        let named = HopServices::of(&call.binding, hop);
        match act {
            Some(act) => match hop.numbered(act)? {
                Act::Wave(wave) => host.do_not_stand(&named.own(&wave.services), call.settings.idle_ms()),
                Act::Command(_) => Ok(Vec::new()),
            },
            None => {
                let mut findings = active::findings(call, host, hop)?;
                findings.extend(host.do_not_stand(&named.behind_the_gate(), call.settings.idle_ms())?);
                Ok(findings)
            }
        }
    }

    fn admit(call: &Call<Settings>, host: &PlatformHost, hop: &Hop) -> Result<()> {
        let named = HopServices::of(&call.binding, hop);
        host.start(&named.gate, call.settings.idle_ms())
    }

    fn revert(call: &Call<Settings>, host: &PlatformHost, hop: &Hop, staged: &str) -> Result<()> {
        active::ensure(call, host, hop, staged, &hop.source)?;
        let named = HopServices::of(&call.binding, hop);
        services::restart(call, host, &named.rolling)?;
        host.start(&named.behind_the_gate(), call.settings.idle_ms())
    }
}

/// The operator's command that the act names, with what it says in the end where it fails.
fn command(host: &PlatformHost, once: &Once) -> Result<()> {
    let Some((name, args)) = once.argv.split_first() else {
        return Err(Error::invalid("the act names no command"));
    };
    let exit = host.process().run(&Command {
        name: name.clone(),
        args: args.to_vec(),
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
    Err(Error::other("command-failed", format!("`{name}` ended with {}{says}", exit.code)))
}

#[cfg(test)]
mod tests;

upgraded_sdk::export!(platform Source);
