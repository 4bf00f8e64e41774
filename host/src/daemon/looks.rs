//! Calls of plugins outside a run: they only read.

use super::host::{Entry, Host};
use crate::activity::Activity;
use crate::config::{BindingConfig, Deployment};
use crate::context::{Site, StepContext};
use crate::driver::Drivers;
use crate::effect::Effects;
use crate::model::{Binding, Failure, Role};
use crate::plugin::roles::Bound;
use crate::vault::Vault;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// By the binding's role and name.
pub type AllDrivers = BTreeMap<(Role, String), Arc<Drivers>>;

/// A deployment with its plugins, ready to be called.
pub struct Ready {
    pub deployment: Deployment,
    pub bound: Bound,
    pub drivers: AllDrivers,
    pub vault: Vault,
}

impl Host {
    /// The drivers of every binding.
    pub fn all_drivers(&self, deployment: &Deployment, vault: &Vault) -> AllDrivers {
        let environment = self.environment(vault);
        let one = |config: &BindingConfig| (key(config), Arc::new(Drivers::build(deployment, config, &environment)));
        deployment.bindings().map(one).collect()
    }

    pub async fn ready(&self, deployment: Deployment) -> Result<Ready, Failure> {
        let vault = self.open_vault().await?;
        self.ready_with(deployment, vault).await
    }

    /// With backups in this vault.
    pub async fn ready_with(&self, deployment: Deployment, vault: Vault) -> Result<Ready, Failure> {
        let drivers = self.all_drivers(&deployment, &vault);
        let make = |config: &BindingConfig| drivers[&key(config)].clone();
        let bound = self.plugins.bind(&deployment, make).await.map_err(|e| failure("plugin", &e))?;
        Ok(Ready { deployment, bound, drivers, vault })
    }

    pub async fn open_vault(&self) -> Result<Vault, Failure> {
        // The first opening derives the key, which takes its time.
        tokio::task::block_in_place(|| self.vault())
    }

    pub fn activity(self: &Arc<Self>, entry: &Arc<Entry>) -> Activity {
        Activity::new(self.stop.child_token(), self.sink(entry, None, None))
    }
}

pub fn failure(code: &str, error: &impl std::fmt::Display) -> Failure {
    Failure { code: code.into(), message: error.to_string(), retryable: false }
}

impl Ready {
    /// From now on the file reads so for everybody who has the platform's folder; none: it is gone.
    pub fn lay_over(&self, platform: &str, path: &str, content: Option<&[u8]>) {
        let Some(own) = self.drivers.get(&(Role::Platform, platform.to_owned())) else { return };
        let sharing = self.drivers.values().filter(|drivers| drivers.project.folder == own.project.folder);
        sharing.for_each(|drivers| drivers.project.lay_over(path, content));
    }

    pub fn clear_overlay(&self) {
        self.drivers.values().for_each(|drivers| drivers.project.clear_overlay());
    }

    pub fn context(&self, binding: &Binding, activity: &Activity) -> StepContext {
        static LOOKS: AtomicU64 = AtomicU64::new(1);
        StepContext {
            deployment: self.deployment.name.clone(),
            binding: binding.clone(),
            bindings: self.bound.bindings(),
            run: String::new(),
            step: format!("look-{}", LOOKS.fetch_add(1, Ordering::Relaxed)),
            attempt: 1,
            site: Site::Live,
            effects: Effects::reading(),
            activity: activity.clone(),
        }
    }
}

pub fn key(config: &BindingConfig) -> (Role, String) {
    (config.binding.role, config.binding.name.clone())
}
