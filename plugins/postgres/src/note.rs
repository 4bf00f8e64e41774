//! What is kept with a copy, as the comment of its database: comments move with a database when it is renamed.

use crate::quote;
use crate::server::Connection;
use serde::{Deserialize, Serialize};
use upgraded_sdk::Result;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Note {
    /// The step that made the copy.
    pub upgraded_step: String,
    /// The connection limit and the comment that it had, and has again when it is live.
    pub limit: i64,
    pub comment: Option<String>,
    /// Where this was set aside: what took its place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaced_by: Option<Replacement>,
}

/// The database that took the live name when this one was set aside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Replacement {
    pub oid: String,
    /// The step whose frozen copy it was; none: it came from a backup.
    pub frozen: Option<String>,
    /// As it was when it took the name ([`crate::evidence`]).
    pub evidence: Option<String>,
}

impl Note {
    pub fn text(&self) -> String {
        // A structure of strings and numbers always has a text.
        serde_json::to_string(self).unwrap_or_default()
    }
    /// None where the comment is not ours.
    pub fn read(comment: Option<&str>) -> Option<Self> {
        serde_json::from_str(comment?).ok()
    }
    pub fn of(maintenance: &impl Connection, database: &str) -> Result<Option<Self>> {
        let sql = format!(
            "SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = {}",
            quote::literal(database)
        );
        let comment = maintenance.row(&sql)?.and_then(|row| row.into_iter().next()).flatten();
        Ok(Self::read(comment.as_deref()))
    }
    /// Every copy of a database, by its name.
    pub fn all(maintenance: &impl Connection, prefix: &str) -> Result<Vec<(String, Self)>> {
        let sql = format!(
            "SELECT datname, shobj_description(oid, 'pg_database') FROM pg_database WHERE starts_with(datname, {})",
            quote::literal(prefix)
        );
        let rows = maintenance.query(&sql)?;
        let noted = rows.into_iter().filter_map(|mut row| {
            let note = Self::read(row.pop()?.as_deref())?;
            Some((row.pop()??, note))
        });
        Ok(noted.collect())
    }
}
