//! Starting, stopping and looking at the services that a hop names.

use crate::Settings;
use upgraded_sdk::prelude::*;
use upgraded_sdk::{Act, HopServices};

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
    let named = HopServices::of(&call.binding, hop);
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
