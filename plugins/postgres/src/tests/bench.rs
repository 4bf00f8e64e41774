//! The plugin over the host's own driver and vault, on a real server; and a host that dies at any of its calls.

use crate::names::Names;
use crate::server::{Connection, Row, Server};
use scratch_postgres::{Cluster, SUPERUSER};
use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use tokio::runtime::Runtime;
use upgraded::activity::Activity;
use upgraded::config::ServerConfig;
use upgraded::context::{Site, StepContext};
use upgraded::driver::postgres::{self, Postgres, Session};
use upgraded::effect::{Effects, Ledger, LedgerError};
use upgraded::model::{Binding, Role, VerbError};
use upgraded::plan::event::Event;
use upgraded::vault::Vault;
use upgraded_sdk::{Error, Failure, MajorVersions, Result};

/// A database with an owner of its own, on a server of its own or a shared one.
pub struct Bench {
    pub cluster: Arc<Cluster>,
    pub database: String,
    user: String,
    vault: Vault,
    folder: TempDir,
    runtime: Rc<Runtime>,
}

impl Bench {
    /// The host is a superuser, as it is where it has the server to itself.
    pub fn new(database: &str) -> Self {
        Self::on(Cluster::shared(), database, SUPERUSER)
    }
    /// The host is the database's owner, who may create databases and no more.
    pub fn owned(database: &str) -> Self {
        Self::on(Cluster::shared(), database, &format!("{database}_app"))
    }
    pub fn on(cluster: Arc<Cluster>, database: &str, user: &str) -> Self {
        let app = format!("{database}_app");
        cluster.sql("postgres", &format!("CREATE ROLE {app} LOGIN CREATEDB"));
        cluster.sql("postgres", &format!("CREATE DATABASE {database} OWNER {app}"));
        let folder = tempfile::tempdir().expect("a folder");
        let key = folder.path().join("key");
        Vault::make_key(&key).expect("a key");
        let vault = Vault::open(&folder.path().join("vault"), &key).expect("a vault");
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        let runtime = Rc::new(runtime.expect("a runtime"));
        Self { cluster, database: database.into(), user: user.into(), vault, folder, runtime }
    }

    pub fn app(&self) -> String {
        format!("{}_app", self.database)
    }
    pub fn names(&self, step: &str) -> Names {
        Names::new(&self.database, step)
    }
    /// What the host offers in a step.
    pub fn host(&self, step: &str) -> Host {
        self.host_at(step, Site::Live)
    }
    /// In a drill: the database is another one.
    pub fn drill(&self, step: &str, name: &str) -> Host {
        self.host_at(step, Site::Drill { root: self.folder.path().into(), name: name.into(), server: None })
    }
    /// Dies at the call of that number; `after`: what it asked for is done all the same.
    pub fn dying(&self, step: &str, at: u32, after: bool) -> Host {
        let host = self.host(step);
        host.0.cut.set(Some((at, after)));
        host
    }
    fn host_at(&self, step: &str, site: Site) -> Host {
        let server = ServerConfig {
            service: None,
            host: self.cluster.folder().display().to_string(),
            port: self.cluster.port(),
            user: self.user.clone(),
            password: None,
            database: self.database.clone(),
            maintenance: "postgres".into(),
            tools: None,
        };
        let scratch = self.folder.path().join("scratch");
        let driver =
            Postgres::new(Some(postgres::Server::at(server)), self.vault.clone(), scratch, Duration::from_secs(120));
        let context = StepContext {
            deployment: "shop".into(),
            binding: Binding { name: "main".into(), role: Role::Datastore, plugin: "postgres".into() },
            bindings: Vec::new(),
            run: "1".into(),
            step: step.into(),
            attempt: 1,
            site,
            effects: Effects::new(Arc::new(Nowhere), step, 1, Vec::new()),
            activity: Activity::silent(),
        };
        let runtime = self.runtime.clone();
        Host(Rc::new(Behind { runtime, driver, context, calls: Cell::new(0), cut: Cell::new(None) }))
    }

    /// In the bound database, as the server's superuser.
    pub fn sql(&self, sql: &str) -> String {
        self.cluster.sql(&self.database, sql)
    }
    pub fn server_sql(&self, sql: &str) -> String {
        self.cluster.sql("postgres", sql)
    }
    /// What the application may do.
    pub fn as_app(&self, sql: &str) -> std::result::Result<String, String> {
        self.cluster.try_sql(&self.app(), &self.database, sql)
    }
    /// The databases made from the bound one.
    pub fn copies(&self) -> Vec<String> {
        let found = self.server_sql(&format!(
            "SELECT datname FROM pg_database WHERE starts_with(datname, '{}_up_') ORDER BY 1",
            self.database
        ));
        found.lines().map(str::to_owned).collect()
    }
}

struct Nowhere;

impl Ledger for Nowhere {
    fn record(&self, _: Event) -> std::result::Result<(), LedgerError> {
        Ok(())
    }
}

#[derive(Clone)]
pub struct Host(Rc<Behind>);

struct Behind {
    runtime: Rc<Runtime>,
    driver: Postgres,
    context: StepContext,
    calls: Cell<u32>,
    cut: Cell<Option<(u32, bool)>>,
}

impl Host {
    /// A changing call: a dead host does nothing any more.
    fn changing<T>(&self, work: impl Future<Output = std::result::Result<T, VerbError>>) -> Result<T> {
        let number = self.0.calls.get();
        self.0.calls.set(number + 1);
        match self.0.cut.get() {
            Some((at, _)) if number > at => Err(Error::Cancelled),
            Some((at, false)) if number == at => Err(Error::Cancelled),
            Some((at, true)) if number == at => self.wait(work).and(Err(Error::Cancelled)),
            _ => self.wait(work),
        }
    }
    fn wait<T>(&self, work: impl Future<Output = std::result::Result<T, VerbError>>) -> Result<T> {
        self.0.runtime.block_on(work).map_err(of_the_contract)
    }
}

impl Server for Host {
    type Connection = Linked;
    fn connect(&self, database: Option<&str>) -> Result<Linked> {
        let session = self.wait(self.0.driver.connect(&self.0.context, database))?;
        Ok(Linked { host: self.clone(), session })
    }
    fn versions(&self) -> Result<MajorVersions> {
        let versions = self.wait(self.0.driver.versions(&self.0.context))?;
        Ok(MajorVersions { server: versions.server, pg_dump: versions.pg_dump, pg_restore: versions.pg_restore })
    }
    fn dump(&self, database: &str, snapshot: &str) -> Result<String> {
        self.changing(self.0.driver.dump(&self.0.context, database, Some(snapshot)))
    }
    fn restore(&self, database: &str, artifact: &str) -> Result<()> {
        self.changing(self.0.driver.restore(&self.0.context, database, artifact))
    }
    fn progress(&self, _: u64, _: u64, _: &str, _: &str) {}
}

pub struct Linked {
    host: Host,
    session: Session,
}

impl Connection for Linked {
    fn query(&self, sql: &str) -> Result<Vec<Row>> {
        self.host.wait(self.session.query(&self.host.0.context, sql))
    }
    fn execute(&self, sql: &str) -> Result<u64> {
        self.host.changing(self.session.execute(&self.host.0.context, sql))
    }
}

fn of_the_contract(error: VerbError) -> Error {
    match error {
        VerbError::Denied(text) => Error::Denied(text),
        VerbError::NotFound(text) => Error::NotFound(text),
        VerbError::Conflict(text) => Error::Conflict(text),
        VerbError::Timeout => Error::Timeout,
        VerbError::Cancelled => Error::Cancelled,
        VerbError::Unavailable(text) => Error::Unavailable(text),
        VerbError::Invalid(text) => Error::Invalid(text),
        VerbError::Other(failure) => {
            Error::Other(Failure { code: failure.code, message: failure.message, retryable: failure.retryable })
        }
    }
}
