//! The second key: whether the operator's file lets this binding use a verb. A refusal names what was refused and the
//! line that would grant it.

use crate::config::{BindingConfig, Deployment};
use crate::model::{Role, VerbError};
use std::collections::BTreeSet;

/// What the deployment's file grants to one binding. A product and a datastore act on the services, commands and releases
/// of the deployment's platforms; the rest stands in the binding's own table.
#[derive(Debug, Clone)]
pub struct Granted {
    deployment: String,
    binding: String,
    table: String,
    platform: String,
    directory: bool,
    repository: bool,
    services: bool,
    engine: bool,
    cluster: bool,
    google: bool,
    pods: bool,
    commands: BTreeSet<String>,
    paths: BTreeSet<String>,
    http: bool,
    server: bool,
}

impl Granted {
    /// Nothing: for `describe`.
    pub fn nothing() -> Self {
        Self {
            deployment: "none".into(),
            binding: "nobody".into(),
            table: "settings".into(),
            platform: "platform".into(),
            directory: false,
            repository: false,
            services: false,
            engine: false,
            cluster: false,
            google: false,
            pods: false,
            commands: BTreeSet::new(),
            paths: BTreeSet::new(),
            http: false,
            server: false,
        }
    }

    pub fn of(deployment: &Deployment, config: &BindingConfig) -> Self {
        let own = std::slice::from_ref(config);
        let sources = match config.role() {
            Role::Platform => own,
            Role::Product | Role::Datastore => deployment.platforms.as_slice(),
        };
        let grants = || sources.iter().chain(own).map(|source| &source.grants);
        let platform = match config.role() {
            Role::Platform => table(config),
            Role::Product | Role::Datastore => deployment.platforms.first().map_or("platform".into(), table),
        };
        let stores = config.grants.volumes.keys().chain(config.grants.claims.keys());
        Self {
            deployment: deployment.name.clone(),
            binding: config.binding.name.clone(),
            table: table(config),
            platform,
            directory: grants().any(|grants| grants.directory.is_some()),
            repository: grants().any(|grants| grants.repository.is_some()),
            services: grants().any(|grants| {
                let region = grants.google.as_ref().is_some_and(|google| !google.services.is_empty());
                !grants.services.is_empty() || grants.engine.is_some() || grants.kubernetes.is_some() || region
            }),
            engine: grants().any(|grants| grants.engine.is_some() && grants.directory.is_some()),
            cluster: grants().any(|grants| grants.kubernetes.is_some()),
            google: config.grants.google.is_some(),
            pods: grants()
                .any(|grants| grants.engine.is_some() && grants.directory.is_some() && !grants.pods.files.is_empty()),
            commands: grants().flat_map(|grants| grants.commands.keys().cloned()).collect(),
            paths: config.grants.paths.keys().chain(stores).cloned().collect(),
            http: !config.grants.http.is_empty(),
            server: config.grants.server.is_some(),
        }
    }

    pub fn directory(&self, verb: &str) -> Result<(), VerbError> {
        self.allow(self.directory, verb, &format!("`directory` in `[{}]`", self.platform))
    }

    pub fn repository(&self, verb: &str) -> Result<(), VerbError> {
        let both = self.repository && self.directory;
        self.allow(both, verb, &format!("`repository` and `directory` in `[{}]`", self.platform))
    }

    pub fn services(&self, verb: &str) -> Result<(), VerbError> {
        self.allow(self.services, verb, &format!("a table `[{}.services.NAME]`", self.platform))
    }

    pub fn engine(&self, verb: &str) -> Result<(), VerbError> {
        self.allow(self.engine, verb, &format!("`engine` and `directory` in `[{}]`", self.platform))
    }

    pub fn cluster(&self, verb: &str) -> Result<(), VerbError> {
        self.allow(self.cluster, verb, &format!("a table `[{}.kubernetes]`", self.platform))
    }

    pub fn google(&self, verb: &str) -> Result<(), VerbError> {
        self.allow(self.google, verb, &format!("a table `google` in `[{}]`", self.table))
    }

    pub fn pods(&self, verb: &str) -> Result<(), VerbError> {
        self.allow(self.pods, verb, &format!("`pods`, `engine` and `directory` in `[{}]`", self.platform))
    }

    pub fn command(&self, verb: &str, name: &str) -> Result<(), VerbError> {
        let asked = format!("{verb} {name}");
        self.allow(self.commands.contains(name), &asked, &format!("a table `[{}.commands.{name}]`", self.platform))
    }

    pub fn some_path(&self, verb: &str) -> Result<(), VerbError> {
        self.allow(!self.paths.is_empty(), verb, &format!("`paths` in `[{}]`", self.table))
    }

    pub fn path(&self, verb: &str, path: &str) -> Result<(), VerbError> {
        let asked = format!("{verb} {path}");
        self.allow(self.paths.contains(path), &asked, &format!("`{path}` among the `paths` in `[{}]`", self.table))
    }

    pub fn server(&self, verb: &str) -> Result<(), VerbError> {
        self.allow(self.server, verb, &format!("a table `[{}.server]`", self.table))
    }

    /// Artifacts are called `<deployment>/<step>/<binding>/<name>`: one binding's can't be put into another's place.
    pub fn artifact(&self, verb: &str, artifact: &str) -> Result<(), VerbError> {
        let mut parts = artifact.splitn(4, '/');
        let (deployment, _step, binding) = (parts.next(), parts.next(), parts.next());
        if deployment == Some(&self.deployment) && binding == Some(&self.binding) {
            return Ok(());
        }
        let artifact: String = artifact.chars().take(200).collect();
        Err(VerbError::Denied(format!("`{verb} {artifact}`: the artifact is none of `{}`", self.binding)))
    }

    pub fn http(&self, verb: &str, url: &str) -> Result<(), VerbError> {
        let asked = format!("{verb} {url}");
        self.allow(self.http, &asked, &format!("the address' origin in `http` in `[{}]`", self.table))
    }

    fn allow(&self, granted: bool, asked: &str, key: &str) -> Result<(), VerbError> {
        if granted {
            return Ok(());
        }
        let asked: String = asked.chars().take(200).collect();
        Err(VerbError::Denied(format!("`{asked}` is not granted to `{}`; {key} would grant it", self.binding)))
    }
}

/// The binding's table as the operator wrote it.
fn table(config: &BindingConfig) -> String {
    let name = &config.binding.name;
    match config.role() {
        Role::Product => "settings".into(),
        Role::Platform if name == "main" => "platform".into(),
        Role::Platform => format!("platforms.{name}"),
        Role::Datastore => format!("datastores.{name}"),
    }
}
