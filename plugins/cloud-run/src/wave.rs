//! A wave: each service's new revision without traffic, verified, then traffic.

use crate::staged::{Former, Staged};
use crate::{Settings, images};
use upgraded_sdk::prelude::*;
use upgraded_sdk::{CloudService, HopServices, Share};

const PAUSE_MS: u64 = 500;

pub fn apply(call: &Call<Settings>, host: &PlatformHost, hop: &Hop, staged: &Staged, wave: &Wave) -> Result<()> {
    let named = HopServices::of(&call.binding, hop);
    for service in named.own(&wave.services) {
        let (name, former) = (&service.name, staged.of(&service.name)?);
        let seen = host.cloud_run().look(name)?;
        if seen.fingerprint != former.fingerprint {
            let message = format!("`{name}` was changed by `{}` since it was staged, and stays so", seen.last_modifier);
            return Err(Error::conflict(message));
        }
        let revision = host.cloud_run().deploy(name, &former.image)?;
        answers(call, host, name, true)?;
        if named.rolling.contains(&service) {
            in_steps(call, host, name, &revision)?;
        }
        host.cloud_run().route(name, &[all(former, &revision)], None)?;
        if !named.gate.contains(&service) {
            host.start(std::slice::from_ref(&service), call.settings.idle_ms())?;
        }
        host.info(&format!("`{name}`: all traffic goes to `{revision}`"));
    }
    Ok(())
}

/// As it was before: a service that followed its newest revision follows it again.
fn all(former: &Former, revision: &str) -> Share {
    Share { revision: (!former.follows_latest).then(|| revision.to_owned()), percent: 100 }
}

/// All steps but the last, which is everything.
fn in_steps(call: &Call<Settings>, host: &PlatformHost, name: &str, revision: &str) -> Result<()> {
    for percent in call.settings.steps.iter().copied().filter(|percent| *percent < 100) {
        let seen = host.cloud_run().look(name)?;
        // An earlier try may have come further.
        if share_of(&seen, revision) < percent {
            host.cloud_run().route(name, &split(&seen, revision, percent), Some(revision))?;
            host.info(&format!("`{name}`: {percent} % of the traffic goes to `{revision}`"));
        }
        let mut left_ms = call.settings.step_seconds * 1000;
        loop {
            answers_once(call, host, name, true)?;
            if left_ms == 0 {
                break;
            }
            let pause_ms = left_ms.min(PAUSE_MS);
            host.pause(pause_ms);
            host.progress(u64::from(percent), Some(100), "%", "traffic");
            left_ms -= pause_ms;
        }
    }
    Ok(())
}

fn share_of(service: &CloudService, revision: &str) -> u32 {
    images::serving(service).into_iter().filter(|(name, _)| name == revision).map(|(_, percent)| percent).sum()
}

/// `percent` to the revision; the others keep the rest in the proportion that they had.
pub fn split(service: &CloudService, revision: &str, percent: u32) -> Vec<Share> {
    let others: Vec<_> = images::serving(service).into_iter().filter(|(name, _)| name != revision).collect();
    let (rest, sum) = (100 - percent, others.iter().map(|(_, percent)| percent).sum::<u32>().max(1));
    let mut shares: Vec<Share> =
        others.into_iter().map(|(name, had)| Share { revision: Some(name), percent: had * rest / sum }).collect();
    let missing = rest - shares.iter().map(|share| share.percent).sum::<u32>();
    if let Some(first) = shares.first_mut() {
        first.percent += missing;
    }
    shares.push(Share { revision: Some(revision.into()), percent });
    shares
}

/// Waits until it does, or says what it answered last.
pub fn answers(call: &Call<Settings>, host: &PlatformHost, name: &str, by_tag: bool) -> Result<()> {
    let mut waited_ms = 0;
    loop {
        match answers_once(call, host, name, by_tag) {
            Ok(()) => return Ok(()),
            Err(Error::Cancelled) => return Err(Error::Cancelled),
            Err(error) if waited_ms >= call.settings.idle_ms() => return Err(error),
            Err(_) => {}
        }
        host.pause(PAUSE_MS);
        waited_ms += PAUSE_MS;
    }
}

fn answers_once(call: &Call<Settings>, host: &PlatformHost, name: &str, by_tag: bool) -> Result<()> {
    let Some(health) = call.settings.health(name) else { return Ok(()) };
    let answer = host.cloud_run().ask(name, by_tag, &health.path)?;
    let text = String::from_utf8_lossy(&answer.body);
    let contains = health.contains.as_ref().is_none_or(|wanted| text.contains(wanted));
    if answer.status == 200 && contains {
        return Ok(());
    }
    let wanted = health.contains.as_ref().map(|wanted| format!(" with `{wanted}`")).unwrap_or_default();
    let said: String = text.trim().chars().take(300).collect();
    let invoker = match answer.status {
        401 | 403 => "; where only invokers are let in, the daemon's account needs `roles/run.invoker` on the service",
        _ => "",
    };
    let message = format!(
        "`{name}` should answer 200{wanted} at `{}`, and answers {} `{said}`{invoker}",
        health.path, answer.status
    );
    Err(Error::other("unhealthy", message))
}
