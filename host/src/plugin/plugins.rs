//! The door to the plugins: what there is, what it says of itself, and a deployment's bindings as things to call.

use super::error::PluginError;
use super::library::{Described, Library};
use super::measure::Cached;
use super::roles::Bound;
use super::v0_1;
use crate::capability::{Granted, Limits};
use crate::config::{BindingConfig, Deployment, PluginCatalog, Problem};
use crate::driver::Drivers;
use crate::model::{Info, Role};
use crate::plan::PlannedBinding;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The plugins of one daemon. Cheap to clone; nothing is read or started before it is asked for.
#[derive(Clone)]
pub struct Plugins(Arc<Library>);

impl Plugins {
    /// `folder`: where the operator puts components; `state`: the daemon's own folder.
    pub fn new(folder: PathBuf, state: &Path) -> Self {
        Self::with_limits(folder, state, Limits::default())
    }

    pub fn with_limits(folder: PathBuf, state: &Path, limits: Limits) -> Self {
        Self(Arc::new(Library::new(folder, state, limits)))
    }

    /// The plugin of this name: `<name>.wasm`, or the component that calls itself so.
    pub async fn info(&self, name: &str) -> Result<Described, PluginError> {
        let name = name.to_owned();
        self.blocking(move |library| library.find(&name)).await
    }

    /// Every component of the folder, and why one that can't be used can't.
    pub async fn list(&self) -> Result<Vec<Result<Described, PluginError>>, PluginError> {
        self.blocking(Library::list).await
    }

    /// [`info`](Self::info) for a thread that may block, and is none of the runtime's.
    pub fn info_blocking(&self, name: &str) -> Result<Described, PluginError> {
        self.0.find(name)
    }

    /// [`list`](Self::list) for a thread that may block, and is none of the runtime's.
    pub fn list_blocking(&self) -> Result<Vec<Result<Described, PluginError>>, PluginError> {
        self.0.list()
    }

    /// For the bench: the plugin, out of the cache.
    pub fn cached_blocking(&self, name: &str) -> Result<Cached, PluginError> {
        Cached::new(self.0.clone(), name)
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
        self.blocking(move |library| {
            let describe =
                |(digest, plugin): (String, String)| library.info_of(&digest, &plugin).map(|info| (digest, info));
            digests.into_iter().map(describe).collect::<Result<Vec<_>, _>>()
        })
        .await
    }

    async fn found(&self, deployment: &Deployment) -> Result<Vec<(String, Arc<Info>)>, PluginError> {
        let names: Vec<String> = deployment.bindings().map(|config| config.named.clone()).collect();
        self.blocking(move |library| {
            let find = |name: &String| library.find(name).map(|described| (described.digest, described.info));
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
        self.blocking(move |library| {
            for PlannedBinding { binding, digest } in bindings {
                if !library.folder().keep(&digest)? {
                    return Err(PluginError::Gone { name: binding.plugin, digest });
                }
            }
            Ok(())
        })
        .await
    }

    /// Drops the copies that no run, frozen copy or kept backup refers to any more, and what was compiled of components that
    /// are not in the folder either.
    pub async fn keep_only(&self, digests: BTreeSet<String>) -> Result<(), PluginError> {
        self.blocking(move |library| library.keep_only(digests)).await
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
                library: self.0.clone(),
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
        &self, work: impl FnOnce(&Library) -> Result<T, PluginError> + Send + 'static,
    ) -> Result<T, PluginError> {
        let library = self.0.clone();
        let done = tokio::task::spawn_blocking(move || work(&library)).await;
        done.unwrap_or_else(|error| Err(PluginError::Engine(error.to_string())))
    }

    #[cfg(test)]
    pub(super) fn is_running(&self) -> bool {
        self.0.is_running()
    }
}

/// What a run's own file is read against: the components that it began with, whatever lies in the folder by now.
pub struct Kept {
    plugins: Plugins,
    planned: Vec<PlannedBinding>,
}

impl Plugins {
    pub fn kept(&self, planned: &[PlannedBinding]) -> Kept {
        Kept { plugins: self.clone(), planned: planned.to_vec() }
    }
}

impl PluginCatalog for Kept {
    fn names(&self) -> Vec<String> {
        self.planned.iter().map(|planned| planned.binding.plugin.clone()).collect()
    }

    fn info(&self, name: &str) -> Option<Info> {
        match self.planned.iter().find(|planned| planned.binding.plugin == name) {
            Some(planned) => self.plugins.0.info_of(&planned.digest, name).ok().map(|info| (*info).clone()),
            None => PluginCatalog::info(&self.plugins, name),
        }
    }

    /// Whatever the file calls it: the folder may have another under that name by now.
    fn info_for(&self, role: Role, binding: &str, named: &str) -> Option<Info> {
        let its = |planned: &&PlannedBinding| planned.binding.role == role && planned.binding.name == binding;
        match self.planned.iter().find(its) {
            Some(planned) => self.plugins.0.info_of(&planned.digest, named).ok().map(|info| (*info).clone()),
            None => self.info(named),
        }
    }

    fn is_of_a_run(&self) -> bool {
        true
    }
}

/// For readers of deployments' files; on a thread that may block, and is none of the runtime's.
impl PluginCatalog for Plugins {
    fn names(&self) -> Vec<String> {
        let described = self.0.list().unwrap_or_default().into_iter().flatten();
        let names: BTreeSet<String> = described.map(|described| described.info.name.clone()).collect();
        names.into_iter().collect()
    }

    fn info(&self, name: &str) -> Option<Info> {
        self.0.find(name).ok().map(|described| (*described.info).clone())
    }

    fn problem(&self, name: &str) -> Option<Problem> {
        let why = match self.0.find(name) {
            Ok(_) | Err(PluginError::Missing { .. }) => return None,
            Err(why) => why,
        };
        let is_its_own = why.is_of_the_component();
        let cause = std::error::Error::source(&why).filter(|_| !is_its_own);
        let cause = cause.map(|cause| format!(": {cause}")).unwrap_or_default();
        Some(Problem { why: format!("{why}{cause}"), is_its_own })
    }
}
