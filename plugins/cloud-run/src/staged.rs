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
    /// Where the traffic of each declared service went, also of those that only a later hop touches.
    #[serde(default)]
    serving: BTreeMap<String, Serving>,
    /// The pinned images, of the version before, of jobs that rebuild it.
    #[serde(default)]
    rebuilds: BTreeMap<String, String>,
}

/// Revisions with their percent.
pub type Serving = Vec<(String, u32)>;

#[derive(Debug, Serialize, Deserialize)]
pub struct Former {
    /// The target's, pinned.
    pub image: String,
    pub serving: Serving,
    /// All traffic went to whichever revision was ready last.
    pub follows_latest: bool,
    pub fingerprint: String,
}

impl Staged {
    pub fn take(call: &Call<Settings>, host: &PlatformHost, hop: &Hop) -> Result<Self> {
        let (serving, rebuilds) = (all_serving(host)?, rebuilds(call, host, hop)?);
        let mut staged = Self { target: hop.target.clone(), serving, rebuilds, ..Self::default() };
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

    /// By service: of those of a hop, and of those that were staged. A token of an older plugin knows the latter alone.
    pub fn before(&self, binding: &str, hop: &Hop) -> BTreeMap<&str, &Serving> {
        let own = self.services.iter().map(|(name, former)| (name.as_str(), &former.serving));
        let touched = hop.services();
        let is_touched = |name: &str| touched.iter().any(|service| service.platform == binding && service.name == name);
        let others = self.serving.iter().map(|(name, serving)| (name.as_str(), serving));
        others.filter(|&(name, _)| is_touched(name)).chain(own).collect()
    }

    /// A rebuild runs as an act of a hop that leads to where the old version was, and with that version's image. None: the
    /// job's own, which the run has given no other.
    pub fn image_of(&self, call: &Call<Settings>, host: &PlatformHost, hop: &Hop, job: &str) -> Result<Option<String>> {
        if hop.target == self.target {
            return Ok(self.jobs.get(job).cloned());
        }
        if let Some(pinned) = self.rebuilds.get(job) {
            return Ok(Some(pinned.clone()));
        }
        match host.cloud_run().pin(&images::named(&call.settings, job, &hop.target)) {
            Err(Error::NotFound(_)) if !self.jobs.contains_key(job) => Ok(None),
            pinned => pinned.map(Some),
        }
    }
}

fn all_serving(host: &PlatformHost) -> Result<BTreeMap<String, Serving>> {
    let mut all = BTreeMap::new();
    for name in host.cloud_run().names()? {
        match host.cloud_run().look(&name) {
            Ok(seen) => drop(all.insert(name, images::serving(&seen))),
            // No hop that touches it is staged.
            Err(Error::NotFound(_)) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(all)
}

/// Those that the registry still has.
fn rebuilds(call: &Call<Settings>, host: &PlatformHost, hop: &Hop) -> Result<BTreeMap<String, String>> {
    let mut all = BTreeMap::new();
    for undo in &hop.undo {
        let Undo::Rebuild(once) = undo else { continue };
        if once.service.platform != call.binding {
            continue;
        }
        match host.cloud_run().pin(&images::named(&call.settings, &once.service.name, &hop.source)) {
            Ok(pinned) => drop(all.insert(once.service.name.clone(), pinned)),
            Err(Error::NotFound(_) | Error::Denied(_) | Error::Invalid(_)) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(all)
}
