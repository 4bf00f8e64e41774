//! Behind `mysql`: one database of a MySQL or MariaDB server, through its own protocol.
//!
//! The verbs do the whole work of a datastore. No database but the bound one and those whose names are made from it is
//! ever changed.

mod check;
mod definitions;
pub mod double;
mod failure;
mod fence;
mod files;
mod freeze;
mod grants;
mod lanes;
mod load;
mod manifest;
mod mark;
mod names;
mod pulse;
mod restore;
mod rows;
mod save;
mod session;
mod shape;
mod tables;
#[cfg(test)]
mod tests;
mod triggers;
mod wire;

use super::server::names::SCRATCH_PREFIX;
use super::server::{Located, Place, Server, on_the_machine};
use crate::context::{Site, StepContext};
use crate::model::VerbError;
use crate::plan::event::{Effect, Verdict};
use crate::vault::Vault;
use lanes::{Lanes, Rows};
use names::Names;
use serde::Serialize;
use serde::de::DeserializeOwned;
use session::{Cut, Session, Way, quoted};
use shape::Shape;
use std::collections::BTreeSet;
use std::future::Future;
use std::path::PathBuf;
use std::time::Duration;
use tokio_util::task::TaskTracker;

/// One binding's database.
pub struct Mysql {
    server: Option<Server>,
    vault: Vault,
    idle: Duration,
    tasks: TaskTracker,
    cut: Cut,
}

impl Mysql {
    /// `idle`: how long a verb may be silent.
    pub fn new(server: Option<Server>, vault: Vault, idle: Duration) -> Self {
        Self { server, vault, idle, tasks: TaskTracker::new(), cut: Cut::default() }
    }

    /// What is wrong with the server, the database or the user's rights.
    pub async fn check(&self, cx: &StepContext) -> Result<Vec<String>, VerbError> {
        self.reading(cx, |work| async move { check::check(&work).await }).await
    }

    /// Of the copy that the step `frozen` made in brief: large tables are counted.
    pub async fn manifest(&self, cx: &StepContext, frozen: Option<&str>) -> Result<String, VerbError> {
        self.reading(cx, |work| async move {
            match frozen {
                Some(step) => freeze::manifest(&work, step).await,
                None => work.live_manifest().await,
            }
        })
        .await
    }

    /// Changes with every write.
    pub async fn mark(&self, cx: &StepContext) -> Result<String, VerbError> {
        self.reading(cx, |work| async move { mark::mark(&work).await }).await
    }

    /// Repeated, it locks who came since; returns the mark.
    pub async fn fence(&self, cx: &StepContext) -> Result<String, VerbError> {
        self.changing(cx, "mysql.fence", &(), |work| async move {
            fence::fence(&work).await?;
            mark::mark(&work).await
        })
        .await
    }

    pub async fn unfence(&self, cx: &StepContext) -> Result<(), VerbError> {
        self.changing(cx, "mysql.unfence", &(), |work| async move { fence::unfence(&work).await }).await
    }

    /// The artifacts' keys, and the manifest of the same snapshot; of what is live, or of the copy that the step `frozen`
    /// made.
    pub async fn save(&self, cx: &StepContext, frozen: Option<&str>) -> Result<(Vec<String>, String), VerbError> {
        let work = |work| async move {
            match frozen {
                Some(step) => save::save_frozen(&work, step).await,
                None => save::save(&work).await,
            }
        };
        self.changing(cx, "mysql.save", &frozen, work).await
    }

    pub async fn put_back(&self, cx: &StepContext, artifacts: &[String]) -> Result<(), VerbError> {
        let work = |work| async move { restore::put_back(&work, artifacts).await };
        self.changing(cx, "mysql.put-back", &artifacts, work).await
    }

    /// False: it can't be copied in moments.
    pub async fn freeze(&self, cx: &StepContext) -> Result<bool, VerbError> {
        self.changing(cx, "mysql.freeze", &(), |work| async move { freeze::freeze(&work).await }).await
    }

    pub async fn swap(&self, cx: &StepContext, step: &str) -> Result<(), VerbError> {
        self.changing(cx, "mysql.swap", &step, |work| async move { restore::swap(&work, step).await }).await
    }

    pub async fn discard(&self, cx: &StepContext, step: &str) -> Result<(), VerbError> {
        self.changing(cx, "mysql.discard", &step, |work| async move { restore::discard(&work, step).await }).await
    }

    /// Ends the connections of the effect's step. Every verb converges, so the effect then
    /// counts as not done.
    pub async fn fence_and_probe(&self, effect: &Effect) -> Verdict {
        let Some(server) = &self.server else { return Verdict::Unknown };
        let ended = async {
            let located = server.located(&Site::Live).await?;
            fence::end_step(&self.way(&located, &effect.step)).await
        };
        match ended.await {
            Ok(()) => Verdict::NotDone,
            Err(_) => Verdict::Unknown,
        }
    }

    /// Drops a drill's databases: the one of this name and those made from it, and the grants on them. No name but a
    /// drill's is taken. Converges.
    pub async fn discard_scratch(&self, cx: &StepContext, name: &str) -> Result<(), VerbError> {
        let Some(server) = self.server.as_ref().map(|server| &server.config) else { return Ok(()) };
        if !name.starts_with(SCRATCH_PREFIX) || name == server.database {
            return Err(VerbError::Denied(format!("`{name}` is no drill's database")));
        }
        self.changing(cx, "mysql.discard-scratch", &name, |work| async move {
            let work = Work { names: Names::new(name), ..work };
            let mut session = work.session().await?;
            for database in session.list("SELECT SCHEMA_NAME FROM information_schema.SCHEMATA").await? {
                if work.names.owns(&database) {
                    restore::drop_database(&work, &mut session, &database).await?;
                }
            }
            grants::clear(&mut session, name).await
        })
        .await
    }

    /// None where no server is granted, or it has no such database.
    pub async fn place(&self, cx: &StepContext) -> Result<Option<Place>, VerbError> {
        if self.server.is_none() {
            return Ok(None);
        }
        self.reading(cx, |work| async move {
            let mut session = work.session().await?;
            if !session.exists(&work.names.live).await? {
                return Ok(None);
            }
            let sql = "SELECT COALESCE(SUM(DATA_LENGTH + INDEX_LENGTH), 0) FROM information_schema.TABLES \
                       WHERE TABLE_SCHEMA = ";
            let bytes = session.text(&format!("{sql}{}", quoted(&work.names.live))).await?;
            let folder = PathBuf::from(session.text("SELECT @@datadir").await?);
            let folder = match &work.located.container {
                Some(container) => on_the_machine(container, &folder),
                None => Some(folder).filter(|_| !self.server.as_ref().is_some_and(Server::is_elsewhere)),
            };
            Ok(Some(Place { folder, bytes: bytes.parse().unwrap_or_default() }))
        })
        .await
    }

    /// As the server sees it.
    pub async fn data_folder(&self, cx: &StepContext) -> Result<PathBuf, VerbError> {
        self.reading(cx, |work| async move { Ok(PathBuf::from(work.session().await?.text("SELECT @@datadir").await?)) })
            .await
    }

    /// Waits for connections that are being given up.
    pub async fn close(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }

    async fn reading<'a, T, F: Future<Output = Result<T, VerbError>>>(
        &'a self, cx: &'a StepContext, work: impl FnOnce(Work<'a>) -> F,
    ) -> Result<T, VerbError> {
        let ready = self.work(cx).await?;
        let way = ready.way.clone();
        cx.activity.watch(self.idle, pulse::beside(&way, &cx.activity, Box::pin(work(ready)))).await
    }

    /// Journaled; every verb converges.
    async fn changing<'a, T: Serialize + DeserializeOwned, F: Future<Output = Result<T, VerbError>>>(
        &'a self, cx: &'a StepContext, verb: &str, arguments: &impl Serialize, work: impl FnOnce(Work<'a>) -> F,
    ) -> Result<T, VerbError> {
        cx.effects.may_change(verb)?;
        let ready = self.work(cx).await?;
        let (way, handle) = (ready.way.clone(), ready.names.live.clone());
        let watched = cx.activity.watch(self.idle, pulse::beside(&way, &cx.activity, Box::pin(work(ready))));
        cx.effects.perform(verb, arguments, &handle, true, watched).await
    }

    async fn work<'a>(&'a self, cx: &'a StepContext) -> Result<Work<'a>, VerbError> {
        let server = self.granted()?;
        let located = server.located(&cx.site).await?;
        let (way, names) = (self.way(&located, &cx.step), Names::of(&server.config, &cx.site));
        Ok(Work { driver: self, cx, located, way, names })
    }

    fn way(&self, located: &Located, step: &str) -> Way {
        let (server, tasks) = (located.config.clone(), self.tasks.clone());
        Way { server, step: step.into(), tasks, cut: self.cut.clone() }
    }

    /// The server that is granted.
    pub fn bound_server(&self) -> Option<&Server> {
        self.server.as_ref()
    }

    fn granted(&self) -> Result<&Server, VerbError> {
        self.server
            .as_ref()
            .ok_or_else(|| VerbError::Denied("no server of MySQL or MariaDB is granted to this binding".into()))
    }
}

/// One verb's work: where the server is, and what it may touch.
struct Work<'a> {
    driver: &'a Mysql,
    cx: &'a StepContext,
    located: Located,
    way: Way,
    names: Names,
}

impl Work<'_> {
    async fn session(&self) -> Result<Session, VerbError> {
        Session::open(&self.way).await
    }

    async fn shape(
        &self, session: &mut Session, database: &str, enabled: &BTreeSet<String>,
    ) -> Result<Shape, VerbError> {
        let shape = Shape::read(session, database, enabled).await?;
        shape.ok_or_else(|| VerbError::NotFound(format!("the server has no database {}", quoted(database))))
    }

    async fn live_manifest(&self) -> Result<String, VerbError> {
        let mut session = self.session().await?;
        self.manifest(&mut session, &self.names.live).await
    }

    async fn manifest(&self, session: &mut Session, database: &str) -> Result<String, VerbError> {
        let enabled = fence::enabled(session, &self.names).await?;
        self.manifest_with(session, database, &enabled).await
    }

    /// In snapshots of its own; where somebody writes, each table's lines are of a moment, and no more.
    async fn manifest_with(
        &self, session: &mut Session, database: &str, enabled: &BTreeSet<String>,
    ) -> Result<String, VerbError> {
        save::begin(session).await?;
        let shape = self.shape(session, database, enabled).await?;
        let contents = self.contents(session, database, &shape.tables).await?;
        session.set("COMMIT").await?;
        Ok(manifest::text(&shape, &contents))
    }

    /// Every row of these tables is read, in snapshots of its own.
    async fn contents(
        &self, session: &mut Session, database: &str, tables: &[shape::Table],
    ) -> Result<Vec<manifest::Content>, VerbError> {
        let rows = Rows::of(session, database, tables, &self.cx.activity).await?;
        let mut lanes = Lanes::open(self).await?;
        lanes.begin().await?;
        lanes.contents(self, &rows).await
    }
}
