//! What would go wrong later, found while the old version serves. Nothing is changed and nothing is pulled.

use crate::{Settings, services};
use upgraded_sdk::prelude::*;
use upgraded_sdk::{Act, Declared, HopServices, nearest};

pub fn look(call: &Call<Settings>, host: &PlatformHost, hop: &Hop) -> Result<Vec<Finding>> {
    let now = host.compose().services(false)?;
    let planned = host.compose().services(true)?;
    let mut findings = named_services(call, hop, &now, &planned);
    findings.extend(moved(host)?);
    findings.extend(images(host, &now, &planned)?);
    findings.extend(shape(call, hop, &now, &planned));
    findings.extend(replaced(call, hop, &planned));
    Ok(findings)
}

/// What rolls and can't be two at once.
fn replaced(call: &Call<Settings>, hop: &Hop, planned: &[Declared]) -> Vec<Finding> {
    let rolling = HopServices::of(&call.binding, hop).rolling;
    let rolls = |name: &str| rolling.iter().any(|service| service.name == name);
    let single = planned.iter().filter(|service| rolls(&service.name)).filter_map(|service| {
        let why = service.single.as_ref()?;
        let message = format!("`{}` can't run twice and is away while it is replaced: {why}", service.name);
        let hint = "let a proxy have the name and the port, so that replicas can stand beside each other";
        Some(Finding::warning(format!("single-{}", service.name), message).hint(hint))
    });
    single.collect()
}

/// What the hop names is in the files.
fn named_services(call: &Call<Settings>, hop: &Hop, now: &[Declared], planned: &[Declared]) -> Vec<Finding> {
    let followed = hop.acts.iter().flat_map(|act| match act {
        Act::Wave(wave) => wave.follow.iter().map(|watch| &watch.service).collect(),
        Act::Command(once) => vec![&once.service],
    });
    let known: Vec<&str> = now.iter().chain(planned).map(|service| service.name.as_str()).collect();
    let mut findings: Vec<Finding> = Vec::new();
    for service in hop.services().into_iter().chain(followed).filter(|service| service.platform == call.binding) {
        let id = format!("service-{}", service.name);
        if known.contains(&service.name.as_str()) || findings.iter().any(|finding| finding.id == id) {
            continue;
        }
        let finding = Finding::blocker(id, format!("the Compose files have no service `{}`", service.name));
        findings.push(match nearest(&service.name, known.iter().copied()) {
            Some(near) => finding.hint(format!("the nearest is `{near}`")),
            None => finding.hint("`docker compose config --services` lists those that there are"),
        });
    }
    findings
}

/// A name that stands for something else than what runs: a rollback points it back.
fn moved(host: &PlatformHost) -> Result<Vec<Finding>> {
    let mut findings: Vec<Finding> = Vec::new();
    for container in host.compose().containers()? {
        if !services::was_moved(host, &container)? {
            continue;
        }
        let message = format!("`{}` runs another image than `{}` stands for now", container.service, container.image);
        let hint = "somebody pulled or tagged it since; the upgrade goes back to what runs, if it has to";
        findings.push(Finding::warning(format!("moved-{}", container.service), message).hint(hint));
    }
    Ok(findings)
}

/// Every image that is new is in its registry, and for this machine.
fn images(host: &PlatformHost, now: &[Declared], planned: &[Declared]) -> Result<Vec<Finding>> {
    let named = |services: &[Declared], image: &str| services.iter().any(|s| s.image.as_deref() == Some(image));
    let mut findings: Vec<Finding> = Vec::new();
    let mut platform = None;
    for service in planned.iter().filter(|service| !service.builds) {
        let Some(image) = service.image.as_deref().filter(|image| !named(now, image)) else { continue };
        let id = format!("image-{}", service.name);
        match host.images().look_up(image) {
            Ok(registered) => {
                let ours = match &platform {
                    Some(platform) => platform,
                    None => platform.insert(host.images().platform()?),
                };
                if let Some(there) = registered.for_others_than(ours) {
                    findings.push(
                        Finding::blocker(id, format!("`{image}` is for {there}, and this machine is {ours}"))
                            .hint("ask the vendor for an image of this machine's architecture"),
                    );
                }
            }
            Err(Error::NotFound(why)) if host.images().find(image)?.is_none() => {
                let finding = Finding::blocker(id, format!("the registry has no image `{image}`: {why}"));
                findings.push(finding.hint("look at the version, and at the image's name in the files"));
            }
            Err(Error::Denied(why)) => {
                let finding = Finding::blocker(id, format!("the registry does not give `{image}` away: {why}"));
                findings.push(
                    finding.hint("`docker login` with the daemon's account, or name `client` in `[platform.compose]`"),
                );
            }
            Err(Error::NotFound(_)) => {}
            Err(Error::Unavailable(why)) if host.images().find(image)?.is_some() => {
                host.info(&format!("the registry is away, and `{image}` is here: {why}"));
            }
            Err(error) => return Err(error),
        }
    }
    Ok(findings)
}

/// What the hop leaves out.
fn shape(call: &Call<Settings>, hop: &Hop, now: &[Declared], planned: &[Declared]) -> Vec<Finding> {
    let named = hop.services();
    let is_named = |name: &str| named.iter().any(|s| s.platform == call.binding && s.name == name);
    let is_new = |service: &&Declared| !now.iter().any(|old| old.name == service.name);
    let missing = planned.iter().filter(is_new).filter(|service| !is_named(&service.name));
    missing
        .map(|service| {
            let message = format!("the new files have a service `{}`, which no wave of the hop starts", service.name);
            Finding::blocker(format!("new-{}", service.name), message).hint("ask the vendor for a plugin that knows it")
        })
        .collect()
}
