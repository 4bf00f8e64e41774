//! Which image each name stands for, before the hop and after it: fixed while the old version serves.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
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
}

impl Pins {
    /// Brings everything here that the files will name, and holds what they name now. A name that stays stands for what
    /// it stood for: its service is not changed.
    pub fn stage(host: &PlatformHost, hop: &Hop) -> Result<Self> {
        let mut pins = Self { target: hop.target.clone(), resources: host.compose().resources()?, ..Self::default() };
        for container in host.compose().containers()? {
            host.images().hold(&container.image_id)?;
            pins.former.insert(container.image, container.image_id);
        }
        let planned = host.compose().services(true)?;
        let built: Vec<String> = planned.iter().filter(|s| s.builds).map(|s| s.name.clone()).collect();
        if !built.is_empty() {
            host.compose().build(&built)?;
        }
        for service in planned {
            let Some(reference) = service.image else { continue };
            let id = match pins.former.get(&reference) {
                Some(id) if !service.builds => id.clone(),
                _ if service.builds => here(host, &reference)?.ok_or_else(|| {
                    Error::other("build", format!("`{}` was built, and there is no image `{reference}`", service.name))
                })?,
                _ => pull(host, &reference)?,
            };
            pins.images.insert(reference, id);
        }
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
