//! What a server's container is part of.

use crate::driver::compose::Compose;
use crate::driver::engine::{Container, Engine};
use crate::driver::pods::Pods;
use crate::driver::process::surroundings;
use crate::model::VerbError;
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

    /// The container of a drill's double; an error for any other.
    pub async fn double_of(&self, id: &str) -> Result<Option<Container>, VerbError> {
        match self {
            Self::Compose(project) => project.double_of(id).await,
            Self::Pods(_) => Err(no_double()),
        }
    }

    pub fn project(&self) -> Result<&Arc<Compose>, VerbError> {
        match self {
            Self::Compose(project) => Ok(project),
            Self::Pods(_) => Err(no_double()),
        }
    }

    /// In which network a container reaches this one.
    pub fn network_of(&self, container: &Container) -> String {
        let named = match self {
            Self::Compose(_) => None,
            // What is in no pod can't share the network of what is in one.
            Self::Pods(_) => container.networks.keys().next().cloned(),
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

fn no_double() -> VerbError {
    VerbError::Invalid("a server in a pod has no throw-away double yet".into())
}
