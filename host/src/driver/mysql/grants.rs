//! Who may do what with the database. A grant names the database and is none of its parts: it is read and set here.

use super::names::matches;
use super::session::{Flavour, Session, name, quoted};
use crate::model::VerbError;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// MariaDB's role that every account has.
pub const EVERYBODY: &str = "'PUBLIC'@''";

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Grant {
    /// `'app'@'%'`
    pub account: String,
    pub on: On,
    pub privilege: String,
    pub column: Option<String>,
    pub grantable: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum On {
    Database,
    Table(String),
    Function(String),
    Procedure(String),
}

pub async fn read(session: &mut Session, database: &str) -> Result<BTreeSet<Grant>, VerbError> {
    let mut found = BTreeSet::new();
    let mut add = |account: &str, on: On, privilege: &str, column: Option<String>, grantable: bool| {
        let (account, privilege) = (account.to_owned(), privilege.to_uppercase());
        if privilege != "USAGE" || grantable {
            found.insert(Grant { account, on, privilege, column, grantable });
        }
    };
    for row in rows_of(session, "SCHEMA", "TABLE_SCHEMA").await? {
        if is_exactly(&row[3], database) {
            add(&row[0], On::Database, &row[1], None, row[2] == "YES");
        }
    }
    for row in rows_of(session, "TABLE", "TABLE_SCHEMA, TABLE_NAME").await? {
        if row[3] == database {
            add(&row[0], On::Table(row[4].clone()), &row[1], None, row[2] == "YES");
        }
    }
    for row in rows_of(session, "COLUMN", "TABLE_SCHEMA, TABLE_NAME, COLUMN_NAME").await? {
        if row[3] == database {
            add(&row[0], On::Table(row[4].clone()), &row[1], Some(row[5].clone()), row[2] == "YES");
        }
    }
    for row in routines(session).await? {
        let [user, host, of, routine, kind, privileges] = &row[..] else { continue };
        if of != database {
            continue;
        }
        let on = || match kind.as_str() {
            "FUNCTION" => On::Function(routine.clone()),
            _ => On::Procedure(routine.clone()),
        };
        let privileges: Vec<&str> = privileges.split(',').collect();
        let grantable = privileges.contains(&"Grant");
        for privilege in privileges.iter().filter(|privilege| !["Grant", ""].contains(privilege)) {
            add(&format!("'{user}'@'{host}'"), on(), privilege, None, grantable);
        }
    }
    Ok(found)
}

/// The accounts that may do something with the database, in any way, roles among them.
pub async fn accounts(session: &mut Session, database: &str) -> Result<BTreeSet<String>, VerbError> {
    let mut found = BTreeSet::new();
    for mut row in rows_of(session, "SCHEMA", "TABLE_SCHEMA").await? {
        if row[1] != "USAGE" && matches(&row[3], database) {
            found.insert(row.swap_remove(0));
        }
    }
    for of in ["TABLE", "COLUMN"] {
        for mut row in rows_of(session, of, "TABLE_SCHEMA").await? {
            if row[3] == database {
                found.insert(row.swap_remove(0));
            }
        }
    }
    for row in routines(session).await? {
        if row[2] == database {
            found.insert(format!("'{}'@'{}'", row[0], row[1]));
        }
    }
    let global = "SELECT GRANTEE FROM information_schema.USER_PRIVILEGES WHERE PRIVILEGE_TYPE IN ('SELECT', 'INSERT', \
                  'UPDATE', 'DELETE', 'CREATE', 'DROP', 'ALTER', 'INDEX', 'TRIGGER', 'EVENT', 'EXECUTE')";
    found.extend(session.list(global).await?);
    let members = match session.flavour {
        Flavour::MariaDb => "SELECT Role, '', User, Host FROM mysql.roles_mapping",
        Flavour::MySql => "SELECT FROM_USER, FROM_HOST, TO_USER, TO_HOST FROM mysql.role_edges",
    };
    let members = texts(session.rows(members).await?);
    loop {
        let before = found.len();
        for row in &members {
            if found.contains(&format!("'{}'@'{}'", row[0], row[1])) {
                found.insert(format!("'{}'@'{}'", row[2], row[3]));
            }
        }
        if found.len() == before {
            return Ok(found);
        }
    }
}

/// Makes the database's grants these. An account that is gone since is left out, and named.
pub async fn apply(
    session: &mut Session, database: &str, wanted: &BTreeSet<Grant>,
) -> Result<BTreeSet<String>, VerbError> {
    let present = read(session, database).await?;
    let known: BTreeSet<String> = texts(session.rows("SELECT User, Host FROM mysql.user").await?)
        .iter()
        .map(|row| of(&row[0], &row[1]))
        .collect();
    let mut missing = BTreeSet::new();
    for (key, mut privileges) in grouped(present.difference(wanted)) {
        // It goes with the last privilege that is to have it, of an account on one thing.
        let kept = |grant: &Grant| grant.grantable && grant.account == key.account && grant.on == *key.on;
        if key.grantable && !wanted.iter().any(kept) {
            privileges.push_str(", GRANT OPTION");
        }
        let sql =
            format!("REVOKE {privileges} ON {} FROM {}", target(session, database, key.on).await?, plain(key.account));
        session.change(&sql).await?;
    }
    for (key, privileges) in grouped(wanted.difference(&present)) {
        if !known.contains(key.account) {
            missing.insert(key.account.to_owned());
            continue;
        }
        let option = if key.grantable { " WITH GRANT OPTION" } else { "" };
        let target = target(session, database, key.on).await?;
        session.change(&format!("GRANT {privileges} ON {target} TO {}{option}", plain(key.account))).await?;
    }
    Ok(missing)
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Key<'a> {
    account: &'a str,
    on: &'a On,
    grantable: bool,
}

fn grouped<'a>(grants: impl Iterator<Item = &'a Grant>) -> BTreeMap<Key<'a>, String> {
    let mut groups: BTreeMap<Key<'a>, String> = BTreeMap::new();
    for Grant { account, on, privilege, column, grantable } in grants {
        let text = groups.entry(Key { account, on, grantable: *grantable }).or_default();
        let comma = if text.is_empty() { "" } else { ", " };
        let column = column.as_ref().map(|column| format!(" ({})", name(column))).unwrap_or_default();
        text.push_str(&format!("{comma}{privilege}{column}"));
    }
    groups
}

async fn target(session: &mut Session, database: &str, on: &On) -> Result<String, VerbError> {
    let named = |part: &str| format!("{}.{}", name(database), name(part));
    Ok(match on {
        On::Database => {
            // Where the server reads names of databases as patterns, `_` stands for any letter.
            let escaped = database.replace('_', "\\_");
            let present = session.list("SELECT Db FROM mysql.db").await?;
            let literal = present.iter().any(|db| db == database) && !present.contains(&escaped);
            format!("{}.*", name(if literal { database } else { &escaped }))
        }
        On::Table(table) => named(table),
        On::Function(routine) => format!("FUNCTION {}", named(routine)),
        On::Procedure(routine) => format!("PROCEDURE {}", named(routine)),
    })
}

/// A grant on exactly this database, whichever way it is written.
fn is_exactly(written: &str, database: &str) -> bool {
    written == database || written.replace("\\_", "_") == database
}

/// A role of MariaDB has no host.
fn plain(account: &str) -> &str {
    match account {
        EVERYBODY => "PUBLIC",
        account => account.strip_suffix("@''").unwrap_or(account),
    }
}

fn of(user: &str, host: &str) -> String {
    format!("'{user}'@'{host}'")
}

async fn rows_of(session: &mut Session, of: &str, more: &str) -> Result<Vec<Vec<String>>, VerbError> {
    let sql = format!("SELECT GRANTEE, PRIVILEGE_TYPE, IS_GRANTABLE, {more} FROM information_schema.{of}_PRIVILEGES");
    Ok(texts(session.rows(&sql).await?))
}

async fn routines(session: &mut Session) -> Result<Vec<Vec<String>>, VerbError> {
    let sql = "SELECT User, Host, Db, Routine_name, Routine_type, Proc_priv FROM mysql.procs_priv";
    Ok(texts(session.rows(sql).await?))
}

pub fn texts(rows: super::session::Rows) -> Vec<Vec<String>> {
    rows.into_iter().map(|row| row.into_iter().map(Option::unwrap_or_default).collect()).collect()
}

/// Takes every grant on a database that is gone away.
pub async fn clear(session: &mut Session, database: &str) -> Result<(), VerbError> {
    let literal = quoted(database);
    if session.text(&format!("SELECT COUNT(*) FROM mysql.db WHERE REPLACE(Db, '\\\\_', '_') = {literal}")).await? == "0"
        && read(session, database).await?.is_empty()
    {
        return Ok(());
    }
    apply(session, database, &BTreeSet::new()).await.map(drop)
}
