//! Traffic: which revision which request reaches.

use super::front::Front;
use super::spec::LATEST;
use super::state::Service;
use crate::core::Core;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

struct Target {
    percent: u32,
    tag: Option<String>,
    /// None: nothing of it runs.
    port: Option<u16>,
    status: Value,
}

/// What is on its way has arrived by then.
const DRAIN: Duration = Duration::from_secs(5);
/// Where nothing listens.
const NOBODY: u16 = 0;

/// Scaled by hand to nothing: its address answers 503, tags' addresses stay open.
fn is_disabled(service: &Service) -> bool {
    let scaling = &service.value["scaling"];
    scaling["scalingMode"] == "MANUAL" && scaling["manualInstanceCount"] == 0
}

/// The revisions of which instances run: those that traffic or a tag goes to.
pub(super) fn awake(service: &Service) -> Vec<String> {
    let disabled = is_disabled(service);
    let targets = service.value["traffic"].as_array().into_iter().flatten();
    let wanted = targets.filter(|target| {
        let has = |field: &str| target[field].as_str().is_some_and(|text| !text.is_empty());
        has("tag") || (!disabled && target["percent"].as_u64().is_some_and(|percent| percent > 0))
    });
    wanted.filter_map(|target| revision_of(service, target)).map(str::to_owned).collect()
}

fn revision_of<'a>(service: &'a Service, target: &'a Value) -> Option<&'a str> {
    if target["type"] == LATEST { service.latest_ready() } else { target["revision"].as_str() }
}

/// Sends requests as the service's traffic says. Where one target can't serve, everything stays as it was.
pub(super) fn route(core: &Arc<Core>, service: &mut Service) -> Result<(), String> {
    let wanted = service.value["traffic"].as_array().cloned().unwrap_or_default();
    let mut targets = wanted.iter().map(|target| resolve(service, target)).collect::<Result<Vec<_>, _>>()?;
    let mut tagged = BTreeMap::new();
    for target in &mut targets {
        let Some(tag) = &target.tag else { continue };
        // A tag keeps its address when it moves to another revision.
        let front = match service.tagged.remove(tag) {
            Some(front) => front,
            None => Front::open(core, Some(&service.main.url))
                .map_err(|error| format!("a port for the tag `{tag}`: {error}"))?,
        };
        front.route(vec![(100, target.port.unwrap_or(NOBODY))]);
        target.status["uri"] = front.url.clone().into();
        tagged.insert(tag.clone(), front);
    }
    // The addresses of tags that are gone close.
    service.tagged = tagged;
    service.main.route(match is_disabled(service) {
        true => vec![(100, NOBODY)],
        false => targets.iter().map(|target| (target.percent, target.port.unwrap_or(NOBODY))).collect(),
    });
    let (awake, disabled) = (awake(service), is_disabled(service));
    // A revision that nobody reaches has no instance, but for the requests that are on their way to it.
    let idle = service.revisions.iter_mut().filter(|revision| !awake.contains(&revision.id));
    for instance in idle.filter_map(|revision| revision.instance.take()).filter(|_| !disabled) {
        core.spawn(async move {
            tokio::time::sleep(DRAIN).await;
            drop(instance);
        });
    }
    service.value["trafficStatuses"] = targets.into_iter().map(|target| target.status).collect();
    Ok(())
}

fn resolve(service: &Service, target: &Value) -> Result<Target, String> {
    let Some(id) = revision_of(service, target) else {
        return Err("No revision is ready to serve traffic.".to_owned());
    };
    let Some(revision) = service.revision(id) else {
        return Err(format!(
            "Revision '{id}' does not exist or is deleted. Update all traffic to route to currently available revisions."
        ));
    };
    if !revision.ready {
        return Err(format!("Revision '{id}' is not ready and cannot serve traffic."));
    }
    let port = revision.instance.as_ref().map(|instance| instance.port);
    let percent = target["percent"].as_u64().and_then(|percent| u32::try_from(percent).ok()).unwrap_or(0);
    let mut status = json!({ "type": target["type"] });
    if target["type"] != LATEST {
        status["revision"] = id.into();
    }
    if percent > 0 {
        status["percent"] = percent.into();
    }
    let tag = target["tag"].as_str().filter(|tag| !tag.is_empty()).map(str::to_owned);
    if let Some(tag) = &tag {
        status["tag"] = tag.as_str().into();
    }
    Ok(Target { percent, tag, port, status })
}
