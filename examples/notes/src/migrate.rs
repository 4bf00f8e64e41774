//! Brings the database to the schema of a release. Says how far it is, and goes on where it was cut off: each statement
//! and the note that it is done are one transaction.

use crate::data;
use crate::release::Release;
use crate::settings::Settings;
use anyhow::{Context, Result, bail};
use rusqlite::{Connection, OptionalExtension, TransactionBehavior};
use std::fs;
use std::io::Write;
use std::time::Duration;

const PROGRESS_TABLE: &str =
    "CREATE TABLE IF NOT EXISTS migration_progress (to_schema INTEGER PRIMARY KEY, done INTEGER NOT NULL)";

pub fn run(settings: &Settings, release: &Release) -> Result<()> {
    let mut connection = data::open(&settings.database())?;
    let found = data::schema(&connection)?;
    if found > release.schema {
        bail!("the database has schema {found}, release {} knows {} at most", release.version, release.schema);
    }
    let pending: Vec<_> = release.migrations()?.into_iter().filter(|migration| migration.to > found).collect();
    let total: usize = pending.iter().map(|migration| migration.statements.len()).sum();
    let mut number = 0;
    for migration in &pending {
        let done = statements_done(&connection, migration.to)?;
        let last = migration.statements.len();
        for (index, statement) in migration.statements.iter().enumerate() {
            number += 1;
            if index < done {
                continue;
            }
            behave(settings, release, number)?;
            let heading = statement.lines().next().unwrap_or_default();
            say(release, &format!("[migrate] {number}/{total} {heading}"));
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            transaction.execute_batch(statement).with_context(|| format!("statement {number}: {heading}"))?;
            if index + 1 < last {
                transaction.execute_batch(PROGRESS_TABLE)?;
                transaction.execute(
                    "INSERT OR REPLACE INTO migration_progress (to_schema, done) VALUES (?1, ?2)",
                    (migration.to, i64::try_from(index + 1)?),
                )?;
            } else {
                transaction.execute_batch("DROP TABLE IF EXISTS migration_progress")?;
                transaction.pragma_update(None, "user_version", migration.to)?;
            }
            transaction.commit()?;
        }
    }
    let reached = data::schema(&connection)?;
    if reached != release.schema {
        bail!("the migrations lead to schema {reached}, release {} needs {}", release.version, release.schema);
    }
    println!("[migrate] done: schema {reached}");
    Ok(())
}

fn statements_done(connection: &Connection, to: u32) -> Result<usize> {
    let table = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'migration_progress'";
    if connection.query_row(table, [], |_| Ok(())).optional()?.is_none() {
        return Ok(0);
    }
    let done: Option<u32> = connection
        .query_row("SELECT done FROM migration_progress WHERE to_schema = ?1", [to], |row| row.get(0))
        .optional()?;
    Ok(done.map_or(0, |done| done as usize))
}

fn behave(settings: &Settings, release: &Release, number: usize) -> Result<()> {
    let behaviour = &release.behaviour;
    std::thread::sleep(Duration::from_millis(behaviour.migration_pause_ms));
    if behaviour.migration_fills_disk {
        fill_disk(settings)?;
    }
    if behaviour.migration_fails_at == Some(number) {
        bail!("statement {number} meets a row that it did not expect");
    }
    Ok(())
}

/// Straight to the descriptor: a line that waits in a buffer is no progress.
fn say(release: &Release, line: &str) {
    if !release.behaviour.migration_silent {
        println!("{line}");
        // Whoever reads may be gone; the migration goes on.
        let _ = std::io::stdout().flush();
    }
}

fn fill_disk(settings: &Settings) -> Result<()> {
    const CHUNK: usize = 1 << 20;
    let folder = settings.uploads();
    fs::create_dir_all(&folder)?;
    let mut written = 0;
    let mut file = fs::File::create(folder.join("thumbnails.cache"))?;
    loop {
        if settings.quota_bytes.is_some_and(|quota| written >= quota) {
            bail!("No space left on device: the quota of {written} bytes is used up");
        }
        file.write_all(&[0x5a; CHUNK]).context("thumbnails")?;
        written += CHUNK as u64;
    }
}
