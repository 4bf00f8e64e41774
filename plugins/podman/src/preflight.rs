//! What would go wrong later, found while the old version serves. Nothing is changed and nothing is pulled.

use crate::{Settings, pins, services};
use upgraded_sdk::pods::{Declared, Pod};
use upgraded_sdk::prelude::*;
use upgraded_sdk::{Act, nearest};

pub fn look(call: &Call<Settings>, host: &PlatformHost, hop: &Hop) -> Result<Vec<Finding>> {
    let now = host.pods().services(false)?;
    let planned = host.pods().services(true)?;
    let standing = host.pods().standing()?;
    let mut findings = named_services(call, hop, &now, &planned);
    findings.extend(commands(call, host, hop)?);
    findings.extend(unchecked(call, hop, &planned));
    findings.extend(moved(host, &standing)?);
    findings.extend(images(host, &now, &planned)?);
    findings.extend(shape(call, hop, &now, &planned));
    Ok(findings)
}

/// What the hop names is in the files.
fn named_services(call: &Call<Settings>, hop: &Hop, now: &[Declared], planned: &[Declared]) -> Vec<Finding> {
    let followed = hop.acts.iter().flat_map(|act| match act {
        Act::Wave(wave) => wave.follow.iter().map(|watch| &watch.service).collect(),
        Act::Command(_) => Vec::new(),
    });
    let known: Vec<&str> = now.iter().chain(planned).map(|declared| declared.service.as_str()).collect();
    let mut findings: Vec<Finding> = Vec::new();
    for service in hop.services().into_iter().chain(followed).filter(|service| service.platform == call.binding) {
        let id = format!("service-{}", service.name);
        if known.contains(&service.name.as_str()) || findings.iter().any(|finding| finding.id == id) {
            continue;
        }
        let message = format!("`pods` names no file for the service `{}`", service.name);
        let finding = Finding::blocker(id, message);
        findings.push(match nearest(&service.name, known.iter().copied()) {
            Some(near) => finding.hint(format!("the nearest is `{near}`")),
            None => finding.hint(format!("`pod-{}.yaml` would be its file", service.name)),
        });
    }
    findings
}

/// The commands that the hop names are the operator's.
fn commands(call: &Call<Settings>, host: &PlatformHost, hop: &Hop) -> Result<Vec<Finding>> {
    let once = hop.acts.iter().filter_map(|act| match act {
        Act::Command(once) if once.service.platform == call.binding => once.argv.first(),
        _ => None,
    });
    let mut needed: Vec<&String> = once.collect();
    needed.dedup();
    if needed.is_empty() {
        return Ok(Vec::new());
    }
    let known = host.process().list()?;
    let missing = needed.into_iter().filter(|name| !known.contains(name));
    Ok(missing
        .map(|name| {
            let message =
                format!("{} runs the command `{name}`, which the deployment's file does not have", hop.target);
            let hint = format!("for example `[platform.commands.{name}]` with `argv = [\"make\", \"{name}\"]`");
            Finding::blocker(format!("command-{name}"), message).hint(hint)
        })
        .collect())
}

/// Nobody knows of a container without a check whether it works.
fn unchecked(call: &Call<Settings>, hop: &Hop, planned: &[Declared]) -> Vec<Finding> {
    let named = hop.services();
    let is_named =
        |declared: &&Declared| named.iter().any(|s| s.platform == call.binding && s.name == declared.service);
    let containers = planned.iter().filter(is_named).flat_map(|declared| {
        let all = declared.pods.iter().flat_map(|pod| &pod.containers);
        all.filter(|one| !one.init && !one.checked).map(|one| format!("`{}/{}`", declared.service, one.name))
    });
    let containers: Vec<String> = containers.collect();
    if containers.is_empty() {
        return Vec::new();
    }
    let message = format!("{} has no `livenessProbe`: it counts as healthy once it runs", containers.join(", "));
    vec![Finding::info("no-check", message)]
}

/// A name that stands for something else than what runs: a rollback points it back.
fn moved(host: &PlatformHost, standing: &[Pod]) -> Result<Vec<Finding>> {
    let mut findings: Vec<Finding> = Vec::new();
    for (pod, container) in standing.iter().flat_map(|pod| pod.containers.iter().map(move |one| (pod, one))) {
        if !services::was_moved(host, container)? {
            continue;
        }
        let name = format!("{}-{}", pod.service, container.name);
        let message = format!("`{name}` runs another image than `{}` stands for now", container.image);
        let hint = "somebody pulled or tagged it since; the upgrade goes back to what runs, if it has to";
        findings.push(Finding::warning(format!("moved-{name}"), message).hint(hint));
    }
    Ok(findings)
}

/// Every image that is new is in its registry, and for this machine.
fn images(host: &PlatformHost, now: &[Declared], planned: &[Declared]) -> Result<Vec<Finding>> {
    let known = pins::images(now);
    let mut findings: Vec<Finding> = Vec::new();
    let mut platform = None;
    for image in pins::images(planned).into_iter().filter(|image| !known.contains(image)) {
        let id = format!("image-{}", findings.len() + 1);
        match host.images().look_up(&image) {
            Ok(registered) => {
                let ours = match &platform {
                    Some(platform) => platform,
                    None => platform.insert(host.images().platform()?),
                };
                if let Some(there) = registered.for_others_than(ours) {
                    let message = format!("`{image}` is for {there}, and this machine is {ours}");
                    let hint = "ask the vendor for an image of this machine's architecture";
                    findings.push(Finding::blocker(id, message).hint(hint));
                }
            }
            Err(Error::NotFound(why)) if host.images().find(&image)?.is_none() => {
                let finding = Finding::blocker(id, format!("the registry has no image `{image}`: {why}"));
                findings.push(finding.hint("look at the version, and at the image's name in the files"));
            }
            Err(Error::Denied(why)) => {
                let finding = Finding::blocker(id, format!("the registry does not give `{image}` away: {why}"));
                findings.push(finding.hint("log in with the daemon's account: `docker login`"));
            }
            Err(Error::NotFound(_)) => {}
            Err(Error::Unavailable(why)) if host.images().find(&image)?.is_some() => {
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
    let is_new = |declared: &&Declared| !now.iter().any(|old| old.service == declared.service);
    let missing = planned.iter().filter(is_new).filter(|declared| !is_named(&declared.service));
    missing
        .map(|declared| {
            let name = &declared.service;
            let message = format!("there is a new service `{name}`, which no wave of the hop starts");
            Finding::blocker(format!("new-{name}"), message).hint("ask the vendor for a plugin that knows it")
        })
        .collect()
}
