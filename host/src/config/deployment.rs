//! One deployment's file, parsed and valid. Reading and reporting is `config::read`'s work; these types can't hold a
//! mistake that the parser could have found.

use super::secret::SecretSource;
use super::window::Window;
use crate::model::{Binding, Role, ServiceRef};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

#[derive(Debug, Clone)]
pub struct Deployment {
    /// The file's name without `.toml`.
    pub name: String,
    pub file: PathBuf,
    /// The target, as it is written.
    pub version: String,
    pub product: BindingConfig,
    pub platforms: Vec<BindingConfig>,
    pub datastores: Vec<BindingConfig>,
    pub policy: Policy,
}

impl Deployment {
    pub fn bindings(&self) -> impl Iterator<Item = &BindingConfig> {
        std::iter::once(&self.product).chain(&self.platforms).chain(&self.datastores)
    }
    /// The folder that relative paths of the product and the datastores start from: the first platform's `directory`.
    pub fn directory(&self) -> Option<&PathBuf> {
        self.platforms.iter().find_map(|platform| platform.grants.directory.as_ref())
    }
}

/// One binding: what its plugin is told, and what the operator grants it.
#[derive(Debug, Clone)]
pub struct BindingConfig {
    pub binding: Binding,
    /// The plugin as the file has it, which may be the name of its own file: `shop-next` of a `shop`.
    pub named: String,
    /// The table as JSON: every key that the plugin's schema names, plus every key that is no grant. A secret stands in
    /// it as `{"secret": "<dotted key>"}`.
    pub settings: serde_json::Value,
    pub grants: Grants,
}

impl BindingConfig {
    pub fn role(&self) -> Role {
        self.binding.role
    }
}

/// The second of the two keys to every capability: what the operator lets a binding use.
#[derive(Debug, Clone, Default)]
pub struct Grants {
    /// `directory`: the project's folder; `files` reads and edits beneath it, `checkout` lays releases out in it.
    pub directory: Option<PathBuf>,
    /// `repository`: what `checkout` fetches from: a URL or a folder.
    pub repository: Option<String>,
    /// `paths`: folders and files for `trees` and `sqlite`, absolute after parsing, by the name the plugin uses.
    pub paths: BTreeMap<String, PathBuf>,
    /// Those of `paths` that name a volume of the container engine, `volume:NAME`: the volume by the name that the plugin
    /// uses.
    pub volumes: BTreeMap<String, String>,
    /// The same for claims of a release's namespace, `claim:NAME`.
    pub claims: BTreeMap<String, String>,
    /// `[….services.NAME]`
    pub services: BTreeMap<String, ServiceConfig>,
    /// `[….commands.NAME]`
    pub commands: BTreeMap<String, CommandConfig>,
    /// `engine`: the container engine whose containers are the platform's services.
    pub engine: Option<EngineConfig>,
    /// `google`: a project at Google's.
    pub google: Option<GoogleConfig>,
    /// `[….compose]`: which of the folder's Compose files, where it isn't what `docker compose` would take.
    pub compose: ComposeConfig,
    /// `kubernetes`: the release whose workloads are the platform's services.
    pub kubernetes: Option<KubernetesConfig>,
    /// `pods`: the files of pods in the folder; with any, the platform's services are pods and no Compose project.
    pub pods: PodsConfig,
    /// `http`: origins, for example `http://127.0.0.1:8080`.
    pub http: Vec<String>,
    /// `hook`: what is done inside a service's container around the copy of `paths`.
    pub hook: Option<HookConfig>,
    /// `server`: the database server and the database bound to it.
    pub server: Option<ServerConfig>,
    /// It is one of MySQL or MariaDB, as the plugin's imports say, and else one of PostgreSQL.
    pub mysql: bool,
    /// By dotted key within the binding's table.
    pub secrets: BTreeMap<String, SecretSource>,
}

/// A service of the `source` platform: a systemd unit, or three commands.
#[derive(Debug, Clone)]
pub struct ServiceConfig {
    pub control: ServiceControl,
    /// A URL that answers 2xx when the service is healthy.
    pub health: Option<String>,
    /// The file that it logs to; a unit's journal where none is named.
    pub log: Option<PathBuf>,
}

#[derive(Debug, Clone)]
#[expect(clippy::large_enum_variant, reason = "a handful for each deployment, made once")]
pub enum ServiceControl {
    Unit(String),
    /// `status` exits with 0 while the service runs.
    Commands {
        start: CommandConfig,
        stop: CommandConfig,
        status: CommandConfig,
    },
}

#[derive(Debug, Clone)]
pub struct CommandConfig {
    pub argv: Vec<String>,
    /// Absolute after parsing; the active release's folder where none is named.
    pub directory: Option<PathBuf>,
    pub environment: BTreeMap<String, EnvironmentValue>,
    /// The account that it runs under; the daemon's own where none is named.
    pub user: Option<String>,
    /// The plugin may add arguments.
    pub arguments: bool,
    /// It changes nothing: allowed in phases that only read.
    pub reads_only: bool,
}

#[derive(Debug, Clone)]
pub enum EnvironmentValue {
    Plain(String),
    Secret(SecretSource),
}

/// A container engine of this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineConfig {
    pub socket: PathBuf,
    /// The folder of its client's settings, where logins to registries are kept.
    pub client: Option<PathBuf>,
}

/// What a binding may use of a project at Google's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GoogleConfig {
    pub project: String,
    /// Where the services run; of a datastore nothing.
    pub region: String,
    pub login: GoogleLogin,
    /// A server in the place of all of Google's: for tests.
    pub endpoint: Option<String>,
    /// What a service is called at Google's, by what the product calls it.
    pub services: BTreeMap<String, String>,
    pub jobs: BTreeMap<String, String>,
    /// Of a datastore.
    pub instance: String,
    /// The operator pays for an instance that a drill restores into.
    pub drill: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GoogleLogin {
    /// The key file of a service account.
    Key(SecretSource),
    /// Application-default.
    Default,
    /// The account of a machine of Google's.
    Machine,
}

/// Paths are relative to the platform's `directory`. What is empty is for `docker compose` to find.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ComposeConfig {
    pub files: Vec<PathBuf>,
    pub env_files: Vec<PathBuf>,
    pub profiles: Vec<String>,
    /// The project's name.
    pub project: Option<String>,
}

/// One release of Helm, where it runs, and where its charts come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KubernetesConfig {
    /// None: the service account of the pod that the daemon runs in.
    pub kubeconfig: Option<PathBuf>,
    /// None: the kubeconfig's current one.
    pub context: Option<String>,
    /// Which one it has to be, in the word that the driver has for it. None: the one of the last upgrade.
    pub cluster: Option<String>,
    pub namespace: String,
    /// In which a rehearsal's double stands, and nothing else.
    pub rehearsal_namespace: Option<String>,
    pub release: String,
    /// A name in `repository`, `oci://…`, or a path, absolute or beneath the platform's `directory`, in which `{version}`
    /// stands for the version.
    pub chart: String,
    pub repository: Option<String>,
    /// The registry or repository speaks HTTP without TLS.
    pub plain_http: bool,
    /// Beneath the platform's `directory`; later ones win.
    pub values: Vec<PathBuf>,
    /// The program; found in the path where none is named.
    pub helm: PathBuf,
}

/// Paths are relative to the platform's `directory`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PodsConfig {
    /// Each is a service.
    pub files: Vec<PathBuf>,
    pub config_maps: Vec<PathBuf>,
    /// What fills in the files' variables; `.env`, where it is there, if none is named.
    pub env_files: Vec<PathBuf>,
    /// That the pods are in; empty: the engine's own.
    pub networks: Vec<String>,
}

/// Commands by which a service that goes on running lets its data be copied. Each may be run again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HookConfig {
    /// Of a platform with a container engine.
    pub service: ServiceRef,
    /// Once it has ended, what is copied is whole. Empty: nothing is to be done.
    pub before: Vec<String>,
    pub after: Vec<String>,
}

#[derive(Debug, Clone)]
pub struct ServerConfig {
    /// A service of a platform with a container engine, in which the server runs; its address and tools are then those
    /// of its container.
    pub service: Option<ServiceRef>,
    /// A host's name, an address, or the folder of a Unix socket.
    pub host: String,
    pub port: u16,
    pub user: String,
    pub password: Option<SecretSource>,
    pub database: String,
    /// Where to connect to create and rename databases: `postgres`; of MySQL its own database, which is never bound.
    pub maintenance: String,
    /// The folder of the server's own tools, for example `pg_dump`; found where none is named.
    pub tools: Option<PathBuf>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// Empty: at any time.
    pub window: Vec<Window>,
    pub approve: Approve,
    pub drill: Drill,
    pub drill_in: DrillIn,
    /// Each upgrade is first taken on a throw-away double.
    pub rehearse: bool,
    /// Writable stores that may be lost: `path:cache`, `database:scratch`.
    pub disposable: Vec<String>,
    pub keep_backups: u32,
    /// How long frozen copies and what was set aside stay after the run.
    pub keep_frozen: Duration,
    /// How long a step may be silent where the plugin names no deadline.
    pub idle: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Approve {
    Never,
    Breaking,
    Always,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Drill {
    Ahead,
    Final,
    Off,
}

/// Where a backup of a database server is restored to prove it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DrillIn {
    /// A throw-away double of the server, where there can be one; else as below.
    Double,
    /// A database of its own on the server itself.
    Server,
}
