//! Looking at services: what runs, whether it is healthy, what it says. A service stands when every container of its pods
//! does.

use super::{Checks, Declaration, Pods, Service, Standing};
use crate::context::StepContext;
use crate::driver::compose::{broken_how, is_of_the_machine, stands, tag, will_not_stand};
use crate::driver::engine::{Container, Health, Mount, State};
use crate::driver::process::log::LineSplitter;
use crate::driver::process::patterns::{compile, compile_optional, show};
use crate::driver::process::redact::Redactor;
use crate::driver::services::OpenFile;
use crate::model::*;
use futures::StreamExt;
use jiff::Timestamp;
use pod_files::Source;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

const POLL: Duration = Duration::from_millis(250);
const TAIL_LINES: u32 = 12;
/// Of one container, while it is waited for. Whom its health check ends, podman starts again without counting.
const STARTS: usize = 3;
/// Letters of the name of a volume that has none.
const ANONYMOUS: usize = 64;

impl Pods {
    pub(super) async fn list_services(&self) -> Result<Vec<ServiceState>, VerbError> {
        let declaration = self.declaration(false).await?;
        let services: Vec<&Service> = declaration.services.iter().collect();
        let all = self.of_services(&declaration, &services, Checks::Run).await?;
        let mut states = Vec::new();
        for service in &declaration.services {
            let own: Vec<Standing> = all.iter().filter(|standing| standing.service == service.name).cloned().collect();
            states.push(self.state(&declaration, &service.name, &own)?);
        }
        Ok(states)
    }

    /// One that keeps ending is an error. Its log extends the deadline until the engine calls it unhealthy.
    pub(super) async fn wait_for(
        &self, cx: &StepContext, name: &ServiceRef, idle: Duration,
    ) -> Result<ServiceState, VerbError> {
        let declaration = self.declaration(false).await?;
        declaration.service(self, &name.name)?;
        let mut redactor = redactor(&declaration);
        let wait = async {
            let (mut last, mut heard) = (Vec::new(), BTreeMap::<String, String>::new());
            let mut starts = BTreeMap::<String, BTreeSet<Option<Timestamp>>>::new();
            loop {
                let standing = self.of_service(&declaration, &name.name, Checks::Run).await?;
                let all = || standing.iter().flat_map(|standing| &standing.containers);
                for container in all() {
                    let starts = starts.entry(container.id.clone()).or_default();
                    starts.insert(container.started);
                    if starts.len() > STARTS {
                        return Err(self.told(&declaration, name, container, &keeps_ending(container)).await);
                    }
                }
                // Between its end and its next start a container is one that ended.
                let broken =
                    all().find(|one| will_not_stand(one) && !(one.state == State::Exited && one.is_started_again()));
                if let Some(broken) = broken {
                    return Err(self.told(&declaration, name, broken, &broken_how(broken)).await);
                }
                if let Some(missing) = missing(&declaration, self, name, &standing)? {
                    if self.hold(name).is_set() {
                        return Err(VerbError::Conflict(format!("the service `{name}` is held, and was not started")));
                    }
                    if self.is_made_again(name).await? {
                        tokio::time::sleep(POLL).await;
                        continue;
                    }
                    let said = heard
                        .values()
                        .rfind(|said| !said.is_empty())
                        .map(|said| format!(":\n{said}"))
                        .unwrap_or_default();
                    return Err(VerbError::other("service", format!("the service `{name}` has no `{missing}`{said}")));
                }
                if all().all(stands) {
                    return self.state(&declaration, &name.name, &standing);
                }
                let states: Vec<_> = all().map(|c| (c.id.clone(), c.state, c.health)).collect();
                if states != last {
                    cx.activity.touch();
                    last = states;
                }
                let waited = all().filter(|c| !stands(c) && c.health != Some(Health::Unhealthy));
                for container in waited {
                    let tail = redactor.text(&self.engine.tail(&container.id, 1).await);
                    if heard.insert(container.name.clone(), tail.clone()) != Some(tail) {
                        cx.activity.touch();
                    }
                }
                tokio::time::sleep(POLL).await;
            }
        };
        match cx.activity.watch(idle, wait).await {
            Err(VerbError::Timeout) => Err(self.not_healthy(&declaration, name).await),
            other => other,
        }
    }

    /// Reads the logs of all of the service's containers from their last start until a line fits.
    pub(super) async fn follow_log(
        &self, cx: &StepContext, watch: &Watch, idle: Duration,
    ) -> Result<String, VerbError> {
        let name = &watch.service;
        let (success, failure) = (compile(&watch.success)?, compile_optional(Some(&watch.failure))?);
        let progress = compile_optional(watch.progress.as_deref())?;
        let declaration = self.declaration(false).await?;
        declaration.service(self, &name.name)?;
        let mut redactor = redactor(&declaration);
        let read = async {
            let mut since: BTreeMap<String, i64> = BTreeMap::new();
            loop {
                let standing = self.of_service(&declaration, &name.name, Checks::Leave).await?;
                let containers: Vec<&Container> = standing.iter().flat_map(|standing| &standing.containers).collect();
                if containers.is_empty() {
                    let message = format!("the service `{name}` has no container to listen to");
                    return Err(VerbError::other("service", message));
                }
                let mut logs = futures::stream::SelectAll::new();
                for (number, container) in containers.iter().enumerate() {
                    let started = container.started.map_or(0, Timestamp::as_second);
                    let from = since.insert(container.id.clone(), Timestamp::now().as_second()).unwrap_or(started);
                    let log = self.engine.follow(&container.id, i32::try_from(from).unwrap_or(0)).await?;
                    // The end of each is news, too.
                    let log = log.map(Some).chain(futures::stream::once(async { None }));
                    logs.push(Box::pin(log.map(move |news| (number, news))));
                }
                let mut lines: Vec<LineSplitter> = containers.iter().map(|_| LineSplitter::default()).collect();
                let mut over = false;
                while !over {
                    let Some((number, news)) = logs.next().await else { break };
                    let news = news.transpose()?;
                    over = news.is_none();
                    let split = match news {
                        Some(text) => lines[number].push(text.as_bytes()),
                        None => lines[number].finish(),
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
                // A process ended. What the engine starts again goes on, within reason.
                let now = self.of_service(&declaration, &name.name, Checks::Leave).await?;
                let all = || now.iter().flat_map(|standing| &standing.containers);
                let broken = all().find(|one| (one.state == State::Exited && !one.is_done()) || will_not_stand(one));
                if let Some(over) = broken.or_else(|| all().next().filter(|_| all().all(Container::is_done))) {
                    return Err(self.told(&declaration, name, over, "ended before its log said success").await);
                }
                tokio::time::sleep(POLL).await;
            }
        };
        cx.activity.watch(idle, read).await
    }

    /// What the running containers may write to of the machine, but for those of `apart`: a server's own data. What a file
    /// declares as empty, or as settings, is no data.
    pub(super) async fn written_to(&self, apart: &[String]) -> Result<Vec<OpenFile>, VerbError> {
        let declaration = self.declaration(false).await?;
        let services: Vec<&Service> = declaration.services.iter().collect();
        let all = self.of_services(&declaration, &services, Checks::Leave).await?;
        let mut found = Vec::new();
        for service in services {
            for standing in all.iter().filter(|standing| standing.service == service.name) {
                let pod = service.file.pods.iter().find(|pod| pod.name == standing.pod);
                for container in &standing.containers {
                    let short = standing.short(container);
                    let full = format!("{}/{short}", service.name);
                    let declared = pod.and_then(|pod| pod.containers.iter().find(|one| one.name == short));
                    let running = matches!(container.state, State::Running | State::Restarting | State::Paused);
                    let is_apart = apart.iter().any(|one| *one == full || *one == service.name);
                    if !running || is_apart {
                        continue;
                    }
                    for mount in container.mounts.iter().filter(|mount| mount.writable && !is_of_the_machine(mount)) {
                        if declared.is_some_and(|declared| is_no_data(declared, mount)) {
                            continue;
                        }
                        let store = mount.volume.as_ref().map(|name| match is_anonymous(name) {
                            // It goes with every redeploy; this is what it is called from one to the next.
                            true => format!("volume:{full}:{}", mount.target.display()),
                            false => format!("volume:{name}"),
                        });
                        let service = format!("{}/{full}", self.platform);
                        found.push(OpenFile { path: mount.source.clone(), store, service });
                    }
                }
            }
        }
        Ok(found)
    }

    async fn not_healthy(&self, declaration: &Declaration, name: &ServiceRef) -> VerbError {
        let standing = match self.of_service(declaration, &name.name, Checks::Leave).await {
            Ok(standing) => standing,
            Err(error) => return error,
        };
        let Some(lame) = standing.iter().flat_map(|standing| &standing.containers).find(|one| !stands(one)) else {
            return VerbError::other("service", format!("the service `{name}` does not have all of its containers"));
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
        VerbError::other("service", format!("`{}` of the service `{name}` {how}{tail}", container.name))
    }

    fn state(&self, declaration: &Declaration, name: &str, standing: &[Standing]) -> Result<ServiceState, VerbError> {
        let pods = &declaration.service(self, name)?.file.pods;
        let all = || standing.iter().flat_map(|standing| &standing.containers);
        let checked: Vec<bool> =
            all().filter_map(|container| container.health.map(|health| health == Health::Healthy)).collect();
        let runs = |one: &&Standing| one.containers.iter().all(|c| c.state == State::Running || c.is_done());
        let running = standing.iter().filter(runs).count();
        let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        let first = all().next();
        Ok(ServiceState {
            name: ServiceRef { platform: self.platform.clone(), name: name.to_owned() },
            version: first.and_then(|container| tag(&container.image)),
            digest: first.map(|container| container.image_id.clone()),
            replicas: count(pods.len()),
            running: count(running),
            healthy: (!checked.is_empty()).then(|| checked.iter().all(|healthy| *healthy)),
        })
    }
}

fn keeps_ending(container: &Container) -> String {
    let said = container.health_said.as_ref().map(|said| format!("; its health check says {said}")).unwrap_or_default();
    format!("keeps ending, and was started again {STARTS} times while it was waited for{said}")
}

/// A pod or a container of the service that isn't there.
pub(super) fn missing(
    declaration: &Declaration, pods: &Pods, name: &ServiceRef, standing: &[Standing],
) -> Result<Option<String>, VerbError> {
    for pod in &declaration.service(pods, &name.name)?.file.pods {
        let Some(there) = standing.iter().find(|standing| standing.pod == pod.name) else {
            return Ok(Some(pod.name.clone()));
        };
        let mut names = pod.running().map(|container| pod.container_name(container));
        if let Some(missing) = names.find(|name| !there.containers.iter().any(|container| container.name == *name)) {
            return Ok(Some(missing));
        }
    }
    Ok(None)
}

/// What the file declares as empty, or as settings.
pub(super) fn is_no_data(declared: &pod_files::Container, mount: &Mount) -> bool {
    source_of(declared, mount).is_some_and(|source| matches!(source, Source::Empty | Source::Settings(_)))
}

/// What a config map or a secret says.
pub(super) fn is_settings(declared: &pod_files::Container, mount: &Mount) -> bool {
    source_of(declared, mount).is_some_and(|source| matches!(source, Source::Settings(_)))
}

fn source_of<'c>(declared: &'c pod_files::Container, mount: &Mount) -> Option<&'c Source> {
    let target = mount.target.display().to_string();
    let mut mounts = declared.mounts.iter();
    let mount = mounts.find(|mount| mount.target.trim_end_matches('/') == target.trim_end_matches('/'));
    mount.map(|mount| &mount.source)
}

pub(super) fn is_anonymous(volume: &str) -> bool {
    volume.len() == ANONYMOUS && volume.chars().all(|c| c.is_ascii_hexdigit())
}

pub(super) fn redactor(declaration: &Declaration) -> Redactor {
    Redactor::new(declaration.secrets.iter().map(String::as_str))
}
