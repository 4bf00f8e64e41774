//! Which image each name stands for, before the hop and after it: fixed while the old version serves.

use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use upgraded_sdk::Declared;
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
    /// What the project had of networks and volumes before.
    pub resources: Vec<String>,
    /// Volumes of the new files that were not there before, as `volume:NAME`.
    #[serde(default)]
    pub volumes: Vec<String>,
    /// Services that had a container before; not known of a stage that did not note it.
    #[serde(default)]
    pub services: Option<BTreeSet<String>>,
}

impl Pins {
    /// Brings everything here that the files will name, and holds what they name now. A name that stays stands for what
    /// it stood for: its service is not changed.
    pub fn stage(host: &PlatformHost, hop: &Hop) -> Result<Self> {
        let mut pins = Self { target: hop.target.clone(), resources: host.compose().resources()?, ..Self::default() };
        let mut services = BTreeSet::new();
        for container in host.compose().containers()? {
            host.images().hold(&container.image_id)?;
            pins.former.insert(container.image, container.image_id);
            services.insert(container.service);
        }
        pins.services = Some(services);
        let planned = host.compose().services(true)?;
        pins.volumes = volumes(&planned).filter(|volume| !pins.resources.contains(volume)).collect();
        let (built, named): (Vec<Declared>, Vec<Declared>) = planned.into_iter().partition(|service| service.builds);
        pins.images = build(host, &built, &pins.former)?;
        for reference in named.into_iter().filter_map(|service| service.image) {
            if pins.images.contains_key(&reference) {
                continue;
            }
            let id = match stood_for(&pins.former, &reference) {
                Some(id) => id.clone(),
                None => pull(host, &reference)?,
            };
            pins.images.insert(reference, id);
        }
        Ok(pins)
    }

    /// What came with the upgrade, whose services these are, as far as it can be told from what others made meanwhile: a
    /// volume is only what the new files of the first hop have.
    pub fn came(&self, host: &PlatformHost, named: &[&ServiceRef]) -> Result<Vec<String>> {
        let is_new = |name: &str| self.services.as_ref().is_some_and(|there| !there.contains(name));
        let names = named.iter().map(|service| &service.name).filter(|name| is_new(name));
        let mut came: Vec<String> = names.map(|name| format!("service:{name}")).collect();
        came.extend(self.volumes.iter().cloned());
        came.extend(self.since(host)?.into_iter().filter(|resource| resource.starts_with("network:")));
        Ok(came)
    }

    /// Networks and volumes that were not there before, whoever made them.
    pub fn since(&self, host: &PlatformHost) -> Result<Vec<String>> {
        if self.target.is_empty() {
            return Ok(Vec::new());
        }
        let is_new = |resource: &String| !self.resources.contains(resource);
        Ok(host.compose().resources()?.into_iter().filter(is_new).collect())
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

/// Makes the images of these services and holds them. Until the hop is applied their names stand for what they stood for:
/// whoever starts the project meanwhile gets what ran.
fn build(host: &PlatformHost, services: &[Declared], former: &Images) -> Result<Images> {
    if services.is_empty() {
        return Ok(Images::new());
    }
    let names: Vec<String> = services.iter().map(|service| service.name.clone()).collect();
    let made = host.compose().build(&names).and_then(|()| made(host, services));
    for reference in services.iter().filter_map(|service| service.image.as_ref()) {
        if let Some(id) = stood_for(former, reference) {
            host.images().point(reference, id)?;
        }
    }
    made
}

/// podman calls the image of a container by its whole name.
fn stood_for<'i>(former: &'i Images, reference: &str) -> Option<&'i String> {
    let is_same = |name: &str| familiar(name) == familiar(reference);
    former.get(reference).or_else(|| former.iter().find(|(name, _)| is_same(name)).map(|(_, id)| id))
}

fn familiar(name: &str) -> &str {
    let hosts = ["docker.io/library/", "docker.io/", "localhost/"];
    let name = hosts.iter().find_map(|host| name.strip_prefix(host)).unwrap_or(name);
    name.strip_suffix(":latest").unwrap_or(name)
}

fn made(host: &PlatformHost, services: &[Declared]) -> Result<Images> {
    let mut images = Images::new();
    for service in services {
        let Some(reference) = &service.image else { continue };
        let id = here(host, reference)?.ok_or_else(|| {
            Error::other("build", format!("`{}` was built, and there is no image `{reference}`", service.name))
        })?;
        host.images().hold(&id)?;
        images.insert(reference.clone(), id);
    }
    Ok(images)
}

fn volumes(services: &[Declared]) -> impl Iterator<Item = String> {
    let mounts = services.iter().flat_map(|service| &service.mounts);
    let named = mounts.filter(|mount| mount.kind == "volume" && !mount.source.is_empty());
    named.map(|mount| format!("volume:{}", mount.source)).collect::<BTreeSet<_>>().into_iter()
}

/// Where the registry is away, what is here under the name will do.
fn pull(host: &PlatformHost, reference: &str) -> Result<String> {
    match host.images().pull(reference) {
        Ok(image) => Ok(image.id),
        Err(Error::Unavailable(why)) => match here(host, reference)? {
            Some(id) => {
                host.info(&format!("the registry is away, and `{reference}` is here: {why}"));
                Ok(id)
            }
            None => Err(Error::Unavailable(why)),
        },
        Err(error) => Err(error),
    }
}

fn here(host: &PlatformHost, reference: &str) -> Result<Option<String>> {
    Ok(host.images().find(reference)?.map(|image| image.id))
}

/// Whatever somebody did to the names since.
pub fn point(host: &PlatformHost, images: &Images) -> Result<()> {
    images.iter().try_for_each(|(reference, id)| host.images().point(reference, id))
}
