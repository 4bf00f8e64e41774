//! A copy of the database in moments, in a database beside it on the same server.
//!
//! The server keeps the tables still and writes down what their files are made of (`FLUSH TABLES … FOR EXPORT`); the files
//! are copied, by sharing their blocks where the file system can, and the tables of the database beside take them in, with
//! their keys. A table that can't be exported is copied row by row, as long as all of these are small. What the copy holds
//! is held against what is live before it counts. It looks like what a restore sets aside, and is put in place as that is.

use super::Work;
use super::definitions::Definitions;
use super::files::Files;
use super::manifest::{self, Content};
use super::restore::{self, NOTES, Notes};
use super::session::{Session, name};
use super::shape::{Shape, Table};
use super::{fence, load};
use crate::activity::Level;
use crate::driver::durable::free_bytes;
use crate::model::VerbError;
use futures::future::try_join_all;
use std::collections::{BTreeSet, VecDeque};
use std::sync::Mutex;

/// Of all tables that are copied row by row: users wait.
const BY_ROWS_BYTES: u64 = 64 << 20;
/// Of all tables whose rows are digested while users wait, the smallest first.
const BRIEF_BYTES: u64 = 16 << 20;
/// Connections that take files in.
const IMPORTERS: usize = 2;
const ROOM_BYTES: u64 = 64 << 20;

/// False: it can't be copied in moments; the step's log says why.
pub async fn freeze(work: &Work<'_>) -> Result<bool, VerbError> {
    let mut session = work.session().await?;
    let aside = work.names.aside(&work.cx.step);
    if matches!(restore::notes(&mut session, &aside).await?, Some(Notes { done: true, .. })) {
        return Ok(true);
    }
    let enabled = fence::enabled(&mut session, &work.names).await?;
    let shape = work.shape(&mut session, &work.names.live, &enabled).await?;
    restore::drop_database(work, &mut session, &aside).await?;
    match copy(work, &mut session, &aside, &shape).await {
        Ok(()) => {
            let tables: BTreeSet<String> = shape.table_names().map(str::to_owned).collect();
            restore::write_notes(&mut session, &aside, &Definitions::from(shape), &tables).await?;
            restore::done(&mut session, &aside).await?;
            Ok(true)
        }
        Err(error) if leaves_no_copy(&error) => {
            work.cx.activity.line(Level::Info, format!("there is no copy of `{}` beside: {error}", work.names.live));
            restore::drop_database(work, &mut session, &aside).await?;
            Ok(false)
        }
        Err(error) => Err(error),
    }
}

/// What the copy that a step made holds, in brief.
pub async fn manifest(work: &Work<'_>, step: &str) -> Result<String, VerbError> {
    let mut session = work.session().await?;
    let (database, shape) = copy_of(work, &mut session, step).await?;
    let contents = brief(work, &mut session, &database, &shape.tables).await?;
    Ok(manifest::text(&shape, &contents))
}

/// The database of the copy that a step made, and its shape as it was when it was live.
pub async fn copy_of(work: &Work<'_>, session: &mut Session, step: &str) -> Result<(String, Shape), VerbError> {
    let database = work.names.aside(step);
    let definitions = match restore::notes(session, &database).await? {
        Some(Notes { definitions, done: true, .. }) => definitions,
        Some(_) => return Err(VerbError::Conflict(format!("`{database}` is of `{step}`, which was not finished"))),
        None => {
            return Err(VerbError::NotFound(format!("there is no copy of `{}` that `{step}` made", work.names.live)));
        }
    };
    let Definitions { charset, collation, objects, grants } = definitions;
    let mut tables = work.shape(session, &database, &BTreeSet::new()).await?.tables;
    tables.retain(|table| table.name != NOTES);
    Ok((database, Shape { charset, collation, tables, objects, grants }))
}

async fn copy(work: &Work<'_>, session: &mut Session, aside: &str, shape: &Shape) -> Result<(), VerbError> {
    restore::create_database(session, aside, &shape.charset, &shape.collation).await?;
    let files = Files::of(work, session, aside).await?;
    let has_file = |table: &&Table| files.as_ref().is_some_and(|files| files.has(table));
    let (by_file, by_rows): (Vec<&Table>, Vec<&Table>) = shape.tables.iter().partition(has_file);
    let bytes = |tables: &[&Table]| tables.iter().map(|table| table.bytes).sum::<u64>();
    if bytes(&by_rows) > BY_ROWS_BYTES {
        let largest = by_rows.iter().max_by_key(|table| table.bytes).map(|table| table.name.as_str());
        return Err(VerbError::Invalid(format!(
            "{} MiB of it can't be copied as files, `{}` among them",
            bytes(&by_rows) >> 20,
            largest.unwrap_or_default()
        )));
    }
    let message = format!("{} tables are copied as files, {} row by row", by_file.len(), by_rows.len());
    work.cx.activity.line(Level::Info, message);
    let mut making = load::open(work, aside).await?;
    for table in &shape.tables {
        making.change(&table.statement).await?;
    }
    if let Some(files) = files.filter(|_| !by_file.is_empty()) {
        has_room(&files, files.bytes(&by_file))?;
        for table in &by_file {
            making.change(&format!("ALTER TABLE {} DISCARD TABLESPACE", name(&table.name))).await?;
        }
        let mut keeping = work.session().await?;
        keeping.set(&format!("USE {}", name(&work.names.live))).await?;
        let names: Vec<String> = by_file.iter().map(|table| name(&table.name)).collect();
        keeping.set(&format!("FLUSH TABLES {} FOR EXPORT", names.join(", "))).await?;
        files.copy(work, &by_file).await?;
        copy_rows(work, &mut making, &by_rows).await?;
        keeping.set("UNLOCK TABLES").await?;
        import(work, aside, &by_file).await?;
        files.tidy(work).await?;
    } else {
        copy_rows(work, &mut making, &by_rows).await?;
    }
    let live = brief(work, session, &work.names.live, &shape.tables).await?;
    if brief(work, session, aside, &shape.tables).await? == live {
        return Ok(());
    }
    Err(VerbError::Conflict("it was written to while it was copied".into()))
}

async fn copy_rows(work: &Work<'_>, making: &mut Session, tables: &[&Table]) -> Result<(), VerbError> {
    for table in tables {
        let from = format!("{}.{}", name(&work.names.live), name(&table.name));
        if table.is_sequence() {
            let row = making.row(&format!("SELECT * FROM {from}")).await?;
            let values: Vec<String> = row.into_iter().flatten().collect();
            making.change(&format!("INSERT INTO {} VALUES ({})", name(&table.name), values.join(", "))).await?;
            continue;
        }
        let columns: Vec<String> = table.stored().map(|column| name(&column.name)).collect();
        let columns = columns.join(", ");
        let into = name(&table.name);
        making.change(&format!("INSERT INTO {into} ({columns}) SELECT {columns} FROM {from}")).await?;
        work.cx.activity.touch();
    }
    Ok(())
}

async fn import(work: &Work<'_>, aside: &str, tables: &[&Table]) -> Result<(), VerbError> {
    let mut largest_first = tables.to_vec();
    largest_first.sort_by_key(|table| std::cmp::Reverse(table.bytes));
    let left = Mutex::new(VecDeque::from(largest_first));
    let importers = (0..IMPORTERS).map(|_| async {
        let mut session = load::open(work, aside).await?;
        loop {
            let next = left.lock().expect("no panic holds this lock").pop_front();
            let Some(table) = next else { return Ok::<_, VerbError>(()) };
            session.change(&format!("ALTER TABLE {} IMPORT TABLESPACE", name(&table.name))).await?;
            work.cx.activity.touch();
        }
    });
    try_join_all(importers).await.map(drop)
}

/// Small tables whole; of large ones the rows are counted.
async fn brief(
    work: &Work<'_>, session: &mut Session, database: &str, tables: &[Table],
) -> Result<Vec<Content>, VerbError> {
    let mut by_size: Vec<&Table> = tables.iter().collect();
    by_size.sort_by_key(|table| table.bytes);
    let mut bytes = 0;
    let is_small = |table: &&Table| {
        bytes += table.bytes;
        bytes <= BRIEF_BYTES
    };
    let (small, large): (Vec<&Table>, Vec<&Table>) = by_size.into_iter().partition(is_small);
    let small: Vec<Table> = small.into_iter().cloned().collect();
    let mut contents = work.contents(session, database, &small).await?;
    for table in large {
        let sql = format!("SELECT COUNT(*) FROM {}.{}", name(database), name(&table.name));
        let rows = session.text(&sql).await?;
        let rows = rows.parse().map_err(|_| VerbError::other("rows", format!("`{rows}` is no number of rows")))?;
        contents.push(Content::counted(&table.name, rows));
    }
    Ok(contents)
}

fn has_room(files: &Files, bytes: u64) -> Result<(), VerbError> {
    match free_bytes(files.folder()) {
        Some(free) if free < bytes + ROOM_BYTES => Err(VerbError::Invalid(format!(
            "its tables have {} MiB, and `{}` has {} MiB free",
            bytes >> 20,
            files.folder().display(),
            free >> 20
        ))),
        _ => Ok(()),
    }
}

/// What another try would meet again: without a copy the final backup keeps users waiting instead.
fn leaves_no_copy(error: &VerbError) -> bool {
    match error {
        VerbError::Cancelled | VerbError::Timeout | VerbError::Unavailable(_) => false,
        VerbError::Other(failure) => failure.code.starts_with("sql-") || failure.code == "io",
        _ => true,
    }
}
