//! A database server of another version in the place of the one that a datastore is on, where the files name another
//! image. What the old one wrote stays in a folder beside its data until the run commits, and takes its place again on
//! the way back. A note in the state folder says so, so that every cut converges.

mod folder;
mod seat;
pub mod version;

use super::Drivers;
use super::beside::work;
use super::durable;
use super::process::io_error;
use super::server::Server;
use crate::activity::Level;
use crate::context::{Site, StepContext};
use crate::model::VerbError;
use seat::Seat;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::path::PathBuf;

/// Which server is to stand: the files' own say it but for a release, of which they are one part.
#[derive(Debug, Clone, Copy)]
pub enum Toward<'a> {
    /// The one that comes with this version.
    Version(&'a str),
    /// The one that stood before this run.
    Before(u64),
}

/// What is remembered of the old server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Former {
    /// Of the step that replaces it.
    step: String,
    /// Where a server finds its data, on this machine.
    folder: PathBuf,
    beside: PathBuf,
    /// By which its files named the image, and its ID.
    image_name: String,
    image: String,
    /// Of a release: what it was a part of.
    #[serde(default)]
    revision: Option<u32>,
    /// For a new server that starts empty; none for one that starts from a copy.
    accounts: Option<String>,
    /// The new server stands.
    replaced: bool,
}

impl Drivers {
    /// Puts a server of the image that the files name in the place of the old one, where that doesn't read its data; true
    /// where it starts empty but for the accounts. Refused where the old one has databases that are none of the `known`.
    /// Converges.
    pub async fn renew_server(
        &self, cx: &StepContext, known: &[String], toward: Toward<'_>,
    ) -> Result<bool, VerbError> {
        cx.effects.may_change("server.renew")?;
        let seat = self.seat(cx)?;
        let noted = seat.read()?;
        if let Some(former) = noted.as_ref().filter(|former| former.replaced && former.step != cx.step) {
            return Ok(former.accounts.is_some());
        }
        let then = seat.then(toward).await?;
        let former = match noted {
            Some(former) => former,
            None => match self.former(cx, &seat, known, &then).await? {
                Some(former) => former,
                None => return Ok(false),
            },
        };
        seat.write(&former)?;
        seat.stop(cx).await?;
        let work = folder::set_aside(cx, &former);
        let watched = cx.activity.watch(self.idle, work);
        cx.effects.perform("server.set-aside", &(), &seat.service.to_string(), true, watched).await?;
        seat.start(cx, &former, &then).await?;
        let container = seat.answers(cx, self.idle).await?;
        if let Some(accounts) = &former.accounts {
            let script = super::postgres::accounts::client(seat.server.config.port);
            let work = cx.activity.watch(self.idle, seat.server.tell(&container, &script, accounts, None));
            cx.effects.perform("server.accounts", &(), &seat.service.to_string(), true, work).await?;
        }
        seat.write(&Former { replaced: true, ..former.clone() })?;
        Ok(former.accounts.is_some())
    }

    /// The old server takes its place again with its own data; what the new one holds goes, or is `kept` and named. After
    /// the run `of` committed, of which there is none beside, it is empty as in [`Drivers::renew_server`]. Converges.
    pub async fn put_server_back(
        &self, cx: &StepContext, known: &[String], of: Option<u64>, kept: bool,
    ) -> Result<(), VerbError> {
        let seat = self.seat(cx)?;
        seat.forget_image(cx).await?;
        let Some(former) = seat.read()?.filter(|former| former.step != cx.step) else {
            return match of {
                Some(run) => self.renew_server(cx, known, Toward::Before(run)).await.map(drop),
                // It was put back already, or nothing of it was touched.
                None => Ok(()),
            };
        };
        seat.stop(cx).await?;
        let place = former.clone();
        let work = work::run(cx, former.folder.clone(), move |pulse| {
            pulse.alive()?;
            folder::put_back(&place, kept).map_err(io_error("put the old server's data back"))
        });
        let watched = cx.activity.watch(self.idle, work);
        cx.effects.perform("server.put-back", &(), &seat.service.to_string(), true, watched).await?;
        let since = folder::since(&former.beside);
        if kept && since.exists() {
            let message = format!("what was written to `{}` since stays in `{}`", seat.service, since.display());
            cx.activity.line(Level::Warn, message);
        }
        if seat.server.client().is_some() {
            self.images.point(cx, &former.image_name, &former.image).await?;
        }
        seat.start(cx, &former, &[]).await?;
        seat.answers(cx, self.idle).await?;
        durable::remove(&seat.note).map_err(io_error("forget the old server"))
    }

    /// What stayed beside goes, unless it is to be `kept`: then it is said where it is.
    pub async fn let_go_of_server(&self, cx: &StepContext, kept: bool) -> Result<(), VerbError> {
        let seat = self.seat(cx)?;
        let Some(former) = seat.read()? else { return Ok(()) };
        if kept {
            let message = format!("what the server `{}` held stays in `{}`", seat.service, former.beside.display());
            cx.activity.line(Level::Warn, message);
        } else {
            let beside = former.beside.clone();
            let work = work::run(cx, former.folder.clone(), move |_| {
                folder::remove(&beside).map_err(io_error("remove the old server's data"))
            });
            cx.effects.perform("server.let-go", &(), &seat.service.to_string(), true, work).await?;
        }
        durable::remove(&seat.note).map_err(io_error("forget the old server"))
    }

    /// Why the server could not be replaced by one of another version; it is asked what it would be asked for.
    pub async fn renewable(&self, cx: &StepContext, known: &[String]) -> Result<(), VerbError> {
        let seat = self.seat(cx)?;
        seat.folder(cx, self).await?;
        self.accounts(cx, seat.server, known).await.map(drop)
    }

    /// Why the server that stood before a run that committed could not take its place again.
    pub async fn has_stood_before(&self, run: u64) -> Result<(), VerbError> {
        match self.database_server().and_then(Server::release) {
            Some(release) => release.stood_before(run).await.map(drop),
            None => Ok(()),
        }
    }

    /// Whether this machine has what saves the data of a PostgreSQL of this major version; none: its own image has.
    pub async fn tools_for(&self, major: Option<u32>) -> Option<Result<(), VerbError>> {
        let server = self.postgres.bound_server().filter(|server| server.release().is_some())?;
        Some(super::postgres::tools_for(server, major?).await)
    }

    /// None: the files name what runs, or what reads its data.
    async fn former(
        &self, cx: &StepContext, seat: &Seat<'_>, known: &[String], then: &[Value],
    ) -> Result<Option<Former>, VerbError> {
        let Some(change) = seat.change(cx, &self.images, then).await? else { return Ok(None) };
        cx.activity.line(Level::Info, format!("`{}` goes from {} to {}", seat.service, change.from, change.to));
        let folder = seat.folder(cx, self).await?;
        let mut beside = folder.clone().into_os_string();
        beside.push(format!(".upgraded-r{}", cx.run));
        let beside = PathBuf::from(beside);
        if beside.exists() {
            let path = beside.display();
            return Err(VerbError::Conflict(format!("`{path}` is there, and not of this run; move it away")));
        }
        // One that reads the data of the version before goes on from a copy of it.
        let accounts = match self.mysql.bound_server() {
            Some(_) => None,
            None => Some(self.accounts(cx, seat.server, known).await?),
        };
        Ok(Some(Former {
            step: cx.step.clone(),
            folder,
            beside,
            image_name: change.image_name,
            image: change.image,
            revision: change.revision,
            accounts,
            replaced: false,
        }))
    }

    /// Of PostgreSQL, by the server's own tool and administrator; nothing of MySQL, which takes its own along.
    async fn accounts(&self, cx: &StepContext, server: &Server, known: &[String]) -> Result<String, VerbError> {
        if self.mysql.bound_server().is_some() {
            return Ok(String::new());
        }
        let others = self.postgres.databases_but(&cx.reading_at(Site::Live), known).await?;
        if let Some(other) = others.first() {
            return Err(VerbError::Invalid(format!(
                "the database `{other}` of the same server belongs to no datastore and would stay behind; \
                 `\"database:{other}\"` under `disposable` says that it may"
            )));
        }
        super::postgres::accounts::of(server).await
    }

    fn seat(&self, cx: &StepContext) -> Result<Seat<'_>, VerbError> {
        let server = self.database_server().ok_or_else(|| VerbError::Denied("no `server` is granted".into()))?;
        Seat::of(server, cx, &self.state)
    }
}
