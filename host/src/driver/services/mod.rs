//! Behind `services` and `control`: systemd units, or start, stop and status commands; and, for a platform whose
//! services something else runs (a Compose project, say), its orchestrator.
//!
//! A service that `stop` stopped is held: nothing but `start` starts it again, a reboot included. Services belong to the
//! machine, not to the daemon: they outlive it, and no fence of a job ends them.

mod hold;
mod log;
mod open;
mod orchestrator;
mod restarts;
mod service;
mod systemd;
#[cfg(test)]
mod tests;

pub use hold::{HELD, Hold, guard};
pub use open::OpenFile;
pub use orchestrator::Orchestrator;
pub use service::{SERVICE_VARIABLE, Status};
pub use systemd::{Systemd, drop_in};

use super::compose::REPLACE;
use super::process::patterns::{compile, compile_optional, show};
use super::release::Layout;
use super::{Machine, http};
use crate::activity::{Activity, Level};
use crate::config::{Deployment, ServiceConfig};
use crate::context::{Site, StepContext};
use crate::model::*;
use crate::plan::event::{Effect, Verdict};
use log::{Log, Position};
use restarts::{Restarts, stands};
use service::Service;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

const POLL: Duration = Duration::from_millis(250);
const HEALTH_WITHIN: Duration = Duration::from_secs(10);
/// A fence waits so long for a start command that a gone daemon left running.
const FENCE_WITHIN: Duration = Duration::from_secs(120);

pub struct Services {
    deployment: String,
    /// The platform whose services may be changed.
    own: Option<String>,
    entries: BTreeMap<ServiceRef, Entry>,
    /// By platform.
    orchestrators: BTreeMap<String, Arc<dyn Orchestrator>>,
    /// Services whose own data a datastore's `server` accounts for, by platform.
    servers: Vec<ServiceRef>,
    /// Where the deployment's data lies, as far as the file says.
    stores: Vec<PathBuf>,
    /// Where a plugin names no idle deadline.
    idle: Duration,
    machine: Machine,
}

struct Entry {
    config: ServiceConfig,
    layout: Option<Layout>,
}

impl Services {
    /// All services of the deployment can be looked at; those of the platform `own` can be changed.
    pub fn new(
        deployment: &Deployment, own: Option<&str>, orchestrators: BTreeMap<String, Arc<dyn Orchestrator>>,
        machine: Machine,
    ) -> Self {
        let mut entries = BTreeMap::new();
        for platform in &deployment.platforms {
            let layout = platform.grants.directory.as_deref().map(Layout::new);
            for (name, config) in &platform.grants.services {
                let name = ServiceRef { platform: platform.binding.name.clone(), name: name.clone() };
                entries.insert(name, Entry { config: config.clone(), layout: layout.clone() });
            }
        }
        Self {
            deployment: deployment.name.clone(),
            own: own.map(str::to_owned),
            entries,
            orchestrators,
            servers: servers(deployment),
            stores: stores(deployment),
            idle: deployment.policy.idle,
            machine,
        }
    }

    pub async fn list(&self, _cx: &StepContext) -> Result<Vec<ServiceState>, VerbError> {
        let mut states = Vec::new();
        for service in self.all() {
            let status = service.status().await?;
            let healthy =
                if status == Status::Running { healthy(&service).await.map(|seen| seen.is_ok()) } else { None };
            states.push(state(&service, status, healthy));
        }
        for orchestrator in self.orchestrators.values() {
            states.extend(orchestrator.list().await?);
        }
        Ok(states)
    }

    fn orchestrator(&self, name: &ServiceRef) -> Option<&Arc<dyn Orchestrator>> {
        self.orchestrators.get(&name.platform)
    }

    /// Each running, and healthy where it has a health check. A new line in a log or a change of state extends the
    /// deadline; a service that ends meanwhile is an error.
    pub async fn wait_healthy(
        &self, cx: &StepContext, names: &[ServiceRef], idle_ms: u64,
    ) -> Result<Vec<ServiceState>, VerbError> {
        let mut states = Vec::new();
        let (orchestrated, own): (Vec<_>, Vec<_>) = names.iter().partition(|name| self.orchestrator(name).is_some());
        for name in orchestrated {
            if let Some(orchestrator) = self.orchestrator(name) {
                states.push(orchestrator.wait_healthy(cx, name, self.idle(idle_ms)).await?);
            }
        }
        let services = own.into_iter().map(|name| self.find(name)).collect::<Result<Vec<_>, _>>()?;
        let wait = async {
            for service in &services {
                states.push(self.wait_for(service, &cx.activity).await?);
            }
            Ok(())
        };
        match cx.activity.watch(self.idle(idle_ms), wait).await {
            Err(VerbError::Timeout) => Err(self.not_healthy(&services).await),
            other => other.map(|()| states),
        }
    }

    /// Reads the log from the service's last start until a line fits `success`, which is returned, or `failure`.
    pub async fn follow(&self, cx: &StepContext, watch: &Watch) -> Result<String, VerbError> {
        if let Some(orchestrator) = self.orchestrator(&watch.service) {
            return orchestrator.follow(cx, watch, self.idle(watch.idle_ms)).await;
        }
        let service = self.find(&watch.service)?;
        let (success, failure) = (compile(&watch.success)?, compile_optional(Some(&watch.failure))?);
        let progress = compile_optional(watch.progress.as_deref())?;
        let mut log = Log::open(&service, Position::of_last_start(&service)?.unwrap_or_default())?;
        let read = async {
            let (mut gone, mut restarts) = (false, Restarts::default());
            loop {
                for line in log.news().await? {
                    show(&cx.activity, progress.as_ref(), &line);
                    if failure.as_ref().is_some_and(|failure| failure.is_match(&line)) {
                        return Err(VerbError::other("failure-line", format!("`{}` says: {line}", service.name)));
                    }
                    if success.is_match(&line) {
                        return Ok(line);
                    }
                }
                if gone {
                    return Err(service.failed("ended before its log said success").await);
                }
                let seen = service.look().await?;
                if restarts.keep_coming(seen.restarts) {
                    return Err(service.keeps_ending(seen.restarts).await);
                }
                // What it wrote before it ended is read once more.
                gone = matches!(seen.status, Status::Stopped | Status::Failed);
                tokio::time::sleep(POLL).await;
            }
        };
        cx.activity.watch(self.idle(watch.idle_ms), read).await
    }

    /// Lets the machine start them again, starts them, and returns when they run.
    pub async fn start(&self, cx: &StepContext, names: &[ServiceRef]) -> Result<(), VerbError> {
        if let Some(orchestrator) = self.own_orchestrator(cx, names, "control.start")? {
            return orchestrator.start(cx, names).await;
        }
        let services = self.changeable(cx, names, "control.start")?;
        let work = async {
            for service in &services {
                service.start(&cx.activity, self.idle).await?;
            }
            Ok(())
        };
        cx.effects.perform("control.start", &names, &handle(names), true, work).await
    }

    /// Replaces them, each healthy before the next; where there can be two of one at once, the old serves until the new
    /// one does.
    pub async fn roll(&self, cx: &StepContext, names: &[ServiceRef], idle_ms: u64) -> Result<(), VerbError> {
        if let Some(orchestrator) = self.own_orchestrator(cx, names, "control.roll")? {
            return orchestrator.roll(cx, names, self.idle(idle_ms)).await;
        }
        for name in names.iter().map(std::slice::from_ref) {
            self.start(cx, name).await?;
            self.wait_healthy(cx, name, idle_ms).await?;
        }
        Ok(())
    }

    /// Keeps them stopped across a reboot, stops them, and returns when they are.
    pub async fn stop(&self, cx: &StepContext, names: &[ServiceRef]) -> Result<(), VerbError> {
        if let Some(orchestrator) = self.own_orchestrator(cx, names, "control.stop")? {
            return orchestrator.stop(cx, names).await;
        }
        let services = self.changeable(cx, names, "control.stop")?;
        let why = format!("stopped by the step `{}`; `upgradectl status {}` says why", cx.step, cx.deployment);
        let work = async {
            for service in &services {
                service.stop(&cx.activity, self.idle, &why).await?;
            }
            Ok(())
        };
        cx.effects.perform("control.stop", &names, &handle(names), true, work).await
    }

    pub async fn fence_and_probe(&self, effect: &Effect) -> Verdict {
        let wanted = match effect.verb.as_str() {
            "control.start" | "control.roll" | REPLACE => Status::Running,
            "control.stop" => Status::Stopped,
            _ => return Verdict::Unknown,
        };
        let platform = effect.handle.split_once('/').map(|(platform, _)| platform);
        if let Some(orchestrator) = platform.and_then(|platform| self.orchestrators.get(platform)) {
            let names: Vec<&str> =
                effect.handle.split(',').filter_map(|name| name.split_once('/')).map(|(_, name)| name).collect();
            return match orchestrator.fence_control(&effect.step, &names, wanted == Status::Running).await {
                true => Verdict::Done(serde_json::Value::Null),
                false => Verdict::Unknown,
            };
        }
        for name in effect.handle.split(',') {
            let Some(service) = self.all().find(|service| service.name.to_string() == name) else {
                return Verdict::Unknown;
            };
            if !settled(&service, wanted).await {
                return Verdict::Unknown;
            }
        }
        Verdict::Done(serde_json::Value::Null)
    }

    /// What the running services may write to, as far as it can be seen from outside: see [`open`]. Nothing for a service
    /// that doesn't run.
    pub async fn open_for_writing(&self) -> Result<Vec<OpenFile>, VerbError> {
        let mut looks = Vec::new();
        for service in self.all() {
            looks.push(open::Look::at(&service).await?);
        }
        let mut layouts: Vec<Layout> = self.entries.values().filter_map(|entry| entry.layout.clone()).collect();
        layouts.dedup();
        let (stores, deployment) = (self.stores.clone(), self.deployment.clone());
        let found = tokio::task::spawn_blocking(move || open::find(&deployment, looks, &layouts, &stores)).await;
        let mut found = found.map_err(|error| VerbError::other("io", error.to_string()))?;
        for (platform, orchestrator) in &self.orchestrators {
            let servers = self.servers.iter().filter(|server| server.platform == *platform);
            let apart: Vec<String> = servers.map(|server| server.name.clone()).collect();
            found.extend(orchestrator.open_for_writing(&apart).await?);
        }
        Ok(found)
    }

    async fn wait_for(&self, service: &Service<'_>, activity: &Activity) -> Result<ServiceState, VerbError> {
        let mut log = Log::open(service, Position::end(service))?;
        let mut seen = None;
        let (mut ran, mut restarts) = (false, Restarts::default());
        loop {
            let now = service.look().await?;
            let status = now.status;
            let health = if status == Status::Running { healthy(service).await } else { None };
            let stands = match &health {
                Some(health) => health.is_ok(),
                None => stands(now.restarts, now.active_for),
            };
            match status {
                Status::Running if stands => return Ok(state(service, status, health.map(|health| health.is_ok()))),
                Status::Running if health.is_none() => activity.touch(),
                Status::Failed => return Err(service.failed("failed").await),
                Status::Stopped if service.hold().is_set() => {
                    return Err(VerbError::Conflict(format!(
                        "the service `{}` is held, and was not started",
                        service.name
                    )));
                }
                Status::Stopped if ran => return Err(service.failed("ended while it was waited for").await),
                Status::Running | Status::Stopped | Status::Between => {}
            }
            if restarts.keep_coming(now.restarts) {
                return Err(service.keeps_ending(now.restarts).await);
            }
            ran |= status == Status::Running;
            for line in log.news().await? {
                activity.line(Level::Debug, line);
            }
            if seen.as_ref() != Some(&(status, health.clone())) {
                activity.touch();
                seen = Some((status, health));
            }
            tokio::time::sleep(POLL).await;
        }
    }

    async fn not_healthy(&self, services: &[Service<'_>]) -> VerbError {
        for service in services {
            match service.status().await {
                Err(error) => return error,
                Ok(Status::Running) => {
                    if let Some(Err(why)) = healthy(service).await {
                        return service.failed(&format!("runs and is not healthy: its health check says {why}")).await;
                    }
                }
                Ok(_) => return service.failed("does not run").await,
            }
        }
        VerbError::Timeout
    }

    /// The platform's own, where it has one: then all of the services are its.
    fn own_orchestrator(
        &self, cx: &StepContext, names: &[ServiceRef], verb: &str,
    ) -> Result<Option<&Arc<dyn Orchestrator>>, VerbError> {
        let Some(orchestrator) = self.own.as_ref().and_then(|own| self.orchestrators.get(own)) else { return Ok(None) };
        self.may_change(cx, names, verb)?;
        Ok(Some(orchestrator))
    }

    fn changeable<'a>(
        &'a self, cx: &StepContext, names: &[ServiceRef], verb: &str,
    ) -> Result<Vec<Service<'a>>, VerbError> {
        self.may_change(cx, names, verb)?;
        names.iter().map(|name| self.find(name)).collect()
    }

    fn may_change(&self, cx: &StepContext, names: &[ServiceRef], verb: &str) -> Result<(), VerbError> {
        cx.effects.may_change(verb)?;
        if cx.site != Site::Live {
            return Err(VerbError::Denied("services are those of the live site, and this is a drill".into()));
        }
        let own = |name: &ServiceRef| Some(&name.platform) == self.own.as_ref();
        if let Some(other) = names.iter().find(|name| !own(name)) {
            return Err(VerbError::Denied(format!(
                "`{other}` is a service of another platform, which alone may change it"
            )));
        }
        Ok(())
    }

    fn find(&self, name: &ServiceRef) -> Result<Service<'_>, VerbError> {
        let service = self.all().find(|service| service.name == name);
        service.ok_or_else(|| {
            let known: Vec<String> = self.entries.keys().map(|name| format!("`{name}`")).collect();
            let known =
                if known.is_empty() { "there is none".into() } else { format!("there is {}", known.join(", ")) };
            VerbError::NotFound(format!("the deployment has no service `{name}`; {known}"))
        })
    }

    fn all(&self) -> impl Iterator<Item = Service<'_>> {
        self.entries.iter().map(|(name, entry)| Service {
            name,
            deployment: &self.deployment,
            config: &entry.config,
            layout: entry.layout.as_ref(),
            machine: &self.machine,
        })
    }

    fn idle(&self, wanted_ms: u64) -> Duration {
        if wanted_ms == 0 { self.idle } else { Duration::from_millis(wanted_ms) }
    }
}

fn servers(deployment: &Deployment) -> Vec<ServiceRef> {
    let servers = deployment.datastores.iter().filter_map(|store| store.grants.server.as_ref()?.service.clone());
    servers.collect()
}

fn stores(deployment: &Deployment) -> Vec<PathBuf> {
    let bound = deployment.datastores.iter().flat_map(|store| store.grants.paths.values().cloned());
    let directory = deployment.directory().cloned().unwrap_or_default();
    let disposable = deployment.policy.disposable.iter().filter_map(|entry| entry.strip_prefix("path:"));
    bound.chain(disposable.map(|path| directory.join(path))).collect()
}

/// Waits for what a gone daemon left under way, ends it where it takes too long, and says whether it is as wanted.
async fn settled(service: &Service<'_>, wanted: Status) -> bool {
    let began = Instant::now();
    loop {
        let running = matches!(service.status().await, Ok(Status::Running));
        let (held, launcher) = (service.hold().is_set(), service.launcher().ok().flatten());
        match wanted {
            Status::Running if running && !held => return true,
            Status::Stopped if !running && held && launcher.is_none() => return true,
            _ => {}
        }
        match launcher {
            Some(_) if began.elapsed() < FENCE_WITHIN => tokio::time::sleep(POLL).await,
            // The next `start` waits for it, the next `stop` ends it.
            _ => return false,
        }
    }
}

/// None: it has no health check.
async fn healthy(service: &Service<'_>) -> Option<Result<(), String>> {
    match &service.config.health {
        Some(url) => Some(http::probe(url, HEALTH_WITHIN).await),
        None => None,
    }
}

fn state(service: &Service<'_>, status: Status, healthy: Option<bool>) -> ServiceState {
    ServiceState {
        name: service.name.clone(),
        version: None,
        digest: None,
        replicas: 1,
        running: u32::from(status == Status::Running),
        healthy,
    }
}

/// What an effect on these services is found again by.
pub fn handle(names: &[ServiceRef]) -> String {
    names.iter().map(ServiceRef::to_string).collect::<Vec<_>>().join(",")
}
