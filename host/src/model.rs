//! The words of the contract in our own types: what the journal keeps and what every module speaks.
//!
//! They mirror `wit/upgraded.wit`; only `plugin::v0_1` and `capability` know the generated twins. A change here is a
//! change of the journal's format: bump [`crate::plan::PLAN_SCHEMA`].

use serde::{Deserialize, Serialize};
use std::fmt;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    Info,
    Warning,
    Blocker,
}

/// What preflight, drill or verify noticed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// Stable and kebab-case, unique within its source.
    pub id: String,
    pub severity: Severity,
    pub message: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// The binding that noticed it, or `host`.
    pub source: String,
}

impl Finding {
    pub fn blocker(source: &str, id: &str, message: impl Into<String>) -> Self {
        Self::new(source, id, Severity::Blocker, message)
    }
    pub fn warning(source: &str, id: &str, message: impl Into<String>) -> Self {
        Self::new(source, id, Severity::Warning, message)
    }
    pub fn new(source: &str, id: &str, severity: Severity, message: impl Into<String>) -> Self {
        Self { id: id.into(), severity, message: message.into(), hint: None, source: source.into() }
    }
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// Why a verb of the host did not do what was asked: the contract's `error`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(tag = "kind", content = "message", rename_all = "kebab-case")]
pub enum VerbError {
    #[error("denied: {0}")]
    Denied(String),
    #[error("not found: {0}")]
    NotFound(String),
    #[error("conflict: {0}")]
    Conflict(String),
    #[error("nothing was heard for the whole idle deadline")]
    Timeout,
    #[error("cancelled")]
    Cancelled,
    #[error("unavailable: {0}")]
    Unavailable(String),
    #[error("{0}")]
    Invalid(String),
    #[error("{}", .0.message)]
    Other(Failure),
}

impl VerbError {
    pub fn other(code: &str, message: impl Into<String>) -> Self {
        Self::Other(Failure { code: code.into(), message: message.into(), retryable: false })
    }
    pub fn retryable(&self) -> bool {
        match self {
            Self::Unavailable(_) | Self::Timeout => true,
            Self::Other(failure) => failure.retryable,
            Self::Denied(_) | Self::NotFound(_) | Self::Conflict(_) | Self::Cancelled | Self::Invalid(_) => false,
        }
    }
    pub fn code(&self) -> &str {
        match self {
            Self::Denied(_) => "denied",
            Self::NotFound(_) => "not-found",
            Self::Conflict(_) => "conflict",
            Self::Timeout => "timeout",
            Self::Cancelled => "cancelled",
            Self::Unavailable(_) => "unavailable",
            Self::Invalid(_) => "invalid",
            Self::Other(failure) => &failure.code,
        }
    }
}

/// Why a step failed, or a part of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// kebab-case: `denied`, `timeout`, `trap`, `mark-moved`, …
    pub code: String,
    pub message: String,
    pub retryable: bool,
}

impl From<VerbError> for Failure {
    fn from(error: VerbError) -> Self {
        Self { code: error.code().into(), retryable: error.retryable(), message: error.to_string() }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    Product,
    Platform,
    Datastore,
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Role::Product => "product",
            Role::Platform => "platform",
            Role::Datastore => "datastore",
        })
    }
}

/// A plugin as one deployment uses it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Binding {
    pub name: String,
    pub role: Role,
    pub plugin: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Component {
    pub name: String,
    pub version: String,
    pub digest: Option<String>,
}

/// What runs, as the product's plugin detected it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Installed {
    pub version: String,
    pub components: Vec<Component>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Release {
    pub version: String,
    pub published: Option<String>,
    pub breaking: bool,
    pub notes: Vec<String>,
    pub url: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ServiceRef {
    pub platform: String,
    pub name: String,
}

impl fmt::Display for ServiceRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.platform, self.name)
    }
}

/// `database` of `database/postgres`: what is stopped and started as one.
pub fn whole(service: &ServiceRef) -> ServiceRef {
    let name = service.name.split('/').next().unwrap_or_default().to_owned();
    ServiceRef { platform: service.platform.clone(), name }
}

/// A migration that runs while its service starts, seen in the service's log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Watch {
    pub service: ServiceRef,
    pub success: String,
    pub failure: String,
    pub progress: Option<String>,
    pub idle_ms: u64,
}

/// A command run once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Once {
    pub service: ServiceRef,
    pub argv: Vec<String>,
    pub success: Option<String>,
    pub repeatable: bool,
    pub idle_ms: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wave {
    pub services: Vec<ServiceRef>,
    pub rolling: bool,
    pub follow: Vec<Watch>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Act {
    Command(Once),
    Wave(Wave),
}

impl Act {
    /// The platform that the act goes to; none for a wave without services.
    pub fn platform(&self) -> Option<&str> {
        match self {
            Act::Command(once) => Some(&once.service.platform),
            Act::Wave(wave) => wave.services.first().map(|service| service.platform.as_str()),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Undo {
    CodeOnly,
    Rebuild(Once),
    RestoreData,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Requirement {
    pub component: String,
    pub range: String,
}

/// One supported step between two releases.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hop {
    pub source: String,
    pub target: String,
    pub breaking: bool,
    pub acts: Vec<Act>,
    pub undo: Vec<Undo>,
    pub expand_only: bool,
    pub rest: bool,
    pub quiesce: Vec<ServiceRef>,
    pub gate: Vec<ServiceRef>,
    pub requires: Vec<Requirement>,
    pub expected_seconds: Option<(u32, u32)>,
    pub notes: Vec<String>,
}

impl Hop {
    /// That stop for it, or start in it.
    pub fn services(&self) -> Vec<&ServiceRef> {
        let waves = self.acts.iter().filter_map(|act| match act {
            Act::Wave(wave) => Some(&wave.services),
            Act::Command(_) => None,
        });
        waves.flatten().chain(&self.quiesce).chain(&self.gate).collect()
    }

    /// Nobody is shut out and nothing is stopped: the old release serves on while the new one comes up.
    pub fn keeps_serving(&self) -> bool {
        let mut waves = self.acts.iter().filter_map(|act| match act {
            Act::Wave(wave) => Some(wave.rolling),
            Act::Command(_) => None,
        });
        self.gate.is_empty() && self.quiesce.is_empty() && waves.next() == Some(true) && waves.all(|rolling| rolling)
    }

    /// It keeps serving, and may: the old release runs on the new schema, and the way back leaves the data as it is.
    pub fn rolls(&self) -> bool {
        self.keeps_serving() && self.expand_only && self.undo.contains(&Undo::CodeOnly)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Change {
    Content(Vec<u8>),
    /// As `Content`; whoever may read the file may run it.
    Program(Vec<u8>),
    Set(Vec<(String, String)>),
    Remove,
}

/// A file of a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tracked {
    pub path: String,
    pub executable: bool,
}

/// Of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModeAndOwner {
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
}

/// A plugin's proposal of a change to one of the project's files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Edit {
    /// Relative to the platform's `directory`.
    pub path: String,
    pub change: Change,
    pub why: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackupRef {
    /// Keys in the vault.
    pub artifacts: Vec<String>,
    /// Sorted lines `id<TAB>count<TAB>digest`, taken in the same snapshot as the bytes.
    pub manifest: String,
}

/// Where a restore takes its bytes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Origin {
    Backup(BackupRef),
    /// The step that made the frozen copy.
    Frozen(String),
}

/// What a component says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Info {
    pub name: String,
    pub version: String,
    pub role: Role,
    pub needs: Vec<Need>,
    /// JSON schema, 2020-12.
    pub config_schema: String,
    /// Its `server` is one of MySQL or MariaDB.
    pub mysql: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Need {
    pub role: Role,
    pub plugins: Vec<String>,
    pub optional: bool,
}

/// What a running service looks like from its platform.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceState {
    pub name: ServiceRef,
    pub version: Option<String>,
    pub digest: Option<String>,
    pub replicas: u32,
    pub running: u32,
    pub healthy: Option<bool>,
}

/// A finished command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommandExit {
    pub code: i32,
    /// The last lines of both streams, 8 KiB at most.
    pub tail: String,
    pub elapsed_ms: u64,
}
