//! What a service is to become, from what it is. Pure: none means that it is so already.

use super::look::{self, Share, is_latest, short};
use super::{KEPT, TAG, Variables};
use crate::{Error, Result};
use google_cloud_run_v2::model::service_scaling::ScalingMode;
use google_cloud_run_v2::model::{Service, ServiceScaling, TrafficTarget, TrafficTargetAllocationType};

/// With a new revision that has our tag and no traffic. What serves is named, so that it goes on serving.
pub(super) fn deployed(current: &Service, name: &str, image: &str, variables: &Variables) -> Result<Option<Service>> {
    if short(&current.latest_created_revision) == name {
        return Ok(None);
    }
    let latest = short(&current.latest_ready_revision);
    if latest.is_empty() {
        return Err(Error::Invalid(format!("`{}` has no revision that is ready", short(&current.name))));
    }
    let mut traffic = without_our_tag(&current.traffic);
    for target in &mut traffic {
        if is_latest(&target.r#type) {
            target.r#type = TrafficTargetAllocationType::Revision;
            target.revision = latest.into();
        }
    }
    traffic.push(revision(name, 0).set_tag(TAG));
    let template = look::template_with(current, image, variables, Some(name))?;
    Ok(Some(current.clone().set_template(template).set_traffic(traffic)))
}

/// Our tag is on this revision.
pub(super) fn tagged(current: &Service, name: &str) -> Option<Service> {
    if current.traffic.iter().any(|target| target.tag == TAG && target.revision == name) {
        return None;
    }
    let mut traffic = without_our_tag(&current.traffic);
    put_tag(&mut traffic, name);
    Some(current.clone().set_traffic(traffic))
}

pub(super) fn routed(current: &Service, shares: &[Share], tagged: Option<&str>) -> Option<Service> {
    let mut traffic: Vec<TrafficTarget> = shares.iter().filter(|share| share.percent > 0).map(target).collect();
    for other in without_our_tag(&current.traffic).into_iter().filter(|target| !target.tag.is_empty()) {
        let mut other = other;
        other.percent = 0;
        traffic.push(other);
    }
    if let Some(name) = tagged {
        put_tag(&mut traffic, name);
    }
    (!same(&current.traffic, &traffic)).then(|| current.clone().set_traffic(traffic))
}

pub(super) fn stopped(current: &Service) -> Result<Option<Service>> {
    let traffic = without_our_tag(&current.traffic);
    let kept = current.annotations.contains_key(KEPT);
    if kept && look::is_stopped(current) && same(&current.traffic, &traffic) {
        return Ok(None);
    }
    let mut annotations = current.annotations.clone();
    // A second stop finds what the first made of it.
    annotations.entry(KEPT.into()).or_insert_with(|| look::scaling_text(current.scaling.as_ref()));
    let scaling = ServiceScaling::new().set_scaling_mode(ScalingMode::Manual).set_manual_instance_count(0);
    Ok(Some(current.clone().set_scaling(scaling).set_annotations(annotations).set_traffic(traffic)))
}

pub(super) fn started(current: &Service) -> Result<Option<Service>> {
    let mut annotations = current.annotations.clone();
    let Some(kept) = annotations.remove(KEPT) else { return Ok(None) };
    let scaling: Option<ServiceScaling> = serde_json::from_str(&kept).map_err(|error| {
        let name = short(&current.name);
        Error::Conflict(format!(
            "`{name}` was stopped, and its annotation `{KEPT}` does not say how it was scaled: {error}"
        ))
    })?;
    let mut wanted = current.clone().set_annotations(annotations);
    wanted.scaling = scaling;
    Ok(Some(wanted))
}

fn revision(name: &str, percent: i32) -> TrafficTarget {
    let target = TrafficTarget::new().set_type(TrafficTargetAllocationType::Revision);
    target.set_revision(name).set_percent(percent)
}

fn target(share: &Share) -> TrafficTarget {
    let percent = i32::try_from(share.percent).unwrap_or_default();
    match &share.revision {
        Some(name) => revision(name, percent),
        None => TrafficTarget::new().set_type(TrafficTargetAllocationType::Latest).set_percent(percent),
    }
}

fn put_tag(traffic: &mut Vec<TrafficTarget>, name: &str) {
    match traffic.iter_mut().find(|target| target.revision == name && target.tag.is_empty()) {
        Some(target) => target.tag = TAG.into(),
        None => traffic.push(revision(name, 0).set_tag(TAG)),
    }
}

/// A target that was there for the tag alone goes with it.
fn without_our_tag(traffic: &[TrafficTarget]) -> Vec<TrafficTarget> {
    let ours = |target: &TrafficTarget| target.tag == TAG;
    let kept = traffic.iter().filter(|target| !ours(target) || target.percent > 0).cloned();
    let bare = |mut target: TrafficTarget| {
        if ours(&target) {
            target.tag.clear();
        }
        target
    };
    kept.map(bare).collect()
}

fn same(left: &[TrafficTarget], right: &[TrafficTarget]) -> bool {
    let key = |target: &TrafficTarget| {
        (is_latest(&target.r#type), target.revision.clone(), target.percent, target.tag.clone())
    };
    let sorted = |targets: &[TrafficTarget]| {
        let mut keys: Vec<_> = targets.iter().map(key).collect();
        keys.sort();
        keys
    };
    sorted(left) == sorted(right)
}
