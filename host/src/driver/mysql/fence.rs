//! The fence: every account that may do something with the database is locked, its connections are ended, and events of
//! the database are disabled. What was locked and disabled stands in a database of its own, so that it is given back
//! whoever asks for it, whenever.
//!
//! The host's own account can't be locked. Where a product uses the same one, its connections are ended, and the mark
//! shows whether it wrote.

use super::Work;
use super::definitions::Definitions;
use super::failure::is_gone;
use super::grants::{self, EVERYBODY, accounts};
use super::names::Names;
use super::restore::drop_database;
use super::session::{Flavour, LOCKS, Session, Way, name, quoted};
use super::shape;
use crate::context::Site;
use crate::model::VerbError;
use std::collections::BTreeSet;
use std::time::Duration;

const POLL: Duration = Duration::from_millis(100);
/// A connection that was told to end may have to give up a long statement first.
const END_TRIES: u32 = 600;
/// A server that comes up after a power cut recovers first.
const SERVER_TRIES: u32 = 30;
const BETWEEN_TRIES: Duration = Duration::from_secs(2);

const ACCOUNTS: &str = "accounts";
const EVENTS: &str = "events";

pub async fn fence(work: &Work<'_>) -> Result<(), VerbError> {
    let mut session = work.session().await?;
    if !session.exists(&work.names.live).await? {
        return Err(VerbError::NotFound(format!("there is no database `{}`", work.names.live)));
    }
    make_record(&mut session, &work.names, &[ACCOUNTS, EVENTS]).await?;
    let record = name(&work.names.fence());
    let open = to_lock(&mut session, &work.names.live).await?;
    for account in &open {
        session.change(&format!("INSERT IGNORE INTO {record}.{ACCOUNTS} VALUES ({})", quoted(account))).await?;
    }
    for account in &open {
        session.change(&format!("ALTER USER IF EXISTS {account} ACCOUNT LOCK")).await?;
    }
    let live = name(&work.names.live);
    session.set(&format!("USE {live}")).await?;
    let sql = "SELECT EVENT_NAME, DEFINER FROM information_schema.EVENTS WHERE STATUS = 'ENABLED' AND EVENT_SCHEMA = ";
    for row in grants::texts(session.rows(&format!("{sql}{}", quoted(&work.names.live))).await?) {
        let definer = shape::definer(&row[1]);
        let values = format!("({}, {})", quoted(&row[0]), quoted(&definer));
        session.change(&format!("INSERT IGNORE INTO {record}.{EVENTS} VALUES {values}")).await?;
        session.change(&format!("ALTER {definer} EVENT {live}.{} DISABLE", name(&row[0]))).await?;
    }
    let locked = session.list(&format!("SELECT account FROM {record}.{ACCOUNTS}")).await?.into_iter().collect();
    end_writers(work, &mut session, &locked).await
}

/// What can't be given back keeps nothing else back, and stays in the record.
pub async fn unfence(work: &Work<'_>) -> Result<(), VerbError> {
    let mut session = work.session().await?;
    let fence = work.names.fence();
    let mut outcome = Ok(());
    if session.has_table(&fence, ACCOUNTS).await? {
        for account in session.list(&format!("SELECT account FROM {}.{ACCOUNTS}", name(&fence))).await? {
            let unlocked = session.change(&format!("ALTER USER IF EXISTS {account} ACCOUNT UNLOCK")).await;
            outcome = outcome.and(unlocked);
        }
    }
    if session.has_table(&fence, EVENTS).await? {
        for row in grants::texts(session.rows(&format!("SELECT event, definer FROM {}.{EVENTS}", name(&fence))).await?)
        {
            match shape::enable(&mut session, &work.names.live, &row[0], &row[1]).await {
                Err(error) if !is_gone(&error) => outcome = outcome.and(Err(error)),
                _ => {}
            }
        }
    }
    outcome?;
    drop_database(work, &mut session, &fence).await
}

/// The events that are disabled only for a while.
pub async fn enabled(session: &mut Session, names: &Names) -> Result<BTreeSet<String>, VerbError> {
    let fence = names.fence();
    if !session.has_table(&fence, EVENTS).await? {
        return Ok(BTreeSet::new());
    }
    Ok(session.list(&format!("SELECT event FROM {}.{EVENTS}", name(&fence))).await?.into_iter().collect())
}

/// The events of what was put in place are enabled now, or when the fence goes. In a drill none ever runs.
pub async fn expect_events(work: &Work<'_>, session: &mut Session, wanted: &Definitions) -> Result<(), VerbError> {
    let fence = work.names.fence();
    let fenced = session.has_table(&fence, ACCOUNTS).await?;
    if work.cx.site == Site::Live && !fenced {
        for (event, definer) in wanted.enabled() {
            shape::enable(session, &work.names.live, event, definer).await?;
        }
        return Ok(());
    }
    make_record(session, &work.names, &[EVENTS]).await?;
    let table = format!("{}.{EVENTS}", name(&fence));
    session.change(&format!("DELETE FROM {table}")).await?;
    for (event, definer) in wanted.enabled() {
        session.change(&format!("REPLACE INTO {table} VALUES ({}, {})", quoted(event), quoted(definer))).await?;
    }
    Ok(())
}

async fn make_record(session: &mut Session, names: &Names, tables: &[&str]) -> Result<(), VerbError> {
    let fence = name(&names.fence());
    session.change(&format!("CREATE DATABASE IF NOT EXISTS {fence} CHARACTER SET utf8mb4 COLLATE utf8mb4_bin")).await?;
    for table in tables {
        let columns = match *table {
            ACCOUNTS => "account VARCHAR(320) PRIMARY KEY",
            _ => "event VARCHAR(64) PRIMARY KEY, definer VARCHAR(500) NOT NULL",
        };
        session.change(&format!("CREATE TABLE IF NOT EXISTS {fence}.{table} ({columns}) ENGINE=InnoDB")).await?;
    }
    Ok(())
}

/// The accounts that can connect and may do something with the database, but our own and the server's.
async fn to_lock(session: &mut Session, database: &str) -> Result<BTreeSet<String>, VerbError> {
    let open = match session.flavour {
        Flavour::MariaDb => {
            "SELECT User, Host FROM mysql.global_priv WHERE COALESCE(JSON_VALUE(Priv, '$.account_locked'), 0) = 0 \
             AND COALESCE(JSON_VALUE(Priv, '$.is_role'), 0) = 0"
        }
        Flavour::MySql => "SELECT User, Host FROM mysql.user WHERE account_locked = 'N'",
    };
    let open = grants::texts(session.rows(open).await?);
    let with_rights = accounts(session, database).await?;
    let names = open.iter().filter(|row| !is_the_servers(&row[0])).map(|row| format!("'{}'@'{}'", row[0], row[1]));
    let may = |account: &String| with_rights.contains(account) || with_rights.contains(EVERYBODY);
    Ok(names.filter(|account| *account != session.account && may(account)).collect())
}

fn is_the_servers(user: &str) -> bool {
    user.starts_with("mysql.") || ["mariadb.sys", "debian-sys-maint"].contains(&user)
}

/// Ends the connections of locked accounts, and those that our own account has to the database beside ours.
async fn end_writers(work: &Work<'_>, session: &mut Session, locked: &BTreeSet<String>) -> Result<(), VerbError> {
    let users: BTreeSet<&str> = locked.iter().filter_map(|account| account.split('\'').nth(1)).collect();
    let own = session.account.split('\'').nth(1).unwrap_or_default().to_owned();
    let mut ours = own_ids(session, &work.way).await?;
    ours.insert(session.id.clone());
    end_until_gone(session, |connection| {
        let locked = users.contains(connection.user.as_str()) && connection.user != own;
        let same = connection.user == own && connection.database.as_deref() == Some(&work.names.live);
        (locked || same) && !ours.contains(&connection.id)
    })
    .await
}

/// Ends the connections that have this database as their default one.
pub async fn end_users(session: &mut Session, database: &str) -> Result<(), VerbError> {
    let own = session.id.clone();
    session.set("USE information_schema").await?;
    end_until_gone(session, |connection| connection.database.as_deref() == Some(database) && connection.id != own).await
}

/// Ends the connections of an interrupted step.
pub async fn end_step(way: &Way) -> Result<(), VerbError> {
    let mut last = VerbError::Timeout;
    for _ in 0..SERVER_TRIES {
        let ended = async {
            let mut session = Session::connect(way).await?;
            for _ in 0..END_TRIES {
                let left = own_ids(&mut session, way).await?;
                if left.is_empty() {
                    return Ok(());
                }
                for id in left {
                    kill(&mut session, &id).await?;
                }
                tokio::time::sleep(POLL).await;
            }
            Err(VerbError::Timeout)
        };
        match ended.await {
            Ok(()) => return Ok(()),
            Err(error) if error.retryable() => last = error,
            Err(error) => return Err(error),
        }
        tokio::time::sleep(BETWEEN_TRIES).await;
    }
    Err(last)
}

/// The connections that hold a lock of the step.
pub async fn own_ids(session: &mut Session, way: &Way) -> Result<BTreeSet<String>, VerbError> {
    let asked: Vec<String> = (0..LOCKS).map(|number| format!("IS_USED_LOCK({})", quoted(&way.lock(number)))).collect();
    Ok(session.row(&format!("SELECT {}", asked.join(", "))).await?.into_iter().flatten().collect())
}

pub struct Connection {
    pub id: String,
    pub user: String,
    pub database: Option<String>,
    pub command: String,
    pub state: String,
}

pub async fn connections(session: &mut Session) -> Result<Vec<Connection>, VerbError> {
    let rows = session.rows("SHOW FULL PROCESSLIST").await?;
    let of = |row: Vec<Option<String>>| {
        let mut texts = row.into_iter();
        let mut next = || texts.next().flatten();
        let (id, user, _, database) = (next()?, next()?, next(), next());
        let (command, _, state) = (next().unwrap_or_default(), next(), next().unwrap_or_default());
        Some(Connection { id, user, database, command, state })
    };
    Ok(rows.into_iter().filter_map(of).collect())
}

async fn end_until_gone(session: &mut Session, is_meant: impl Fn(&Connection) -> bool) -> Result<(), VerbError> {
    for _ in 0..END_TRIES {
        let meant: Vec<Connection> = connections(session).await?.into_iter().filter(&is_meant).collect();
        if meant.is_empty() {
            return Ok(());
        }
        for connection in meant.iter().filter(|connection| connection.command != "Killed") {
            kill(session, &connection.id).await?;
        }
        tokio::time::sleep(POLL).await;
    }
    Err(VerbError::Conflict("a connection that was told to end goes on".into()))
}

/// One that has ended by itself is no error.
async fn kill(session: &mut Session, id: &str) -> Result<(), VerbError> {
    match session.set(&format!("KILL {id}")).await {
        Err(VerbError::Other(failure)) if failure.code == "sql-1094" => Ok(()),
        outcome => outcome,
    }
}
