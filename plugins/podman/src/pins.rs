//! Which image each name stands for, before the hop and after it: fixed while the old version serves.

use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use upgraded_sdk::pods::{Declared, MountKind};
use upgraded_sdk::prelude::*;
use upgraded_sdk::serde_json;

/// An image's ID by its name in the files.
pub type Images = BTreeMap<String, String>;

/// The token of a stage.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Pins {
    pub target: String,
    pub images: Images,
    pub former: Images,
    /// Named volumes of the new files that were not there before.
    pub made: Vec<String>,
}

impl Pins {
    /// Brings everything here that the files will name, and holds what they name now. A name that stays stands for what
    /// it stood for: its pod is not changed.
    pub fn stage(host: &PlatformHost, hop: &Hop) -> Result<Self> {
        let mut pins = Self { target: hop.target.clone(), ..Self::default() };
        let now = host.pods().services(false)?;
        let names = images(&now);
        for container in host.pods().standing()?.into_iter().flat_map(|pod| pod.containers) {
            host.images().hold(&container.image_id)?;
            pins.former.insert(name_in(&names, &container.image), container.image_id);
        }
        let planned = host.pods().services(true)?;
        for reference in images(&planned) {
            let id = match pins.former.get(&reference) {
                Some(id) => id.clone(),
                None => pull(host, &reference)?,
            };
            pins.images.insert(reference, id);
        }
        // What no container runs at the moment, an init container's say, the old version needs all the same.
        for reference in names.into_iter().filter(|name| !pins.former.contains_key(name)).collect::<Vec<_>>() {
            if let Some(image) = host.images().find(&reference)? {
                host.images().hold(&image.id)?;
                pins.former.insert(reference, image.id);
            }
        }
        let volumes = volumes(&planned);
        let there = host.pods().volumes(&volumes)?;
        pins.made = volumes.into_iter().filter(|volume| !there.contains(volume)).collect();
        Ok(pins)
    }

    pub fn token(&self) -> Result<String> {
        serde_json::to_string(self).map_err(|error| Error::other("token", error.to_string()))
    }

    /// Empty where nothing was staged: names stand for whatever they stand for.
    pub fn read(token: &str) -> Result<Self> {
        if token.is_empty() {
            return Ok(Self::default());
        }
        serde_json::from_str(token)
            .map_err(|error| Error::invalid(format!("`{token}` is no token of a stage: {error}")))
    }
}

/// As the files write it, where the engine says the whole of it.
fn name_in(names: &BTreeSet<String>, image: &str) -> String {
    let same = |name: &&String| pod_files::familiar(name) == pod_files::familiar(image);
    names.iter().find(same).cloned().unwrap_or_else(|| image.to_owned())
}

pub fn images(services: &[Declared]) -> BTreeSet<String> {
    let pods = services.iter().flat_map(|declared| &declared.pods);
    pods.flat_map(|pod| &pod.containers).map(|container| container.image.clone()).collect()
}

pub fn volumes(services: &[Declared]) -> Vec<String> {
    let containers = services.iter().flat_map(|declared| &declared.pods).flat_map(|pod| &pod.containers);
    let mounts = containers.flat_map(|container| &container.mounts);
    let named: BTreeSet<&String> =
        mounts.filter(|mount| mount.kind == MountKind::Volume).map(|mount| &mount.source).collect();
    named.into_iter().cloned().collect()
}

/// Where the registry is away, what is here under the name will do.
fn pull(host: &PlatformHost, reference: &str) -> Result<String> {
    let here = || Ok::<_, Error>(host.images().find(reference)?.map(|image| image.id));
    let (why, error): (_, fn(String) -> Error) = match host.images().pull(reference) {
        Ok(image) => return Ok(image.id),
        Err(Error::Unavailable(why)) => (why, Error::Unavailable),
        // It may have been made on this machine.
        Err(Error::NotFound(why)) => (why, Error::NotFound),
        Err(error) => return Err(error),
    };
    match here()? {
        Some(id) => {
            host.info(&format!("the registry does not give `{reference}`, which is here: {why}"));
            host.images().hold(&id)?;
            Ok(id)
        }
        None => Err(error(why)),
    }
}

/// Whatever somebody did to the names since.
pub fn point(host: &PlatformHost, images: &Images) -> Result<()> {
    images.iter().try_for_each(|(reference, id)| host.images().point(reference, id))
}
