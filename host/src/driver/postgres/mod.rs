//! Behind `postgres`: one server, through its own protocol and its own tools.
//!
//! Everything that is started here carries the step's mark: a connection as `application_name`, a process in its
//! environment too. It decides nothing about fences, copies and restores: the plugin `postgres` writes that SQL.

pub mod accounts;
mod archive;
mod connect;
mod double;
mod failure;
mod fence;
mod lexer;
mod place;
mod pulse;
mod reach;
mod session;
mod settings;
mod statement;
mod tools;

pub use super::server::Server;
pub use super::server::names::{SCRATCH_PREFIX, derived_prefix, scratch_name};
pub use archive::RESTORE_OPTIONS;
pub use session::{Rows, Session};

use super::engine::Engine;
use super::server::{Located, names, processes};
use crate::config::ServerConfig;
use crate::context::StepContext;
use crate::model::*;
use crate::plan::event::{Effect, Verdict};
use crate::vault::Vault;
use archive::Archives;
use pulse::Pulse;
use reach::Reach;
use session::Opening;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio_util::task::TaskTracker;
use tools::{For, Tools};

/// One binding's server. Its tasks end with the sessions that they serve; [`Postgres::close`] waits for them.
pub struct Postgres {
    server: Option<Server>,
    vault: Vault,
    scratch: PathBuf,
    idle: Duration,
    tasks: TaskTracker,
}

/// Major versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Versions {
    pub server: u32,
    pub pg_dump: u32,
    pub pg_restore: u32,
}

impl Postgres {
    /// `scratch`: a folder of the daemon's state for archives that are being restored. `idle`: how long a verb may be
    /// silent.
    pub fn new(server: Option<Server>, vault: Vault, scratch: PathBuf, idle: Duration) -> Self {
        Self { server, vault, scratch, idle, tasks: TaskTracker::new() }
    }

    pub async fn versions(&self, cx: &StepContext) -> Result<Versions, VerbError> {
        let (server, tools) = self.tools(cx, &self.located(cx).await?, For::Dumping).await?;
        Ok(Versions { server, pg_dump: tools.dump_version, pg_restore: tools.restore_version })
    }

    /// None: the maintenance database.
    pub async fn connect(&self, cx: &StepContext, database: Option<&str>) -> Result<Session, VerbError> {
        let server = self.server()?;
        let reach = Reach::new(server, &cx.site);
        let database = database.unwrap_or(&server.maintenance);
        reach.check(database)?;
        let located = self.located(cx).await?;
        let (server, mark) = (&located.config, self.mark(&cx.step));
        Session::open(Opening { server, reach, database, mark: &mark, idle: self.idle, tasks: &self.tasks }).await
    }

    /// Saves a database as of an exported snapshot into the vault; the artifact's key.
    pub async fn dump(&self, cx: &StepContext, database: &str, snapshot: Option<&str>) -> Result<String, VerbError> {
        cx.effects.may_change("postgres.dump")?;
        self.owned(cx, database)?;
        if let Some(snapshot) = snapshot.filter(|s| !s.chars().all(|c| c.is_ascii_hexdigit() || c == '-')) {
            return Err(VerbError::Invalid(format!("`{snapshot}` is no snapshot's name")));
        }
        let located = self.located(cx).await?;
        let (_, tools) = self.tools(cx, &located, For::Dumping).await?;
        let scratch = self.folder_of_archives().await?;
        let archives = self.archives(cx, &located.inside, &tools, &scratch);
        let pulse = Pulse::new(&located.config, &self.mark(&cx.step), &self.tasks);
        let work = pulse.beside(&cx.activity, archives.dump(cx, database, snapshot));
        let watched = self.and_clear(cx, cx.activity.watch(self.idle, work));
        cx.effects.perform("postgres.dump", &(database, snapshot), database, true, watched).await
    }

    /// Restores the artifact in parallel into an existing, empty database, with the settings that the archive has for
    /// the database and for roles in it. Its owner, grants and comment are the caller's.
    pub async fn restore(&self, cx: &StepContext, database: &str, artifact: &str) -> Result<(), VerbError> {
        cx.effects.may_change("postgres.restore")?;
        self.owned(cx, database)?;
        let located = self.located(cx).await?;
        let (_, tools) = self.tools(cx, &located, For::Restoring).await?;
        let scratch = self.folder_of_archives().await?;
        let archives = self.archives(cx, &located.inside, &tools, &scratch);
        let pulse = Pulse::new(&located.config, &self.mark(&cx.step), &self.tasks);
        let work = async {
            let file = archives.restore(cx, database, artifact).await?;
            let sql = archives.database_sql(cx, &file).await?;
            let settings = settings::for_database(&sql, database)?;
            if !settings.is_empty() {
                self.connect(cx, None).await?.raw(&settings.join("; ")).await?;
            }
            Ok(())
        };
        let watched = self.and_clear(cx, cx.activity.watch(self.idle, pulse.beside(&cx.activity, work)));
        cx.effects.perform("postgres.restore", &(database, artifact), database, true, watched).await
    }

    /// Ends what still runs of the effect's step: its backends, its processes, its files. Every verb converges, so the
    /// effect then counts as not done.
    pub async fn fence_and_probe(&self, effect: &Effect) -> Verdict {
        let Ok(scratch) = self.folder_of_archives().await else { return Verdict::Unknown };
        archive::sweep(&scratch, &effect.step);
        let mark = self.mark(&effect.step);
        processes::end(&mark, &["pg_"]).await;
        let Some(server) = &self.server else { return Verdict::Unknown };
        if server.clear(&mark).await.is_err() {
            return Verdict::Unknown;
        }
        match fence::end_backends(server, &mark, &self.tasks).await {
            Ok(()) => Verdict::NotDone,
            Err(_) => Verdict::Unknown,
        }
    }

    /// Drops a drill's databases: the one of this name and those made from it. No name but a drill's is taken. Converges.
    pub async fn discard_scratch(&self, cx: &StepContext, name: &str) -> Result<(), VerbError> {
        let Some(server) = self.server.as_ref().map(|server| &server.config) else { return Ok(()) };
        if !name.starts_with(SCRATCH_PREFIX) || name == server.database {
            return Err(VerbError::Denied(format!("`{name}` is no drill's database")));
        }
        let work = cx.activity.watch(self.idle, async {
            let mark = self.mark(&cx.step);
            let reach = Reach::new(server, &cx.site);
            let database = server.maintenance.as_str();
            let located = self.located(cx).await?;
            let server = &located.config;
            let opening = Opening { server, reach, database, mark: &mark, idle: self.idle, tasks: &self.tasks };
            fence::drop_databases(&Session::open(opening).await?, name).await
        });
        cx.effects.perform("postgres.discard-scratch", &name, name, true, work).await
    }

    /// Waits until every connection's task has ended; sessions must be dropped before.
    pub async fn close(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }

    fn server(&self) -> Result<&ServerConfig, VerbError> {
        self.granted().map(|server| &server.config)
    }

    /// The server that is granted.
    pub fn bound_server(&self) -> Option<&Server> {
        self.server.as_ref()
    }

    fn granted(&self) -> Result<&Server, VerbError> {
        self.server
            .as_ref()
            .ok_or_else(|| VerbError::Denied("no server of PostgreSQL is granted to this binding".into()))
    }

    async fn located(&self, cx: &StepContext) -> Result<Located, VerbError> {
        self.granted()?.located(&cx.site).await
    }

    /// A tool in a container does not end with the client that is dropped, and stays when it has ended.
    async fn and_clear<T>(
        &self, cx: &StepContext, work: impl Future<Output = Result<T, VerbError>>,
    ) -> Result<T, VerbError> {
        let outcome = work.await;
        self.granted()?.clear(&self.mark(&cx.step)).await?;
        outcome
    }

    /// Archives are made of, and restored into, the binding's own databases.
    fn owned(&self, cx: &StepContext, database: &str) -> Result<(), VerbError> {
        let reach = Reach::new(self.server()?, &cx.site);
        reach.check(database)?;
        match reach.owns(database) {
            true => Ok(()),
            false => Err(VerbError::Denied(format!("`{database}` is for maintenance alone"))),
        }
    }

    fn archives<'a>(
        &'a self, cx: &StepContext, server: &'a ServerConfig, tools: &'a Tools, scratch: &'a Path,
    ) -> Archives<'a> {
        let (mark, engine) = (self.mark(&cx.step), self.engine());
        Archives { server, vault: &self.vault, scratch, engine, tasks: &self.tasks, tools, mark }
    }

    /// Where a tool reads them.
    async fn folder_of_archives(&self) -> Result<PathBuf, VerbError> {
        match self.engine() {
            Some(engine) => engine.open_folder(&self.scratch).await,
            None => Ok(self.scratch.clone()),
        }
    }

    /// In whose containers tools run.
    fn engine(&self) -> Option<&Engine> {
        Some(self.server.as_ref()?.client()?.engine())
    }

    /// `application_name`, label and variable of everything that a step starts, of which PostgreSQL keeps 63 bytes. Another
    /// daemon beside the same server or engine counts its runs too: the folder tells the two apart.
    fn mark(&self, step: &str) -> String {
        let mut mark = format!("upgraded/{}/{step}", names::of_daemon(&self.scratch));
        mark.truncate(names::NAME_BYTES);
        mark
    }

    /// The server's major version, and the tools for it: held before anything is promised.
    async fn tools(&self, cx: &StepContext, located: &Located, purpose: For) -> Result<(u32, Tools), VerbError> {
        let session = self.connect(cx, None).await?;
        let rows = session.raw("SHOW server_version_num").await?;
        let number: Option<u32> = rows.first().and_then(|row| row.first()?.as_ref()?.parse().ok());
        let major = number.ok_or_else(|| VerbError::other("version", "the server does not say its version"))? / 10_000;
        let server = self.granted()?;
        let tools = match (&located.container, server.client()) {
            (Some(container), Some(project)) => {
                let archives = self.folder_of_archives().await?;
                tools::in_container(project, container, &archives, major).await?
            }
            _ => tools::find(server.config.tools.as_deref(), major, purpose).await?,
        };
        Ok((major, tools))
    }
}

/// Whether this machine has what saves the data of a server of this version.
pub async fn tools_for(server: &Server, major: u32) -> Result<(), VerbError> {
    tools::find(server.config.tools.as_deref(), major, For::Dumping).await.map(drop)
}

#[cfg(test)]
mod tests;
