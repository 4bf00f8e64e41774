//! Starting, stopping and looking at pods.

use crate::Settings;
use upgraded_sdk::HopServices;
use upgraded_sdk::pods::{Container, State};
use upgraded_sdk::prelude::*;

/// What the files changed of services that no wave names: a full deploy would do the same.
pub fn bring_up_to_date(call: &Call<Settings>, host: &PlatformHost, hop: &Hop) -> Result<()> {
    let named = HopServices::of(&call.binding, hop);
    let mut stale: Vec<ServiceRef> = Vec::new();
    for pod in host.pods().standing()?.into_iter().filter(|pod| pod.other.is_some()) {
        let service = ServiceRef::new(&call.binding, pod.service);
        if !named.gate.contains(&service) && !stale.contains(&service) {
            stale.push(service);
        }
    }
    let declared = host.pods().services(false)?;
    stale.retain(|service| declared.iter().any(|declared| declared.service == service.name));
    host.put(&named, &stale, call.settings.idle_ms())
}

/// The name that it was made by stands for another image now.
pub fn was_moved(host: &PlatformHost, container: &Container) -> Result<bool> {
    Ok(host.images().find(&container.image)?.is_some_and(|image| image.id != container.image_id))
}

/// What is wrong with pods of services that no hop names, and with what anything was made from.
pub fn others(host: &PlatformHost, named: &HopServices) -> Result<Vec<Finding>> {
    let behind = named.behind_the_gate();
    let is_in = |services: &[ServiceRef], name: &str| services.iter().any(|service| service.name == name);
    let standing = host.pods().standing()?;
    let mut findings = Vec::new();
    for declared in host.pods().services(false)? {
        let name = &declared.service;
        if is_in(&named.gate, name) {
            continue;
        }
        let own: Vec<_> = standing.iter().filter(|pod| pod.service == *name).collect();
        let lame = |container: &Container| {
            !matches!(container.state, State::Running | State::Done) || container.healthy == Some(false)
        };
        let is_lame = own.len() < declared.pods.len() || own.iter().any(|pod| pod.containers.iter().any(lame));
        if !is_in(&behind, name) && is_lame {
            let message = format!("`{name}` does not stand: `podman pod ps` and `podman pod logs` say why");
            findings.push(Finding::blocker(format!("service-{name}"), message));
        }
        if let Some(why) = own.iter().find_map(|pod| pod.other.as_ref()) {
            let message = format!("`{name}` is something else than its file says: {why}");
            let hint = format!("`podman kube play --replace {}` would make it what the file says", declared.file);
            findings.push(Finding::blocker(format!("drift-{name}"), message).hint(hint));
        }
    }
    Ok(findings)
}
