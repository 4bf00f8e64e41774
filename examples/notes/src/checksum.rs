//! What the product holds, in a few lines that can be compared: every row of every table, every byte of every upload.

use crate::data;
use crate::settings::Settings;
use anyhow::{Context, Result};
use rusqlite::types::ValueRef;
use sha2::{Digest, Sha256};
use std::fs;
use std::path::Path;

/// A line each: `rows of notes<TAB>count<TAB>sha256`, sorted.
pub fn lines(settings: &Settings) -> Result<Vec<String>> {
    let mut lines = rows(&settings.database())?;
    lines.extend(files(&settings.uploads())?);
    lines.sort();
    Ok(lines)
}

fn rows(database: &Path) -> Result<Vec<String>> {
    let connection = data::open(database)?;
    let mut schema =
        connection.prepare("SELECT name, sql FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")?;
    let tables: Vec<(String, String)> =
        schema.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<Result<_, _>>()?;
    let mut lines = Vec::new();
    for (table, sql) in tables {
        let mut digest = Sha256::new();
        digest.update(sql.as_bytes());
        let mut query = connection.prepare(&format!("SELECT * FROM \"{table}\" ORDER BY 1"))?;
        let width = query.column_count();
        let mut rows = query.query([])?;
        let mut count = 0;
        while let Some(row) = rows.next()? {
            count += 1;
            for column in 0..width {
                digest.update(bytes(row.get_ref(column)?));
                digest.update([0x1f]);
            }
        }
        lines.push(format!("rows of {table}\t{count}\t{}", data::hexadecimal(&digest.finalize())));
    }
    Ok(lines)
}

fn bytes(value: ValueRef) -> Vec<u8> {
    match value {
        ValueRef::Null => b"NULL".to_vec(),
        ValueRef::Integer(integer) => integer.to_string().into_bytes(),
        ValueRef::Real(real) => real.to_string().into_bytes(),
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => bytes.to_vec(),
    }
}

/// All of them as one line; names count as bytes do.
fn files(folder: &Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    if folder.is_dir() {
        for entry in fs::read_dir(folder).with_context(|| format!("`{}`", folder.display()))? {
            names.push(entry?.path());
        }
    }
    names.sort();
    let mut digest = Sha256::new();
    for path in &names {
        digest.update(path.file_name().unwrap_or_default().as_encoded_bytes());
        digest.update(fs::read(path).with_context(|| format!("`{}`", path.display()))?);
    }
    Ok(vec![format!("uploads\t{}\t{}", names.len(), data::hexadecimal(&digest.finalize()))])
}
