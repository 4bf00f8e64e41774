//! The `helm` platform: one release of a chart, whose workloads are the services.
//!
//! Helm upgrades a release as a whole. The first act that names a hook of the chart makes that upgrade, or the first that has
//! services here, with everything that was stopped for it held at zero; hooks run in it. What acts before it start stands
//! already when the hooks run: the database that one migrates. Each wave then lets its own services go and waits for them.
//! When users are let in, the release is settled: its record becomes that of the real chart. The way back is Helm's own, to
//! the revision that stood when the upgrade was staged.

mod names;
mod pins;
mod preflight;

use names::meant;
use pins::Pins;
use schemars::JsonSchema;
use serde::Deserialize;
use upgraded_sdk::prelude::*;
use upgraded_sdk::{Act, HopServices, Workload};

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Settings {
    /// The dotted path in the values that holds the version, for example `image.tag`; none: the chart's own version says it.
    pub version_key: Option<String>,
    /// The file in which it stands; the last of `values` where none is named.
    pub version_file: Option<String>,
    /// How the version is written there; `{version}` stands for it.
    #[schemars(regex(pattern = r"\{version\}"))]
    pub version_text: String,
    /// The version of the chart that brings a release; `{version}` stands for the release's.
    pub chart_version: String,
    /// How long a service may be silent until it stands, in seconds.
    #[schemars(range(min = 1))]
    pub idle_seconds: u64,
    /// Which release the operator grants.
    pub kubernetes: Granted,
}

/// What a platform's `kubernetes` says of names and values.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", default)]
pub struct Granted {
    pub release: String,
    pub values: Option<Vec<String>>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            version_key: None,
            version_file: None,
            version_text: "{version}".into(),
            chart_version: "{version}".into(),
            idle_seconds: 300,
            kubernetes: Granted::default(),
        }
    }
}

impl Settings {
    fn idle_ms(&self) -> u64 {
        self.idle_seconds * 1000
    }
    fn chart_of(&self, version: &str) -> String {
        self.chart_version.replace("{version}", version)
    }
    fn file(&self) -> String {
        let last = || self.kubernetes.values.as_ref().and_then(|values| values.last().cloned());
        self.version_file.clone().or_else(last).unwrap_or_else(|| "values.yaml".into())
    }
}

pub struct Helm;

impl Platform for Helm {
    type Settings = Settings;
    const NAME: &'static str = "helm";
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

    fn stage(call: &Call<Settings>, host: &PlatformHost, hop: &Hop) -> Result<String> {
        Pins::stage(host, hop, &call.settings.chart_of(&hop.target))?.token()
    }

    fn edits(call: &Call<Settings>, _: &PlatformHost, hop: &Hop) -> Result<Vec<Edit>> {
        let Some(key) = &call.settings.version_key else { return Ok(Vec::new()) };
        let version = call.settings.version_text.replace("{version}", &hop.target);
        Ok(vec![Edit::set(call.settings.file(), key, version, format!("the version becomes {}", hop.target))])
    }

    fn quiesce(call: &Call<Settings>, host: &PlatformHost, hop: &Hop) -> Result<()> {
        let named = HopServices::of(&call.binding, hop);
        host.stop(&named.gate)?;
        host.stop(&named.stopped_for_the_change())
    }

    fn apply(call: &Call<Settings>, host: &PlatformHost, hop: &Hop, staged: &str, act: u32) -> Result<()> {
        let pins = Pins::read(staged)?;
        let named = HopServices::of(&call.binding, hop);
        let Act::Wave(wave) = hop.numbered(act)? else {
            let why = "a command of a hop has nowhere to run in a release: a hook of the chart would be right";
            return Err(Error::invalid(why));
        };
        // A rebuild on the way back is an act of a hop that leads to what runs already.
        let is_hook = |service: &ServiceRef| pins.is_hook(&call.settings.kubernetes.release, service);
        if upgrading_act(call, hop, is_hook) == Some(act) && hop.target == pins.target {
            upgrade(call, host, hop, &pins, act)?;
        }
        host.wave(&named, wave, call.settings.idle_ms())
    }

    fn verify(call: &Call<Settings>, host: &PlatformHost, hop: &Hop, act: Option<u32>) -> Result<Vec<Finding>> {
        let named = HopServices::of(&call.binding, hop);
        if let Some(act) = act {
            return match hop.numbered(act)? {
                Act::Wave(wave) => host.do_not_stand(&named.own(&wave.services), call.settings.idle_ms()),
                Act::Command(_) => Ok(Vec::new()),
            };
        }
        let mut findings = host.do_not_stand(&behind(call, host, &named)?, call.settings.idle_ms())?;
        findings.extend(preflight::drift(host)?);
        Ok(findings)
    }

    fn admit(call: &Call<Settings>, host: &PlatformHost, hop: &Hop) -> Result<()> {
        host.start(&HopServices::of(&call.binding, hop).gate, call.settings.idle_ms())?;
        host.helm().settle()
    }

    fn revert(call: &Call<Settings>, host: &PlatformHost, hop: &Hop, staged: &str) -> Result<()> {
        let pins = Pins::read(staged)?;
        let named = HopServices::of(&call.binding, hop);
        let gate: Vec<String> = named.gate.iter().map(|service| service.name.clone()).collect();
        host.helm().back(pins.revision, &gate)?;
        let services = behind(call, host, &named)?;
        host.put(&named, &services, call.settings.idle_ms())
    }
}

/// The act in which the release is upgraded: the first that names a hook, or else the first that has services here.
fn upgrading_act(call: &Call<Settings>, hop: &Hop, is_hook: impl Fn(&ServiceRef) -> bool) -> Option<u32> {
    let first = |fits: &dyn Fn(&ServiceRef) -> bool| {
        hop.acts.iter().position(|act| match act {
            Act::Wave(wave) => wave.services.iter().any(|service| service.platform == call.binding && fits(service)),
            Act::Command(_) => false,
        })
    };
    first(&is_hook).or_else(|| first(&|_| true)).and_then(|first| u32::try_from(first).ok())
}

/// What earlier acts started goes on; everything else that was stopped for the change stays so.
fn upgrade(call: &Call<Settings>, host: &PlatformHost, hop: &Hop, pins: &Pins, act: u32) -> Result<()> {
    let named = HopServices::of(&call.binding, hop);
    let waves = hop.acts.iter().take(act as usize).filter_map(|act| match act {
        Act::Wave(wave) => Some(&wave.services),
        Act::Command(_) => None,
    });
    let started = named.own(&waves.flatten().cloned().collect::<Vec<_>>());
    let stopped = named.stopped_for_the_change();
    let stopped = stopped.iter().filter(|service| !started.contains(service));
    let held: Vec<String> = named.gate.iter().chain(stopped).map(|service| service.name.clone()).collect();
    host.helm().upgrade(&pins.digest, &held, call.settings.idle_ms())?;
    if !started.is_empty() {
        host.services().wait_healthy(&started, call.settings.idle_ms())?;
    }
    Ok(())
}

/// Every workload that runs on its own, but for the gate's.
fn behind(call: &Call<Settings>, host: &PlatformHost, named: &HopServices) -> Result<Vec<ServiceRef>> {
    let (workloads, release) = (host.helm().workloads()?, &call.settings.kubernetes.release);
    let gate: Vec<&Workload> = named.gate.iter().flat_map(|gate| meant(&workloads, release, &gate.name)).collect();
    let runs = |workload: &&Workload| !workload.hook && !matches!(workload.kind.as_str(), "Job" | "CronJob");
    let behind = workloads.iter().filter(runs).filter(|workload| !gate.contains(workload));
    let name = |workload: &Workload| match workloads.iter().filter(|other| other.name == workload.name).count() {
        1 => workload.name.clone(),
        _ => format!("{}/{}", workload.kind.to_lowercase(), workload.name),
    };
    Ok(behind.map(|workload| ServiceRef::new(&call.binding, name(workload))).collect())
}

#[cfg(test)]
mod tests;

upgraded_sdk::export!(platform Helm);
