//! The services that a hop names, as far as they are one platform's, and what every platform does with them.

use crate::{Act, Error, Finding, Hop, PlatformHost, Result, ServiceRef, Wave};

/// A hop's services on one platform.
pub struct HopServices {
    platform: String,
    /// They let users in.
    pub gate: Vec<ServiceRef>,
    /// They serve on, and are restarted one by one.
    pub rolling: Vec<ServiceRef>,
    /// Those of waves that don't roll, and those that write.
    resting: Vec<ServiceRef>,
}

impl HopServices {
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

    /// The gate stays open, and nothing is stopped for the change.
    pub fn only_rolls(&self) -> bool {
        self.gate.is_empty() && self.resting.is_empty() && !self.rolling.is_empty()
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

impl Hop {
    /// One of its acts, by the number that a platform is called with.
    pub fn numbered(&self, number: u32) -> Result<&Act> {
        self.acts.get(number as usize).ok_or_else(|| Error::invalid(format!("the hop has no act {number}")))
    }
}

impl PlatformHost {
    /// Nothing where there is none to stop.
    pub fn stop(&self, services: &[ServiceRef]) -> Result<()> {
        if services.is_empty() { Ok(()) } else { self.control().stop(services) }
    }

    /// Starts them and waits until they are healthy.
    pub fn start(&self, services: &[ServiceRef], idle_ms: u64) -> Result<()> {
        if services.is_empty() {
            return Ok(());
        }
        self.control().start(services)?;
        self.services().wait_healthy(services, idle_ms)?;
        Ok(())
    }

    /// Each healthy before the next; the old ones serve until then where there can be two at once.
    pub fn roll(&self, services: &[ServiceRef], idle_ms: u64) -> Result<()> {
        if services.is_empty() { Ok(()) } else { self.control().roll(services, idle_ms) }
    }

    /// Starts a wave's services, follows those that migrate at start, and waits until all stand. What rolls is taken as
    /// [`PlatformHost::roll`] does.
    pub fn wave(&self, named: &HopServices, wave: &Wave, idle_ms: u64) -> Result<()> {
        let services = named.own(&wave.services);
        let (rolling, resting): (Vec<_>, Vec<_>) =
            services.iter().cloned().partition(|service| named.rolling.contains(service));
        self.roll(&rolling, idle_ms)?;
        if !resting.is_empty() {
            self.control().start(&resting)?;
        }
        for watch in wave.follow.iter().filter(|watch| watch.service.platform == named.platform) {
            let line = self.services().follow(watch)?;
            self.info(&format!("`{}`: {line}", watch.service.name));
        }
        if !services.is_empty() {
            self.services().wait_healthy(&services, idle_ms)?;
        }
        Ok(())
    }

    /// Makes them what the files say. Where nobody is shut out, nothing ends before what follows it stands.
    pub fn put(&self, named: &HopServices, services: &[ServiceRef], idle_ms: u64) -> Result<()> {
        let rolls = |service: &ServiceRef| named.only_rolls() || named.rolling.contains(service);
        let (rolling, resting): (Vec<_>, Vec<_>) = services.iter().cloned().partition(rolls);
        self.roll(&rolling, idle_ms)?;
        self.start(&resting, idle_ms)
    }

    /// A blocker for each that does not run or is not healthy.
    pub fn do_not_stand(&self, services: &[ServiceRef], idle_ms: u64) -> Result<Vec<Finding>> {
        let mut findings = Vec::new();
        for service in services {
            match self.services().wait_healthy(std::slice::from_ref(service), idle_ms) {
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
}
