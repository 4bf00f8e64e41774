//! One container, as far as an upgrade asks.

use super::{PROJECT_LABEL, SERVICE_LABEL, STOP_WITHIN};
use bollard::models::{
    ContainerInspectResponse, ContainerStateStatusEnum, HealthStatusEnum, PortBinding, RestartPolicy,
    RestartPolicyNameEnum,
};
use jiff::Timestamp;
use serde_json::Value;
use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

/// What a container is given to end where nothing is said.
const USUAL_GRACE: Duration = Duration::from_secs(10);
const ENGINES_MOMENT: Duration = Duration::from_secs(30);

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
    pub labels: HashMap<String, String>,
    pub environment: BTreeMap<String, String>,
    /// Which of a service's replicas.
    pub number: u32,
    pub created: String,
    /// The ID of the image that it was made from, and the name by which.
    pub image_id: String,
    pub image: String,
    pub state: State,
    /// Of its first process; none where nothing of it runs.
    pub process: Option<u32>,
    pub exit_code: i64,
    /// None: it has no health check.
    pub health: Option<Health>,
    /// What its health check said last, and when.
    pub health_said: Option<String>,
    pub checked: Option<Timestamp>,
    /// What checks its health from inside.
    pub check: Option<Vec<String>>,
    /// How often it is to be checked, where that is said.
    pub check_every: Option<Duration>,
    pub started: Option<Timestamp>,
    /// How often the engine has started it again since somebody started it.
    pub restarts: i64,
    pub restart_policy: RestartPolicy,
    /// How long a stop takes at most: what it is given to end, and a moment for the engine.
    pub stops_within: Duration,
    pub addresses: Vec<IpAddr>,
    /// It was told to be in no network.
    pub isolated: bool,
    /// Where on this machine its TCP ports are published.
    pub published: BTreeMap<u16, SocketAddr>,
    /// The networks that it is in, and the ID of each.
    pub networks: BTreeMap<String, String>,
    pub mounts: Vec<Mount>,
}

impl Container {
    /// Of what an engine answers to the question for it.
    pub fn read(answer: &[u8]) -> Result<Self, serde_json::Error> {
        let mut answer: Value = serde_json::from_slice(answer)?;
        if let Some(Value::String(state)) = answer.pointer_mut("/State/Status") {
            *state = dockers(state).to_owned();
        }
        serde_json::from_value::<ContainerInspectResponse>(answer).map(Self::from)
    }

    /// It runs, and its health check has yet to pass or to fail for good.
    pub fn is_starting(&self) -> bool {
        self.state == State::Running && self.health == Some(Health::Starting)
    }

    /// It ended well, and nothing starts it again: what a service does that runs once.
    pub fn is_done(&self) -> bool {
        self.state == State::Exited && self.exit_code == 0 && !self.is_started_again()
    }

    /// By the engine, once it ended as it did.
    pub fn is_started_again(&self) -> bool {
        match self.restart_policy.name {
            Some(RestartPolicyNameEnum::ALWAYS | RestartPolicyNameEnum::UNLESS_STOPPED) => true,
            Some(RestartPolicyNameEnum::ON_FAILURE) => self.exit_code != 0,
            _ => false,
        }
    }
}

impl From<ContainerInspectResponse> for Container {
    fn from(answer: ContainerInspectResponse) -> Self {
        let state = answer.state.unwrap_or_default();
        let config = answer.config.unwrap_or_default();
        let labels = config.labels.unwrap_or_default();
        let label = |name: &str| labels.get(name).cloned();
        let checked = last_check(state.health.as_ref());
        let (health, health_said) = health(state.health);
        let network = answer.network_settings.unwrap_or_default();
        let (networks, published) =
            (network.networks.unwrap_or_default(), published(network.ports.unwrap_or_default()));
        let host = answer.host_config.unwrap_or_default();
        let ids = networks.iter().map(|(name, end)| (name.clone(), end.network_id.clone().unwrap_or_default()));
        Self {
            id: answer.id.unwrap_or_default(),
            environment: environment(config.env.unwrap_or_default()),
            name: answer.name.unwrap_or_default().trim_start_matches('/').to_owned(),
            project: label(PROJECT_LABEL).unwrap_or_default(),
            service: label(SERVICE_LABEL).unwrap_or_default(),
            number: label("com.docker.compose.container-number").and_then(|text| text.parse().ok()).unwrap_or(1),
            created: answer.created.map(|date| date.to_string()).unwrap_or_default(),
            image_id: answer.image.unwrap_or_default(),
            image: config.image.unwrap_or_default(),
            state: match state.status {
                Some(ContainerStateStatusEnum::RUNNING | ContainerStateStatusEnum::STOPPING) => State::Running,
                Some(ContainerStateStatusEnum::PAUSED) => State::Paused,
                Some(ContainerStateStatusEnum::RESTARTING) => State::Restarting,
                Some(ContainerStateStatusEnum::CREATED) => State::Created,
                _ => State::Exited,
            },
            process: state.pid.and_then(|pid| u32::try_from(pid).ok()).filter(|pid| *pid != 0),
            exit_code: state.exit_code.unwrap_or_default(),
            health,
            health_said,
            checked,
            check: config.healthcheck.as_ref().and_then(|check| check_argv(check.test.as_ref()?, config.shell)),
            check_every: config.healthcheck.and_then(|check| every(check.interval?)),
            started: state.started_at.and_then(|text| text.parse().ok()),
            restarts: answer.restart_count.unwrap_or_default(),
            restart_policy: host.restart_policy.unwrap_or_default(),
            stops_within: stops_within(config.stop_timeout),
            isolated: host.network_mode.as_deref() == Some("none"),
            published,
            networks: ids.collect(),
            addresses: addresses(networks),
            mounts: answer.mounts.unwrap_or_default().into_iter().filter_map(mount).collect(),
            labels,
        }
    }
}

/// In seconds; less than none is no end.
fn stops_within(given: Option<i64>) -> Duration {
    let grace = given.map_or(USUAL_GRACE, |seconds| u64::try_from(seconds).map_or(STOP_WITHIN, Duration::from_secs));
    grace.min(STOP_WITHIN) + ENGINES_MOMENT
}

fn environment(lines: Vec<String>) -> BTreeMap<String, String> {
    let pair = |line: String| line.split_once('=').map(|(key, value)| (key.to_owned(), value.to_owned()));
    lines.into_iter().filter_map(pair).collect()
}

/// podman has states of its own.
fn dockers(state: &str) -> &str {
    match state {
        "configured" | "initialized" => "created",
        "stopped" => "exited",
        "improper" | "unknown" => "dead",
        known => known,
    }
}

fn last_check(health: Option<&bollard::models::Health>) -> Option<Timestamp> {
    health?.log.as_ref()?.last()?.end.as_ref()?.to_string().parse().ok()
}

fn check_argv(test: &[String], shell: Option<Vec<String>>) -> Option<Vec<String>> {
    let (how, words) = test.split_first()?;
    match how.as_str() {
        "CMD" => Some(words.to_vec()),
        "CMD-SHELL" => {
            let shell = shell.filter(|shell| !shell.is_empty());
            let shell = shell.unwrap_or_else(|| vec!["/bin/sh".into(), "-c".into()]);
            Some([&shell, words].concat())
        }
        _ => None,
    }
}

/// 0 is what is usual.
fn every(nanoseconds: i64) -> Option<Duration> {
    u64::try_from(nanoseconds).ok().filter(|nanoseconds| *nanoseconds > 0).map(Duration::from_nanos)
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

/// Of each port the first; one that is published on all addresses is at the loopback's, too.
fn published(ports: HashMap<String, Option<Vec<PortBinding>>>) -> BTreeMap<u16, SocketAddr> {
    let one = |(port, bindings): (String, Option<Vec<PortBinding>>)| {
        let port = port.strip_suffix("/tcp")?.parse().ok()?;
        let place = bindings?.into_iter().find_map(|binding| {
            let address: Option<IpAddr> = binding.host_ip.and_then(|address| address.parse().ok());
            let address = address.filter(|address| !address.is_unspecified()).unwrap_or(Ipv4Addr::LOCALHOST.into());
            Some(SocketAddr::new(address, binding.host_port?.parse().ok()?))
        });
        Some((port, place?))
    };
    ports.into_iter().filter_map(one).collect()
}

fn mount(mount: bollard::models::MountPoint) -> Option<Mount> {
    Some(Mount {
        volume: mount.name.filter(|name| !name.is_empty()),
        source: mount.source.filter(|source| !source.is_empty())?.into(),
        target: mount.destination?.into(),
        writable: mount.rw.unwrap_or(true),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(state: &str, networks: &str) -> Container {
        let answer = format!(
            r#"{{"Id":"1","Name":"/shop-web-1","State":{{"Status":"{state}","StartedAt":"2026-01-01T00:00:00Z",
            "Health":{{"Status":"starting","Log":[{{"Start":"2026-01-01T00:00:01Z","End":"2026-01-01T00:00:02.5Z",
            "ExitCode":1,"Output":"no"}}]}}}},"Config":{{"Healthcheck":{{"Interval":2000000000}}}},
            "NetworkSettings":{{"Networks":{networks},"Ports":{{"80/tcp":[{{"HostIp":"0.0.0.0","HostPort":"8080"}}],
            "81/tcp":null,"82/udp":[{{"HostIp":"","HostPort":"82"}}]}}}}}}"#
        );
        Container::read(answer.as_bytes()).unwrap()
    }

    #[test]
    fn a_check_is_a_program_or_a_line_for_the_images_shell() {
        let argv = |test: &[&str], shell: Option<&[&str]>| {
            let owned = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
            check_argv(&owned(test), shell.map(owned)).map(|argv| argv.join("|"))
        };
        assert_eq!(argv(&["CMD", "curl", "-f", "x y"], None).as_deref(), Some("curl|-f|x y"));
        assert_eq!(argv(&["CMD-SHELL", "curl x || exit 1"], None).as_deref(), Some("/bin/sh|-c|curl x || exit 1"));
        assert_eq!(argv(&["CMD-SHELL", "up"], Some(&["/bin/bash", "-c"])).as_deref(), Some("/bin/bash|-c|up"));
        assert_eq!((argv(&["NONE"], None), argv(&[], None)), (None, None));
    }

    #[test]
    fn a_stop_takes_as_long_as_a_container_is_given() {
        assert_eq!(stops_within(None), Duration::from_secs(40));
        assert_eq!(stops_within(Some(1800)), Duration::from_secs(1830));
        assert!(stops_within(Some(-1)) > STOP_WITHIN);
    }

    #[test]
    fn every_state_of_podman_is_one_of_dockers() {
        for (theirs, ours) in [
            ("stopping", State::Running),
            ("stopped", State::Exited),
            ("initialized", State::Created),
            ("improper", State::Exited),
        ] {
            assert_eq!(read(theirs, "{}").state, ours, "{theirs}");
        }
        let web = read("running", r#"{"shop_default":{"NetworkID":"shop_default"}}"#);
        assert_eq!((web.check_every, web.health), (Some(Duration::from_secs(2)), Some(Health::Starting)));
        assert_eq!(web.checked, Some("2026-01-01T00:00:02.5Z".parse().unwrap()));
        assert_eq!(web.networks["shop_default"], "shop_default");
        assert_eq!(web.published, BTreeMap::from([(80, "127.0.0.1:8080".parse().unwrap())]));
        assert!(Container::read(br#"{"State":{"Status":"on fire"}}"#).is_err());
    }
}
