//! What follows a change of a service: the new revision's container is started, then traffic moves, or all stays as it
//! was and the service says why.

use super::conditions::{Why, judged};
use super::image::{Instance, NotStarted};
use super::operations::{Failure, code, ended};
use super::state::{Service, any, generation};
use super::{Environment, revisions, traffic};
use crate::core::{Core, Verdict};
use crate::fault::Fate;
use jiff::Timestamp;
use serde_json::{Value, json};
use std::sync::Arc;

pub(super) struct Change {
    pub service: String,
    /// Of the service when it was changed. A later change goes on by itself.
    pub generation: u64,
    /// That is new.
    pub revision: Option<String>,
    pub operation: String,
    pub fate: Fate,
}

pub(super) async fn reconcile(core: &Arc<Core>, change: Change) {
    let verdict = core.endure(&change.fate, core.pace().run).await;
    let started = match (&verdict, &change.revision) {
        (Verdict::Stop, _) => return,
        (Verdict::GoOn, Some(revision)) => match environment(core, &change.service, revision) {
            Some(environment) => Some(Instance::start(core, environment).await),
            None => None,
        },
        (Verdict::Fail(_), _) | (_, None) => None,
    };
    let woken = if matches!(verdict, Verdict::GoOn) { wake(core, &change.service).await } else { Vec::new() };
    let mut state = core.run.state();
    let now = state.now();
    if let Some(service) = state.services.get_mut(&change.service) {
        for (id, instance) in woken {
            if let Some(revision) = service.revisions.iter_mut().find(|revision| revision.id == id) {
                revision.instance = Some(instance);
            }
        }
    }
    let outcome = match (state.services.get_mut(&change.service), verdict) {
        (None, _) => Err(Failure { code: code::NOT_FOUND, message: "The service was deleted.".to_owned() }),
        (Some(service), Verdict::Fail(message)) => {
            let failure = Failure { code: code::INTERNAL, message };
            let why = Why { field: "reason", reason: "INTERNAL", message: failure.message.clone() };
            service.value["terminalCondition"] = judged("Ready", now, Some(&why));
            service.value["reconciling"] = false.into();
            Err(failure)
        }
        (Some(service), _) => {
            let failure =
                change.revision.as_deref().zip(started).and_then(|(id, started)| born(service, id, started, now));
            let is_current = generation(&service.value) == change.generation;
            let failure = if is_current { settle(core, service, failure, now) } else { failure };
            failure.map_or_else(|| Ok(any("Service", &service.value)), Err)
        }
    };
    state.finish(&change.operation, outcome);
    drop(state);
    ended(core);
}

/// Starts what traffic or a tag goes to again, where nothing of it runs.
async fn wake(core: &Arc<Core>, service: &str) -> Vec<(String, Instance)> {
    let asleep: Vec<String> = {
        let state = core.run.state();
        let Some(service) = state.services.get(service) else { return Vec::new() };
        let sleeps = |id: &String| service.revision(id).is_some_and(|found| found.ready && found.instance.is_none());
        traffic::awake(service).into_iter().filter(sleeps).collect()
    };
    let mut woken: Vec<(String, Instance)> = Vec::new();
    for id in asleep {
        if woken.iter().any(|(other, _)| *other == id) {
            continue;
        }
        let Some(environment) = environment(core, service, &id) else { continue };
        // One that does not start again answers 503, as at Google's.
        if let Ok(instance) = Instance::start(core, environment).await {
            woken.push((id, instance));
        }
    }
    woken
}

/// What the container of a revision is told.
fn environment(core: &Core, service: &str, revision: &str) -> Option<Environment> {
    let state = core.run.state();
    let made = state.services.get(service)?.revision(revision)?;
    let name = service.rsplit('/').next().unwrap_or(service);
    let container = made.value["containers"].get(0)?;
    let environment = Environment::of_container(container).with("K_SERVICE", name);
    Some(environment.with("K_REVISION", revision).with("K_CONFIGURATION", name))
}

/// A revision that serves from now on, or says why it can't.
fn born(service: &mut Service, id: &str, started: Result<Instance, NotStarted>, now: Timestamp) -> Option<Failure> {
    let revision = service.revisions.iter_mut().find(|revision| revision.id == id)?;
    let image = revision.value["containers"][0]["image"].as_str().unwrap_or_default().to_owned();
    let not_started = match started {
        Ok(instance) => {
            revision.instance = Some(instance);
            revision.ready = true;
            revisions::judge(revision, None, None, now);
            let name = revision.value["name"].clone();
            let place = |wanted: Option<&str>| service.revisions.iter().position(|r| Some(r.id.as_str()) == wanted);
            // A slow one does not come before a later one that is ready already.
            if place(Some(id)) >= place(service.latest_ready()) {
                service.value["latestReadyRevision"] = name;
            }
            return None;
        }
        Err(not_started) => not_started,
    };
    let (field, reason, code, message) = match not_started {
        NotStarted::NoImage => ("reason", "CONTAINER_MISSING", code::NOT_FOUND, format!("Image '{image}' not found.")),
        NotStarted::Private => (
            "reason",
            "CONTAINER_PERMISSION_DENIED",
            code::PERMISSION_DENIED,
            format!(
                "Google Cloud Run Service Agent must have permission to read the image, {image}. Ensure that the \
                 provided container image URL is correct and that the above account has permission to access the image."
            ),
        ),
        NotStarted::Unhealthy => (
            "revisionReason",
            "HEALTH_CHECK_CONTAINER_ERROR",
            code::FAILED_PRECONDITION,
            "The user-provided container failed to start and listen on the port defined provided by the PORT=8080 \
             environment variable within the allocated timeout. This can happen when the container port is \
             misconfigured or if the timeout is too short."
                .to_owned(),
        ),
    };
    let message = format!("Revision '{id}' is not ready and cannot serve traffic. {message}");
    let why = Why { field, reason, message: message.clone() };
    match not_started {
        NotStarted::Unhealthy => revisions::judge(revision, None, Some(&why), now),
        NotStarted::NoImage | NotStarted::Private => revisions::judge(revision, Some(&why), None, now),
    }
    Some(Failure { code, message })
}

/// Traffic and conditions of a service whose newest revision is or is not ready.
fn settle(core: &Arc<Core>, service: &mut Service, failure: Option<Failure>, now: Timestamp) -> Option<Failure> {
    let routed = traffic::route(core, service);
    let configuration =
        failure.as_ref().map(|f| Why { field: "reason", reason: "REVISION_FAILED", message: f.message.clone() });
    let routes = routed.err().map(|message| Why { field: "reason", reason: "REVISION_FAILED", message });
    let why = configuration.clone().or_else(|| routes.clone());
    let value = &mut service.value;
    value["conditions"] = json!([
        judged("RoutesReady", now, routes.as_ref()),
        judged("ConfigurationsReady", now, configuration.as_ref())
    ]);
    value["terminalCondition"] = judged("Ready", now, why.as_ref());
    value["reconciling"] = false.into();
    value["observedGeneration"] = Value::clone(&value["generation"]);
    failure.or_else(|| routes.map(|why| Failure { code: code::INTERNAL, message: why.message }))
}
