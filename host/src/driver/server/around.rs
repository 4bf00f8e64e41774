//! What a server's container is part of.

use crate::context::StepContext;
use crate::driver::compose::Compose;
use crate::driver::compose::double::Double;
use crate::driver::engine::{Container, Engine, Mount};
use crate::driver::pods::Pods;
use crate::driver::process::surroundings;
use crate::driver::services::Orchestrator;
use crate::model::{ServiceRef, VerbError, whole};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::process::Stdio;
use std::sync::Arc;
use tokio::process::Command;

#[derive(Clone)]
pub enum Around {
    Compose(Arc<Compose>),
    Pods(Arc<Pods>),
}

impl Around {
    pub fn engine(&self) -> &Arc<Engine> {
        match self {
            Self::Compose(project) => project.engine(),
            Self::Pods(pods) => pods.engine(),
        }
    }

    pub async fn container_of(&self, service: &str) -> Result<Option<Container>, VerbError> {
        match self {
            Self::Compose(project) => project.container_of(service).await,
            Self::Pods(pods) => pods.container_of(service).await,
        }
    }

    /// By which the files name the images of containers, which are called as in [`Around::container_of`]; `planned`: with
    /// the edits that are planned laid over them.
    pub async fn images(&self, cx: &StepContext, planned: bool) -> Result<BTreeMap<String, String>, VerbError> {
        match self {
            Self::Compose(project) => {
                let declared = project.declared(cx, planned).await?.into_iter();
                Ok(declared.filter_map(|declared| Some((declared.name, declared.image?))).collect())
            }
            Self::Pods(pods) => pods.images(cx, planned).await,
        }
    }

    /// Whether what the service's container sees there is still there for the next one.
    pub async fn outlives(&self, service: &str, mount: &Mount) -> Result<bool, VerbError> {
        match self {
            Self::Compose(_) => Ok(true),
            Self::Pods(pods) => pods.outlives(service, mount).await,
        }
    }

    /// With what shares its pod.
    pub async fn stop(&self, cx: &StepContext, service: &ServiceRef) -> Result<(), VerbError> {
        self.orchestrator().stop(cx, &[whole(service)]).await
    }

    /// The same, as the files say it now.
    pub async fn start(&self, cx: &StepContext, service: &ServiceRef) -> Result<(), VerbError> {
        self.orchestrator().start(cx, &[whole(service)]).await
    }

    /// What a rehearsal's services are put into: volumes, networks, and containers where they are made before they start.
    pub async fn lay_out(&self, cx: &StepContext) -> Result<(), VerbError> {
        match self {
            Self::Compose(project) => project.create(cx).await,
            Self::Pods(pods) => pods.lay_out(cx).await,
        }
    }

    /// Everything that the files declare; its services.
    pub async fn start_all(&self, cx: &StepContext) -> Result<Vec<ServiceRef>, VerbError> {
        match self {
            Self::Compose(project) => project.start_all(cx).await,
            Self::Pods(pods) => pods.start_all(cx).await,
        }
    }

    /// Nothing of a rehearsal's double is left. Converges.
    pub async fn discard(&self, double: &Double) -> Result<(), VerbError> {
        match self {
            Self::Compose(project) => project.discard(&double.project).await,
            Self::Pods(pods) => pods.discard(double).await,
        }
    }

    /// Where in a rehearsal's double that listens which the files publish on this port of the machine.
    pub async fn behind(&self, port: u16) -> Result<Option<SocketAddr>, VerbError> {
        match self {
            Self::Compose(project) => project.behind(port).await,
            Self::Pods(pods) => pods.behind(port).await,
        }
    }

    fn orchestrator(&self) -> &dyn Orchestrator {
        match self {
            Self::Compose(project) => &**project,
            Self::Pods(pods) => &**pods,
        }
    }

    /// The container of a drill's double; an error for any other.
    pub async fn double_of(&self, id: &str) -> Result<Option<Container>, VerbError> {
        match self {
            Self::Compose(project) => project.double_of(id).await,
            Self::Pods(pods) => pods.double_of(id).await,
        }
    }

    /// Starts a double like the container `live` of a service, for this step's drill; the ID of its container.
    pub async fn start_alone(&self, cx: &StepContext, service: &str, live: &Container) -> Result<String, VerbError> {
        match self {
            Self::Compose(project) => {
                let double = project.drill_of(&cx.step).await?;
                Ok(project.start_alone(cx, &double, service, &live.image_id).await?.id)
            }
            Self::Pods(pods) => pods.start_alone(cx, service, live).await,
        }
    }

    /// Nothing is left of the step's double. Converges.
    pub async fn discard_alone(&self, step: &str) -> Result<(), VerbError> {
        match self {
            Self::Compose(project) => project.discard_alone(step).await,
            Self::Pods(pods) => pods.discard_alone(step).await,
        }
    }

    /// In which network a container reaches this one.
    pub fn network_of(&self, container: &Container) -> String {
        let named = match self {
            Self::Compose(_) => None,
            // What is in no pod can't share the network of what is in one.
            Self::Pods(_) => container.networks.keys().next().filter(|_| !container.isolated).cloned(),
        };
        named.unwrap_or_else(|| format!("container:{}", container.id))
    }

    /// The engine's client.
    pub fn client(&self, arguments: &[&str]) -> Command {
        match self {
            Self::Compose(project) => project.client(arguments),
            Self::Pods(_) => {
                let mut command = Command::new("docker");
                command.args(arguments).env_clear().envs(self.client_environment());
                command.stdin(Stdio::null()).process_group(0).kill_on_drop(true);
                command
            }
        }
    }

    pub fn client_environment(&self) -> Vec<(String, String)> {
        match self {
            Self::Compose(project) => project.client_environment(),
            Self::Pods(pods) => {
                let engine = ("DOCKER_HOST".to_owned(), pods.engine().host());
                surroundings(None).into_iter().chain([engine]).collect()
            }
        }
    }
}
