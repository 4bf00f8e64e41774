//! The database and the uploads: opening, writing, and filling with something to lose.

use crate::settings::Settings;
use anyhow::{Context, Result, bail};
use rusqlite::{Connection, params};
use sha2::{Digest, Sha256};
use std::fs;
use std::path::Path;
use std::time::Duration;

/// Opens the database, or makes an empty one with schema 0.
pub fn open(path: &Path) -> Result<Connection> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).with_context(|| format!("`{}`", folder.display()))?;
    }
    let connection = Connection::open(path).with_context(|| format!("`{}`", path.display()))?;
    connection.busy_timeout(Duration::from_secs(5))?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    Ok(connection)
}

pub fn schema(connection: &Connection) -> Result<u32> {
    Ok(connection.pragma_query_value(None, "user_version", |row| row.get(0))?)
}

/// A note carries the digest of its text from the moment it is written, and a counter knows how many there are: a
/// client can tell from outside whether anything was lost.
pub fn write_note(connection: &Connection, title: &str, body: &str) -> Result<i64> {
    connection.execute(
        "INSERT INTO notes (title, body, digest) VALUES (?1, ?2, ?3)",
        params![title, body, digest(body.as_bytes())],
    )?;
    let id = connection.last_insert_rowid();
    connection.execute("UPDATE counters SET value = value + 1 WHERE name = 'notes'", [])?;
    Ok(id)
}

/// The file first: a row without its file would be a lie.
pub fn write_upload(connection: &Connection, uploads: &Path, name: &str, bytes: &[u8]) -> Result<()> {
    if name.is_empty() || name.starts_with('.') || name.contains('/') {
        bail!("`{name}` can't be an upload's name");
    }
    fs::create_dir_all(uploads).with_context(|| format!("`{}`", uploads.display()))?;
    let beside = uploads.join(format!(".{name}.new"));
    fs::write(&beside, bytes).with_context(|| format!("`{}`", beside.display()))?;
    fs::rename(&beside, uploads.join(name)).with_context(|| format!("the upload `{name}`"))?;
    connection.execute(
        "INSERT OR REPLACE INTO uploads (name, size, digest) VALUES (?1, ?2, ?3)",
        params![name, i64::try_from(bytes.len())?, digest(bytes)],
    )?;
    Ok(())
}

/// The same content at every call, so that two sites can be compared.
pub fn fill(settings: &Settings, notes: u32, uploads: u32, upload_bytes: usize) -> Result<()> {
    let mut connection = open(&settings.database())?;
    if schema(&connection)? == 0 {
        bail!("the database has no tables yet; `notes migrate` makes them");
    }
    let transaction = connection.transaction()?;
    for number in 1..=notes {
        let body = format!(
            "Note {number} was written when there was something to say, {} words ago, and it goes on for a while so \
             that a release which cuts it short is found out by whoever reads it to the end.",
            number * 7
        );
        write_note(&transaction, &format!("Note {number}"), &body)?;
    }
    for number in 1..=uploads {
        write_upload(
            &transaction,
            &settings.uploads(),
            &format!("picture-{number}.bin"),
            &noise(number, upload_bytes),
        )?;
    }
    transaction.commit()?;
    Ok(())
}

/// Bytes that don't compress, the same for the same seed.
fn noise(seed: u32, length: usize) -> Vec<u8> {
    let mut state = u64::from(seed) | 1 << 40;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    };
    std::iter::repeat_with(&mut next).take(length).collect()
}

pub fn digest(bytes: &[u8]) -> String {
    hexadecimal(&Sha256::digest(bytes))
}

pub fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
