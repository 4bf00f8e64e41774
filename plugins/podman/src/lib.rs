//! The `podman` platform: pods from files of Kubernetes YAML, as `podman kube play` takes them. A file is a service, called
//! as it without `pod-`. The version is a key of an env file, or tags of images in the files. Images are brought here and
//! pinned while the old version serves, and a name that somebody moves meanwhile is pointed back.
//!
//! Every function converges: `control.start` makes pods what their files say, and what is something else is found by asking
//! the engine, not by remembering.

mod pins;
mod preflight;
mod services;
mod version;

use pins::Pins;
use schemars::JsonSchema;
use serde::Deserialize;
use upgraded_sdk::prelude::*;
use upgraded_sdk::{Act, Command, HopServices, Level};

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Settings {
    /// The key of an env file that holds the version, for a product whose plugin does not edit the files itself.
    pub version_key: Option<String>,
    /// Containers, as `core/runtime`, whose images' tags in the files are the version.
    pub version_containers: Vec<String>,
    /// How the version is written there; `{version}` stands for it.
    #[schemars(regex(pattern = r"\{version\}"))]
    pub version_text: String,
    /// How long a service may be silent until it is healthy, in seconds.
    #[schemars(range(min = 1))]
    pub idle_seconds: u64,
    /// The files that the operator grants.
    pub pods: Vec<String>,
    pub env_files: Vec<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            version_key: None,
            version_containers: Vec::new(),
            version_text: "{version}".into(),
            idle_seconds: 120,
            pods: Vec::new(),
            env_files: Vec::new(),
        }
    }
}

impl Settings {
    fn idle_ms(&self) -> u64 {
        self.idle_seconds * 1000
    }
}

pub struct Podman;

impl Platform for Podman {
    type Settings = Settings;
    const NAME: &'static str = "podman";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");

    /// Every container, as `database/postgres`, at the tag of the image that it runs.
    fn components(_: &Call<Settings>, host: &PlatformHost) -> Result<Vec<Component>> {
        let mut components = Vec::new();
        for pod in host.pods().standing()? {
            for container in pod.containers {
                components.push(Component {
                    name: format!("{}/{}", pod.service, container.name),
                    version: version::tag(&container.image).unwrap_or("none").to_owned(),
                    digest: Some(container.image_id),
                });
            }
        }
        Ok(components)
    }

    fn preflight(call: &Call<Settings>, host: &PlatformHost, hop: &Hop) -> Result<Vec<Finding>> {
        preflight::look(call, host, hop)
    }

    fn stage(_: &Call<Settings>, host: &PlatformHost, hop: &Hop) -> Result<String> {
        Pins::stage(host, hop)?.token()
    }

    fn edits(call: &Call<Settings>, host: &PlatformHost, hop: &Hop) -> Result<Vec<Edit>> {
        version::edits(&call.settings, host, &hop.target)
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
        // What the upgrade made and the old files don't have could hold ports and names that the old version needs, and a
        // volume that was made for the new version would not be empty at its next try.
        host.pods().remove(&pins.made)?;
        let named = HopServices::of(&call.binding, hop);
        let all = host.pods().services(false)?;
        let volumes = pins::volumes(&all);
        let names = all.into_iter().map(|declared| ServiceRef::new(&call.binding, declared.service));
        let behind: Vec<ServiceRef> = names.filter(|name| !named.gate.contains(name)).collect();
        host.put(&named, &behind, call.settings.idle_ms())?;
        // What the new version's pods used until now.
        host.pods().remove(&pins.made)?;
        let stays = host.pods().volumes(&pins.made)?.into_iter().filter(|volume| !volumes.contains(volume));
        for volume in stays {
            let message = format!("the volume `{volume}`, which came with the upgrade, is left: something uses it");
            host.log(Level::Warn, &message, &[]);
        }
        Ok(())
    }
}

/// A command of the operator's that the platform's table names, as `[platform.commands.validate]`.
fn command(host: &PlatformHost, once: &Once) -> Result<()> {
    let (name, args) = once.argv.split_first().ok_or_else(|| Error::invalid("the hop has a command without a name"))?;
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
    Err(Error::other("command-failed", format!("`{}` ended with {}{says}", once.argv.join(" "), exit.code)))
}

#[cfg(test)]
mod tests;

upgraded_sdk::export!(platform Podman);
