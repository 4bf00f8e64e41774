//! The services that a hop names, as far as they are one platform's: for plugins of platforms.

use crate::{Act, Hop, ServiceRef};

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
