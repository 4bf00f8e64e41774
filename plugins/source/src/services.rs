//! Starting, stopping and looking at the services that a hop names.

use crate::Settings;
use upgraded_sdk::HopServices;
use upgraded_sdk::prelude::*;

/// One after the other, each healthy before the next.
pub fn restart(call: &Call<Settings>, host: &PlatformHost, services: &[ServiceRef]) -> Result<()> {
    for service in services {
        let one = std::slice::from_ref(service);
        host.control().stop(one)?;
        host.start(one, call.settings.idle_ms())?;
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
