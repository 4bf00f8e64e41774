//! For the bench alone: a component that is in the cache, loaded anew, with what the host adds and without. The daemon
//! never calls it.

use super::engine::Pass;
use super::error::PluginError;
use super::library::Library;
use super::load;
use std::sync::Arc;
use wasmtime::component::Component;

/// Native code out of the cache.
pub struct Code(Vec<u8>);

pub struct Cached {
    library: Arc<Library>,
    pass: Pass,
    digest: String,
    plugin: String,
}

impl Cached {
    pub(super) fn new(library: Arc<Library>, plugin: &str) -> Result<Self, PluginError> {
        let digest = library.find(plugin)?.digest;
        let pass = library.enter()?;
        let cached = Self { library, pass, digest, plugin: plugin.into() };
        cached.load()?;
        Ok(cached)
    }

    /// What the first call after a rest does.
    pub fn load(&self) -> Result<(), PluginError> {
        self.library.load_from_disk(&self.pass, &self.digest, &self.plugin).map(drop)
    }

    /// What wasmtime alone does with that code, which is in memory already.
    pub fn deserialize(&self, code: &Code) -> Result<(), PluginError> {
        // SAFETY: only `code` below makes one, of what carries our seal.
        let component = unsafe { Component::deserialize(&self.pass.runtime.engine, &code.0) };
        component.map(drop).map_err(|error| PluginError::Engine(error.to_string()))
    }

    /// The native code, as it lies in the cache.
    pub fn code(&self) -> Result<Code, PluginError> {
        let sealed = self.library.sealed()?;
        let code = load::sealed_code(&self.pass.runtime, sealed, &self.digest);
        code.map(|content| Code(content.bytes().to_vec()))
            .ok_or_else(|| PluginError::Engine(format!("`{}` is not in the cache", self.plugin)))
    }
}
