//! A container engine of this machine, through its socket: what `compose` and `images` stand on.

mod alone;
mod bridges;
mod checks;
mod container;
pub mod credentials;
pub mod images;
mod podman;
mod pods;
mod registry;
mod removal;
mod rootless;
mod socket;
#[cfg(test)]
mod tests;

pub use alone::{Alone, CPU_SHARES, OOM_SCORE_ADJ, Seen};
pub use container::{Container, Health, Mount, State};
pub use podman::Kind;
pub use pods::PodSeen;
pub use removal::unless_used;

use crate::config::EngineConfig;
use crate::model::VerbError;
use bollard::models::{ContainerUpdateBody, RestartPolicy};
use bollard::query_parameters::{LogsOptionsBuilder, RemoveContainerOptionsBuilder, StopContainerOptions};
use bollard::{API_DEFAULT_VERSION, Docker};
use checks::Checks;
use futures::{Stream, StreamExt};
use rootless::Ways;
use serde::Deserialize;
use serde_json::json;
use std::path::PathBuf;
use std::time::Duration;
use tokio::sync::{Mutex, OnceCell};

/// How long the engine may take to answer.
const ANSWER_SECONDS: u64 = 60;
const TAIL_WITHIN: Duration = Duration::from_secs(10);
/// A container may be given long to stop.
const STOP_WITHIN: Duration = Duration::from_secs(3600);
const OK: u16 = 200;
const MADE: u16 = 201;
const DONE: u16 = 204;
const NO_SUCH: u16 = 404;
const NOT_MODIFIED: u16 = 304;

pub const PROJECT_LABEL: &str = "com.docker.compose.project";
pub const SERVICE_LABEL: &str = "com.docker.compose.service";

pub struct Engine {
    config: EngineConfig,
    met: OnceCell<Met>,
    rootless: OnceCell<bool>,
    ways: Mutex<Ways>,
    checks: Checks,
}

struct Met {
    docker: Docker,
    kind: Kind,
}

impl Engine {
    pub fn new(config: EngineConfig) -> Self {
        let (met, rootless) = (OnceCell::new(), OnceCell::new());
        Self { config, met, rootless, ways: Mutex::default(), checks: Checks::default() }
    }

    pub fn config(&self) -> &EngineConfig {
        &self.config
    }

    /// Speaks the API's version that the engine knows.
    pub async fn docker(&self) -> Result<&Docker, VerbError> {
        Ok(&self.met().await?.docker)
    }

    async fn met(&self) -> Result<&Met, VerbError> {
        let meet = || async {
            let greeting = self.greeted().await?;
            let api = if greeting.api < *API_DEFAULT_VERSION { &greeting.api } else { API_DEFAULT_VERSION };
            let docker = Docker::connect_with_unix(&self.place(), ANSWER_SECONDS, api);
            let docker = docker.map_err(|error| self.away(&error))?;
            Ok(Met { docker, kind: greeting.podman.map_or(Kind::Docker, |api| Kind::Podman { api }) })
        };
        self.met.get_or_try_init(meet).await
    }

    /// The socket.
    fn place(&self) -> String {
        self.config.socket.display().to_string()
    }

    /// As the client has it.
    pub fn host(&self) -> String {
        format!("unix://{}", self.place())
    }

    fn away(&self, error: &bollard::errors::Error) -> VerbError {
        VerbError::Unavailable(format!("the container engine at `{}` does not answer: {error}", self.place()))
    }

    /// Of one Compose project, stopped ones too; one-off containers apart. Their health is what it is now, also where the
    /// engine doesn't look, or doesn't yet.
    pub async fn containers(&self, project: &str) -> Result<Vec<Container>, VerbError> {
        let mut containers = self.containers_as_known(project).await?;
        self.check_ahead(&mut containers).await;
        Ok(containers)
    }

    /// The same, healthy where the engine has seen it.
    pub async fn containers_as_known(&self, project: &str) -> Result<Vec<Container>, VerbError> {
        let containers = self.containers_as_they_are(project).await?;
        if self.run_checks(&containers).await? { self.containers_as_they_are(project).await } else { Ok(containers) }
    }

    async fn containers_as_they_are(&self, project: &str) -> Result<Vec<Container>, VerbError> {
        let label = format!("{PROJECT_LABEL}={project}");
        let found = self.labelled(&[label, "com.docker.compose.oneoff=False".into()]).await?;
        let mut containers = self.of_ids(&found).await?;
        containers.sort_by(|a, b| (&a.service, a.number, &a.created).cmp(&(&b.service, b.number, &b.created)));
        Ok(containers)
    }

    /// The IDs of all containers that carry every one of these labels.
    pub async fn labelled(&self, labels: &[String]) -> Result<Vec<String>, VerbError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct Listed {
            id: String,
        }
        let filters = json!({ "label": labels }).to_string();
        let (status, body) =
            self.get(&self.path("/containers/json").await?, &[("all", "1"), ("filters", &filters)]).await?;
        if status != OK {
            return Err(self.refused(status, &body));
        }
        let found: Vec<Listed> = serde_json::from_slice(&body).map_err(|error| nonsense(&error))?;
        Ok(found.into_iter().map(|container| container.id).collect())
    }

    /// None: it is gone.
    pub async fn container(&self, id: &str) -> Result<Option<Container>, VerbError> {
        match self.get(&self.path(&format!("/containers/{id}/json")).await?, &[]).await? {
            (OK, body) => Container::read(&body).map(Some).map_err(|error| nonsense(&error)),
            (NO_SUCH, _) => Ok(None),
            (status, body) if socket::gone(status, &body) == Some(socket::Gone::Container) => Ok(None),
            (status, body) => Err(self.refused(status, &body)),
        }
    }

    /// Where the engine keeps images and volumes.
    pub async fn folder(&self) -> Result<PathBuf, VerbError> {
        let info = self.docker().await?.info().await.map_err(|error| self.failed(&error))?;
        Ok(info.docker_root_dir.unwrap_or_else(|| "/var/lib/docker".into()).into())
    }

    /// Where a named volume's data lies on this machine.
    pub async fn folder_of_volume(&self, name: &str) -> Result<PathBuf, VerbError> {
        let found = self.docker().await?.inspect_volume(name).await;
        let volume = found.map_err(|error| match self.failed(&error) {
            VerbError::NotFound(_) => VerbError::NotFound(format!("the engine has no volume `{name}`")),
            other => other,
        })?;
        let elsewhere = volume.driver != "local" || volume.options.contains_key("device");
        if elsewhere || volume.mountpoint.is_empty() {
            return Err(VerbError::Invalid(format!(
                "the volume `{name}` does not lie in the engine's own folder: name the place that it mounts in `paths`"
            )));
        }
        Ok(volume.mountpoint.into())
    }

    /// As [`Container::restart_policy`] reads it. False: the engine can't change a container's policy, as podman before
    /// 5.1, which refuses or says that it did. Nothing where the container is gone.
    pub async fn set_restart_policy(&self, id: &str, policy: &RestartPolicy) -> Result<bool, VerbError> {
        let body = ContainerUpdateBody { restart_policy: Some(policy.clone()), ..Default::default() };
        match self.docker().await?.update_container(id, body).await {
            Err(error) if status(&error) != Some(NO_SUCH) => return Err(self.failed(&error)),
            _ => {}
        }
        if !self.is_podman().await? {
            return Ok(true);
        }
        let now = self.container(id).await?;
        Ok(now.is_none_or(|container| container.restart_policy.name == policy.name))
    }

    /// Within the time that the container was given to stop; nothing where it is stopped or gone.
    pub async fn stop(&self, id: &str) -> Result<(), VerbError> {
        let docker = self.docker().await?.clone().with_timeout(STOP_WITHIN);
        match docker.stop_container(id, None::<StopContainerOptions>).await {
            Err(error) if ![Some(NO_SUCH), Some(NOT_MODIFIED)].contains(&status(&error)) => Err(self.failed(&error)),
            _ => Ok(()),
        }
    }

    /// With its anonymous volumes, running or not; nothing where it is gone.
    pub async fn remove(&self, id: &str) -> Result<(), VerbError> {
        let options = RemoveContainerOptionsBuilder::default().force(true).v(true).build();
        match self.docker().await?.remove_container(id, Some(options)).await {
            // 409: somebody removes it already.
            Err(error) if ![Some(NO_SUCH), Some(409)].contains(&status(&error)) => Err(self.failed(&error)),
            _ => Ok(()),
        }
    }

    /// What it said since, a line each; goes on while it runs.
    pub async fn follow<'e>(
        &'e self, id: &'e str, since_seconds: i32,
    ) -> Result<impl Stream<Item = Result<String, VerbError>> + Unpin + use<'e>, VerbError> {
        let options = LogsOptionsBuilder::default().stdout(true).stderr(true).follow(true).since(since_seconds).build();
        let logs = self.docker().await?.logs(id, Some(options));
        let failed = |error: bollard::errors::Error| VerbError::Unavailable(format!("the engine's log broke: {error}"));
        let lines = logs.map(move |output| {
            output.map(|output| String::from_utf8_lossy(&output.into_bytes()).into_owned()).map_err(failed)
        });
        Ok(Box::pin(self.to_its_end(id, lines)))
    }

    /// The last lines of its log; none where the engine does not come to their end.
    pub async fn tail(&self, id: &str, lines: u32) -> String {
        let Ok(docker) = self.docker().await else { return String::new() };
        let options = LogsOptionsBuilder::default().stdout(true).stderr(true).tail(&lines.to_string()).build();
        let parts = tokio::time::timeout(TAIL_WITHIN, docker.logs(id, Some(options)).collect::<Vec<_>>()).await;
        let parts = parts.unwrap_or_default();
        let parts = parts.into_iter().flatten().map(|part| String::from_utf8_lossy(&part.into_bytes()).into_owned());
        parts.collect::<String>().trim_end().to_owned()
    }

    fn refused(&self, status_code: u16, body: &[u8]) -> VerbError {
        self.failed(&bollard::errors::Error::DockerResponseServerError { status_code, message: socket::message(body) })
    }

    pub fn failed(&self, error: &bollard::errors::Error) -> VerbError {
        use bollard::errors::Error;
        match error {
            Error::DockerResponseServerError { status_code: NO_SUCH, message } => VerbError::NotFound(message.clone()),
            Error::DockerResponseServerError { status_code, message } => {
                VerbError::other("engine", format!("the container engine answers {status_code}: {message}"))
            }
            Error::DockerStreamError { error } => VerbError::other("engine", error.clone()),
            other => self.away(other),
        }
    }
}

fn nonsense(error: &serde_json::Error) -> VerbError {
    VerbError::other("engine", format!("the container engine's answer can't be read: {error}"))
}

pub fn status(error: &bollard::errors::Error) -> Option<u16> {
    match error {
        bollard::errors::Error::DockerResponseServerError { status_code, .. } => Some(*status_code),
        _ => None,
    }
}
