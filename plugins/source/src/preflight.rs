//! What would go wrong later, found while the old version serves. Nothing is changed; fetching changes nothing that is
//! live.

use crate::{Settings, active, revision};
use upgraded_sdk::prelude::*;
use upgraded_sdk::{Act, nearest};

pub fn look(call: &Call<Settings>, host: &PlatformHost, hop: &Hop) -> Result<Vec<Finding>> {
    let mut findings = revisions(call, host, hop)?;
    findings.extend(commands(call, host, hop)?);
    findings.extend(services(call, host, hop)?);
    findings.extend(shape(call, hop));
    Ok(findings)
}

fn revisions(call: &Call<Settings>, host: &PlatformHost, hop: &Hop) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    for version in [&hop.source, &hop.target] {
        match revision::commit(&call.settings, host, version) {
            Ok(commit) if *version == hop.source => findings.extend(active::begins(call, host, hop, &commit)?),
            Ok(_) => {}
            Err(error) => findings.push(unfetched(call, host, version, error)?),
        }
    }
    Ok(findings)
}

fn unfetched(call: &Call<Settings>, host: &PlatformHost, version: &str, error: Error) -> Result<Finding> {
    Ok(match error {
        Error::Cancelled => return Err(error),
        Error::NotFound(_) => {
            let finding = if revision::is_commit(version) {
                Finding::blocker("revision", format!("the repository has no commit `{version}`"))
            } else {
                let tag = revision::tag_of(&call.settings.tag, version);
                Finding::blocker("revision", format!("the repository has no tag `{tag}` for `{version}`"))
            };
            let tags = host.checkout().releases().unwrap_or_default();
            let tag = revision::tag_of(&call.settings.tag, version);
            match nearest(&tag, tags.iter().map(|(tag, _)| tag.as_str())) {
                Some(near) => finding.hint(format!("the nearest tag is `{near}`; `tag` says how tags are written")),
                None => finding.hint("push the tag, or say with `tag` how tags are written"),
            }
        }
        other => Finding::blocker("repository", format!("`{version}` can't be fetched: {}", other.text()))
            .hint("look at `repository`, and whether the daemon's account can read it"),
    })
}

fn commands(call: &Call<Settings>, host: &PlatformHost, hop: &Hop) -> Result<Vec<Finding>> {
    let acts = hop.acts.iter().filter_map(|act| match act {
        Act::Command(once) => Some((once, "an act of the hop")),
        Act::Wave(_) => None,
    });
    let undo = hop.undo.iter().filter_map(|undo| match undo {
        Undo::Rebuild(once) => Some((once, "the way back")),
        Undo::CodeOnly | Undo::RestoreData => None,
    });
    let ours = acts.chain(undo).filter(|(once, _)| once.service.platform == call.binding);
    let mut wanted: Vec<(Option<&str>, &str)> =
        ours.map(|(once, who)| (once.argv.first().map(String::as_str), who)).collect();
    if let Some(build) = &call.settings.build {
        wanted.push((Some(build), "`build`"));
    }
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    let known = host.process().list()?;
    let mut findings: Vec<Finding> = Vec::new();
    for (name, who) in wanted {
        let Some(name) = name else {
            findings.push(Finding::blocker("command", format!("{who} names no command")));
            continue;
        };
        let id = format!("command-{name}");
        if known.iter().any(|known| known == name) || findings.iter().any(|finding| finding.id == id) {
            continue;
        }
        let finding = Finding::blocker(id, format!("{who} needs the command `{name}`, and the deployment has none"));
        findings.push(hint(finding, name, known.iter().map(String::as_str), "commands"));
    }
    Ok(findings)
}

fn services(call: &Call<Settings>, host: &PlatformHost, hop: &Hop) -> Result<Vec<Finding>> {
    let followed = hop.acts.iter().filter_map(|act| match act {
        Act::Wave(wave) => Some(wave.follow.iter().map(|watch| &watch.service)),
        Act::Command(_) => None,
    });
    let named = hop.services().into_iter().chain(followed.flatten());
    let named: Vec<&ServiceRef> = named.filter(|service| service.platform == call.binding).collect();
    if named.is_empty() {
        return Ok(Vec::new());
    }
    let known = host.services().list()?;
    let known: Vec<&str> = known.iter().map(|service| service.name.name.as_str()).collect();
    let mut findings: Vec<Finding> = Vec::new();
    for service in named {
        let id = format!("service-{}", service.name);
        if known.contains(&service.name.as_str()) || findings.iter().any(|finding| finding.id == id) {
            continue;
        }
        let finding = Finding::blocker(id, format!("the hop names the service `{}`, and there is none", service.name));
        findings.push(hint(finding, &service.name, known.iter().copied(), "services"));
    }
    Ok(findings)
}

fn hint<'a>(finding: Finding, name: &str, known: impl Iterator<Item = &'a str>, table: &str) -> Finding {
    match nearest(name, known) {
        Some(near) => finding.hint(format!("the nearest is `{near}`")),
        None => finding.hint(format!("name it in the platform's table: `[platform.{table}.{name}]`")),
    }
}

/// What can be seen from the hop alone.
fn shape(call: &Call<Settings>, hop: &Hop) -> Vec<Finding> {
    let mut findings = Vec::new();
    if hop.acts.is_empty() {
        findings.push(
            Finding::blocker("no-acts", format!("nothing would put `{}` in place: the hop has no act", hop.target))
                .hint("let the product name a wave of services or a command"),
        );
    }
    let waves: Vec<&Wave> = hop
        .acts
        .iter()
        .filter_map(|act| match act {
            Act::Wave(wave) => Some(wave),
            Act::Command(_) => None,
        })
        .collect();
    let rolls = !waves.is_empty() && waves.iter().all(|wave| wave.rolling);
    if hop.gate.is_empty() && !rolls {
        let message = "no service is named as the gate: users come in before the new version is verified";
        findings.push(Finding::warning("gate", message).hint("name the proxy or whatever lets users in as `gate`"));
    }
    let started = |service: &&ServiceRef| waves.iter().any(|wave| wave.services.contains(service));
    let writers = hop.quiesce.iter().filter(|service| service.platform == call.binding && !hop.gate.contains(service));
    for service in writers.filter(|service| !started(service)) {
        let message = format!("`{}` is stopped, and no wave of the hop starts it again", service.name);
        findings.push(Finding::blocker(format!("never-started-{}", service.name), message));
    }
    let early = waves.iter().flat_map(|wave| &wave.services).find(|service| hop.gate.contains(service));
    if let Some(service) = early.filter(|service| service.platform == call.binding) {
        let message =
            format!("`{}` is the gate and starts in a wave: users come in before the verification", service.name);
        findings.push(Finding::warning("gate-in-wave", message).hint("leave the gate out of the waves"));
    }
    findings
}
