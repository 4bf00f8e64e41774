//! Puts a saved or set-aside database in the place of the live one.
//!
//! What comes is built, and compared, in a database beside the live one. The flip then moves all tables at once by one
//! `RENAME TABLE`: the live ones into the database that this step sets aside, the new ones to the live name. Everything
//! that is no table is made anew from its definition; those of what was set aside are kept with it. Each part looks at
//! what is there, so that a step that was cut off goes on where it was.

use super::Work;
use super::definitions::Definitions;
use super::session::{Session, name, quoted};
use super::shape::{self, Shape, Table};
use super::{fence, files, grants, load, manifest, tables};
use crate::activity::Level;
use crate::driver::trees::manifest::difference;
use crate::model::VerbError;
use crate::vault::MANIFEST_SUFFIX;
use std::collections::BTreeSet;

/// In a database that was set aside: its definitions, its tables, how far the flip is.
pub const NOTES: &str = "_upgraded_flip";

pub async fn put_back(work: &Work<'_>, artifacts: &[String]) -> Result<(), VerbError> {
    let [tables, definitions, rows @ ..] = artifacts else {
        return Err(VerbError::Invalid("a backup of this datastore has tables, definitions and rows".into()));
    };
    let read = |key: String| async move {
        let vault = work.driver.vault.clone();
        let reading = work.driver.tasks.spawn_blocking(move || vault.read_bytes(&key));
        let bytes = reading.await.map_err(|error| VerbError::other("vault", format!("reading broke: {error}")))?;
        let bytes = bytes.map_err(|error| VerbError::NotFound(error.to_string()))?;
        String::from_utf8(bytes).map_err(|_| VerbError::other("vault", "the artifact is not UTF-8"))
    };
    let wanted = Definitions::of_sql(&read(definitions.clone()).await?)?;
    let mut session = work.session().await?;
    let fresh = work.names.fresh(&work.cx.step);
    if notes(&mut session, &work.names.aside(&work.cx.step)).await?.is_none() {
        let expected = read(format!("{tables}{MANIFEST_SUFFIX}")).await?;
        let made = tables::of_sql(&read(tables.clone()).await?)?;
        build(work, &mut session, Saved { tables, made: &made, rows, wanted: &wanted, expected: &expected }).await?;
    }
    flip(work, &mut session, &fresh, &wanted).await
}

pub async fn swap(work: &Work<'_>, step: &str) -> Result<(), VerbError> {
    if step == work.cx.step {
        return Err(VerbError::Invalid(format!("`{step}` can't put its own copy in place")));
    }
    let mut session = work.session().await?;
    let source = work.names.aside(step);
    let own = notes(&mut session, &work.names.aside(&work.cx.step)).await?;
    let wanted = match (notes(&mut session, &source).await?, own) {
        (Some(Notes { definitions, done: true, .. }), _) => definitions,
        // The source goes once all is done.
        (None, Some(Notes { done: true, .. })) => return Ok(()),
        _ => return Err(VerbError::NotFound(format!("there is no copy of `{}` that `{step}` made", work.names.live))),
    };
    flip(work, &mut session, &source, &wanted).await
}

pub async fn discard(work: &Work<'_>, step: &str) -> Result<(), VerbError> {
    let mut session = work.session().await?;
    for database in [work.names.aside(step), work.names.fresh(step)] {
        drop_database(work, &mut session, &database).await?;
    }
    Ok(())
}

pub async fn drop_database(work: &Work<'_>, session: &mut Session, database: &str) -> Result<(), VerbError> {
    if !work.names.owns(database) {
        return Err(VerbError::Denied(format!("`{database}` is none of this datastore's databases")));
    }
    if !session.exists(database).await? {
        return files::remove_strays(work, session, database).await;
    }
    fence::end_users(session, database).await?;
    load::take_no_rows_from_clients(session, database).await?;
    files::drop_with_strays(work, session, database).await
}

struct Saved<'a> {
    tables: &'a str,
    made: &'a [Table],
    rows: &'a [String],
    wanted: &'a Definitions,
    expected: &'a str,
}

async fn build(work: &Work<'_>, session: &mut Session, saved: Saved<'_>) -> Result<(), VerbError> {
    let Saved { tables, made, rows, wanted, expected } = saved;
    let fresh = work.names.fresh(&work.cx.step);
    drop_database(work, session, &fresh).await?;
    create_database(session, &fresh, &wanted.charset, &wanted.collation).await?;
    load::load(work, &fresh, made, rows).await?;
    // All of it is made once, where it harms nobody if it can't be.
    shape::create(session, &fresh, &wanted.objects).await?;
    let enabled = wanted.enabled().map(|(event, _)| event.to_owned()).collect();
    let found = work.manifest_with(session, &fresh, &enabled).await?;
    let (expected, found) = (manifest::without_grants(expected), manifest::without_grants(&found));
    if found != expected {
        return Err(VerbError::other(
            "manifest-differs",
            format!("what was built from `{tables}` is not what was saved: {}", difference(&expected, &found)),
        ));
    }
    shape::drop_objects(session, &fresh).await
}

pub async fn create_database(
    session: &mut Session, database: &str, charset: &str, collation: &str,
) -> Result<(), VerbError> {
    let sql = format!("CREATE DATABASE IF NOT EXISTS {} CHARACTER SET {charset} COLLATE {collation}", name(database));
    session.change(&sql).await
}

/// The tables of `source` take the live name.
async fn flip(work: &Work<'_>, session: &mut Session, source: &str, wanted: &Definitions) -> Result<(), VerbError> {
    let (live, aside) = (work.names.live.as_str(), work.names.aside(&work.cx.step));
    let set_aside = match notes(session, &aside).await? {
        Some(Notes { done: true, .. }) => return drop_database(work, session, source).await,
        Some(notes) => notes.tables,
        None => keep_notes(work, session, &aside, wanted).await?,
    };
    create_database(session, live, &wanted.charset, &wanted.collation).await?;
    shape::drop_objects(session, live).await?;
    rename(session, live, &aside, source, &set_aside).await?;
    let Definitions { charset, collation, .. } = wanted;
    session.change(&format!("ALTER DATABASE {} CHARACTER SET {charset} COLLATE {collation}", name(live))).await?;
    shape::create(session, live, &wanted.objects).await?;
    for account in grants::apply(session, live, &wanted.grants).await? {
        work.cx
            .activity
            .line(Level::Warn, format!("the account {account} is gone, and its grants on `{live}` with it"));
    }
    fence::expect_events(work, session, wanted).await?;
    done(session, &aside).await?;
    drop_database(work, session, source).await
}

pub struct Notes {
    pub definitions: Definitions,
    pub tables: BTreeSet<String>,
    /// What stands beside is whole.
    pub done: bool,
}

/// None where nothing of the live database was touched yet.
pub async fn notes(session: &mut Session, aside: &str) -> Result<Option<Notes>, VerbError> {
    if !session.has_table(aside, NOTES).await? {
        return Ok(None);
    }
    let rows = session.rows(&format!("SELECT what, text FROM {}.{NOTES}", name(aside))).await?;
    let rows = grants::texts(rows);
    let text = |what: &str| rows.iter().find(|row| row[0] == what).map(|row| row[1].as_str());
    let (Some(definitions), Some(tables)) = (text("definitions"), text("tables")) else { return Ok(None) };
    let tables = serde_json::from_str(tables)
        .map_err(|error| VerbError::other("notes", format!("`{aside}`.`{NOTES}` can't be read: {error}")))?;
    Ok(Some(Notes { definitions: Definitions::of_sql(definitions)?, tables, done: text("done").is_some() }))
}

/// Notes what the live database is now, in one statement; the names of its tables.
async fn keep_notes(
    work: &Work<'_>, session: &mut Session, aside: &str, wanted: &Definitions,
) -> Result<BTreeSet<String>, VerbError> {
    drop_database(work, session, aside).await?;
    let enabled = fence::enabled(session, &work.names).await?;
    let (definitions, tables) = match Shape::read(session, &work.names.live, &enabled).await? {
        Some(shape) => {
            let tables = shape.table_names().map(str::to_owned).collect();
            (Definitions::from(shape), tables)
        }
        None => (Definitions { objects: Vec::new(), grants: BTreeSet::new(), ..wanted.clone() }, BTreeSet::new()),
    };
    create_database(session, aside, &definitions.charset, &definitions.collation).await?;
    write_notes(session, aside, &definitions, &tables).await?;
    Ok(tables)
}

/// In one statement.
pub async fn write_notes(
    session: &mut Session, aside: &str, definitions: &Definitions, tables: &BTreeSet<String>,
) -> Result<(), VerbError> {
    let table = format!("{}.{NOTES}", name(aside));
    let columns = "what VARCHAR(32) CHARACTER SET ascii PRIMARY KEY, text LONGTEXT CHARACTER SET utf8mb4";
    session.change(&format!("CREATE TABLE {table} ({columns}) ENGINE=InnoDB")).await?;
    let text = |value: &str| quoted(value);
    let listed = serde_json::to_string(tables).map_err(|error| VerbError::Invalid(error.to_string()))?;
    let rows = [("definitions", text(&definitions.to_sql()?)), ("tables", text(&listed))];
    let rows: Vec<String> = rows.iter().map(|(what, value)| format!("('{what}', {value})")).collect();
    session.change(&format!("INSERT INTO {table} VALUES {}", rows.join(", "))).await
}

/// What was noted is there.
pub async fn done(session: &mut Session, aside: &str) -> Result<(), VerbError> {
    session.change(&format!("REPLACE INTO {}.{NOTES} VALUES ('done', '1')", name(aside))).await
}

/// Also where a server without atomic statements was stopped in the midst of it: a live table that is not set aside yet
/// is the former one.
async fn rename(
    session: &mut Session, live: &str, aside: &str, source: &str, set_aside: &BTreeSet<String>,
) -> Result<(), VerbError> {
    let (gone, coming) = (tables_of(session, aside).await?, tables_of(session, source).await?);
    let to = |from: &str, to: &str, table: &str| {
        format!("{}.{table} TO {}.{table}", name(from), name(to), table = name(table))
    };
    let leave = set_aside.difference(&gone).map(|table| to(live, aside, table));
    let come = coming.iter().filter(|table| *table != NOTES).map(|table| to(source, live, table));
    let moves: Vec<String> = leave.chain(come).collect();
    if moves.is_empty() {
        return Ok(());
    }
    session.change(&format!("RENAME TABLE {}", moves.join(", "))).await.map_err(|error| match error {
        VerbError::Conflict(why) => {
            VerbError::Conflict(format!("somebody works with tables of `{live}`, and the flip waits for them: {why}"))
        }
        error => error,
    })
}

async fn tables_of(session: &mut Session, database: &str) -> Result<BTreeSet<String>, VerbError> {
    let sql = "SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_TYPE <> 'VIEW' AND TABLE_SCHEMA = ";
    Ok(session.list(&format!("{sql}{}", quoted(database))).await?.into_iter().collect())
}
