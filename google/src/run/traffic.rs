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
    let kept = without_our_tag(&current.traffic).into_iter();
    let mut traffic: Vec<TrafficTarget> = kept.flat_map(|target| pinned(target, latest)).collect();
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
    // A second stop finds what the first made of it; where somebody let it run meanwhile, it is scaled as they did.
    if !(kept && look::is_stopped(current)) {
        annotations.insert(KEPT.into(), look::scaling_text(current.scaling.as_ref()));
    }
    let scaling = ServiceScaling::new().set_scaling_mode(ScalingMode::Manual).set_manual_instance_count(0);
    Ok(Some(current.clone().set_scaling(scaling).set_annotations(annotations).set_traffic(traffic)))
}

pub(super) fn started(current: &Service) -> Result<Option<Service>> {
    let mut annotations = current.annotations.clone();
    let Some(kept) = annotations.remove(KEPT) else { return Ok(None) };
    if !look::is_stopped(current) {
        return Ok(Some(current.clone().set_annotations(annotations)));
    }
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

/// Users go on to reach `latest`; somebody's tag of whichever revision is newest stays one.
fn pinned(target: TrafficTarget, latest: &str) -> Vec<TrafficTarget> {
    if !is_latest(&target.r#type) || target.percent == 0 {
        return vec![target];
    }
    let mut all = vec![revision(latest, target.percent)];
    if !target.tag.is_empty() {
        all.push(target.set_percent(0));
    }
    all
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

#[cfg(test)]
mod tests {
    use super::*;
    use google_cloud_run_v2::model::{Container, RevisionTemplate};

    const NAME: &str = "projects/acme/locations/europe-west1/services/web";

    fn service(traffic: impl IntoIterator<Item = TrafficTarget>) -> Service {
        let template = RevisionTemplate::new().set_containers([Container::new().set_image("app:1")]);
        let service = Service::new().set_name(NAME).set_template(template).set_traffic(traffic);
        service.set_latest_ready_revision(format!("{NAME}/revisions/web-1"))
    }

    fn newest(percent: i32, tag: &str) -> TrafficTarget {
        let target = TrafficTarget::new().set_type(TrafficTargetAllocationType::Latest);
        target.set_percent(percent).set_tag(tag)
    }

    fn fingerprint(service: &Service) -> String {
        look::Service::of(service).fingerprint
    }

    #[test]
    fn only_what_users_reach_is_named() {
        let target = revision("web-2", 0).set_tag(TAG);
        for (before, after) in [
            (vec![newest(100, "")], vec![revision("web-1", 100), target.clone()]),
            (vec![newest(100, "newest")], vec![revision("web-1", 100), newest(0, "newest"), target.clone()]),
            (
                vec![revision("web-0", 100), newest(0, "newest")],
                vec![revision("web-0", 100), newest(0, "newest"), target.clone()],
            ),
        ] {
            let before = service(before);
            let deployed =
                deployed(&before, "web-2", "app:2", &Variables::new()).expect("it can be").expect("a change");
            assert_eq!(deployed.traffic, after);
            assert_eq!(fingerprint(&deployed), fingerprint(&before), "nobody else changed it");
        }
    }

    #[test]
    fn how_it_was_scaled_counts_while_it_is_stopped() {
        let by_hand =
            |count: i32| ServiceScaling::new().set_scaling_mode(ScalingMode::Manual).set_manual_instance_count(count);
        let before = service([newest(100, "")]).set_scaling(by_hand(3));
        let halted = stopped(&before).expect("it can be").expect("a change");
        assert_eq!((look::is_stopped(&halted), fingerprint(&halted)), (true, fingerprint(&before)));
        assert!(stopped(&halted).expect("it can be").is_none());
        assert_eq!(started(&halted).expect("it can be").expect("a change"), before);
        // Somebody lets it run, and leaves the annotation.
        let let_run = halted.set_scaling(by_hand(5));
        let going = started(&let_run).expect("it can be").expect("a change");
        assert_eq!((&going.scaling, going.annotations.len()), (&Some(by_hand(5)), 0));
        let again = stopped(&let_run).expect("it can be").expect("a change");
        assert_eq!(fingerprint(&again), fingerprint(&let_run));
        assert_eq!(started(&again).expect("it can be").expect("a change").scaling, Some(by_hand(5)));
    }
}
