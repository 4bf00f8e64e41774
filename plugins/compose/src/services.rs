//! Starting, stopping and looking at the services of a project.

use crate::Settings;
use upgraded_sdk::prelude::*;
use upgraded_sdk::{Container, ContainerState, HopServices};

/// What the files changed of services that no wave names and that ran before: `docker compose up` would do the same.
pub fn bring_up_to_date(call: &Call<Settings>, host: &PlatformHost, hop: &Hop) -> Result<()> {
    let named = HopServices::of(&call.binding, hop);
    let mut stale: Vec<ServiceRef> = Vec::new();
    for container in host.compose().containers()?.into_iter().filter(|container| !container.current) {
        let service = ServiceRef::new(&call.binding, container.service);
        if !named.gate.contains(&service) && !stale.contains(&service) {
            stale.push(service);
        }
    }
    let declared = host.compose().services(false)?;
    stale.retain(|service| declared.iter().any(|declared| declared.name == service.name));
    host.put(&named, &stale, call.settings.idle_ms())
}

/// The name that it was made by stands for another image now.
pub fn was_moved(host: &PlatformHost, container: &Container) -> Result<bool> {
    Ok(host.images().find(&container.image)?.is_some_and(|image| image.id != container.image_id))
}

/// What is wrong with containers of services that no hop names, and with what anything was made from.
pub fn others(host: &PlatformHost, named: &HopServices) -> Result<Vec<Finding>> {
    let behind = named.behind_the_gate();
    let is_in = |services: &[ServiceRef], name: &str| services.iter().any(|service| service.name == name);
    let containers = host.compose().containers()?;
    let mut findings = Vec::new();
    for service in host.compose().services(false)? {
        let name = &service.name;
        if is_in(&named.gate, name) {
            continue;
        }
        let own: Vec<_> = containers.iter().filter(|container| container.service == *name).collect();
        let stands = |state| matches!(state, ContainerState::Running | ContainerState::Done);
        let lame = own.iter().any(|container| !stands(container.state) || container.healthy == Some(false));
        let missing = own.is_empty() && service.replicas > 0;
        if !is_in(&behind, name) && (missing || lame) {
            let message =
                format!("`{name}` does not stand: `docker compose ps` and `docker compose logs {name}` say why");
            findings.push(Finding::blocker(format!("service-{name}"), message));
        }
        let mut drifted = own.iter().filter(|container| !container.current);
        // Where only the name was moved, the rest is what the files say.
        if drifted.try_fold(false, |found, container| Ok::<_, Error>(found || !was_moved(host, container)?))? {
            let message = format!("`{name}` runs something else than the files say");
            let hint = "the files were edited since it was made: `docker compose up -d` would apply them";
            findings.push(Finding::blocker(format!("drift-{name}"), message).hint(hint));
        }
    }
    Ok(findings)
}
