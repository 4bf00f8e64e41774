//! The door to the plugins: what there is, what it says of itself, and a deployment's bindings as things to call.

use super::engine::{Loaded, Machine, Pass};
use super::error::PluginError;
use super::folder::{Folder, Found, shown};
use super::roles::Bound;
use super::sealed::Sealed;
use super::{load, schema, shape, v0_1};
use crate::capability::{Granted, Limits};
use crate::config::{BindingConfig, Deployment};
use crate::driver::Drivers;
use crate::model::{Info, Role};
use crate::plan::PlannedBinding;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock};
use tracing::warn;

/// The plugins of one daemon. Cheap to clone; nothing is read or started before it is asked for.
#[derive(Clone)]
pub struct Plugins(Arc<Inner>);

pub(super) struct Inner {
    pub limits: Limits,
    folder: Folder,
    compiled: PathBuf,
    machine: Machine,
    sealed: OnceLock<Sealed>,
    /// One component is compiled at a time; each takes all cores.
    loading: Mutex<()>,
    /// By digest.
    infos: Mutex<HashMap<String, Arc<Info>>>,
}

/// A component of the plugins' folder, and what it says of itself.
#[derive(Debug, Clone)]
pub struct Described {
    pub file: PathBuf,
    /// SHA-256 of the component, hexadecimal.
    pub digest: String,
    pub info: Arc<Info>,
}

impl Plugins {
    /// `folder`: where the operator puts components; `state`: the daemon's own folder.
    pub fn new(folder: PathBuf, state: &Path) -> Self {
        Self::with_limits(folder, state, Limits::default())
    }

    pub fn with_limits(folder: PathBuf, state: &Path, limits: Limits) -> Self {
        Self(Arc::new(Inner {
            folder: Folder::new(folder, state.join("kept"), limits.component_bytes),
            compiled: state.join("plugins"),
            machine: Machine::new(limits.keep_loaded),
            sealed: OnceLock::new(),
            loading: Mutex::new(()),
            infos: Mutex::default(),
            limits,
        }))
    }

    /// The plugin of this name: `<name>.wasm`, or the component that calls itself so.
    pub async fn info(&self, name: &str) -> Result<Described, PluginError> {
        let name = name.to_owned();
        self.blocking(move |inner| inner.find(&name)).await
    }

    /// Every component of the folder, and why one that can't be used can't.
    pub async fn list(&self) -> Result<Vec<Result<Described, PluginError>>, PluginError> {
        self.blocking(Inner::list).await
    }

    /// [`info`](Self::info) for a thread that may block, and is none of the runtime's.
    pub fn info_blocking(&self, name: &str) -> Result<Described, PluginError> {
        self.0.find(name)
    }

    /// [`list`](Self::list) for a thread that may block, and is none of the runtime's.
    pub fn list_blocking(&self) -> Result<Vec<Result<Described, PluginError>>, PluginError> {
        self.0.list()
    }

    /// A deployment's bindings, by the components that lie in the folder now.
    pub async fn bind(
        &self, deployment: &Deployment, make_drivers: impl Fn(&BindingConfig) -> Arc<Drivers>,
    ) -> Result<Bound, PluginError> {
        let found = self.found(deployment).await?;
        self.bound(deployment, found, |config| Some(make_drivers(config)))
    }

    #[cfg(test)]
    pub(super) async fn bind_without_drivers(&self, deployment: &Deployment) -> Result<Bound, PluginError> {
        let found = self.found(deployment).await?;
        self.bound(deployment, found, |_| None)
    }

    #[cfg(test)]
    pub(super) async fn bind_kept_without_drivers(
        &self, deployment: &Deployment, planned: &[PlannedBinding],
    ) -> Result<Bound, PluginError> {
        let found = self.found_kept(deployment, planned).await?;
        self.bound(deployment, found, |_| None)
    }

    async fn found_kept(
        &self, deployment: &Deployment, planned: &[PlannedBinding],
    ) -> Result<Vec<(String, Arc<Info>)>, PluginError> {
        let digest_of = |config: &BindingConfig| {
            let it = planned.iter().find(|planned| planned.binding == config.binding);
            let unplanned = || PluginError::Unplanned { binding: config.binding.name.clone() };
            it.map(|planned| (planned.digest.clone(), config.binding.plugin.clone())).ok_or_else(unplanned)
        };
        let digests = deployment.bindings().map(digest_of).collect::<Result<Vec<_>, _>>()?;
        self.blocking(move |inner| {
            let describe =
                |(digest, plugin): (String, String)| inner.info_of(&digest, &plugin).map(|info| (digest, info));
            digests.into_iter().map(describe).collect::<Result<Vec<_>, _>>()
        })
        .await
    }

    async fn found(&self, deployment: &Deployment) -> Result<Vec<(String, Arc<Info>)>, PluginError> {
        let names: Vec<String> = deployment.bindings().map(|config| config.binding.plugin.clone()).collect();
        self.blocking(move |inner| {
            let find = |name: &String| inner.find(name).map(|described| (described.digest, described.info));
            names.iter().map(find).collect::<Result<Vec<_>, _>>()
        })
        .await
    }

    /// A deployment's bindings, by the components that a plan names: those with which its run began.
    pub async fn bind_kept(
        &self, deployment: &Deployment, planned: &[PlannedBinding],
        make_drivers: impl Fn(&BindingConfig) -> Arc<Drivers>,
    ) -> Result<Bound, PluginError> {
        let found = self.found_kept(deployment, planned).await?;
        self.bound(deployment, found, |config| Some(make_drivers(config)))
    }

    /// Keeps copies of the components that a run begins with. Durable when it returns.
    pub async fn keep(&self, bindings: &[PlannedBinding]) -> Result<(), PluginError> {
        let bindings = bindings.to_vec();
        self.blocking(move |inner| {
            for PlannedBinding { binding, digest } in bindings {
                if !inner.folder.keep(&digest)? {
                    return Err(PluginError::Gone { name: binding.plugin, digest });
                }
            }
            Ok(())
        })
        .await
    }

    /// Drops the copies that no run, frozen copy or kept backup refers to any more.
    pub async fn keep_only(&self, digests: BTreeSet<String>) -> Result<(), PluginError> {
        self.blocking(move |inner| {
            inner.folder.keep_only(&digests);
            Ok(())
        })
        .await
    }

    fn bound(
        &self, deployment: &Deployment, found: Vec<(String, Arc<Info>)>,
        make_drivers: impl Fn(&BindingConfig) -> Option<Arc<Drivers>>,
    ) -> Result<Bound, PluginError> {
        let mut product = None;
        let (mut platforms, mut datastores, mut digests) = (Vec::new(), Vec::new(), BTreeMap::new());
        for (config, (digest, info)) in deployment.bindings().zip(found) {
            let binding = config.binding.clone();
            if info.role != binding.role {
                let (wanted, is) = (binding.role, info.role);
                return Err(PluginError::Role { binding: binding.name, plugin: binding.plugin, wanted, is });
            }
            digests.insert((binding.role, binding.name.clone()), digest.clone());
            let adapter = Arc::new(v0_1::Adapter::new(v0_1::Parts {
                plugins: self.0.clone(),
                digest,
                info,
                settings: config.settings.clone(),
                granted: Arc::new(Granted::of(deployment, config)),
                drivers: make_drivers(config),
                idle: deployment.policy.idle,
                plugin: binding.plugin.clone(),
            }));
            match binding.role {
                Role::Product => product = Some((binding, adapter as _)),
                Role::Platform => platforms.push((binding, adapter as _)),
                Role::Datastore => datastores.push((binding, adapter as _)),
            }
        }
        let product = product.expect("a deployment has a product");
        Ok(Bound { product, platforms, datastores, digests })
    }

    async fn blocking<T: Send + 'static>(
        &self, work: impl FnOnce(&Inner) -> Result<T, PluginError> + Send + 'static,
    ) -> Result<T, PluginError> {
        let inner = self.0.clone();
        let done = tokio::task::spawn_blocking(move || work(&inner)).await;
        done.unwrap_or_else(|error| Err(PluginError::Engine(error.to_string())))
    }

    #[cfg(test)]
    pub(super) fn is_running(&self) -> bool {
        self.0.machine.is_running()
    }
}

impl Inner {
    /// The component, ready for an instance, and the right to use it.
    pub async fn ready(self: &Arc<Self>, digest: &str, plugin: &str) -> Result<(Pass, Arc<Loaded>), PluginError> {
        let pass = self.machine.enter()?;
        if let Some(loaded) = pass.runtime.loaded(digest) {
            return Ok((pass, loaded));
        }
        let (inner, digest, plugin) = (self.clone(), digest.to_owned(), plugin.to_owned());
        let loading = tokio::task::spawn_blocking(move || {
            let loaded = inner.load(&pass, &digest, &plugin)?;
            Ok((pass, loaded))
        });
        loading.await.unwrap_or_else(|error| Err(PluginError::Engine(error.to_string())))
    }

    fn load(&self, pass: &Pass, digest: &str, plugin: &str) -> Result<Arc<Loaded>, PluginError> {
        let _one_at_a_time = self.loading.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        match pass.runtime.loaded(digest) {
            Some(loaded) => Ok(loaded),
            None => load::load(&pass.runtime, self.sealed()?, &self.folder, digest, plugin),
        }
    }

    fn sealed(&self) -> Result<&Sealed, PluginError> {
        if let Some(sealed) = self.sealed.get() {
            return Ok(sealed);
        }
        let opened = Sealed::open(&self.compiled)?;
        Ok(self.sealed.get_or_init(|| opened))
    }

    fn find(&self, name: &str) -> Result<Described, PluginError> {
        if let Some(file) = self.folder.by_file_name(name) {
            return self.describe(self.folder.look(&file)?);
        }
        let mut others = Vec::new();
        let mut found: Vec<Described> = Vec::new();
        for file in self.folder.all()? {
            match self.folder.look(&file).and_then(|found| self.describe(found)) {
                Ok(described) if described.info.name == name => found.push(described),
                Ok(described) => others.push(described.info.name.clone()),
                Err(why) => {
                    warn!("{why}");
                    others.push(format!("{} (can't be used)", shown(&file)));
                }
            }
        }
        if found.len() > 1 {
            let files = found.iter().map(|described| shown(&described.file)).collect();
            return Err(PluginError::Ambiguous { name: name.into(), files });
        }
        let missing = || PluginError::Missing { name: name.into(), folder: self.folder.path().into(), others };
        found.pop().ok_or_else(missing)
    }

    fn list(&self) -> Result<Vec<Result<Described, PluginError>>, PluginError> {
        let files = self.folder.all()?;
        Ok(files.iter().map(|file| self.folder.look(file).and_then(|found| self.describe(found))).collect())
    }

    fn describe(&self, found: Found) -> Result<Described, PluginError> {
        let info = self.info_of(&found.digest, &shown(&found.file))?;
        Ok(Described { file: found.file, digest: found.digest, info })
    }

    /// What the component with this digest says of itself: remembered, written down, or asked.
    fn info_of(&self, digest: &str, plugin: &str) -> Result<Arc<Info>, PluginError> {
        let known = self.infos.lock().expect("no panic holds this lock").get(digest).cloned();
        if let Some(info) = known {
            return Ok(info);
        }
        let info = match self.written_info(digest)? {
            Some(info) => info,
            None => self.asked_info(digest, plugin)?,
        };
        let info = Arc::new(info);
        self.infos.lock().expect("no panic holds this lock").insert(digest.into(), info.clone());
        Ok(info)
    }

    fn written_info(&self, digest: &str) -> Result<Option<Info>, PluginError> {
        let name = info_name(digest);
        match self.sealed()?.read(&name, &info_purpose(digest)) {
            Ok(content) => Ok(content.and_then(|content| serde_json::from_slice(content.bytes()).ok())),
            Err(why) => {
                warn!("the description `{name}` is not used: {why}");
                Ok(None)
            }
        }
    }

    fn asked_info(&self, digest: &str, plugin: &str) -> Result<Info, PluginError> {
        let pass = self.machine.enter()?;
        let loaded = self.load(&pass, digest, plugin)?;
        let describe = |why: String| PluginError::Describe { file: plugin.into(), why };
        let alone = tokio::runtime::Builder::new_current_thread().enable_time().build();
        let alone = alone.map_err(|error| PluginError::Engine(error.to_string()))?;
        let info = alone.block_on(v0_1::describe(&pass, &loaded, &self.limits)).map_err(describe)?;
        schema::compile(&info.config_schema, self.limits.schema_bytes)
            .map_err(|source| PluginError::Schema { file: plugin.into(), source })?;
        let text = serde_json::to_vec(&info).map_err(|error| describe(error.to_string()))?;
        if let Err(error) = self.sealed()?.publish(&info_name(digest), &info_purpose(digest), &text) {
            warn!("what `{plugin}` says of itself is not written down: {error}");
        }
        Ok(info)
    }
}

fn info_name(digest: &str) -> String {
    format!("{digest}.info")
}

/// Another host may hold a component to other rules, and asks it again.
fn info_purpose(digest: &str) -> String {
    format!("description of {digest} for {} {}", env!("CARGO_PKG_VERSION"), shape::CONTRACT)
}
