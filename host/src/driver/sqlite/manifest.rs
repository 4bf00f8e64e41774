//! What a database holds, as sorted lines: each object of its schema, and each table's row count with a digest of its rows
//! in any order. A virtual table counts through the tables that it keeps its data in.

use super::connect::{Of, begin_reading};
use crate::driver::beside::escape;
use crate::driver::beside::work::Pulse;
use crate::effect::hex;
use crate::model::VerbError;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, Row};
use sha2::{Digest, Sha256};
use std::path::Path;

/// `path` is for messages; everything is read in one transaction.
pub fn manifest(connection: &Connection, path: &Path, pulse: &Pulse) -> Result<String, VerbError> {
    begin_reading(connection, path, pulse)?;
    let lines = lines(connection, path, pulse);
    connection.execute_batch("ROLLBACK").of(path)?;
    let mut lines = lines?;
    lines.sort_unstable();
    Ok(lines.join("\n") + "\n")
}

/// Of a database that is not there.
pub fn of_nothing() -> String {
    "database\t0\tabsent\n".into()
}

fn lines(connection: &Connection, path: &Path, pulse: &Pulse) -> Result<Vec<String>, VerbError> {
    let mut lines = Vec::new();
    for pragma in ["user_version", "application_id", "encoding"] {
        let value =
            connection.query_row(&format!("PRAGMA {pragma}"), [], |row| Ok(text_of(row.get_ref(0)?))).of(path)?;
        lines.push(format!("pragma:{pragma}\t1\t{}", escape(&value)));
    }
    let mut tables = Vec::new();
    let mut schema = connection.prepare("SELECT type, name, tbl_name, sql FROM sqlite_schema").of(path)?;
    let mut rows = schema.query([]).of(path)?;
    while let Some(row) = rows.next().of(path)? {
        let field = |column: usize| row.get_ref(column).map(text_of).of(path);
        let (kind, name, table, sql) = (field(0)?, field(1)?, field(2)?, field(3)?);
        let digest = digest([&table[..], &sql[..]]);
        lines.push(format!("schema:{}:{}\t1\t{digest}", escape(&kind), escape(&name)));
        if kind == b"table" && !sql.to_ascii_uppercase().starts_with(b"CREATE VIRTUAL") {
            tables.push(name);
        }
    }
    for name in tables {
        // A name is text in every encoding that SQLite writes.
        let name = String::from_utf8_lossy(&name).into_owned();
        let (count, digest) = rows_of(connection, path, &name, pulse)?;
        lines.push(format!("table:{}\t{count}\t{digest}", escape(name.as_bytes())));
    }
    Ok(lines)
}

/// The number of rows, and the sum of their digests.
fn rows_of(connection: &Connection, path: &Path, table: &str, pulse: &Pulse) -> Result<(u64, String), VerbError> {
    let quoted = |name: &str| format!("\"{}\"", name.replace('"', "\"\""));
    let mut columns = connection.prepare("SELECT name FROM pragma_table_xinfo(?1) WHERE hidden IN (0, 3)").of(path)?;
    let names: Vec<String> =
        columns.query_map([table], |row| row.get(0)).of(path)?.collect::<rusqlite::Result<_>>().of(path)?;
    // Columns that are computed at each reading hold nothing.
    let list = names.iter().map(|name| quoted(name)).collect::<Vec<_>>().join(", ");
    let mut select = connection.prepare(&format!("SELECT {list} FROM main.{}", quoted(table))).of(path)?;
    let mut rows = select.query([]).of(path)?;
    let (mut count, mut sum) = (0_u64, [0_u128; 2]);
    while let Some(row) = rows.next().of(path)? {
        let digest = digest_of_row(row, names.len()).of(path)?;
        for (sum, half) in sum.iter_mut().zip(digest.chunks_exact(16)) {
            *sum = sum.wrapping_add(u128::from_le_bytes(half.try_into().expect("a half has 16 bytes")));
        }
        count += 1;
        if count.is_multiple_of(1000) {
            pulse.alive()?;
            pulse.progress(count, None, "rows", &format!("reading `{table}`"));
        }
    }
    let bytes: Vec<u8> = sum.iter().flat_map(|half| half.to_le_bytes()).collect();
    Ok((count, hex(&bytes)[..40].into()))
}

fn digest_of_row(row: &Row<'_>, columns: usize) -> rusqlite::Result<[u8; 32]> {
    let mut hasher = Sha256::new();
    for column in 0..columns {
        let mut put = |kind: u8, bytes: &[u8]| {
            hasher.update([kind]);
            hasher.update((bytes.len() as u64).to_le_bytes());
            hasher.update(bytes);
        };
        match row.get_ref(column)? {
            ValueRef::Null => put(0, b""),
            ValueRef::Integer(number) => put(1, &number.to_le_bytes()),
            ValueRef::Real(number) => put(2, &number.to_bits().to_le_bytes()),
            ValueRef::Text(bytes) => put(3, bytes),
            ValueRef::Blob(bytes) => put(4, bytes),
        }
    }
    Ok(hasher.finalize().into())
}

fn text_of(value: ValueRef<'_>) -> Vec<u8> {
    match value {
        ValueRef::Null => Vec::new(),
        ValueRef::Integer(number) => number.to_string().into_bytes(),
        ValueRef::Real(number) => number.to_string().into_bytes(),
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => bytes.to_vec(),
    }
}

fn digest(parts: [&[u8]; 2]) -> String {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update((part.len() as u64).to_le_bytes());
        hasher.update(part);
    }
    hex(&hasher.finalize())[..40].into()
}
