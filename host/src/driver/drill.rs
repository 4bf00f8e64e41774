//! Where a drill restores to, and that nothing of it is left; its folder is the caller's.

use super::Drivers;
use super::durable;
use super::process::io_error;
use super::server::Server;
use super::{mysql, postgres};
use crate::context::{Site, StepContext};
use crate::model::VerbError;
use crate::plan::event::{Effect, Verdict};
use serde::{Deserialize, Serialize};

/// Of the effects that make and remove a double.
pub const INTERFACE: &str = "drill";

/// Where a drill restores to.
#[derive(Debug)]
pub struct Doubled {
    pub site: Site,
    /// Why it is no double of the server.
    pub why: Option<String>,
}

#[derive(Serialize, Deserialize)]
enum Made {
    /// The container, or the pod.
    Double(String),
    Refused(String),
}

impl Drivers {
    /// Starts a double of the datastore's server, with the live one's accounts. Of one that is no service there is none;
    /// where there could be one and isn't, the drill stays where it is, and says why.
    pub async fn drill_double(&self, cx: &StepContext) -> Result<Doubled, VerbError> {
        let Site::Drill { root, .. } = &cx.site else { return Err(no_drill()) };
        if let Some(store) = self.cloud_sql.as_ref().filter(|store| store.drills()) {
            durable::make_folder(root).map_err(io_error("make the drill's folder"))?;
            let config = self.database_server().map(|server| &server.config);
            let name = config.map(|config| config.database.clone()).unwrap_or_default();
            let made = store.make_double(cx, config.map(|config| &*config.host)).await?;
            return Ok(Doubled { site: Site::Drill { root: root.clone(), name, server: Some(made) }, why: None });
        }
        let Some(server) = self.database_server() else { return Ok(Doubled { site: cx.site.clone(), why: None }) };
        if server.config.service.is_none() {
            return Ok(Doubled { site: cx.site.clone(), why: None });
        }
        let work = async {
            match cx.activity.watch(self.idle, self.stand_up(cx, server)).await {
                Ok(container) => Ok(Made::Double(container)),
                Err(error) => {
                    server.discard_double(&cx.step).await?;
                    if cx.activity.cancelled() {
                        Err(VerbError::Cancelled)
                    } else {
                        Ok(Made::Refused(error.to_string()))
                    }
                }
            }
        };
        Ok(match cx.effects.perform("drill.double", &(), &cx.step, true, work).await? {
            Made::Double(container) => {
                let name = server.config.database.clone();
                Doubled { site: Site::Drill { root: root.clone(), name, server: Some(container) }, why: None }
            }
            Made::Refused(why) => Doubled { site: cx.site.clone(), why: Some(why) },
        })
    }

    /// Leaves nothing of a drill on the servers, nor of their doubles. Converges.
    pub async fn clear_drill(&self, cx: &StepContext) -> Result<(), VerbError> {
        let Site::Drill { name, server: None, .. } = &cx.site else { return Err(no_drill()) };
        if let Some(server) = self.database_server().filter(|server| server.config.service.is_some()) {
            let work = cx.activity.watch(self.idle, server.discard_double(&cx.step));
            cx.effects.perform("drill.discard", &(), &cx.step, true, work).await?;
        }
        // Whether drills are asked for may have changed since.
        if let Some(store) = &self.cloud_sql {
            store.clear_double(cx).await?;
        }
        self.mysql.discard_scratch(cx, name).await?;
        self.postgres.discard_scratch(cx, name).await
    }

    /// Whatever there is of the step's double goes: the step begins anew.
    pub(super) async fn probe_drill(&self, effect: &Effect) -> Verdict {
        if let Some(store) = &self.cloud_sql {
            return match store.clear_double_named(&effect.handle).await {
                Ok(()) => Verdict::NotDone,
                Err(_) => Verdict::Unknown,
            };
        }
        match self.database_server() {
            Some(server) if server.discard_double(&effect.step).await.is_ok() => Verdict::NotDone,
            _ => Verdict::Unknown,
        }
    }

    /// The container, or the pod.
    async fn stand_up(&self, cx: &StepContext, server: &Server) -> Result<String, VerbError> {
        let live = cx.reading_at(Site::Live);
        let mysql = self.mysql.bound_server().is_some();
        let place = if mysql { self.mysql.place(&live).await? } else { self.postgres.place(&live).await? };
        let double = server.start_double(cx, place.map_or(0, |place| place.bytes)).await?;
        match mysql {
            true => self.mysql.furnish_double(cx, &double).await?,
            false => self.postgres.furnish_double(cx, &double).await?,
        }
        Ok(double)
    }

    /// Gives the server of the double of a whole deployment the live one's accounts, with their passwords.
    pub async fn give_accounts(&self, cx: &StepContext, double: &Drivers) -> Result<(), VerbError> {
        let (Some(live), Some(server)) = (self.database_server(), double.database_server()) else { return Ok(()) };
        let work = async {
            let (script, accounts) = match self.mysql.bound_server() {
                Some(_) => (mysql::double::client(), self.mysql.accounts_with_passwords(cx).await?),
                None => (postgres::accounts::client(live.config.port), postgres::accounts::of(live).await?),
            };
            server.tell(&server.live().await?, &script, &accounts, None).await
        };
        cx.activity.watch(self.idle, work).await
    }

    pub(super) fn database_server(&self) -> Option<&Server> {
        self.mysql.bound_server().or(self.postgres.bound_server())
    }
}

fn no_drill() -> VerbError {
    VerbError::Denied("this site is no drill".into())
}
