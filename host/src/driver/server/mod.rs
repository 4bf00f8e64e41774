//! What the drivers of database servers share: where the server is, its own tools, their bytes, names of databases.
//!
//! A server is granted by its address, or by the container or the workload of a release that it runs in; a workload's pod
//! is reached through the cluster's API, at an address of this machine.

mod around;
pub mod child;
pub mod container;
pub mod double;
pub mod names;
pub mod processes;
pub mod stream;

use crate::config::ServerConfig;
use crate::context::Site;
use crate::driver::compose::Compose;
use crate::driver::engine::{Container, Mount, State};
use crate::driver::kubernetes::Kubernetes;
use crate::driver::pods::Pods;
use crate::model::VerbError;
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use around::Around;

/// On the containers in which tools run: the mark of what started them.
pub const TOOL_LABEL: &str = "upgraded.tool";

/// One binding's database on its server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// None: neither the server nor its lock file says.
    pub folder: Option<PathBuf>,
    pub bytes: u64,
}

pub struct Server {
    pub config: ServerConfig,
    /// None for a service of a platform that has no engine.
    around: Option<Around>,
    /// The release whose workload the server is.
    release: Option<Arc<Kubernetes>>,
}

/// Where the server is now.
pub struct Located {
    /// With where its container is reached, where it has one.
    pub config: ServerConfig,
    /// The same, as tools in the network of the container reach it.
    pub inside: ServerConfig,
    pub container: Option<Container>,
}

impl Server {
    pub fn of(
        config: ServerConfig, projects: &BTreeMap<String, Arc<Compose>>, releases: &BTreeMap<String, Arc<Kubernetes>>,
        pods: &BTreeMap<String, Arc<Pods>>,
    ) -> Self {
        let platform = config.service.as_ref().map(|service| service.platform.as_str()).unwrap_or_default();
        let project = projects.get(platform).cloned().map(Around::Compose);
        let around = project.or_else(|| pods.get(platform).cloned().map(Around::Pods));
        let release = releases.get(platform).cloned();
        Self { config, around, release }
    }

    /// At an address.
    pub fn at(config: ServerConfig) -> Self {
        Self { config, around: None, release: None }
    }

    pub async fn located(&self, site: &Site) -> Result<Located, VerbError> {
        let Some(service) = &self.config.service else {
            // A double at an address of its own.
            let host = match site {
                Site::Drill { server: Some(address), .. } => address.clone(),
                Site::Drill { server: None, .. } | Site::Live => self.config.host.clone(),
            };
            let config = ServerConfig { host, ..self.config.clone() };
            let inside = config.clone();
            return Ok(Located { config, inside, container: None });
        };
        if let Some(release) = &self.release {
            let port = self.config.port;
            let address = match site {
                Site::Drill { server: Some(double), .. } => release.forward_to_double(double, port).await?,
                Site::Drill { server: None, .. } | Site::Live => release.forward(&service.name, port).await?,
            };
            let config = ServerConfig { host: address.ip().to_string(), port: address.port(), ..self.config.clone() };
            return Ok(Located { inside: config.clone(), config, container: None });
        }
        let around = self.around.as_ref().ok_or_else(|| {
            VerbError::Invalid(format!(
                "the server's service `{service}` is of no platform with an `engine` or a release in `kubernetes`"
            ))
        })?;
        let container = match site {
            Site::Drill { server: Some(double), .. } => around.double_of(double).await?,
            Site::Drill { server: None, .. } | Site::Live => around.container_of(&service.name).await?,
        };
        let container = container.filter(|container| container.state == State::Running).ok_or_else(|| {
            VerbError::Unavailable(format!("the server's service `{service}` has no container that runs"))
        })?;
        let reached = around.engine().reach(&container, self.config.port).await?.ok_or_else(|| {
            VerbError::Invalid(format!("the container of `{service}` has no address of its own on this machine"))
        })?;
        let at = |place: SocketAddr| ServerConfig {
            host: place.ip().to_string(),
            port: place.port(),
            ..self.config.clone()
        };
        let (config, inside) = (at(reached.here), at(reached.inside));
        Ok(Located { config, inside, container: Some(container) })
    }

    /// What its container is part of; an error for one that runs in none.
    pub fn around(&self) -> Result<&Around, VerbError> {
        self.client().ok_or_else(|| VerbError::Invalid("the server runs in no container".into()))
    }

    /// Of whose workload its pod is.
    pub fn release(&self) -> Option<&Kubernetes> {
        self.release.as_deref()
    }

    /// It keeps its data where this machine has no path to.
    pub fn is_elsewhere(&self) -> bool {
        self.release.is_some()
    }

    /// The engine's client with what it needs, for a tool in a container.
    pub fn client(&self) -> Option<&Around> {
        self.around.as_ref()
    }

    /// Ends and removes the containers of tools that were started under a mark.
    pub async fn clear(&self, mark: &str) -> Result<(), VerbError> {
        let Some(around) = &self.around else { return Ok(()) };
        for id in around.engine().labelled(&[format!("{TOOL_LABEL}={mark}")]).await? {
            around.engine().remove(&id).await?;
        }
        Ok(())
    }
}

/// Passwords and data cross no network in the clear.
pub fn check_transport(server: &ServerConfig) -> Result<(), VerbError> {
    // A container of this machine is reached over the machine's own bridge.
    let local = server.service.is_some()
        || server.host.starts_with('/')
        || server.host == "localhost"
        || server.host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
    match local {
        true => Ok(()),
        false => Err(VerbError::Invalid(format!(
            "the server `{}` is not on this machine, and connections over a network are not encrypted yet; a Unix \
             socket's folder, `127.0.0.1` or the local end of a tunnel would be right",
            server.host
        ))),
    }
}

/// What of the machine the container sees at `path`.
pub fn mount_at<'c>(container: &'c Container, path: &Path) -> Option<&'c Mount> {
    let around = container.mounts.iter().filter(|mount| path.starts_with(&mount.target));
    around.max_by_key(|mount| mount.target.components().count())
}

/// Where the machine keeps what the container sees as `path`.
pub fn on_the_machine(container: &Container, path: &Path) -> Option<PathBuf> {
    let nearest = mount_at(container, path)?;
    // Without the slash that joining nothing leaves.
    Some(nearest.source.join(path.strip_prefix(&nearest.target).ok()?).components().collect())
}
