//! Frozen copies: made from the closed database, read behind a closed door, dropped. And the live database, read the same way.

use crate::facts::{Abilities, Database, Fence};
use crate::fence::{close, end_others};
use crate::manifest::{self, Extent};
use crate::names::Names;
use crate::note::Note;
use crate::properties::{Properties, copy_settings};
use crate::quote;
use crate::server::{Connection, Server};
use upgraded_sdk::{BackupRef, Error, Result};

/// False where the fence chose to do without: see [`crate::facts::Method`].
pub fn freeze(server: &impl Server, names: &Names) -> Result<bool> {
    let maintenance = server.connect(None)?;
    let live = Database::live(&maintenance, names)?;
    match live.fence {
        Fence::Limited => return Ok(false),
        Fence::Open => return Err(Error::conflict(format!("`{}` is not fenced", names.live))),
        Fence::Closed => {}
    }
    let copy = names.copy(&names.step);
    if Database::find(&maintenance, &copy)?.is_some() {
        return Ok(true);
    }
    let making = names.making();
    drop_database(&maintenance, &making)?;
    end_others(&maintenance, &names.live)?;
    let properties = Properties::read(&maintenance, &names.live)?;
    maintenance.execute(&template_copy(&maintenance, &making, names, &properties)?)?;
    let note = Note {
        upgraded_step: names.step.clone(),
        limit: properties.limit,
        comment: properties.comment.clone(),
        replaced_by: None,
    };
    let mut sql = copy_settings(&maintenance, &names.live, &making)?;
    sql.extend(properties.grant(&maintenance, &making)?);
    sql.extend(properties.label(&making));
    sql.push(format!("COMMENT ON DATABASE {} IS {}", quote::name(&making), quote::literal(&note.text())));
    sql.push(format!("ALTER DATABASE {} RENAME TO {}", quote::name(&making), quote::name(&copy)));
    maintenance.execute(&sql.join("; "))?;
    Ok(true)
}

/// Files are copied as they are: several times faster than through the log, and a checkpoint makes them durable.
fn template_copy(
    maintenance: &impl Connection, making: &str, names: &Names, properties: &Properties,
) -> Result<String> {
    let version: u32 = maintenance.value("SHOW server_version_num")?.parse().unwrap_or_default();
    // Before 15 there was no other way.
    let as_it_is = if version >= 150_000 {
        format!(" STRATEGY file_copy{}", collation_version(maintenance, &names.live)?)
    } else {
        String::new()
    };
    Ok(format!(
        "CREATE DATABASE {} OWNER {} TEMPLATE {}{as_it_is} ALLOW_CONNECTIONS false CONNECTION LIMIT 0",
        quote::name(making),
        quote::name(&properties.owner),
        quote::name(&names.live)
    ))
}

/// The system's libraries may have moved on since the database was made: the server copies it only where that is said.
fn collation_version(maintenance: &impl Connection, database: &str) -> Result<String> {
    let sql = format!("SELECT datcollversion FROM pg_database WHERE datname = {}", quote::literal(database));
    let version = maintenance.row(&sql)?.and_then(|row| row.into_iter().next()).flatten();
    Ok(version.map_or_else(String::new, |version| format!(" COLLATION_VERSION {}", quote::literal(&version))))
}

/// The archive and the manifest, from one snapshot.
pub fn backup(server: &impl Server, names: &Names, frozen: Option<&str>) -> Result<BackupRef> {
    reading(server, names, frozen, |database, connection| {
        in_snapshot(connection, || {
            let snapshot = connection.value("SELECT pg_export_snapshot()")?;
            let before = manifest::sequences(connection)?;
            let artifact = server.dump(database, &snapshot)?;
            let manifest = manifest::take(server, connection, database, Extent::Whole)?;
            let manifest = manifest::with_moved_sequences(&manifest, &before);
            Ok(BackupRef { artifacts: vec![artifact], manifest })
        })
    })
}

/// Of a copy in brief: users wait for it, and its backup, whose manifest is whole, does not keep them waiting.
pub fn manifest(server: &impl Server, names: &Names, frozen: Option<&str>) -> Result<String> {
    let extent = if frozen.is_some() { Extent::Brief } else { Extent::Whole };
    reading(server, names, frozen, |database, connection| {
        in_snapshot(connection, || manifest::take(server, connection, database, extent))
    })
}

/// Drops the copy, and what its step had begun to make; converges.
pub fn discard(server: &impl Server, names: &Names, frozen: &str) -> Result<()> {
    let maintenance = server.connect(None)?;
    [names.copy(frozen), names.making_of(frozen)].iter().try_for_each(|database| drop_database(&maintenance, database))
}

pub fn drop_database(maintenance: &impl Connection, database: &str) -> Result<()> {
    maintenance.execute(&format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", quote::name(database)))?;
    Ok(())
}

/// One snapshot for several statements.
pub fn in_snapshot<T>(connection: &impl Connection, work: impl FnOnce() -> Result<T>) -> Result<T> {
    connection.query("BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY")?;
    let answer = work()?;
    connection.query("COMMIT")?;
    Ok(answer)
}

/// Connected to the live database, or to a copy, which is open to nobody else that long where the host is a superuser.
fn reading<S: Server, T>(
    server: &S, names: &Names, frozen: Option<&str>, work: impl FnOnce(&str, &S::Connection) -> Result<T>,
) -> Result<T> {
    match frozen {
        None => work(&names.live, &server.connect(Some(&names.live))?),
        Some(step) => {
            let copy = names.copy(step);
            opened(server, names, &copy, |connection| work(&copy, connection))
        }
    }
}

/// Opens a closed copy for the time of `work`. A crash leaves it open; the next reader closes it.
pub fn opened<S: Server, T>(
    server: &S, names: &Names, copy: &str, work: impl FnOnce(&S::Connection) -> Result<T>,
) -> Result<T> {
    let maintenance = server.connect(None)?;
    let found = Database::find(&maintenance, copy)?;
    found.ok_or_else(|| Error::not_found(format!("there is no frozen copy `{copy}` of `{}`", names.live)))?;
    let superuser = Abilities::is_superuser(&maintenance)?;
    // The limit of 0 stays where we are let in all the same.
    let limit = if superuser { 0 } else { -1 };
    let name = quote::name(copy);
    maintenance.execute(&format!("ALTER DATABASE {name} ALLOW_CONNECTIONS true CONNECTION LIMIT {limit}"))?;
    let answer = server.connect(Some(copy)).and_then(|connection| work(&connection));
    let closed = close(&maintenance, copy);
    let answer = answer?;
    closed?;
    Ok(answer)
}
