//! A Compose project by its files alone: what of it carries the version, what lets users in, what it keeps.

mod data;
mod propose;
mod version;

pub(super) use propose::propose;

use super::text_of;
use compose_files::{Image, Named, Node, Project};
use std::io;
use std::path::{Path, PathBuf};

/// What was found in a project's Compose files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compose {
    /// The socket that the operator's client speaks to; none: the usual one.
    pub engine: Option<PathBuf>,
    /// As Compose finds them, without those that they include.
    pub files: Vec<String>,
    pub version: Version,
    /// Those that carry the version, and those that write data of their own.
    pub services: Vec<String>,
    /// Proxies with published ports.
    pub gate: Vec<String>,
    /// Of services that don't run unless they are asked for.
    pub profiles: Vec<String>,
    /// Where the first service is published on this machine, `127.0.0.1:8080`.
    pub address: Option<String>,
    pub databases: Vec<Database>,
    pub stores: Vec<Store>,
    /// What a cache keeps.
    pub caches: Vec<Store>,
    /// Single files that services could write to, though they may only read them.
    pub files_mounted: Vec<Store>,
}

/// Where the version stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Version {
    /// A key of an env file; `text` is what stands there, `{version}` for the version.
    Key {
        key: String,
        written: bool,
        version: String,
        text: String,
        tag: String,
    },
    /// Tags of these services' images.
    Tags {
        services: Vec<String>,
        version: String,
        text: String,
    },
    Unknown,
}

/// A database server among the services.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Database {
    pub service: String,
    /// The datastore's plugin.
    pub plugin: &'static str,
    pub user: String,
    pub database: Option<String>,
    /// The variable that has the password; its value stays where it is.
    pub password: Option<String>,
}

/// What a service writes to: `volume:NAME`, or a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Store {
    pub name: String,
    pub place: String,
    pub service: String,
}

/// None where there are no Compose files; an error names the file and the line.
pub(super) fn look(directory: &Path) -> io::Result<Option<Compose>> {
    let read = |file: &str| match directory.join(file) {
        path if path.is_file() => text_of(&path).map(Some).ok_or_else(|| "it can't be read as a text".to_owned()),
        _ => Ok(None),
    };
    let project = Project::read(&Named::default(), &read)
        .map_err(|mistake| io::Error::new(io::ErrorKind::InvalidData, mistake.to_string()))?;
    Ok(project.map(|project| found(directory, &project)))
}

fn found(directory: &Path, project: &Project) -> Compose {
    let services: Vec<Service> =
        project.services().iter().map(|(name, node)| Service::of(project, name, node)).collect();
    let active: Vec<&Service> = services.iter().filter(|service| service.active).collect();
    let mut profiles: Vec<String> =
        services.iter().filter(|s| !s.active).flat_map(|s| s.profiles()).map(str::to_owned).collect();
    profiles.sort();
    profiles.dedup();
    let data = data::of(directory, project, &active);
    let (version, mut names) = version::of(project, &active);
    let is_gate = |service: &&&Service| service.kind == Kind::Proxy && service.address().is_some();
    let gate: Vec<String> = active
        .iter()
        .filter(is_gate)
        .map(|service| service.name.clone())
        .filter(|name| !names.contains(name))
        .collect();
    let address = active.iter().filter(|service| names.contains(&service.name)).find_map(|service| service.address());
    for store in &data.stores {
        if !names.contains(&store.service) && !gate.contains(&store.service) {
            names.push(store.service.clone());
        }
    }
    Compose {
        engine: None,
        files: project.files.clone(),
        version,
        services: names,
        gate,
        profiles,
        address,
        databases: data.databases,
        stores: data.stores,
        caches: data.caches,
        files_mounted: data.files_mounted,
    }
}

struct Service<'p> {
    name: String,
    node: &'p Node,
    project: &'p Project,
    /// As it is written, variables and all.
    image: Option<&'p str>,
    kind: Kind,
    active: bool,
}

/// What a service is, by its image's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Postgres,
    Mysql,
    Cache,
    Proxy,
    Other,
}

impl<'p> Service<'p> {
    fn of(project: &'p Project, name: &str, node: &'p Node) -> Self {
        let image = node.get("image").and_then(Node::text);
        let kind = image.map_or(Kind::Other, |image| Kind::of(&project.value_of(image)));
        let asked_for = project.environment.get("COMPOSE_PROFILES").map(String::as_str).unwrap_or_default();
        let mut service = Self { name: name.to_owned(), node, project, image, kind, active: true };
        let profiles = service.profiles();
        service.active = profiles.is_empty() || profiles.iter().any(|own| asked_for.split(',').any(|one| one == *own));
        service
    }

    fn profiles(&self) -> Vec<&'p str> {
        self.node.get("profiles").map(Node::texts).unwrap_or_default()
    }

    fn is_of_the_product(&self) -> bool {
        self.kind == Kind::Other
    }

    /// The first port that it publishes.
    fn address(&self) -> Option<String> {
        self.node.get("ports")?.items().iter().find_map(|port| match port.text() {
            Some(text) => {
                let text = self.project.value_of(text);
                let (before, _) = text.split('/').next()?.rsplit_once(':')?;
                let (host, port) = before.rsplit_once(':').unwrap_or(("", before));
                address(host, port)
            }
            None => {
                let text = |key| port.get(key).and_then(Node::text).map(|text| self.project.value_of(text));
                address(&text("host_ip").unwrap_or_default(), &text("published")?)
            }
        })
    }
}

fn address(host: &str, port: &str) -> Option<String> {
    let port: u16 = port.parse().ok()?;
    let everywhere = matches!(host, "" | "0.0.0.0" | "::" | "[::]");
    Some(format!("{}:{port}", if everywhere { "127.0.0.1" } else { host }))
}

impl Kind {
    fn of(image: &str) -> Self {
        let name = Image::of(image).short_name().to_lowercase();
        let is = |words: &[&str]| words.iter().any(|word| name.contains(word));
        if is(&["exporter", "backup", "admin", "bouncer", "postgrest", "operator", "insight"]) {
            Kind::Other
        } else if is(&["postgres", "postgis", "timescale", "pgvector"]) {
            Kind::Postgres
        } else if is(&["mysql", "mariadb", "percona"]) {
            Kind::Mysql
        } else if is(&["redis", "valkey", "memcached", "keydb", "dragonfly", "varnish"]) {
            Kind::Cache
        } else if is(&["nginx", "traefik", "caddy", "haproxy", "envoy", "httpd"]) {
            Kind::Proxy
        } else {
            Kind::Other
        }
    }
}
