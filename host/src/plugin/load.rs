//! From a component's bytes to something that instances are made of. Native code is compiled here or was compiled here:
//! it is sealed, and what doesn't carry our seal is compiled anew. Blocking.

use super::engine::{Loaded, Runtime};
use super::error::PluginError;
use super::folder::{Folder, shown};
use super::sealed::{Content, Sealed};
use super::{shape, v0_1};
use std::sync::Arc;
use tracing::{info, warn};
use wasmtime::component::Component;

/// Loads the component with this digest. `plugin`: what messages call it where no file is read.
pub fn load(
    runtime: &Runtime, sealed: &Sealed, folder: &Folder, digest: &str, plugin: &str,
) -> Result<Arc<Loaded>, PluginError> {
    let (component, file) = match from_cache(runtime, sealed, digest) {
        Some(component) => (component, plugin.to_owned()),
        None => compile(runtime, sealed, folder, digest, plugin)?,
    };
    let role = shape::check(&component, &runtime.engine, &file)?;
    let misfit = |error: wasmtime::Error| PluginError::Misfit { file: file.clone(), why: format!("{error:#}") };
    let pre = v0_1::Pre::new(runtime.linker(role), &component, role).map_err(misfit)?;
    let loaded = Arc::new(Loaded { role, mysql: shape::is_for_mysql(&component, &runtime.engine), pre });
    runtime.remember(digest, loaded.clone());
    Ok(loaded)
}

/// Native code of the component that carries our seal.
pub(super) fn sealed_code(runtime: &Runtime, sealed: &Sealed, digest: &str) -> Option<Content> {
    let name = cache_name(runtime, digest);
    let read = sealed.read(&name, &purpose(runtime, digest));
    read.unwrap_or_else(|why| {
        warn!("the compiled plugin `{name}` is not run: {why}; it is compiled anew");
        None
    })
}

fn from_cache(runtime: &Runtime, sealed: &Sealed, digest: &str) -> Option<Component> {
    let content = sealed_code(runtime, sealed, digest)?;
    // SAFETY: `deserialize` runs what it is given. The bytes carry our seal, keyed with what only we can read, over this
    // very component and engine: `compile` below wrote them. They were read before they were checked, so nobody can
    // exchange them in between.
    let component = unsafe { Component::deserialize(&runtime.engine, content.bytes()) };
    component
        .inspect_err(|error| {
            let name = cache_name(runtime, digest);
            warn!("the compiled plugin `{name}` can't be loaded: {error:#}; it is compiled anew");
        })
        .ok()
}

fn compile(
    runtime: &Runtime, sealed: &Sealed, folder: &Folder, digest: &str, plugin: &str,
) -> Result<(Component, String), PluginError> {
    let gone = || PluginError::Gone { name: plugin.into(), digest: digest.into() };
    let (path, bytes) = folder.bytes_of(digest)?.ok_or_else(gone)?;
    let file = shown(&path);
    shape::is_component(&bytes, &file)?;
    let failed = |error: wasmtime::Error| PluginError::Compile { file: file.clone(), why: format!("{error:#}") };
    info!("compiling `{file}`, once");
    let component = Component::from_binary(&runtime.engine, &bytes).map_err(failed)?;
    let name = cache_name(runtime, digest);
    let published = match component.serialize() {
        Ok(code) => sealed.publish(&name, &purpose(runtime, digest), &code),
        Err(error) => Err(failed(error)),
    };
    match published {
        // Code of this component for another engine is of no use any more.
        Ok(()) => sealed.remove_if(|other| other.starts_with(digest) && other.ends_with(".cwasm") && other != name),
        Err(error) => warn!("`{file}` is compiled and not cached: {error}"),
    }
    Ok((component, file))
}

fn cache_name(runtime: &Runtime, digest: &str) -> String {
    format!("{digest}-{}.cwasm", runtime.compatibility)
}

fn purpose(runtime: &Runtime, digest: &str) -> String {
    format!("native code of {digest} for {}", runtime.compatibility)
}
