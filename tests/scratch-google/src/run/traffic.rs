//! Traffic: which revision which request reaches.

use super::front::Front;
use super::spec::LATEST;
use super::state::Service;
use crate::core::Core;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

struct Target {
    percent: u32,
    tag: Option<String>,
    port: u16,
    status: Value,
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
            None => Front::open(core).map_err(|error| format!("a port for the tag `{tag}`: {error}"))?,
        };
        front.route(vec![(100, target.port)]);
        target.status["uri"] = front.url.clone().into();
        tagged.insert(tag.clone(), front);
    }
    // The addresses of tags that are gone close.
    service.tagged = tagged;
    service.main.route(targets.iter().map(|target| (target.percent, target.port)).collect());
    service.value["trafficStatuses"] = targets.into_iter().map(|target| target.status).collect();
    Ok(())
}

fn resolve(service: &Service, target: &Value) -> Result<Target, String> {
    let latest = if target["type"] == LATEST { service.latest_ready() } else { target["revision"].as_str() };
    let Some(id) = latest else { return Err("No revision is ready to serve traffic.".to_owned()) };
    let Some(revision) = service.revision(id) else {
        return Err(format!(
            "Revision '{id}' does not exist or is deleted. Update all traffic to route to currently available revisions."
        ));
    };
    let Some(instance) = &revision.instance else {
        return Err(format!("Revision '{id}' is not ready and cannot serve traffic."));
    };
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
    Ok(Target { percent, tag, port: instance.port, status })
}
