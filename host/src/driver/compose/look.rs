//! Looking at services: what runs, whether it is healthy, what it says.

use super::declared::Declaration;
use super::{Compose, of_service};
use crate::context::StepContext;
use crate::driver::engine::{Container, Health, State};
use crate::driver::process::log::LineSplitter;
use crate::driver::process::patterns::{compile, compile_optional, show};
use crate::driver::process::redact::Redactor;
use crate::driver::services::OpenFile;
use crate::model::*;
use futures::StreamExt;
use jiff::Timestamp;
use std::time::Duration;

const POLL: Duration = Duration::from_millis(100);
/// A service without a health check counts once it has run so long: one that can't start at all has ended by then. What
/// is verified afterwards looks at it again.
const STANDS_AFTER: Duration = Duration::from_millis(500);
/// The same where it has ended before.
const STANDS_AGAIN_AFTER: Duration = Duration::from_secs(5);
/// The engine has started it again so often since we did: it will not stand.
const RESTARTS: i64 = 2;
/// One that has run so long since is over it.
const LATELY: Duration = Duration::from_secs(30);
const TAIL_LINES: u32 = 12;

/// The containers of a service that are waited for.
pub(super) struct Awaited<F> {
    pub least: usize,
    pub counts: F,
    pub healthy: Healthy,
}

/// Who says so.
#[derive(Clone, Copy)]
pub(super) enum Healthy {
    ByItsCheck,
    /// When its check is due; proxies that ask the engine hear it then.
    ByTheEngine,
}

impl Awaited<fn(&Container) -> bool> {
    /// All of them, so many at least.
    pub fn all(least: usize, healthy: Healthy) -> Self {
        Self { least, counts: |_| true, healthy }
    }
}

impl Compose {
    pub async fn list(&self) -> Result<Vec<ServiceState>, VerbError> {
        let declaration = self.declaration().await?;
        let containers = self.engine.containers(&declaration.name).await?;
        let state = |name: &str, replicas| self.state(name, replicas, &of_service(&containers, name));
        Ok(declaration.services.iter().map(|service| state(&service.name, service.replicas)).collect())
    }

    /// Every replica runs, and is healthy where it has a health check; a service that runs once has ended well. One that
    /// keeps ending is an error. Its log extends the deadline until the engine calls it unhealthy.
    pub async fn wait_healthy(
        &self, cx: &StepContext, name: &ServiceRef, idle: Duration,
    ) -> Result<ServiceState, VerbError> {
        let declaration = self.declaration().await?;
        self.known(&declaration, std::slice::from_ref(&name.name))?;
        let replicas = declaration.services.iter().find(|s| s.name == name.name).map_or(1, |s| s.replicas);
        let all = Awaited::all(replicas as usize, Healthy::ByItsCheck);
        let own = self.wait_for(cx, &declaration, name, &all, idle).await?;
        Ok(self.state(&name.name, replicas, &own.iter().collect::<Vec<_>>()))
    }

    /// The service's containers that count, once all of them stand and there are so many at least.
    pub(super) async fn wait_for(
        &self, cx: &StepContext, declaration: &Declaration, name: &ServiceRef,
        awaited: &Awaited<impl Fn(&Container) -> bool>, idle: Duration,
    ) -> Result<Vec<Container>, VerbError> {
        let least = awaited.least;
        let mut last: Vec<Container> = Vec::new();
        let wait = async {
            let mut heard = String::new();
            loop {
                let all = self.seen(declaration, awaited.healthy).await?;
                let own = of_service(&all, &name.name).into_iter().filter(|container| (awaited.counts)(container));
                let own: Vec<Container> = own.cloned().collect();
                if let Some(broken) = own.iter().find(|container| will_not_stand(container)) {
                    return Err(self.told(declaration, name, broken, &broken_how(broken)).await);
                }
                if own.len() >= least && own.iter().all(stands) {
                    return Ok(own);
                }
                if own.len() < least && !self.hold(name).is_set() {
                    let message = format!("the service `{name}` has {} of its {least} containers", own.len());
                    return Err(VerbError::other("service", message));
                }
                if own.is_empty() && self.hold(name).is_set() {
                    return Err(VerbError::Conflict(format!("the service `{name}` is held, and was not started")));
                }
                let states =
                    |all: &[Container]| all.iter().map(|c| (c.id.clone(), c.state, c.health)).collect::<Vec<_>>();
                if states(&own) != states(&last) {
                    cx.activity.touch();
                }
                if let Some(quiet) =
                    own.iter().find(|container| !stands(container) && container.health != Some(Health::Unhealthy))
                {
                    let tail = self.engine.tail(&quiet.id, 1).await;
                    if tail != heard {
                        cx.activity.touch();
                        heard = tail;
                    }
                }
                last = own;
                tokio::time::sleep(POLL).await;
            }
        };
        match cx.activity.watch(idle, wait).await {
            Err(VerbError::Timeout) => Err(self.not_healthy(declaration, name, awaited).await),
            other => other,
        }
    }

    async fn seen(&self, declaration: &Declaration, healthy: Healthy) -> Result<Vec<Container>, VerbError> {
        match healthy {
            Healthy::ByItsCheck => self.engine.containers(&declaration.name).await,
            Healthy::ByTheEngine => self.engine.containers_as_known(&declaration.name).await,
        }
    }

    /// Reads the log of the service's newest container from its last start until a line fits.
    pub async fn follow(&self, cx: &StepContext, watch: &Watch, idle: Duration) -> Result<String, VerbError> {
        let name = &watch.service;
        let (success, failure) = (compile(&watch.success)?, compile_optional(Some(&watch.failure))?);
        let progress = compile_optional(watch.progress.as_deref())?;
        let declaration = self.declaration().await?;
        self.known(&declaration, std::slice::from_ref(&name.name))?;
        let mut redactor = redactor(&declaration);
        let read = async {
            let mut since = None;
            loop {
                let all = self.engine.containers(&declaration.name).await?;
                let newest = of_service(&all, &name.name).into_iter().max_by(|a, b| a.created.cmp(&b.created)).cloned();
                let Some(container) = newest else {
                    return Err(VerbError::other(
                        "service",
                        format!("the service `{name}` has no container to listen to"),
                    ));
                };
                let from = since.unwrap_or_else(|| container.started.map_or(0, Timestamp::as_second));
                since = Some(Timestamp::now().as_second());
                let mut log = self.engine.follow(&container.id, i32::try_from(from).unwrap_or(0)).await?;
                let mut lines = LineSplitter::default();
                let mut over = false;
                while !over {
                    let news = log.next().await.transpose()?;
                    over = news.is_none();
                    let split = match news {
                        Some(text) => lines.push(text.as_bytes()),
                        None => lines.finish(),
                    };
                    for line in split {
                        let line = redactor.text(&line);
                        show(&cx.activity, progress.as_ref(), &line);
                        if failure.as_ref().is_some_and(|failure| failure.is_match(&line)) {
                            return Err(VerbError::other("failure-line", format!("`{name}` says: {line}")));
                        }
                        if success.is_match(&line) {
                            return Ok(line);
                        }
                    }
                }
                // Its process ended. What the engine starts again goes on, within reason.
                let Some(now) = self.engine.container(&container.id).await? else { continue };
                if now.state == State::Exited || will_not_stand(&now) {
                    return Err(self.told(&declaration, name, &now, "ended before its log said success").await);
                }
                tokio::time::sleep(POLL).await;
            }
        };
        cx.activity.watch(idle, read).await
    }

    /// What the running containers may write to of the machine, but for those of `apart`: a server's own data.
    pub async fn open_for_writing(&self, apart: &[String]) -> Result<Vec<OpenFile>, VerbError> {
        let declaration = self.declaration().await?;
        let mut found = Vec::new();
        for container in self.engine.containers(&declaration.name).await? {
            let running = matches!(container.state, State::Running | State::Restarting | State::Paused);
            if !running || apart.contains(&container.service) {
                continue;
            }
            let service = format!("{}/{}", self.platform, container.service);
            let writable = container.mounts.into_iter().filter(|mount| mount.writable && !is_of_the_machine(mount));
            found.extend(writable.map(|mount| OpenFile {
                path: mount.source,
                store: mount.volume.map(|volume| format!("volume:{volume}")),
                service: service.clone(),
            }));
        }
        Ok(found)
    }

    async fn not_healthy(
        &self, declaration: &Declaration, name: &ServiceRef, awaited: &Awaited<impl Fn(&Container) -> bool>,
    ) -> VerbError {
        let containers = match self.seen(declaration, awaited.healthy).await {
            Ok(containers) => containers,
            Err(error) => return error,
        };
        let own = of_service(&containers, &name.name);
        let Some(lame) = own.iter().find(|container| (awaited.counts)(container) && !stands(container)) else {
            return VerbError::other("service", format!("the service `{name}` does not have all of its replicas"));
        };
        let how = match (&lame.health, &lame.health_said) {
            (Some(_), Some(said)) => format!("runs and is not healthy: its health check says {said}"),
            (Some(_), None) => "runs and is not healthy".into(),
            (None, _) => "does not run".into(),
        };
        self.told(declaration, name, lame, &how).await
    }

    /// An error that ends with the last lines of the log.
    async fn told(&self, declaration: &Declaration, name: &ServiceRef, container: &Container, how: &str) -> VerbError {
        let tail = redactor(declaration).text(&self.engine.tail(&container.id, TAIL_LINES).await);
        let tail = if tail.is_empty() { tail } else { format!(":\n{tail}") };
        VerbError::other("service", format!("the service `{name}` {how}{tail}"))
    }

    fn state(&self, name: &str, replicas: u32, own: &[&Container]) -> ServiceState {
        let running = own.iter().filter(|container| container.state == State::Running);
        let checked: Vec<bool> =
            running.clone().filter_map(|container| container.health.map(|health| health == Health::Healthy)).collect();
        let newest = own.iter().max_by(|a, b| a.created.cmp(&b.created));
        ServiceState {
            name: ServiceRef { platform: self.platform.clone(), name: name.to_owned() },
            version: newest.and_then(|container| tag(&container.image)),
            digest: newest.map(|container| container.image_id.clone()),
            replicas,
            running: u32::try_from(running.count()).unwrap_or(u32::MAX),
            healthy: (!checked.is_empty()).then(|| checked.iter().all(|healthy| *healthy)),
        }
    }
}

fn redactor(declaration: &Declaration) -> Redactor {
    Redactor::new(declaration.secrets.iter().map(String::as_str))
}

pub fn stands(container: &Container) -> bool {
    match (container.state, container.health) {
        (State::Running, Some(health)) => health == Health::Healthy,
        (State::Running, None) => {
            let enough = if container.restarts > 0 { STANDS_AGAIN_AFTER } else { STANDS_AFTER };
            container.started.is_none_or(|started| since(started) >= enough)
        }
        _ => container.is_done(),
    }
}

pub fn will_not_stand(container: &Container) -> bool {
    let ended = container.state == State::Exited && !container.is_done();
    let lately = container.started.is_none_or(|started| since(started) < LATELY);
    ended || (container.restarts >= RESTARTS && lately)
}

fn since(time: Timestamp) -> Duration {
    Timestamp::now().duration_since(time).unsigned_abs()
}

pub fn broken_how(container: &Container) -> String {
    match container.state {
        State::Exited => format!("ended with {}", container.exit_code),
        State::Restarting => format!("keeps ending, the last time with {}", container.exit_code),
        // It runs at this moment, and how it ended last is nowhere any more.
        _ => format!("keeps ending: the engine has started it again {} times", container.restarts),
    }
}

/// Where the engine's own things are: its socket, and what every container sees.
pub fn is_of_the_machine(mount: &crate::driver::engine::Mount) -> bool {
    ["/dev", "/proc", "/sys", "/run", "/var/run"].iter().any(|place| mount.source.starts_with(place))
}

/// `1.4.0` of `registry:5000/shop/web:1.4.0@sha256:…`.
pub fn tag(reference: &str) -> Option<String> {
    let name = reference.split('@').next()?;
    let last = name.rsplit('/').next()?;
    last.split_once(':').map(|(_, tag)| tag.to_owned())
}
