//! The journal's tables.

use super::JournalError;
use rusqlite::Connection;
use std::path::Path;

/// The tables' format; events have [`crate::plan::PLAN_SCHEMA`].
const FORMAT: u32 = 1;

const TABLES: &str = "
CREATE TABLE IF NOT EXISTS runs (
  run INTEGER PRIMARY KEY AUTOINCREMENT, deployment TEXT NOT NULL, kind TEXT NOT NULL,
  source TEXT NOT NULL, target TEXT NOT NULL, started TEXT NOT NULL, ended TEXT, outcome TEXT) STRICT;
CREATE INDEX IF NOT EXISTS runs_of ON runs (deployment, run);
CREATE TABLE IF NOT EXISTS records (
  run INTEGER NOT NULL REFERENCES runs, number INTEGER NOT NULL, at TEXT NOT NULL, body TEXT NOT NULL,
  PRIMARY KEY (run, number)) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS refusals (
  deployment TEXT NOT NULL, source TEXT, target TEXT NOT NULL, why TEXT NOT NULL, at TEXT NOT NULL,
  UNIQUE (deployment, target, why)) STRICT;
CREATE TABLE IF NOT EXISTS quarantine (
  deployment TEXT PRIMARY KEY, version TEXT NOT NULL, run INTEGER NOT NULL, why TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS settled (
  deployment TEXT PRIMARY KEY, file_digest TEXT NOT NULL, version TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS copies (
  deployment TEXT NOT NULL, run INTEGER NOT NULL, binding TEXT NOT NULL, step TEXT NOT NULL, made TEXT NOT NULL,
  PRIMARY KEY (deployment, binding, step)) STRICT;
CREATE TABLE IF NOT EXISTS manifests (
  run INTEGER NOT NULL REFERENCES runs, digest TEXT NOT NULL, body BLOB NOT NULL,
  PRIMARY KEY (run, digest)) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS manifests_by_digest ON manifests (digest);
";

pub fn prepare(connection: &Connection, path: &Path) -> Result<(), JournalError> {
    let open = |source| JournalError::Open { path: path.into(), source };
    let found: u32 = connection.query_row("PRAGMA user_version", [], |row| row.get(0)).map_err(open)?;
    if found > FORMAT {
        return Err(JournalError::Newer { path: path.into(), found, ours: FORMAT });
    }
    let settings =
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA cache_size = -512;";
    connection.execute_batch(settings).map_err(open)?;
    if found < FORMAT {
        let tables = format!("BEGIN IMMEDIATE; {TABLES} PRAGMA user_version = {FORMAT}; COMMIT;");
        connection.execute_batch(&tables).map_err(open)?;
    }
    Ok(())
}
