//! The sandbox against real components: the guests in `tests/guests`, some with bytes exchanged.

mod answers;
mod bounds;
mod cache;
mod grants;
mod loading;

use super::Plugins;
use super::roles::{Bound, CallError, Datastore, Product};
use crate::activity::{Activity, Sign};
use crate::capability::Limits;
use crate::config::{Approve, BindingConfig, Deployment, Drill, DrillIn, Grants, Policy};
use crate::context::{Site, StepContext};
use crate::effect::Effects;
use crate::model::{Binding, Failure, Role};
use serde_json::json;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, Once};
use std::time::Duration;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

/// A plugins' folder with guests in it, and a state folder.
struct Bench {
    root: TempDir,
    limits: Limits,
}

impl Bench {
    /// With the guests compiled: most tests are about something else.
    fn new() -> Self {
        let bench = Self::cold();
        let compiled = bench.state().join("plugins");
        std::fs::create_dir_all(&compiled).unwrap();
        for entry in std::fs::read_dir(warm().join("plugins")).unwrap() {
            let entry = entry.unwrap();
            // Another test's process may be at work there: what isn't whole is compiled again.
            let _ = std::fs::copy(entry.path(), compiled.join(entry.file_name()));
        }
        bench
    }

    fn cold() -> Self {
        let bench = Self { root: tempfile::tempdir().unwrap(), limits: Limits::default() };
        std::fs::create_dir(bench.folder()).unwrap();
        bench.put("evil.wasm", &guest("evil"));
        bench
    }

    fn with(change: impl FnOnce(&mut Limits)) -> Self {
        let mut bench = Self::new();
        change(&mut bench.limits);
        bench
    }

    fn folder(&self) -> PathBuf {
        self.root.path().join("plugins")
    }

    fn state(&self) -> PathBuf {
        self.root.path().join("state")
    }

    /// What the host keeps beside: native code and descriptions.
    fn compiled(&self, extension: &str) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(self.state().join("plugins")).unwrap().map(|entry| entry.unwrap().path());
        entries.filter(|path| path.extension().is_some_and(|it| it == extension)).collect()
    }

    fn put(&self, file: &str, bytes: &[u8]) {
        std::fs::write(self.folder().join(file), bytes).unwrap();
    }

    fn plugins(&self) -> Plugins {
        Plugins::with_limits(self.folder(), &self.state(), self.limits.clone())
    }

    /// What `evil` answers to `detect` when it is to do this.
    async fn detect(&self, what: &str) -> Result<String, CallError> {
        self.detect_with(what, "").await
    }

    async fn detect_with(&self, what: &str, with: &str) -> Result<String, CallError> {
        let bound = self.bound(what, with).await;
        bound.product.1.detect(&Step::new().cx).await.map(|installed| installed.version)
    }

    async fn bound(&self, what: &str, with: &str) -> Bound {
        let deployment = deployment(self.root.path(), what, with);
        self.plugins().bind_without_drivers(&deployment).await.unwrap()
    }

    async fn product(&self, what: &str) -> Arc<dyn Product> {
        self.bound(what, "").await.product.1
    }

    /// A deployment with `evil-store` as its datastore, to which this is granted.
    async fn store(&self, what: &str, with: &str, grants: Grants) -> Arc<dyn Datastore> {
        self.put("evil-store.wasm", &guest("evil-store"));
        let mut deployment = deployment(self.root.path(), "", "");
        let mut store = config("main", Role::Datastore, "evil-store", what, with);
        store.grants = grants;
        deployment.datastores.push(store);
        self.plugins().bind_without_drivers(&deployment).await.unwrap().datastores[0].1.clone()
    }
}

/// A state folder in which the guests were compiled, by this run of the tests or an earlier one.
fn warm() -> PathBuf {
    static WARMED: Once = Once::new();
    let state = components().join(".state");
    WARMED.call_once(|| {
        let plugins = Plugins::new(components(), &state);
        let work = move || ["evil", "evil-store"].map(|name| plugins.info_blocking(name).unwrap());
        std::thread::spawn(work).join().unwrap();
    });
    state
}

fn components() -> PathBuf {
    match std::env::var_os("UPGRADED_COMPONENTS") {
        Some(folder) => PathBuf::from(folder),
        // `<target>/<profile>/deps/<this test>`
        None => std::env::current_exe().unwrap().ancestors().nth(3).unwrap().join("components"),
    }
}

/// The bytes of a guest of `tests/guests`.
fn guest(name: &str) -> Vec<u8> {
    let file = components().join(name).with_added_extension("wasm");
    std::fs::read(&file).unwrap_or_else(|error| {
        panic!("the component `{}` is missing ({error}); `cargo xtask components` builds it", file.display())
    })
}

/// A guest with a text in it exchanged for another of the same length.
fn patched(name: &str, from: &str, to: &str) -> Vec<u8> {
    assert_eq!(from.len(), to.len(), "a component's parts are preceded by their lengths");
    let mut bytes = guest(name);
    let places: Vec<usize> =
        (0..bytes.len() - from.len()).filter(|at| bytes[*at..].starts_with(from.as_bytes())).collect();
    assert!(!places.is_empty(), "`{name}` holds no `{from}`");
    for at in places {
        bytes[at..at + to.len()].copy_from_slice(to.as_bytes());
    }
    bytes
}

/// `evil` under one platform that nobody calls.
fn deployment(root: &Path, what: &str, with: &str) -> Deployment {
    Deployment {
        name: "shop".into(),
        file: root.join("shop.toml"),
        version: "2.0.0".into(),
        product: config("product", Role::Product, "evil", what, with),
        platforms: Vec::new(),
        datastores: Vec::new(),
        policy: Policy {
            window: Vec::new(),
            approve: Approve::Never,
            drill: Drill::Ahead,
            drill_in: DrillIn::Double,
            rehearse: false,
            disposable: Vec::new(),
            keep_backups: 1,
            keep_frozen: Duration::ZERO,
            idle: Duration::from_secs(600),
        },
    }
}

fn config(name: &str, role: Role, plugin: &str, what: &str, with: &str) -> BindingConfig {
    let binding = Binding { name: name.into(), role, plugin: plugin.into() };
    let settings = json!({ "do": what, "with": with });
    BindingConfig { binding, named: plugin.into(), settings, grants: Grants::default() }
}

/// A step's context, and what is heard of it.
struct Step {
    cx: StepContext,
    heard: Arc<Mutex<Vec<String>>>,
    cancellation: CancellationToken,
}

impl Step {
    fn new() -> Self {
        let heard: Arc<Mutex<Vec<String>>> = Arc::default();
        let cancellation = CancellationToken::new();
        let listener = heard.clone();
        let sink = Arc::new(move |sign| {
            if let Sign::Line { message, .. } = sign {
                listener.lock().unwrap().push(message);
            }
        });
        let binding = |name: &str, role, plugin: &str| Binding { name: name.into(), role, plugin: plugin.into() };
        let cx = StepContext {
            deployment: "shop".into(),
            binding: binding("main", Role::Datastore, "evil-store"),
            bindings: vec![binding("product", Role::Product, "evil"), binding("main", Role::Platform, "source")],
            run: "1".into(),
            step: "r1-detect".into(),
            attempt: 1,
            site: Site::Live,
            effects: Effects::reading(),
            activity: Activity::new(cancellation.clone(), sink),
        };
        Self { cx, heard, cancellation }
    }

    fn heard(&self) -> Vec<String> {
        self.heard.lock().unwrap().clone()
    }
}

/// The code and the message of a call that gave no answer.
fn broken(error: CallError) -> (String, String) {
    let shown = error.to_string();
    match error {
        CallError::Broken { code, .. } => (code, shown),
        CallError::Refused { .. } => panic!("the plugin answered: {shown}"),
    }
}

/// The plugin's own error.
fn refused(error: CallError) -> Failure {
    match error {
        CallError::Refused { .. } => Failure::from(error),
        CallError::Broken { .. } => panic!("the plugin did not answer: {error}"),
    }
}
