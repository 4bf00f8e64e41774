//! What runs a project in containers, by its files alone: which platform, what of it carries the version, what lets users
//! in, what it keeps.

mod chart;
mod cloud;
mod compose;
mod data;
mod part;
mod pods;
mod propose;
mod scripts;
mod version;

pub(super) use propose::propose;

use super::client::{self, Unusable};
use super::{Script, cluster, text_of};
use compose_files::Node;
use part::{Part, Role};
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

/// What was found in the files of a platform.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stack {
    pub platform: Platform,
    pub version: Version,
    /// Those that carry the version, and those that write data of their own.
    pub services: Vec<String>,
    /// Proxies with published ports.
    pub gate: Vec<String>,
    /// Where the first service is published on this machine, `127.0.0.1:8080`.
    pub address: Option<String>,
    pub data: Data,
    /// What a hop may name.
    pub commands: Vec<(&'static str, Script)>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Platform {
    Compose {
        /// The socket that the operator's client speaks to; none: the usual one.
        engine: Option<PathBuf>,
        /// As Compose finds them, without those that they include.
        files: Vec<String>,
        /// Of services that don't run unless they are asked for.
        profiles: Vec<String>,
    },
    Podman {
        /// The socket that the operator's podman listens on, where one is known.
        engine: Option<PathBuf>,
        /// In the order in which they are started.
        pods: Vec<String>,
        config_maps: Vec<String>,
        networks: Vec<String>,
        /// That play files of these: the file, and the unit.
        units: Vec<(String, String)>,
    },
    Helm(Box<chart::Release>),
    CloudRun(cloud::Region),
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
    /// Tags of these images: of services, or of containers in pods.
    Tags {
        services: Vec<String>,
        version: String,
        text: String,
    },
    /// Where the platform's own lines say.
    Told(String),
    Unknown,
}

/// What is kept, and where.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Data {
    pub databases: Vec<Database>,
    /// Of Cloud SQL.
    pub instances: Vec<String>,
    pub stores: Vec<Store>,
    /// What a cache keeps.
    pub caches: Vec<Store>,
    /// Single files that services could write to, though they may only read them.
    pub files_mounted: Vec<Store>,
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

/// What is written to: `volume:NAME`, `claim:NAME`, or a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Store {
    pub name: String,
    pub place: String,
    /// Who writes, or what there is to say of it.
    pub service: String,
}

/// None where no platform's files are there; an error names the file and the line. And what else the folder is.
///
/// Of several the first whose files say a version, in this order: each says less of what an upgrade has to know than the
/// one before.
pub(super) fn look(directory: &Path, unit_folders: &[&Path]) -> io::Result<(Option<Stack>, Vec<String>)> {
    let mut found = Vec::from_iter(compose::look(directory)?);
    let mut mistakes = Vec::new();
    for looked in [pods::look(directory, unit_folders), chart::look(directory), cloud::look(directory)] {
        match looked {
            Ok(stack) => found.extend(stack),
            Err(mistake) => mistakes.push(mistake),
        }
    }
    if found.is_empty() {
        return mistakes.into_iter().next().map_or(Ok((None, Vec::new())), Err);
    }
    let stack = found.remove(found.iter().position(Stack::is_sure).unwrap_or(0));
    let others = found.iter().map(|other| other.platform.to_string());
    Ok((Some(stack), others.chain(mistakes.iter().map(io::Error::to_string)).collect()))
}

impl Stack {
    /// Its files say a version.
    pub(super) fn is_sure(&self) -> bool {
        self.version != Version::Unknown
    }

    /// What the operator's own clients are set to. `variable`: of the environment.
    pub fn ask_clients(&mut self, variable: impl Fn(&str) -> Option<String>) -> Result<(), Unusable> {
        match &mut self.platform {
            Platform::Compose { engine: known, .. } => *known = client::engine(variable)?,
            Platform::Helm(release) => release.cluster = cluster::of(variable),
            Platform::Podman { engine: known, .. } => *known = client::podman(variable)?,
            Platform::CloudRun(_) => {}
        }
        Ok(())
    }

    /// Out of what the files declare; `environment`: of the env files.
    fn of(platform: Platform, directory: &Path, environment: &BTreeMap<String, String>, parts: &[Part]) -> Self {
        let data = data::of(directory, parts);
        let (version, carriers) = version::of(environment, parts);
        let mut services: Vec<String> = Vec::new();
        for part in carriers {
            push_new(&mut services, &part.service);
        }
        let mut gate = Vec::new();
        for part in parts.iter().filter(|part| part.role == Role::Proxy && part.address.is_some()) {
            if !services.contains(&part.service) {
                push_new(&mut gate, &part.service);
            }
        }
        let address =
            parts.iter().filter(|part| services.contains(&part.service)).find_map(|part| part.address.clone());
        for store in &data.stores {
            if !gate.contains(&store.service) {
                push_new(&mut services, &store.service);
            }
        }
        Self { platform, version, services, gate, address, data, commands: Vec::new() }
    }
}

impl std::fmt::Display for Platform {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Compose { files, .. } => write!(f, "a project of Compose (`{}`)", files.join("`, `")),
            Self::Podman { pods, .. } => write!(f, "pods of podman (`{}`)", pods.join("`, `")),
            Self::Helm(release) => write!(f, "a release of Helm (`{}`)", release.source),
            Self::CloudRun(region) => write!(f, "services of Cloud Run (`{}`)", region.source),
        }
    }
}

fn push_new(list: &mut Vec<String>, name: &str) {
    if !list.iter().any(|known| known == name) {
        list.push(name.to_owned());
    }
}

fn wrong(mistake: impl std::fmt::Display) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, mistake.to_string())
}

/// The names of a folder's files with one of these endings, in order.
fn files(folder: &Path, endings: &[&str]) -> Vec<String> {
    const MOST: usize = 500;
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten().take(MOST);
    let files = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_file()));
    let mut names: Vec<String> = files.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.retain(|name| !name.starts_with('.') && endings.iter().any(|ending| name.ends_with(ending)));
    names.sort();
    names
}

const YAML: [&str; 2] = [".yaml", ".yml"];

/// The texts of the folder's YAML files, by their paths from `directory`.
fn yaml_files(directory: &Path, folder: &str) -> Vec<(String, String)> {
    let place = directory.join(folder);
    let named = files(&place, &YAML).into_iter().filter_map(|name| Some((text_of(&place.join(&name))?, name)));
    named.map(|(text, name)| (Path::new(folder).join(name).display().to_string(), text)).collect()
}

/// The `kind` of each document, read off its line: what is no YAML, a chart's template say, has them as well.
fn kinds(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter_map(|line| {
        let kind = line.strip_prefix("kind:")?.split(" #").next().unwrap_or_default();
        Some(kind.trim().trim_matches(['"', '\'']))
    })
}

fn text_at<'n>(node: &'n Node, keys: &[&str]) -> Option<&'n str> {
    node.at(keys).and_then(Node::text).filter(|text| !text.is_empty())
}
