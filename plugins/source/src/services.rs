//! The services that a hop names, as far as they are this platform's.

use crate::Settings;
use upgraded_sdk::prelude::*;
use upgraded_sdk::{Act, ServiceRef};

/// A hop's services on one platform.
pub struct Named {
    platform: String,
    /// They let users in.
    pub gate: Vec<ServiceRef>,
    /// They serve on, and are restarted one by one.
    pub rolling: Vec<ServiceRef>,
    /// Those of waves that don't roll, and those that write.
    resting: Vec<ServiceRef>,
}

impl Named {
    pub fn of(platform: &str, hop: &Hop) -> Self {
        let waves = |rolling: bool| {
            let services = hop.acts.iter().filter_map(move |act| match act {
                Act::Wave(wave) if wave.rolling == rolling => Some(&wave.services),
                Act::Wave(_) | Act::Command(_) => None,
            });
            services.flatten()
        };
        let gate = own(platform, &hop.gate);
        let resting = own(platform, hop.quiesce.iter().chain(waves(false)));
        let rolling = own(platform, waves(true)).into_iter().filter(|service| !resting.contains(service));
        let rolling = rolling.filter(|service| !gate.contains(service)).collect();
        Self { platform: platform.into(), gate, rolling, resting }
    }

    /// Those of a list that are this platform's.
    pub fn own(&self, services: &[ServiceRef]) -> Vec<ServiceRef> {
        own(&self.platform, services)
    }

    /// What may not run while the code changes beneath it: all but the gate, which was shut before, and what rolls.
    pub fn stopped_for_the_change(&self) -> Vec<ServiceRef> {
        self.resting.iter().filter(|service| !self.gate.contains(service)).cloned().collect()
    }

    /// All but the gate.
    pub fn behind_the_gate(&self) -> Vec<ServiceRef> {
        let mut all = self.stopped_for_the_change();
        all.extend(self.rolling.iter().cloned());
        all
    }
}

fn own<'a>(platform: &str, services: impl IntoIterator<Item = &'a ServiceRef>) -> Vec<ServiceRef> {
    let mut own: Vec<ServiceRef> = Vec::new();
    for service in services.into_iter().filter(|service| service.platform == platform) {
        if !own.contains(service) {
            own.push(service.clone());
        }
    }
    own
}

pub fn act(hop: &Hop, number: u32) -> Result<&Act> {
    hop.acts.get(number as usize).ok_or_else(|| Error::invalid(format!("the hop has no act {number}")))
}

pub fn stop(host: &PlatformHost, services: &[ServiceRef]) -> Result<()> {
    if services.is_empty() { Ok(()) } else { host.control().stop(services) }
}

/// Starts them and waits until they are healthy.
pub fn start(call: &Call<Settings>, host: &PlatformHost, services: &[ServiceRef]) -> Result<()> {
    if services.is_empty() {
        return Ok(());
    }
    host.control().start(services)?;
    host.services().wait_healthy(services, call.settings.idle_ms())?;
    Ok(())
}

/// One after the other, each healthy before the next.
pub fn restart(call: &Call<Settings>, host: &PlatformHost, services: &[ServiceRef]) -> Result<()> {
    for service in services {
        let one = std::slice::from_ref(service);
        host.control().stop(one)?;
        start(call, host, one)?;
    }
    Ok(())
}

/// Starts a wave's services on the code that is active, follows those that migrate at start, and waits for health.
pub fn wave(call: &Call<Settings>, host: &PlatformHost, hop: &Hop, wave: &Wave) -> Result<()> {
    let named = Named::of(&call.binding, hop);
    let services = named.own(&wave.services);
    let (rolling, resting): (Vec<_>, Vec<_>) = services.into_iter().partition(|one| named.rolling.contains(one));
    restart(call, host, &rolling)?;
    if !resting.is_empty() {
        host.control().start(&resting)?;
    }
    for watch in wave.follow.iter().filter(|watch| watch.service.platform == call.binding) {
        let line = host.services().follow(watch)?;
        host.info(&format!("`{}`: {line}", watch.service.name));
    }
    if !resting.is_empty() {
        host.services().wait_healthy(&resting, call.settings.idle_ms())?;
    }
    Ok(())
}

/// A blocker for each that does not run or is not healthy.
pub fn findings(call: &Call<Settings>, host: &PlatformHost, services: &[ServiceRef]) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    for service in services {
        match host.services().wait_healthy(std::slice::from_ref(service), call.settings.idle_ms()) {
            Ok(_) => {}
            Err(Error::Cancelled) => return Err(Error::Cancelled),
            Err(error) => {
                let message = format!("`{}` does not stand: {}", service.name, error.text());
                findings.push(Finding::blocker(format!("service-{}", service.name), message));
            }
        }
    }
    Ok(findings)
}
