//! What would go wrong later, found while the old version serves. Nothing is changed.

use crate::variables::Variables;
use crate::{Settings, images};
use upgraded_sdk::Act;
use upgraded_sdk::prelude::*;

pub fn look(call: &Call<Settings>, host: &PlatformHost, hop: &Hop) -> Result<Vec<Finding>> {
    let mut findings = steps(&call.settings.steps);
    findings.extend(unread_logs(call, hop));
    let mut variables = Variables::default();
    for service in hop.services().into_iter().filter(|service| service.platform == call.binding) {
        let name = &service.name;
        let seen = match host.cloud_run().look(name) {
            Ok(seen) => seen,
            Err(Error::NotFound(why)) => {
                findings.push(Finding::blocker(format!("service-{name}"), why));
                continue;
            }
            // It would be the same for all others.
            Err(Error::Denied(why)) => {
                findings.push(Finding::blocker("google", why).hint(
                    "look at `project` and `region` under `google`; the daemon's account needs `roles/run.developer` there, \
                     and `roles/iam.serviceAccountUser` on the account that the services run as",
                ));
                return Ok(findings);
            }
            Err(error) => return Err(error),
        };
        if seen.stopped {
            let finding = Finding::blocker(format!("stopped-{name}"), format!("`{name}` is scaled by hand to nothing"));
            findings.push(finding.hint(format!("`gcloud run services update {name} --scaling=auto` lets it run")));
        }
        if let Some(why) = &seen.why {
            findings.push(Finding::blocker(format!("unready-{name}"), format!("`{name}` is not ready: {why}")));
        }
        if seen.shares.len() > 1 {
            let message = format!("the traffic of `{name}` is split among {} revisions", seen.shares.len());
            let finding = Finding::warning(format!("split-{name}"), message);
            findings.push(finding.hint("the new revision gets all of it; a way back splits it again"));
        }
        if variables.look(host, name)? {
            findings.extend(image(call, host, name, &hop.target)?);
        }
    }
    findings.extend(variables.findings());
    Ok(findings)
}

/// It is in its registry, may be read, and Cloud Run would take it.
fn image(call: &Call<Settings>, host: &PlatformHost, name: &str, version: &str) -> Result<Option<Finding>> {
    let image = images::named(&call.settings, name, version);
    let id = format!("image-{name}");
    let pinned = match host.cloud_run().pin(&image) {
        Ok(pinned) => pinned,
        Err(Error::NotFound(why)) => {
            return Ok(Some(Finding::blocker(id, why).hint("look at the version, and at `image` of the platform")));
        }
        Err(Error::Denied(why) | Error::Invalid(why)) => return Ok(Some(Finding::blocker(id, why))),
        Err(error) => return Err(error),
    };
    match host.cloud_run().would_take(name, &pinned) {
        Ok(()) => Ok(None),
        Err(Error::Denied(why) | Error::Invalid(why)) => {
            Ok(Some(Finding::blocker(id, format!("Cloud Run would refuse `{image}` for `{name}`: {why}"))))
        }
        Err(error) => Err(error),
    }
}

fn unread_logs(call: &Call<Settings>, hop: &Hop) -> Vec<Finding> {
    let waves = hop.acts.iter().filter_map(|act| if let Act::Wave(wave) = act { Some(wave) } else { None });
    let watches = waves.flat_map(|wave| &wave.follow).filter(|watch| watch.service.platform == call.binding);
    let finding = |watch: &Watch| {
        let name = &watch.service.name;
        let message = format!("the hop follows the log of `{name}`, and logs of Cloud Run are not read");
        let hint = "the product's plugin should leave `follow` away: a revision is ready once its migration has ended";
        Finding::blocker(format!("log-{name}"), message).hint(hint)
    };
    watches.map(finding).collect()
}

fn steps(steps: &[u32]) -> Vec<Finding> {
    let rise = steps.windows(2).all(|pair| pair[0] < pair[1]);
    if rise && steps.iter().all(|step| (1..=100).contains(step)) {
        return Vec::new();
    }
    let message = format!("`steps` are percentages that rise, and these are {steps:?}");
    vec![Finding::blocker("steps", message).hint("for example `steps = [5, 25, 100]`")]
}
