//! A container as a platform's files declare it.

use super::Store;
use compose_files::Image;
use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

pub(super) struct Part {
    /// As the platform's plugin calls it.
    pub service: String,
    /// As a datastore's `server` does: `database/postgres` for a container in a pod.
    pub name: String,
    /// As it is written, variables and all.
    pub image: Option<String>,
    pub role: Role,
    /// Empty where a value stands elsewhere, a secret say.
    pub environment: BTreeMap<String, String>,
    /// Named volumes and folders of this machine that it may write to.
    pub mounts: Vec<Store>,
    /// The first port that it publishes, `127.0.0.1:8080`.
    pub address: Option<String>,
}

/// What a container is, by its image's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Postgres,
    Mysql,
    Cache,
    Proxy,
    /// Of the product, as far as can be told.
    Own,
}

impl Role {
    pub fn of(image: &str) -> Self {
        let name = Image::of(image).short_name().to_lowercase();
        let is = |words: &[&str]| words.iter().any(|word| name.contains(word));
        if is(&["exporter", "backup", "admin", "bouncer", "postgrest", "operator", "insight"]) {
            Self::Own
        } else if is(&["postgres", "postgis", "timescale", "pgvector"]) {
            Self::Postgres
        } else if is(&["mysql", "mariadb", "percona"]) {
            Self::Mysql
        } else if is(&["redis", "valkey", "memcached", "keydb", "dragonfly", "varnish"]) {
            Self::Cache
        } else if is(&["nginx", "traefik", "caddy", "haproxy", "envoy", "httpd"]) {
            Self::Proxy
        } else {
            Self::Own
        }
    }

    pub fn is_server(self) -> bool {
        matches!(self, Self::Postgres | Self::Mysql)
    }
}

impl Store {
    /// `prefix`: of volumes' names, the project's. None for what is the machine's own.
    pub(super) fn of(directory: &Path, place: String, service: &str, prefix: &str) -> Option<Self> {
        let place = beneath(directory, place);
        let is_kept = !place.is_empty() && !is_of_the_machine(&place);
        is_kept.then(|| Self { name: key_of(&place, prefix), place, service: service.to_owned() })
    }
}

/// From the project's folder; from the root where it lies elsewhere.
fn beneath(directory: &Path, place: String) -> String {
    if place.starts_with("volume:") {
        return place;
    }
    let mut whole = PathBuf::new();
    for part in directory.join(&place).components() {
        match part {
            Component::ParentDir => drop(whole.pop()),
            other => whole.push(other),
        }
    }
    whole.strip_prefix(directory).unwrap_or(&whole).display().to_string()
}

/// What the datastore calls it: `uploads` of `volume:shop_uploads` and of `data/uploads`.
fn key_of(place: &str, prefix: &str) -> String {
    let name = match place.strip_prefix("volume:") {
        Some(volume) => volume.strip_prefix(prefix).unwrap_or(volume),
        None => place.rsplit('/').next().unwrap_or(place),
    };
    let name: String = name.chars().map(|c| if c.is_ascii_alphanumeric() || c == '_' { c } else { '-' }).collect();
    let name = name.trim_matches('-');
    if name.is_empty() { "data".to_owned() } else { name.to_owned() }
}

fn is_of_the_machine(place: &str) -> bool {
    ["/dev", "/proc", "/sys", "/run", "/var/run"].iter().any(|known| Path::new(place).starts_with(known))
}

/// As this machine reaches it.
pub(super) fn address(host: &str, port: &str) -> Option<String> {
    let port: u16 = port.parse().ok()?;
    let everywhere = matches!(host, "" | "0.0.0.0" | "::" | "[::]");
    Some(format!("{}:{port}", if everywhere { "127.0.0.1" } else { host }))
}
