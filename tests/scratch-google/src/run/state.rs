//! What there is: services with their revisions, jobs with their executions, operations.

use super::front::Front;
use super::image::Instance;
use super::operations::Operations;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use tokio_util::sync::CancellationToken;

#[derive(Default)]
pub(crate) struct State {
    /// By full name.
    pub services: BTreeMap<String, Service>,
    pub jobs: BTreeMap<String, Job>,
    pub operations: Operations,
    last: Option<Timestamp>,
}

pub(crate) struct Service {
    /// As it is answered.
    pub value: Value,
    /// Oldest first.
    pub revisions: Vec<Revision>,
    /// How many revisions there have ever been: the number in a generated name.
    pub made: u32,
    pub main: Front,
    /// Addresses of tags.
    pub tagged: BTreeMap<String, Front>,
}

pub(crate) struct Revision {
    /// Without the service's.
    pub id: String,
    pub value: Value,
    /// The template that it was made of, without a name.
    pub template: Value,
    /// It started once, and would again.
    pub ready: bool,
    /// Runs: traffic or a tag goes to it.
    pub instance: Option<Instance>,
}

#[derive(Default)]
pub(crate) struct Job {
    pub value: Value,
    /// Oldest first.
    pub executions: Vec<Value>,
    /// Ends one of them, by its name, before its time.
    pub ends: BTreeMap<String, CancellationToken>,
}

impl State {
    /// Later than every time before, so that no two edits have one etag.
    pub(crate) fn now(&mut self) -> Timestamp {
        let now = Timestamp::now().round(jiff::Unit::Microsecond).unwrap_or_else(|_| Timestamp::now());
        let after = self.last.and_then(|last| last.checked_add(SignedDuration::from_micros(1)).ok());
        let now = after.map_or(now, |after| after.max(now));
        self.last = Some(now);
        now
    }

    /// Somebody edits a service or a job past the one who reads it.
    pub(crate) fn edit(&mut self, name: &str) {
        let now = self.now();
        let service = self.services.get_mut(name).map(|service| &mut service.value);
        let Some(value) = service.or_else(|| self.jobs.get_mut(name).map(|job| &mut job.value)) else { return };
        value["labels"]["edited-by"] = "somebody-else".into();
        value["lastModifier"] = "somebody-else@example.com".into();
        touch(value, now);
    }
}

impl Service {
    pub(crate) fn revision(&self, id: &str) -> Option<&Revision> {
        self.revisions.iter().find(|revision| revision.id == id)
    }

    /// The id that a full name in `latestReadyRevision` ends in.
    pub(crate) fn latest_ready(&self) -> Option<&str> {
        self.value["latestReadyRevision"].as_str().and_then(|name| name.rsplit('/').next())
    }
}

/// An edit: a new time, and with it a new etag.
pub(crate) fn touch(value: &mut Value, now: Timestamp) {
    let name = value["name"].as_str().unwrap_or_default().to_owned();
    value["updateTime"] = time(now);
    value["etag"] = etag(&name, now).into();
}

pub(crate) fn time(now: Timestamp) -> Value {
    format!("{now:.6}").into()
}

/// Quotes are part of it, as in Google's.
pub(crate) fn etag(name: &str, now: Timestamp) -> String {
    format!("\"{}/{}\"", STANDARD.encode(now.as_microsecond().to_string()), STANDARD.encode(name))
}

/// The version in an etag, in microseconds; an etag that is none of ours is its own.
pub(crate) fn version(etag: &str) -> String {
    let coded = etag.trim_matches('"').split('/').next().unwrap_or_default();
    let decoded = STANDARD.decode(coded).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    decoded.filter(|text| !text.is_empty()).unwrap_or_else(|| etag.to_owned())
}

pub(crate) fn generation(value: &Value) -> u64 {
    value["generation"].as_str().and_then(|text| text.parse().ok()).unwrap_or(0)
}

/// A message of any type.
pub(crate) fn any(kind: &str, value: &Value) -> Value {
    let mut any = json!({ "@type": format!("type.googleapis.com/google.cloud.run.v2.{kind}") });
    if let (Some(any), Some(fields)) = (any.as_object_mut(), value.as_object()) {
        any.extend(fields.clone());
    }
    any
}

pub(crate) fn uid(name: &str, now: Timestamp) -> String {
    use sha2::{Digest as _, Sha256};
    let hash = Sha256::digest(format!("{name} {now}"));
    let hex: String = hash.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..32])
}
