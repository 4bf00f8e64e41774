//! Changes the `version` of a deployment's file and nothing else: the one edit that the product makes for its operator.
//!
//! Pure but for [`set_version`]. Called by the command line's and the socket's `upgrade`, `retry` and `rollback`.

use super::file;
use std::io;
use std::path::Path;
use toml::de::{DeTable, DeValue};

const FILE_BYTES: u64 = 1024 * 1024;
const VERSION_BYTES: usize = 256;

#[derive(Debug, thiserror::Error)]
pub enum EditError {
    #[error("the file is not valid TOML: {0}")]
    Syntax(String),
    #[error("the file has no `version` at its top")]
    NoVersion,
    #[error("`version` must be a string, and is a table or an array")]
    NoValue,
    #[error(transparent)]
    Version(#[from] VersionError),
    #[error("the file is not UTF-8")]
    Encoding,
    #[error("the file was changed by somebody else meanwhile; nothing was written")]
    Raced,
    #[error("the file can't be read or written: {0}")]
    Io(#[from] io::Error),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum VersionError {
    #[error("the version is empty")]
    Empty,
    #[error("the version holds a space or a control character")]
    Character,
    #[error("the version is longer than 256 bytes")]
    Long,
}

/// What every version is: one word. Its form and order are the product's.
pub fn check_version(version: &str) -> Result<(), VersionError> {
    match version {
        "" => Err(VersionError::Empty),
        text if text.len() > VERSION_BYTES => Err(VersionError::Long),
        text if text.chars().any(is_unseen) => Err(VersionError::Character),
        _ => Ok(()),
    }
}

/// What a person can't see in a version: spaces, controls, marks of direction and of byte order.
fn is_unseen(c: char) -> bool {
    c.is_whitespace()
        || c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// A text of the file's top level, without the rest of the file being looked at.
pub fn line_of(text: &str, key: &str) -> Option<String> {
    Some(text.parse::<toml_edit::DocumentMut>().ok()?.get(key)?.as_str()?.to_owned())
}

/// Writes `version` into the file; whether it was another one before. Where the file is a symbolic link, the link stays
/// and the file that it names is replaced: a configuration's tool keeps its layout. Atomic and durable; mode and owner
/// stay, other hard links keep the old text.
pub fn set_version(path: &Path, version: &str) -> Result<bool, EditError> {
    let real = std::fs::canonicalize(path)?;
    let old = file::read_bounded(&real, FILE_BYTES)?;
    let text = std::str::from_utf8(&old).map_err(|_| EditError::Encoding)?;
    let new = with_version(text, version)?;
    if new == text {
        return Ok(false);
    }
    if std::fs::canonicalize(path)? != real || file::read_bounded(&real, FILE_BYTES)? != old {
        return Err(EditError::Raced);
    }
    file::replace(&real, new.as_bytes())?;
    Ok(true)
}

/// The text with another `version` at its top; every other byte is the same.
pub fn with_version(text: &str, version: &str) -> Result<String, EditError> {
    check_version(version)?;
    let root = DeTable::parse(text).map_err(|error| EditError::Syntax(error.message().to_owned()))?;
    let (_, value) = root.get_ref().iter().find(|(key, _)| key.get_ref() == "version").ok_or(EditError::NoVersion)?;
    let span = value.span();
    let new = match value.get_ref() {
        DeValue::Table(_) | DeValue::Array(_) => return Err(EditError::NoValue),
        DeValue::String(old) if old == version => return Ok(text.to_owned()),
        DeValue::String(_) => quoted_like(&text[span.clone()], version),
        DeValue::Integer(_) | DeValue::Float(_) | DeValue::Boolean(_) | DeValue::Datetime(_) => basic(version),
    };
    Ok([&text[..span.start], &new, &text[span.end..]].concat())
}

/// In the quotes that the old one stands in, where they can hold it.
fn quoted_like(old: &str, version: &str) -> String {
    match old {
        _ if old.starts_with("\"\"\"") => format!("\"\"\"{}\"\"\"", escaped(version)),
        _ if old.starts_with("'''") && !version.contains('\'') => format!("'''{version}'''"),
        _ if old.starts_with('\'') && !old.starts_with("''") && !version.contains('\'') => format!("'{version}'"),
        "''" if !version.contains('\'') => format!("'{version}'"),
        _ => basic(version),
    }
}

fn basic(version: &str) -> String {
    format!("\"{}\"", escaped(version))
}

/// A version has no control characters; these two are what else a basic string can't hold as it is.
fn escaped(version: &str) -> String {
    version.replace('\\', "\\\\").replace('"', "\\\"")
}

#[cfg(test)]
#[path = "edit_tests.rs"]
mod tests;
