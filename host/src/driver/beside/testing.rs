//! What the tests of `trees` and `sqlite` stand on: a folder, a vault in it, and calls for any step and site.

use crate::activity::{Activity, Sign};
use crate::context::{Site, StepContext};
use crate::effect::{Effects, Ledger, LedgerError};
use crate::model::{Binding, Role};
use crate::plan::event::Event;
use crate::vault::Vault;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

pub struct Bench {
    pub folder: tempfile::TempDir,
    pub vault: Vault,
}

impl Bench {
    #[expect(clippy::new_without_default, reason = "it makes folders")]
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let key = folder.path().join("vault.key");
        Vault::make_key(&key).unwrap();
        let vault = Vault::open(&folder.path().join("vault"), &key).unwrap();
        Self { folder, vault }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Names of everything in the folder that begin with `prefix`, sorted.
    pub fn names(&self, prefix: &str) -> Vec<String> {
        names(self.folder.path(), prefix)
    }
}

pub fn names(folder: &Path, prefix: &str) -> Vec<String> {
    let entries =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned());
    let mut names: Vec<_> = entries.filter(|name| name.starts_with(prefix)).collect();
    names.sort();
    names
}

struct Nowhere;

impl Ledger for Nowhere {
    fn record(&self, _: Event) -> Result<(), LedgerError> {
        Ok(())
    }
}

pub fn call(step: &str) -> StepContext {
    call_of(step, Site::Live, Activity::silent())
}

pub fn drill(step: &str, root: &Path) -> StepContext {
    call_of(step, Site::Drill { root: root.into(), name: "drill".into(), server: None }, Activity::silent())
}

/// A call whose run is cancelled at its first sign of progress.
pub fn cancelled_soon(step: &str) -> StepContext {
    let token = CancellationToken::new();
    let cancel = token.clone();
    let sink = Arc::new(move |sign| {
        if matches!(sign, Sign::Progress { .. }) {
            cancel.cancel();
        }
    });
    call_of(step, Site::Live, Activity::new(token, sink))
}

fn call_of(step: &str, site: Site, activity: Activity) -> StepContext {
    let binding = Binding { name: "main".into(), role: Role::Datastore, plugin: "files".into() };
    StepContext {
        deployment: "shop".into(),
        bindings: vec![binding.clone()],
        binding,
        run: "1".into(),
        step: step.into(),
        attempt: 1,
        site,
        effects: Effects::new(Arc::new(Nowhere), step, 1, Vec::new()),
        activity,
    }
}
