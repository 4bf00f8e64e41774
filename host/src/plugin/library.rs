//! Components by name and by digest: found, loaded, asked what they are, and remembered. Blocking, but for [`Library::ready`].

use super::engine::{Loaded, Machine, Pass};
use super::error::PluginError;
use super::folder::{Folder, Found, shown};
use super::sealed::Sealed;
use super::{load, schema, shape, v0_1};
use crate::capability::Limits;
use crate::model::Info;
use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock};
use tracing::warn;

/// What all of one daemon's bindings share.
pub struct Library {
    pub limits: Limits,
    folder: Folder,
    compiled: PathBuf,
    machine: Machine,
    sealed: OnceLock<Sealed>,
    /// One component is compiled at a time; each takes all cores.
    loading: Mutex<()>,
    /// By digest.
    infos: Mutex<HashMap<String, Arc<Info>>>,
    /// Why a component can't be used, by digest: it won't be another time, and compiling it again takes its time.
    refused: Mutex<HashMap<String, String>>,
}

/// A component of the plugins' folder, and what it says of itself.
#[derive(Debug, Clone)]
pub struct Described {
    pub file: PathBuf,
    /// SHA-256 of the component, hexadecimal.
    pub digest: String,
    pub info: Arc<Info>,
}

impl Library {
    pub fn new(folder: PathBuf, state: &Path, limits: Limits) -> Self {
        Self {
            folder: Folder::new(folder, state.join("kept"), limits.component_bytes),
            compiled: state.join("plugins"),
            machine: Machine::new(limits.keep_loaded),
            sealed: OnceLock::new(),
            loading: Mutex::new(()),
            infos: Mutex::default(),
            refused: Mutex::default(),
            limits,
        }
    }

    pub fn folder(&self) -> &Folder {
        &self.folder
    }

    #[cfg(test)]
    pub fn is_running(&self) -> bool {
        self.machine.is_running()
    }

    /// The component, ready for an instance, and the right to use it.
    pub async fn ready(self: &Arc<Self>, digest: &str, plugin: &str) -> Result<(Pass, Arc<Loaded>), PluginError> {
        let pass = self.machine.enter()?;
        if let Some(loaded) = pass.runtime.loaded(digest) {
            return Ok((pass, loaded));
        }
        let (library, digest, plugin) = (self.clone(), digest.to_owned(), plugin.to_owned());
        let loading = tokio::task::spawn_blocking(move || {
            let loaded = library.load(&pass, &digest, &plugin)?;
            Ok((pass, loaded))
        });
        loading.await.unwrap_or_else(|error| Err(PluginError::Engine(error.to_string())))
    }

    fn load(&self, pass: &Pass, digest: &str, plugin: &str) -> Result<Arc<Loaded>, PluginError> {
        let _one_at_a_time = self.loading.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        match pass.runtime.loaded(digest) {
            Some(loaded) => Ok(loaded),
            None => self.load_from_disk(pass, digest, plugin),
        }
    }

    pub(super) fn load_from_disk(&self, pass: &Pass, digest: &str, plugin: &str) -> Result<Arc<Loaded>, PluginError> {
        load::load(&pass.runtime, self.sealed()?, &self.folder, digest, plugin)
    }

    pub(super) fn enter(&self) -> Result<Pass, PluginError> {
        self.machine.enter()
    }

    pub(super) fn sealed(&self) -> Result<&Sealed, PluginError> {
        if let Some(sealed) = self.sealed.get() {
            return Ok(sealed);
        }
        let opened = Sealed::open(&self.compiled)?;
        Ok(self.sealed.get_or_init(|| opened))
    }

    pub fn find(&self, name: &str) -> Result<Described, PluginError> {
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

    pub fn list(&self) -> Result<Vec<Result<Described, PluginError>>, PluginError> {
        let files = self.folder.all()?;
        Ok(files.iter().map(|file| self.folder.look(file).and_then(|found| self.describe(found))).collect())
    }

    pub fn keep_only(&self, mut digests: BTreeSet<String>) -> Result<(), PluginError> {
        self.folder.keep_only(&digests);
        for file in self.folder.all()? {
            match self.folder.look(&file) {
                Ok(found) => digests.insert(found.digest),
                // Nothing is known of what it was compiled to.
                Err(_) => return Ok(()),
            };
        }
        let _nothing_is_compiled = self.loading.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        self.sealed()?.remove_if(|name| compiled_of(name).is_some_and(|digest| !digests.contains(digest)));
        Ok(())
    }

    fn describe(&self, found: Found) -> Result<Described, PluginError> {
        let info = self.info_of(&found.digest, &shown(&found.file))?;
        Ok(Described { file: found.file, digest: found.digest, info })
    }

    /// What the component with this digest says of itself: remembered, written down, or asked.
    pub fn info_of(&self, digest: &str, plugin: &str) -> Result<Arc<Info>, PluginError> {
        let known = self.infos.lock().expect("no panic holds this lock").get(digest).cloned();
        if let Some(info) = known {
            return Ok(info);
        }
        let refused = self.refused.lock().expect("no panic holds this lock").get(digest).cloned();
        if let Some(why) = refused {
            return Err(PluginError::Refused(why));
        }
        let info = match self.written_info(digest)? {
            Some(info) => info,
            None => self.asked_info(digest, plugin).inspect_err(|why| self.remember_refusal(digest, why))?,
        };
        let info = Arc::new(info);
        self.infos.lock().expect("no panic holds this lock").insert(digest.into(), info.clone());
        Ok(info)
    }

    fn remember_refusal(&self, digest: &str, why: &PluginError) {
        if why.is_of_the_component() {
            self.refused.lock().expect("no panic holds this lock").insert(digest.into(), why.to_string());
        }
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
        // It may sleep, and nothing that it says keeps it alive.
        let within = 4 * self.limits.cpu;
        let said = async { tokio::time::timeout(within, v0_1::describe(&pass, &loaded, &self.limits)).await };
        let too_long = || format!("it has not said what it is within {} s", within.as_secs());
        let info = alone.block_on(said).unwrap_or_else(|_| Err(too_long())).map_err(describe)?;
        schema::compile(&info.config_schema, self.limits.schema_bytes)
            .map_err(|source| PluginError::Schema { file: plugin.into(), source })?;
        let text = serde_json::to_vec(&info).map_err(|error| describe(error.to_string()))?;
        if let Err(error) = self.sealed()?.publish(&info_name(digest), &info_purpose(digest), &text) {
            warn!("what `{plugin}` says of itself is not written down: {error}");
        }
        Ok(info)
    }
}

/// The digest of the component that a file beside was made of: its native code, or its description.
fn compiled_of(name: &str) -> Option<&str> {
    let digest = match name.strip_suffix(".info") {
        Some(digest) => digest,
        None => name.strip_suffix(".cwasm")?.split_once('-')?.0,
    };
    let is_one = digest.len() == 64 && digest.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_one.then_some(digest)
}

fn info_name(digest: &str) -> String {
    format!("{digest}.info")
}

/// Another host may hold a component to other rules, and asks it again.
fn info_purpose(digest: &str) -> String {
    format!("description of {digest} for {} {}", env!("CARGO_PKG_VERSION"), shape::CONTRACT)
}
