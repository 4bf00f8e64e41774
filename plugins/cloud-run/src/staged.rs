//! What each service was, and is to become: fixed while the old version serves.

use crate::{Settings, images};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use upgraded_sdk::prelude::*;
use upgraded_sdk::{Act, serde_json};

/// The token of a stage.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Staged {
    pub target: String,
    pub services: BTreeMap<String, Former>,
    /// The pinned images of jobs that the hop runs.
    pub jobs: BTreeMap<String, String>,
}

#[derive(Debug, Serialize, Deserialize)]
pub struct Former {
    /// The target's, pinned.
    pub image: String,
    /// Revisions with their percent.
    pub serving: Vec<(String, u32)>,
    /// All traffic went to whichever revision was ready last.
    pub follows_latest: bool,
    pub fingerprint: String,
}

impl Staged {
    pub fn take(call: &Call<Settings>, host: &PlatformHost, hop: &Hop) -> Result<Self> {
        let mut staged = Self { target: hop.target.clone(), ..Self::default() };
        for service in hop.services().into_iter().filter(|service| service.platform == call.binding) {
            let seen = host.cloud_run().look(&service.name)?;
            let former = Former {
                image: host.cloud_run().pin(&images::named(&call.settings, &service.name, &hop.target))?,
                serving: images::serving(&seen),
                follows_latest: seen.shares.iter().all(|share| share.revision.is_none()),
                fingerprint: seen.fingerprint,
            };
            staged.services.insert(service.name.clone(), former);
        }
        for act in &hop.acts {
            let Act::Command(once) = act else { continue };
            if once.service.platform == call.binding {
                let image = images::named(&call.settings, &once.service.name, &hop.target);
                staged.jobs.insert(once.service.name.clone(), host.cloud_run().pin(&image)?);
            }
        }
        Ok(staged)
    }

    pub fn token(&self) -> Result<String> {
        serde_json::to_string(self).map_err(|error| Error::other("token", error.to_string()))
    }

    pub fn read(token: &str) -> Result<Self> {
        serde_json::from_str(token)
            .map_err(|error| Error::invalid(format!("`{token}` is no token of a stage: {error}")))
    }

    pub fn of(&self, service: &str) -> Result<&Former> {
        self.services.get(service).ok_or_else(|| Error::invalid(format!("`{service}` was not staged")))
    }
}
