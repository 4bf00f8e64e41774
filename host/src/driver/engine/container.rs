//! One container, as far as an upgrade asks.

use super::{PROJECT_LABEL, SERVICE_LABEL};
use bollard::models::{
    ContainerInspectResponse, ContainerStateStatusEnum, HealthStatusEnum, RestartPolicy, RestartPolicyNameEnum,
};
use jiff::Timestamp;
use std::collections::HashMap;
use std::net::IpAddr;
use std::path::PathBuf;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    Created,
    Running,
    Paused,
    /// Its process ended, and the engine starts it again.
    Restarting,
    Exited,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Health {
    Starting,
    Healthy,
    Unhealthy,
}

/// Something of the machine that a container sees.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// A named volume's name.
    pub volume: Option<String>,
    /// On the machine.
    pub source: PathBuf,
    pub target: PathBuf,
    pub writable: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Container {
    pub id: String,
    pub name: String,
    /// Empty for a container that Compose did not make.
    pub project: String,
    pub service: String,
    /// Which of a service's replicas.
    pub number: u32,
    pub created: String,
    /// The ID of the image that it was made from, and the name by which.
    pub image_id: String,
    pub image: String,
    pub state: State,
    pub exit_code: i64,
    /// None: it has no health check.
    pub health: Option<Health>,
    /// What its health check said last.
    pub health_said: Option<String>,
    pub started: Option<Timestamp>,
    /// How often the engine has started it again since somebody started it.
    pub restarts: i64,
    pub restart_policy: RestartPolicy,
    pub addresses: Vec<IpAddr>,
    pub mounts: Vec<Mount>,
}

impl Container {
    /// It ended well, and nothing starts it again: what a service does that runs once.
    pub fn is_done(&self) -> bool {
        let again = matches!(
            self.restart_policy.name,
            Some(RestartPolicyNameEnum::ALWAYS | RestartPolicyNameEnum::UNLESS_STOPPED)
        );
        self.state == State::Exited && self.exit_code == 0 && !again
    }
}

impl From<ContainerInspectResponse> for Container {
    fn from(answer: ContainerInspectResponse) -> Self {
        let state = answer.state.unwrap_or_default();
        let config = answer.config.unwrap_or_default();
        let labels = config.labels.unwrap_or_default();
        let label = |name: &str| labels.get(name).cloned();
        let (health, health_said) = health(state.health);
        Self {
            id: answer.id.unwrap_or_default(),
            name: answer.name.unwrap_or_default().trim_start_matches('/').to_owned(),
            project: label(PROJECT_LABEL).unwrap_or_default(),
            service: label(SERVICE_LABEL).unwrap_or_default(),
            number: label("com.docker.compose.container-number").and_then(|text| text.parse().ok()).unwrap_or(1),
            created: answer.created.map(|date| date.to_string()).unwrap_or_default(),
            image_id: answer.image.unwrap_or_default(),
            image: config.image.unwrap_or_default(),
            state: match state.status {
                Some(ContainerStateStatusEnum::RUNNING) => State::Running,
                Some(ContainerStateStatusEnum::PAUSED) => State::Paused,
                Some(ContainerStateStatusEnum::RESTARTING) => State::Restarting,
                Some(ContainerStateStatusEnum::CREATED) => State::Created,
                _ => State::Exited,
            },
            exit_code: state.exit_code.unwrap_or_default(),
            health,
            health_said,
            started: state.started_at.and_then(|text| text.parse().ok()),
            restarts: answer.restart_count.unwrap_or_default(),
            restart_policy: answer.host_config.and_then(|host| host.restart_policy).unwrap_or_default(),
            addresses: addresses(answer.network_settings.and_then(|network| network.networks).unwrap_or_default()),
            mounts: answer.mounts.unwrap_or_default().into_iter().filter_map(mount).collect(),
        }
    }
}

fn health(health: Option<bollard::models::Health>) -> (Option<Health>, Option<String>) {
    let Some(health) = health else { return (None, None) };
    let said = health.log.unwrap_or_default().pop().and_then(|result| result.output);
    let status = match health.status {
        Some(HealthStatusEnum::HEALTHY) => Health::Healthy,
        Some(HealthStatusEnum::UNHEALTHY) => Health::Unhealthy,
        Some(HealthStatusEnum::STARTING) => Health::Starting,
        None | Some(HealthStatusEnum::NONE | HealthStatusEnum::EMPTY) => return (None, None),
    };
    (Some(status), said.map(|said| said.trim().to_owned()).filter(|said| !said.is_empty()))
}

fn addresses(networks: HashMap<String, bollard::models::EndpointSettings>) -> Vec<IpAddr> {
    let mut networks: Vec<_> = networks.into_iter().collect();
    networks.sort_by(|a, b| a.0.cmp(&b.0));
    networks.into_iter().filter_map(|(_, endpoint)| endpoint.ip_address?.parse().ok()).collect()
}

fn mount(mount: bollard::models::MountPoint) -> Option<Mount> {
    Some(Mount {
        volume: mount.name.filter(|name| !name.is_empty()),
        source: mount.source.filter(|source| !source.is_empty())?.into(),
        target: mount.destination?.into(),
        writable: mount.rw.unwrap_or(true),
    })
}
