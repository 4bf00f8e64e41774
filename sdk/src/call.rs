//! Who calls, for what, with which settings.

use crate::bindings::types;
use crate::{Binding, Error, Result, Role, ServiceRef};
use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;

/// A call of a plugin. Whatever it creates is named from [`Call::step`], so that an undo finds it.
#[derive(Debug, Clone)]
pub struct Call<S> {
    pub deployment: String,
    /// This plugin's binding: `main` of `[platforms.main]`.
    pub binding: String,
    /// The binding's own table of the deployment's file.
    pub settings: S,
    /// Every binding of the deployment.
    pub bindings: Vec<Binding>,
    /// Empty before there is a run.
    pub run: String,
    /// Globally unique; letters, digits and `-`.
    pub step: String,
    /// 1 for the first.
    pub attempt: u32,
}

impl<S> Call<S> {
    /// The first platform of the deployment: `main` where the file has a plain `[platform]`.
    pub fn platform(&self) -> Result<&str> {
        self.bindings
            .iter()
            .find(|binding| binding.role == Role::Platform)
            .map(|binding| binding.name.as_str())
            .ok_or_else(|| Error::invalid(format!("`{}` has no platform", self.deployment)))
    }

    /// A service by its name on the first platform, or by `platform/name`.
    pub fn service(&self, name: &str) -> Result<ServiceRef> {
        match name.split_once('/') {
            Some((platform, name)) => Ok(ServiceRef::new(platform, name)),
            None => Ok(ServiceRef::new(self.platform()?, name)),
        }
    }

    pub fn services(&self, names: &[String]) -> Result<Vec<ServiceRef>> {
        names.iter().map(|name| self.service(name)).collect()
    }
}

impl<S: DeserializeOwned> Call<S> {
    pub(crate) fn read(call: types::Call) -> Result<Self> {
        let text = if call.config.trim().is_empty() { "{}" } else { &call.config };
        let settings = serde_json::from_str(text)
            .map_err(|e| Error::invalid(format!("the settings of `{}` can't be read: {e}", call.binding)))?;
        Ok(Self {
            deployment: call.deployment,
            binding: call.binding,
            settings,
            bindings: call.bindings,
            run: call.run,
            step: call.step,
            attempt: call.attempt,
        })
    }
}

/// The settings of a plugin that has none.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NoSettings {}

/// A secret by its name; only the host knows the value. In the deployment's file: `{ secret = "file:/…" }`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Secret {
    /// Where the secret lies: `file:/path`, `env:NAME` or `credential:NAME`.
    #[serde(rename = "secret")]
    pub name: String,
}

/// The setting `paths`, for a schema to name. The host grants what stands there and lists it by its names, for example in
/// [`crate::Trees::list`]; a plugin goes by that list.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Paths {
    /// Named as they are written.
    #[schemars(extend("minItems" = 1))]
    Listed(Vec<String>),
    /// By name.
    #[schemars(extend("minProperties" = 1))]
    Named(BTreeMap<String, String>),
}
