//! A host for tests of plugins: it holds files, services, a repository, databases and answers in memory, behaves like
//! the real one, and remembers what was asked.
//!
//! ```
//! use upgraded_sdk::fake::FakeHost;
//!
//! let fake = FakeHost::new();
//! fake.file("VERSION", "1.4.0\n");
//! fake.service("main", "web");
//! assert_eq!(fake.product().files().read_text("VERSION").unwrap(), "1.4.0\n");
//! assert_eq!(fake.calls(), ["files.read VERSION"]);
//! ```

pub mod checkout;
pub mod cloud_run;
pub mod cloud_sql;
pub mod compose;
mod copies;
mod deployment;
pub mod helm;
pub mod http;
pub mod images;
pub mod mysql;
pub mod pods;
pub mod postgres;
pub mod process;
pub mod services;
mod stores;

pub use services as control;
pub use stores::{sqlite, trees};

use crate::{Call, DatastoreHost, Error, Level, PlatformHost, ProductHost, Result};
use copies::Copies;
use serde::de::DeserializeOwned;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

/// Scripted by its methods; the hosts that it hands out share its state.
#[derive(Default)]
pub struct FakeHost {
    state: State,
}

/// What the hosts of one fake share.
#[derive(Clone, Default)]
pub struct State(Rc<Inner>);

#[derive(Default)]
struct Inner {
    calls: RefCell<Vec<String>>,
    log: RefCell<Vec<String>>,
    failures: RefCell<Vec<(String, Error, bool)>>,
    read_only: Cell<bool>,
    cancelled: Cell<bool>,
    step: RefCell<String>,
    files: RefCell<BTreeMap<String, Vec<u8>>>,
    services: RefCell<services::Machine>,
    compose: RefCell<compose::Project>,
    helm: RefCell<helm::Release>,
    images: RefCell<images::Store>,
    pods: RefCell<pods::Engine>,
    process: RefCell<process::Commands>,
    checkout: RefCell<checkout::Repository>,
    cloud_run: RefCell<cloud_run::Region>,
    cloud_sql: RefCell<cloud_sql::Kept>,
    trees: RefCell<Copies>,
    sqlite: RefCell<Copies>,
    postgres: RefCell<postgres::Server>,
    mysql: RefCell<mysql::Server>,
    http: RefCell<http::Answers>,
}

impl FakeHost {
    pub fn new() -> Self {
        let fake = Self::default();
        fake.step("r1-test");
        fake
    }
    pub fn product(&self) -> ProductHost {
        ProductHost::scripted(self.state.clone())
    }
    pub fn platform(&self) -> PlatformHost {
        PlatformHost::scripted(self.state.clone())
    }
    pub fn datastore(&self) -> DatastoreHost {
        DatastoreHost::scripted(self.state.clone())
    }

    /// A call as the host makes one, with settings as they stand in a deployment's file (as JSON) and one platform
    /// `main`. Panics on settings that the host would refuse.
    pub fn call<S: DeserializeOwned>(&self, settings: serde_json::Value) -> Call<S> {
        deployment::call(&self.state.0.step.borrow(), settings)
    }
    /// The step that the next calls belong to: what they make is named from it.
    pub fn step(&self, step: &str) {
        *self.state.0.step.borrow_mut() = step.into();
    }
    /// A file of the project.
    pub fn file(&self, path: &str, content: impl Into<Vec<u8>>) {
        self.state.0.files.borrow_mut().insert(path.into(), content.into());
    }
    pub fn remove_file(&self, path: &str) {
        self.state.0.files.borrow_mut().remove(path);
    }
    /// From now on the phase only reads: verbs that change are refused, as in detect, path, preflight and verify.
    pub fn read_only(&self, read_only: bool) {
        self.state.0.read_only.set(read_only);
    }
    pub fn cancel(&self) {
        self.state.0.cancelled.set(true);
    }
    /// The next call of a verb, for example `checkout.prepare`, fails and does nothing.
    pub fn fail_once(&self, verb: &str, error: Error) {
        self.state.0.failures.borrow_mut().push((verb.into(), error, true));
    }
    /// Every call of a verb fails and does nothing.
    pub fn fail(&self, verb: &str, error: Error) {
        self.state.0.failures.borrow_mut().push((verb.into(), error, false));
    }

    /// Every verb that was asked for, in order, with its arguments: `control.stop main/web main/worker`.
    pub fn calls(&self) -> Vec<String> {
        self.state.0.calls.borrow().clone()
    }
    /// The calls so far, forgotten with the asking.
    pub fn take_calls(&self) -> Vec<String> {
        std::mem::take(&mut self.state.0.calls.borrow_mut())
    }
    /// Lines of the log and of progress.
    pub fn log(&self) -> Vec<String> {
        self.state.0.log.borrow().clone()
    }
}

impl State {
    /// Notes the call, and refuses it where the test said so.
    fn reading(&self, verb: &str, arguments: &[&str]) -> Result<()> {
        let line = std::iter::once(verb).chain(arguments.iter().copied()).collect::<Vec<_>>().join(" ");
        self.0.calls.borrow_mut().push(line);
        if self.0.cancelled.get() {
            return Err(Error::Cancelled);
        }
        let mut failures = self.0.failures.borrow_mut();
        match failures.iter().position(|(failing, ..)| failing == verb) {
            Some(index) if failures[index].2 => Err(failures.remove(index).1),
            Some(index) => Err(failures[index].1.clone()),
            None => Ok(()),
        }
    }
    fn changing(&self, verb: &str, arguments: &[&str]) -> Result<()> {
        self.reading(verb, arguments)?;
        match self.0.read_only.get() {
            true => Err(Error::Denied(format!("`{verb}` changes the site, and this phase only reads"))),
            false => Ok(()),
        }
    }
    fn step(&self) -> String {
        self.0.step.borrow().clone()
    }
}

#[doc(hidden)]
pub mod run {
    use super::*;

    pub fn log(state: &State, level: Level, message: &str, fields: &[(String, String)]) {
        let fields: String = fields.iter().map(|(key, value)| format!(" {key}={value}")).collect();
        let level = match level {
            Level::Trace => "trace",
            Level::Debug => "debug",
            Level::Info => "info",
            Level::Warn => "warn",
            Level::Error => "error",
        };
        state.0.log.borrow_mut().push(format!("{level}: {message}{fields}"));
    }
    pub fn progress(state: &State, done: u64, total: Option<u64>, unit: &str, message: &str) {
        let total = total.map(|total| format!("/{total}")).unwrap_or_default();
        state.0.log.borrow_mut().push(format!("progress: {done}{total} {unit} {message}"));
    }
    pub fn pause(state: &State, pause_ms: u64) {
        state.0.log.borrow_mut().push(format!("pause: {pause_ms} ms"));
    }
    pub fn cancelled(state: &State) -> bool {
        state.0.cancelled.get()
    }
}

#[doc(hidden)]
pub mod files {
    use super::*;

    pub fn read(state: &State, path: &str) -> Result<Vec<u8>> {
        state.reading("files.read", &[path])?;
        let files = state.0.files.borrow();
        files.get(path).cloned().ok_or_else(|| Error::not_found(format!("the project has no file `{path}`")))
    }
}
