//! What an upgrade goes to, and what it goes back to: fixed while the old version serves.

use crate::names::means_job;
use serde::{Deserialize, Serialize};
use upgraded_sdk::prelude::*;
use upgraded_sdk::serde_json;

/// The token of a stage.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Pins {
    pub target: String,
    /// Of the chart.
    pub digest: String,
    /// That stood before.
    pub revision: u32,
    /// What Helm runs at a point of the upgrade, by name.
    #[serde(default)]
    hooks: Vec<String>,
}

impl Pins {
    pub fn stage(host: &PlatformHost, hop: &Hop, version: &str) -> Result<Self> {
        let newest = host.helm().history()?.pop().ok_or_else(|| Error::not_found("the release has no revision"))?;
        let planned = host.helm().look_ahead(version)?.workloads.into_iter();
        let hooks = planned.filter(|workload| workload.hook).map(|workload| workload.name).collect();
        let chart = host.helm().pull(version)?;
        host.info(&format!("the chart {} {} is {}", chart.name, chart.version, chart.digest));
        Ok(Self { target: hop.target.clone(), digest: chart.digest, revision: newest.number, hooks })
    }

    pub fn is_hook(&self, release: &str, service: &ServiceRef) -> bool {
        means_job(&self.hooks, release, &service.name)
    }

    pub fn token(&self) -> Result<String> {
        serde_json::to_string(self).map_err(|error| Error::other("token", error.to_string()))
    }

    pub fn read(token: &str) -> Result<Self> {
        serde_json::from_str(token)
            .map_err(|error| Error::invalid(format!("`{token}` is no token of a stage: {error}")))
    }
}
