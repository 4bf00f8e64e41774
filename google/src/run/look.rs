//! What a service says of itself, as far as an upgrade needs it.

use super::environment::{self, Environment, Variables};
use super::{KEPT, TAG};
use crate::{Error, Result};
use google_cloud_run_v2::model::service_scaling::ScalingMode;
use google_cloud_run_v2::model::{self, Condition, ServiceScaling, TrafficTargetAllocationType, condition};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    pub name: String,
    /// Without a slash at the end.
    pub uri: String,
    /// That its next revision would have, of the container that serves.
    pub image: String,
    pub shares: Vec<Share>,
    pub tagged: Vec<Tagged>,
    pub latest_ready: String,
    pub latest_created: String,
    /// It is scaled by hand to no instance.
    pub stopped: bool,
    /// A change is under way.
    pub changing: bool,
    /// Why users don't reach it; none: they do, as far as it is known.
    pub why: Option<String>,
    pub last_modifier: String,
    /// Changes with whatever somebody else sets, and with nothing that an upgrade does.
    pub fingerprint: String,
}

/// A part of a service's traffic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Share {
    /// None: whichever was ready last.
    pub revision: Option<String>,
    pub percent: u32,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tagged {
    pub tag: String,
    pub revision: String,
    pub uri: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revision {
    pub name: String,
    pub image: String,
    pub environment: Environment,
    pub ready: bool,
    /// Why it never will be.
    pub why: Option<String>,
}

impl Service {
    pub(super) fn of(service: &model::Service) -> Self {
        let latest_ready = short(&service.latest_ready_revision);
        let shares = service.traffic.iter().filter(|target| target.percent > 0).map(|target| Share {
            revision: (!is_latest(&target.r#type)).then(|| target.revision.clone()),
            percent: u32::try_from(target.percent).unwrap_or_default(),
        });
        let tagged = service.traffic_statuses.iter().filter(|status| !status.tag.is_empty()).map(|status| Tagged {
            tag: status.tag.clone(),
            revision: if is_latest(&status.r#type) { latest_ready.into() } else { status.revision.clone() },
            uri: status.uri.trim_end_matches('/').into(),
        });
        Self {
            name: short(&service.name).into(),
            uri: service.uri.trim_end_matches('/').into(),
            image: service.template.as_ref().map(|template| image_of(&template.containers)).unwrap_or_default(),
            shares: shares.collect(),
            tagged: tagged.collect(),
            latest_ready: latest_ready.into(),
            latest_created: short(&service.latest_created_revision).into(),
            stopped: is_stopped(service),
            changing: is_changing(service),
            why: why(service),
            last_modifier: service.last_modifier.clone(),
            fingerprint: fingerprint(service),
        }
    }

    /// What users reach now: each revision by its name.
    pub fn serving(&self) -> Vec<(String, u32)> {
        let name = |share: &Share| share.revision.clone().unwrap_or_else(|| self.latest_ready.clone());
        self.shares.iter().map(|share| (name(share), share.percent)).collect()
    }
}

impl Revision {
    pub(super) fn of(revision: &model::Revision) -> Self {
        let ready = revision.conditions.iter().find(|condition| condition.r#type == "Ready");
        Self {
            name: short(&revision.name).into(),
            image: image_of(&revision.containers),
            environment: Environment::of(&revision.containers),
            ready: ready.is_some_and(|ready| ready.state == condition::State::ConditionSucceeded),
            why: ready.and_then(failed),
        }
    }
}

/// A resource's own name.
pub(super) fn short(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or(name)
}

pub(super) fn is_latest(kind: &TrafficTargetAllocationType) -> bool {
    *kind == TrafficTargetAllocationType::Latest
}

pub(super) fn is_stopped(service: &model::Service) -> bool {
    let none = |scaling: &ServiceScaling| {
        scaling.scaling_mode == ScalingMode::Manual && scaling.manual_instance_count == Some(0)
    };
    service.scaling.as_ref().is_some_and(none)
}

pub(super) fn is_changing(service: &model::Service) -> bool {
    service.reconciling
}

/// The last change was begun and given up.
pub(super) fn is_behind(service: &model::Service) -> bool {
    !service.reconciling && service.observed_generation != service.generation
}

pub(super) fn last_word(service: &model::Service) -> String {
    service.terminal_condition.as_ref().and_then(failed).unwrap_or_else(|| "it does not say why".into())
}

/// Whether users reach it; that its newest revision may have failed does not count.
fn why(service: &model::Service) -> Option<String> {
    if is_behind(service) {
        return Some(last_word(service));
    }
    match service.conditions.iter().find(|condition| condition.r#type == "RoutesReady") {
        Some(routes) => failed(routes),
        None => service.terminal_condition.as_ref().and_then(failed),
    }
}

fn failed(condition: &Condition) -> Option<String> {
    let failed = condition.state == condition::State::ConditionFailed;
    failed.then(|| if condition.message.is_empty() { "it does not say why".into() } else { condition.message.clone() })
}

/// The container that serves is the one with a port, or the only one.
pub(super) fn serves(containers: &[model::Container]) -> Option<usize> {
    let with_port = containers.iter().position(|container| !container.ports.is_empty());
    with_port.or_else(|| (!containers.is_empty()).then_some(0))
}

fn image_of(containers: &[model::Container]) -> String {
    serves(containers).map(|at| containers[at].image.clone()).unwrap_or_default()
}

/// The service's template with another image, with these variables, and with a name for the revision.
pub(super) fn template_with(
    service: &model::Service, image: &str, variables: &Variables, name: Option<&str>,
) -> Result<model::RevisionTemplate> {
    let mut template = environment::own(service.template.clone().unwrap_or_default());
    let at =
        serves(&template.containers).ok_or_else(|| Error::Invalid(format!("`{}` has no container", service.name)))?;
    template.containers[at].image = image.into();
    template.revision = name.unwrap_or_default().into();
    environment::with(template, variables)
}

/// Of all that somebody may set, but for what an upgrade changes itself: the image, the revision's name, variables that are
/// named for it, traffic, and how a stopped service is scaled.
fn fingerprint(service: &model::Service) -> String {
    let mut template = environment::own(service.template.clone().unwrap_or_default());
    template.revision.clear();
    if let Some(at) = serves(&template.containers) {
        template.containers[at].image.clear();
    }
    let mut annotations = service.annotations.clone();
    let kept = annotations.remove(KEPT).filter(|_| is_stopped(service)).map(Value::from);
    let scaling = kept.unwrap_or_else(|| Value::from(scaling_text(service.scaling.as_ref())));
    let tags = service.traffic.iter().filter(|target| !target.tag.is_empty() && target.tag != TAG);
    let mut tags: Vec<String> = tags.map(|target| format!("{} {}", target.tag, target.revision)).collect();
    tags.sort();
    let sorted = |map: &std::collections::HashMap<String, String>| {
        map.iter().map(|(key, value)| (key.clone(), value.clone())).collect::<std::collections::BTreeMap<_, _>>()
    };
    let all = json!({
        "template": sorted_value(serde_json::to_value(&template).unwrap_or_default()),
        "annotations": sorted(&annotations),
        "labels": sorted(&service.labels),
        "description": service.description,
        "ingress": format!("{:?}", service.ingress),
        "invoker": service.invoker_iam_disabled,
        "scaling": scaling,
        "tags": tags,
    });
    Sha256::digest(all.to_string()).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Keys in order: what is sent twice in another order is the same.
fn sorted_value(value: Value) -> Value {
    match value {
        Value::Object(map) => {
            let sorted: std::collections::BTreeMap<String, Value> = map.into_iter().collect();
            Value::Object(sorted.into_iter().map(|(key, value)| (key, sorted_value(value))).collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(sorted_value).collect()),
        other => other,
    }
}

pub(super) fn scaling_text(scaling: Option<&ServiceScaling>) -> String {
    let value = scaling.map(|scaling| sorted_value(serde_json::to_value(scaling).unwrap_or_default()));
    value.unwrap_or_default().to_string()
}
