//! What an operator, or a vendor without a plugin, says of a product.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;
use upgraded_sdk::Secret;

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Settings {
    /// A file of the project that lists the releases: TOML with `[[releases]]`, or JSON with `releases`.
    pub index: Option<String>,
    /// Releases, beside those of the index; what stands here wins.
    pub releases: Vec<ReleaseEntry>,
    /// Whether every tag of the repository is a release. Without this line: where there is neither `index` nor
    /// `releases`.
    pub tags: Option<bool>,
    /// How a release's tag is written, in the repository or of an image; `{version}` stands for the version.
    #[schemars(regex(pattern = r"\{version\}"))]
    pub tag: String,
    /// Which releases a path goes through.
    pub through: Through,
    /// What another major version is.
    pub majors: Majors,
    /// Commits, whose place among the releases is unknown, may be installed; the way back is a restore of the data.
    pub allow_unordered: bool,
    /// Every service of the product, by its name on the first platform or as `platform/name`.
    pub services: Vec<String>,
    /// Those that let users in: they start last.
    pub gate: Vec<String>,
    /// What a change of release consists of, in order. Without: one wave of all services but the gate.
    pub acts: Vec<ActEntry>,
    /// The ways back, narrowest first. Without: `restore-data`.
    pub undo: Vec<UndoEntry>,
    /// An address that answers 2xx while the product is healthy.
    pub health: Option<String>,
    /// An address that answers with the running version. Without: the active tag says what is installed, or that of the
    /// image that the first of `services` runs.
    pub version_url: Option<String>,
    /// Where in its JSON the version stands (`version`, `build.version` or `/build/version`). Without: the whole answer.
    pub version_field: Option<String>,
    /// Requests that show that the product is right.
    pub checks: Vec<Check>,
    /// How often a check is tried before it counts as failed.
    #[schemars(range(min = 1))]
    pub attempts: u32,
    /// The pause between two tries.
    pub pause_ms: u64,
    /// How long one request may take.
    #[schemars(range(min = 1))]
    pub timeout_ms: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            index: None,
            releases: Vec::new(),
            tags: None,
            tag: "v{version}".into(),
            through: Through::default(),
            majors: Majors::default(),
            allow_unordered: false,
            services: Vec::new(),
            gate: Vec::new(),
            acts: Vec::new(),
            undo: Vec::new(),
            health: None,
            version_url: None,
            version_field: None,
            checks: Vec::new(),
            attempts: 15,
            pause_ms: 1000,
            timeout_ms: 10_000,
        }
    }
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Through {
    /// Straight to the wanted one, but for required stops and breaking releases.
    #[default]
    Stops,
    /// Also through the newest release of every minor version in between.
    Minors,
    /// Through every release in between.
    EveryRelease,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Majors {
    /// A breaking hop.
    #[default]
    Breaking,
    /// Like any other.
    Direct,
    Refuse,
}

/// A release, in the settings or in the index.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ReleaseEntry {
    pub version: String,
    /// The operator has to do or to know something.
    #[serde(default)]
    pub breaking: bool,
    /// A line each; those of breaking releases are shown first.
    #[serde(default)]
    pub notes: Vec<String>,
    pub published: Option<String>,
    pub url: Option<String>,
    /// No path skips it.
    #[serde(default)]
    pub requires_stop: bool,
    /// Background work must finish before the next hop: a run ends here.
    #[serde(default)]
    pub rest: bool,
    /// The release before runs on this one's schema.
    #[serde(default)]
    pub expand_only: bool,
    /// Instead of the usual acts; no path skips such a release.
    pub acts: Option<Vec<ActEntry>>,
    /// Instead of the usual ways back.
    pub undo: Option<Vec<UndoEntry>>,
    /// From and to, in seconds.
    pub expected_seconds: Option<(u32, u32)>,
    /// Versions of other components that it needs: `postgres = ">=14"`.
    #[serde(default)]
    pub requires: BTreeMap<String, String>,
}

/// Either a command or a wave.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(extend("oneOf" = [{ "required": ["command"] }, { "required": ["wave"] }]))]
pub struct ActEntry {
    /// A command of the platform, run once.
    pub command: Option<String>,
    /// Added to the command, where the operator allows arguments; `{version}` stands for the target.
    #[serde(default)]
    pub args: Vec<String>,
    /// The service that the command belongs to: it runs on that service's platform. Without: the first service.
    pub service: Option<String>,
    /// It converges: running it twice is running it once.
    #[serde(default)]
    pub repeatable: bool,
    /// A regular expression that a line of its output must fit.
    pub success: Option<String>,
    /// Services to start together.
    pub wave: Option<Vec<String>>,
    /// They are restarted one by one while the gate stays open.
    #[serde(default)]
    pub rolling: bool,
    /// Migrations that run while a service of the wave starts.
    #[serde(default)]
    pub follow: Vec<Follow>,
    /// How long it may be silent. Without: as `[policy] idle` says.
    #[schemars(range(min = 1))]
    pub idle_seconds: Option<u64>,
}

/// A migration that shows in a service's log.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Follow {
    pub service: String,
    /// A regular expression of the line that says that it is done.
    pub success: String,
    /// A regular expression of the line that says that it failed.
    pub failure: String,
    /// A regular expression of progress, with the groups `done`, `total` and `message`.
    pub progress: Option<String>,
    /// How long the log may be silent. Without: ten minutes.
    #[schemars(range(min = 1))]
    pub idle_seconds: Option<u64>,
}

/// `code-only`, `rebuild:COMMAND` or `restore-data`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(try_from = "String")]
#[schemars(with = "String", extend("pattern" = "^(code-only|restore-data|rebuild:.+)$"))]
pub enum UndoEntry {
    CodeOnly,
    Rebuild(String),
    RestoreData,
}

impl TryFrom<String> for UndoEntry {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        match (text.as_str(), text.split_once(':')) {
            ("code-only", _) => Ok(Self::CodeOnly),
            ("restore-data", _) => Ok(Self::RestoreData),
            (_, Some(("rebuild", command))) if !command.is_empty() => Ok(Self::Rebuild(command.into())),
            _ => Err(format!("`{text}` is no way back: `code-only`, `rebuild:COMMAND` or `restore-data`")),
        }
    }
}

/// A request, and what its answer must be. `{version}` stands for the release that should run.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Check {
    pub name: String,
    #[serde(default = "get")]
    pub method: String,
    /// Its origin must stand in `http`.
    pub url: String,
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// The request's body as it is.
    pub body: Option<String>,
    /// The request's body as JSON.
    pub json: Option<Value>,
    /// Goes into the header `Authorization`.
    pub authorization: Option<Secret>,
    /// What stands before it there.
    #[serde(default = "bearer")]
    pub authorization_prefix: String,
    /// Other headers that are secrets.
    #[serde(default)]
    pub secret_headers: BTreeMap<String, Secret>,
    #[serde(default)]
    pub expect: Expect,
    /// Only from this release on.
    pub since: Option<String>,
    /// Only before this release.
    pub until: Option<String>,
}

#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Expect {
    /// Without: any 2xx.
    pub status: Option<Status>,
    pub headers: BTreeMap<String, String>,
    /// Fields of the JSON answer: `build.version` or `/build/version`, and the value that stands there.
    pub json: BTreeMap<String, Value>,
    /// A regular expression that the answer must fit somewhere.
    pub pattern: Option<String>,
}

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Status {
    One(u16),
    OneOf(Vec<u16>),
}

fn get() -> String {
    "GET".into()
}

fn bearer() -> String {
    "Bearer ".into()
}
