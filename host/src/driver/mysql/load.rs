//! Makes saved tables in a database that has none of them, over several connections at once: tables first, then rows,
//! then the keys that nothing needs before.

use super::Work;
use super::session::{Session, name};
use super::shape::Table;
use super::tables::{self, Steps};
use crate::driver::server::stream::Progress;
use crate::model::VerbError;
use bytes::Bytes;
use futures::future::try_join_all;
use std::collections::VecDeque;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Mutex;
use tokio::sync::mpsc;

/// Files that are read ahead.
const AHEAD: usize = 1;
/// In a database that is being built: that the server took no rows from clients before.
pub const ASKED: &str = "_upgraded_local_infile";
/// As what was saved has it: dates that there are not, zeros, and values that a stricter server would refuse.
const MODE: &str = "SET SESSION foreign_key_checks = 0, sql_mode = 'NO_AUTO_VALUE_ON_ZERO,ALLOW_INVALID_DATES'";

pub async fn load(work: &Work<'_>, database: &str, wanted: &[Table], artifacts: &[String]) -> Result<(), VerbError> {
    let needed = tables::needed(wanted);
    let steps: Vec<Steps<'_>> = wanted.iter().map(|table| tables::steps(table, &needed)).collect();
    let mut session = open(work, database).await?;
    for step in &steps {
        session.change(&step.first).await?;
    }
    take_rows_from_clients(&mut session, database).await?;
    let lanes = artifacts.iter().map(|artifact| rows(work, database, wanted, artifact));
    try_join_all(lanes).await?;
    take_no_rows_from_clients(&mut session, database).await?;
    let later = wanted.iter().zip(&steps).filter(|(_, steps)| !steps.later.is_empty());
    let later = Mutex::new(later.collect::<VecDeque<_>>());
    let lanes = artifacts.iter().map(|_| async {
        let mut session = open(work, database).await?;
        loop {
            let next = later.lock().expect("no panic holds this lock").pop_front();
            let Some((table, steps)) = next else { return Ok::<_, VerbError>(()) };
            let keys: Vec<String> = steps.later.iter().map(|key| format!("ADD {key}")).collect();
            session.change(&format!("ALTER TABLE {} {}", name(&table.name), keys.join(", "))).await?;
        }
    });
    try_join_all(lanes).await.map(drop)
}

pub async fn open(work: &Work<'_>, database: &str) -> Result<Session, VerbError> {
    let mut session = work.session().await?;
    session.set(&format!("USE {}", name(database))).await?;
    session.set(MODE).await?;
    Ok(session)
}

/// One artifact's rows, file by file.
async fn rows(work: &Work<'_>, database: &str, wanted: &[Table], artifact: &str) -> Result<(), VerbError> {
    let mut session = open(work, database).await?;
    let (vault, key, activity) = (work.driver.vault.clone(), artifact.to_owned(), work.cx.activity.clone());
    let (send, mut receive) = mpsc::channel(AHEAD);
    let reading = work.driver.tasks.spawn_blocking(move || {
        let size = vault.find(&key).map_err(|error| VerbError::NotFound(error.to_string()))?.size_bytes;
        let bytes = vault.open_artifact(&key).map_err(|error| VerbError::other("vault", error.to_string()))?;
        let progress = Progress::new(&activity, Some(size), "restored");
        files(bytes, progress, &send).map_err(|error| VerbError::other("vault", format!("`{key}`: {error}")))
    });
    while let Some((number, lines)) = receive.recv().await {
        if work.cx.activity.cancelled() {
            return Err(VerbError::Cancelled);
        }
        let table = wanted.get(number).ok_or_else(|| VerbError::other("rows", "they are of no table"))?;
        load_file(&mut session, table, lines).await?;
    }
    reading.await.map_err(|error| VerbError::other("vault", format!("reading broke: {error}")))?
}

/// Tells each file's table and lines; to the archive's end, where its digest is checked.
fn files(bytes: impl Read, mut progress: Progress, send: &mpsc::Sender<(usize, Bytes)>) -> io::Result<()> {
    let mut archive = tar::Archive::new(bytes);
    for entry in archive.entries()? {
        let mut entry = entry?;
        let mut lines = Vec::with_capacity(usize::try_from(entry.size()).map_err(io::Error::other)?);
        let table = table_of(&entry.path()?).ok_or_else(|| io::Error::other("a file of an unknown name"))?;
        entry.read_to_end(&mut lines)?;
        progress.add(lines.len() as u64);
        if send.blocking_send((table, lines.into())).is_err() {
            return Ok(());
        }
    }
    io::copy(&mut archive.into_inner(), &mut io::sink()).map(drop)
}

fn table_of(path: &Path) -> Option<usize> {
    path.to_str()?.split('.').next()?.parse::<usize>().ok()?.checked_sub(1)
}

async fn load_file(session: &mut Session, table: &Table, lines: Bytes) -> Result<(), VerbError> {
    let into = name(&table.name);
    // Only a statement with values sets where a sequence is.
    if table.is_sequence() {
        let values = String::from_utf8_lossy(&lines).trim_end().replace('\t', ", ");
        return session.change(&format!("INSERT INTO {into} VALUES ({values})")).await;
    }
    session.load(&tables::load(&into, table, "rows"), lines).await
}

/// A server that takes no rows from clients is told to, for a while; the database that is being built remembers it.
async fn take_rows_from_clients(session: &mut Session, database: &str) -> Result<(), VerbError> {
    if session.text("SELECT @@GLOBAL.local_infile").await? == "1" {
        return Ok(());
    }
    session.change(&format!("CREATE TABLE {}.{ASKED} (x INT PRIMARY KEY) ENGINE=InnoDB", name(database))).await?;
    session.change("SET GLOBAL local_infile = 1").await
}

/// Gives back what was asked for, in this try or in one that was cut off.
pub async fn take_no_rows_from_clients(session: &mut Session, database: &str) -> Result<(), VerbError> {
    if !session.has_table(database, ASKED).await? {
        return Ok(());
    }
    session.change("SET GLOBAL local_infile = 0").await?;
    session.change(&format!("DROP TABLE {}.{ASKED}", name(database))).await
}
