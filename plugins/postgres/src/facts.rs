//! How the live database stands, and what the role may do: read over the maintenance connection, which a fence does not
//! shut.

use crate::names::Names;
use crate::quote;
use crate::server::{Connection, cell, number, truth};
use upgraded_sdk::{Error, Result};

/// The setting that remembers a connection limit while the fence holds it at 0.
pub const LIMIT_SETTING: &str = "upgraded.limit";

/// One database as the server lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Database {
    pub oid: String,
    /// Changes with every `ALTER` or `GRANT` of the database, and with nothing else.
    pub version: String,
    pub fence: Fence,
    /// The connection limit that is its own, whatever the fence says.
    pub limit: i64,
    pub comment: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fence {
    Open,
    /// `ALLOW_CONNECTIONS false`: nobody gets in, no superuser either.
    Closed,
    /// `CONNECTION LIMIT 0`: superusers get in.
    Limited,
}

impl Database {
    pub fn find(maintenance: &impl Connection, name: &str) -> Result<Option<Self>> {
        let sql = format!(
            "SELECT d.oid, d.xmin, d.datallowconn, d.datconnlimit, shobj_description(d.oid, 'pg_database'), \
             (SELECT substr(s, {}) FROM pg_db_role_setting r, unnest(r.setconfig) s \
              WHERE r.setdatabase = d.oid AND r.setrole = 0 AND starts_with(s, '{LIMIT_SETTING}=')) \
             FROM pg_database d WHERE d.datname = {}",
            LIMIT_SETTING.len() + 2,
            quote::literal(name)
        );
        let Some(row) = maintenance.row(&sql)? else { return Ok(None) };
        let remembered = row.get(5).and_then(Option::as_deref);
        let fence = match (truth(&row, 2)?, remembered) {
            (_, Some(_)) => Fence::Limited,
            (true, None) => Fence::Open,
            (false, None) => Fence::Closed,
        };
        let limit = match remembered {
            Some(text) => text.parse().map_err(|_| Error::other("answer", format!("`{LIMIT_SETTING}` is `{text}`")))?,
            None => number(&row, 3)?,
        };
        let comment = row.get(4).cloned().flatten();
        Ok(Some(Self { oid: cell(&row, 0)?.into(), version: cell(&row, 1)?.into(), fence, limit, comment }))
    }

    pub fn live(maintenance: &impl Connection, names: &Names) -> Result<Self> {
        Self::find(maintenance, &names.live)?
            .ok_or_else(|| Error::not_found(format!("the server has no database `{}`", names.live)))
    }
}

/// What decides which fence there can be and whether a frozen copy can be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Abilities {
    pub superuser: bool,
    pub creates_databases: bool,
    /// Is, or may act as, the live database's owner.
    pub owns: bool,
    /// May end other roles' connections.
    pub signals: bool,
    /// The application's own role seems to be a superuser: a connection limit would not hold it.
    pub application_superuser: bool,
    pub logical_slots: u32,
    pub subscriptions: u32,
    pub prepared: u32,
    /// pg_cron keeps its jobs here, and stays connected.
    pub cron: bool,
}

/// How writers are kept out, and whether a frozen copy is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// Closed, with a frozen copy.
    Closed,
    /// Limited to superusers, without one.
    Limited,
}

impl Abilities {
    pub fn read(maintenance: &impl Connection, names: &Names) -> Result<Self> {
        let live = quote::literal(&names.live);
        let sql = format!(
            "SELECT r.rolsuper, r.rolcreatedb OR r.rolsuper, pg_has_role(d.datdba, 'USAGE'), \
             pg_has_role('pg_signal_backend', 'USAGE'), \
             EXISTS (SELECT FROM pg_roles o WHERE o.rolsuper AND (o.oid = d.datdba AND o.rolname <> current_user \
              OR o.oid IN (SELECT usesysid FROM pg_stat_activity WHERE datname = {live} AND backend_type = 'client backend' \
               AND NOT starts_with(application_name, 'upgraded/')))), \
             (SELECT count(*) FROM pg_replication_slots WHERE database = {live}), \
             (SELECT count(*) FROM pg_subscription WHERE subdbid = d.oid), \
             (SELECT count(*) FROM pg_prepared_xacts WHERE database = {live}), \
             coalesce(current_setting('cron.database_name', true) = {live}, false) \
             FROM pg_database d, pg_roles r WHERE d.datname = {live} AND r.rolname = current_user"
        );
        let row = maintenance
            .row(&sql)?
            .ok_or_else(|| Error::not_found(format!("the server has no database `{}`", names.live)))?;
        Ok(Self {
            superuser: truth(&row, 0)?,
            creates_databases: truth(&row, 1)?,
            owns: truth(&row, 2)?,
            signals: truth(&row, 0)? || truth(&row, 3)?,
            application_superuser: truth(&row, 4)?,
            logical_slots: number(&row, 5)?,
            subscriptions: number(&row, 6)?,
            prepared: number(&row, 7)?,
            cron: truth(&row, 8)?,
        })
    }

    pub fn is_superuser(maintenance: &impl Connection) -> Result<bool> {
        Ok(maintenance.value("SELECT rolsuper FROM pg_roles WHERE rolname = current_user")? == "t")
    }

    /// Why there can be no frozen copy; nothing where there can.
    pub fn against_a_copy(&self) -> Vec<String> {
        let mut reasons = Vec::new();
        let mut count = |number: u32, what: &str| {
            if number > 0 {
                reasons.push(format!("{number} {what}"));
            }
        };
        count(self.logical_slots, "logical replication slots, which would stay with what is set aside");
        count(self.subscriptions, "subscriptions, which would run in both copies");
        if self.cron {
            reasons.push("pg_cron keeps its jobs in it and stays connected".into());
        }
        if !self.creates_databases {
            reasons.push("the role may not create databases (`CREATEDB`)".into());
        }
        if !self.owns {
            reasons.push("the role neither owns the database nor is a member of its owner".into());
        }
        reasons
    }

    /// Or why no fence would hold.
    pub fn method(&self) -> std::result::Result<Method, String> {
        let reasons = self.against_a_copy();
        if reasons.is_empty() {
            return Ok(Method::Closed);
        }
        let reasons = reasons.join(", ");
        match (self.superuser, self.application_superuser) {
            (true, false) => Ok(Method::Limited),
            (true, true) => Err(format!(
                "there can be no frozen copy ({reasons}), and a connection limit holds no superuser, which the \
                 application seems to be"
            )),
            (false, _) => Err(format!(
                "there can be no frozen copy ({reasons}), and only a superuser could read behind a connection limit"
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn able() -> Abilities {
        Abilities {
            superuser: false,
            creates_databases: true,
            owns: true,
            signals: true,
            application_superuser: false,
            logical_slots: 0,
            subscriptions: 0,
            prepared: 0,
            cron: false,
        }
    }

    #[test]
    fn a_copy_needs_an_owner_who_creates_and_nothing_that_stays_connected() {
        assert_eq!(able().method(), Ok(Method::Closed));
        for unable in [
            Abilities { creates_databases: false, ..able() },
            Abilities { owns: false, ..able() },
            Abilities { logical_slots: 1, ..able() },
            Abilities { subscriptions: 1, ..able() },
            Abilities { cron: true, ..able() },
        ] {
            assert!(unable.method().is_err(), "{unable:?}");
            assert_eq!(Abilities { superuser: true, ..unable.clone() }.method(), Ok(Method::Limited));
            let both = Abilities { superuser: true, application_superuser: true, ..unable };
            assert!(both.method().is_err_and(|why| why.contains("holds no superuser")));
        }
    }
}
