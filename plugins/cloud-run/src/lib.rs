//! The `cloud-run` platform: services of Google Cloud Run. The gate is the share of traffic.
//!
//! A new revision gets no traffic until it is ready and answers well at an address of its own; then traffic moves, in the
//! operator's steps where the hop serves on. It has the variables that the deployment's files name. A way back sends all
//! traffic to the revisions that served before. What must
//! not write meanwhile is stopped: nothing of it runs, and its address answers 503. A service that somebody else edits
//! after it was staged is left as it is, and the run turns round.

mod images;
mod preflight;
mod staged;
mod variables;
mod wave;

use schemars::JsonSchema;
use serde::Deserialize;
use staged::Staged;
use std::collections::BTreeMap;
use upgraded_sdk::prelude::*;
use upgraded_sdk::{Act, HopServices, Share};

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Settings {
    /// The image of a service's release: `{service}` and `{version}` stand for their names, for example
    /// `europe-docker.pkg.dev/acme/shop/{service}:{version}`.
    #[schemars(regex(pattern = r"\{version\}"))]
    pub image: String,
    /// The same for single services and jobs, where theirs is called otherwise.
    #[serde(default)]
    pub image_of: BTreeMap<String, String>,
    /// What a revision has to answer before users are sent to it; not asked where this is left away.
    #[serde(default)]
    pub health: Option<Health>,
    /// The same for single services.
    #[serde(default)]
    pub health_of: BTreeMap<String, Health>,
    /// The new revision's share of traffic in percent, step by step, where a hop serves on.
    #[serde(default = "all_at_once")]
    pub steps: Vec<u32>,
    /// How long the new revision has to answer well at each step before the last, in seconds.
    #[serde(default)]
    pub step_seconds: u64,
    /// How long a revision may take to answer well, in seconds.
    #[serde(default = "two_minutes")]
    #[schemars(range(min = 1))]
    pub idle_seconds: u64,
}

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Health {
    /// Asked by `GET`; the answer is 200.
    #[schemars(regex(pattern = "^/"))]
    pub path: String,
    /// Stands in the answer, for example `"status":"ok"`.
    #[serde(default)]
    pub contains: Option<String>,
}

fn all_at_once() -> Vec<u32> {
    vec![100]
}

fn two_minutes() -> u64 {
    120
}

impl Settings {
    fn idle_ms(&self) -> u64 {
        self.idle_seconds * 1000
    }
    fn health(&self, service: &str) -> Option<&Health> {
        self.health_of.get(service).or(self.health.as_ref())
    }
}

pub struct CloudRun;

impl Platform for CloudRun {
    type Settings = Settings;
    const NAME: &'static str = "cloud-run";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");

    /// Services by the revision that serves.
    fn components(_: &Call<Settings>, host: &PlatformHost) -> Result<Vec<Component>> {
        let mut components = Vec::new();
        for name in host.cloud_run().names()? {
            let service = match host.cloud_run().look(&name) {
                Ok(service) => service,
                // Preflight says what is wrong.
                Err(Error::NotFound(_) | Error::Denied(_)) => continue,
                Err(error) => return Err(error),
            };
            let version =
                images::serving(&service).into_iter().map(|(revision, _)| revision).collect::<Vec<_>>().join(" ");
            let digest = service.image.split_once('@').map(|(_, digest)| digest.to_owned());
            components.push(Component { name, version, digest });
        }
        Ok(components)
    }

    fn preflight(call: &Call<Settings>, host: &PlatformHost, hop: &Hop) -> Result<Vec<Finding>> {
        preflight::look(call, host, hop)
    }

    fn stage(call: &Call<Settings>, host: &PlatformHost, hop: &Hop) -> Result<String> {
        Staged::take(call, host, hop)?.token()
    }

    fn quiesce(call: &Call<Settings>, host: &PlatformHost, hop: &Hop) -> Result<()> {
        let named = HopServices::of(&call.binding, hop);
        host.stop(&named.gate)?;
        host.stop(&named.stopped_for_the_change())
    }

    fn apply(call: &Call<Settings>, host: &PlatformHost, hop: &Hop, staged: &str, act: u32) -> Result<()> {
        let staged = Staged::read(staged)?;
        match hop.numbered(act)? {
            Act::Wave(wave) => wave::apply(call, host, hop, &staged, wave),
            Act::Command(once) => {
                let image = staged.image_of(call, host, hop, &once.service.name)?;
                host.cloud_run().run_job(&once.service.name, image.as_deref(), &once.argv)
            }
        }
    }

    fn verify(call: &Call<Settings>, host: &PlatformHost, hop: &Hop, act: Option<u32>) -> Result<Vec<Finding>> {
        let named = HopServices::of(&call.binding, hop);
        let services = match act {
            None => named.behind_the_gate(),
            Some(act) => match hop.numbered(act)? {
                Act::Wave(wave) => named.own(&wave.services).into_iter().filter(|s| !named.gate.contains(s)).collect(),
                Act::Command(_) => Vec::new(),
            },
        };
        let mut findings = host.do_not_stand(&services, call.settings.idle_ms())?;
        let fallen = |name: &str, findings: &[Finding]| findings.iter().any(|f| f.id == format!("service-{name}"));
        for service in &services {
            if fallen(&service.name, &findings) {
                continue;
            }
            if let Err(error) = wave::answers(call, host, &service.name, false) {
                findings.push(Finding::blocker(format!("service-{}", service.name), error.text()));
            }
        }
        Ok(findings)
    }

    fn admit(call: &Call<Settings>, host: &PlatformHost, hop: &Hop) -> Result<()> {
        host.start(&HopServices::of(&call.binding, hop).gate, call.settings.idle_ms())
    }

    /// Traffic goes to the revisions that served before; what was stopped behind the gate starts.
    fn revert(call: &Call<Settings>, host: &PlatformHost, hop: &Hop, staged: &str) -> Result<()> {
        let staged = Staged::read(staged)?;
        let named = HopServices::of(&call.binding, hop);
        for (name, serving) in staged.before(&call.binding, hop) {
            let seen = host.cloud_run().look(name)?;
            let follows_latest = seen.shares.iter().all(|share| share.revision.is_none());
            // The run did not come to it.
            if follows_latest && images::serving(&seen) == *serving {
                continue;
            }
            let share =
                |(revision, percent): &(String, u32)| Share { revision: Some(revision.clone()), percent: *percent };
            host.cloud_run().route(name, &serving.iter().map(share).collect::<Vec<_>>(), None)?;
        }
        host.start(&named.behind_the_gate(), call.settings.idle_ms())
    }
}

#[cfg(test)]
mod tests;

upgraded_sdk::export!(platform CloudRun);
