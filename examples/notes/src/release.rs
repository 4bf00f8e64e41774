//! A release as it lies in the repository: `release.toml` and `migrations/`. Releases of this product differ in these
//! alone and share one program: compiling each would take minutes. The switches under `[behaviour]` are what in a real
//! product would be somebody's mistake.

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use std::fs;
use std::path::{Path, PathBuf};

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Release {
    pub version: String,
    /// The schema that this release reads and writes; it refuses every other.
    pub schema: u32,
    /// Keys of `notes.toml` without which it doesn't start.
    #[serde(default)]
    pub requires: Vec<String>,
    #[serde(default)]
    pub behaviour: Behaviour,
    #[serde(skip)]
    folder: PathBuf,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct Behaviour {
    pub start: Start,
    /// `serve` migrates by itself before it listens.
    pub migrates_at_start: bool,
    /// Rewrites uploads at start, and halves them.
    pub damages_uploads: bool,
    /// Tidies uploads away at start, and leaves every second one.
    pub loses_uploads: bool,
    /// Between the statements of a migration.
    pub migration_pause_ms: u64,
    /// A migration says nothing until it is done.
    pub migration_silent: bool,
    /// The number of the statement that a migration fails at, from 1.
    pub migration_fails_at: Option<usize>,
    /// A migration writes files until there is no space left.
    pub migration_fills_disk: bool,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Start {
    #[default]
    Serve,
    Crash,
    Hang,
}

/// One file of `migrations/`, for example `0002-words.sql`.
#[derive(Debug, Clone)]
pub struct Migration {
    pub to: u32,
    pub statements: Vec<String>,
}

impl Release {
    /// Resolves links first: a process keeps the release that it began with.
    pub fn read(folder: &Path) -> Result<Self> {
        let folder = folder.canonicalize().with_context(|| format!("the release `{}`", folder.display()))?;
        let file = folder.join("release.toml");
        let text = fs::read_to_string(&file).with_context(|| format!("`{}`", file.display()))?;
        let release: Self = toml::from_str(&text).with_context(|| format!("`{}`", file.display()))?;
        Ok(Self { folder, ..release })
    }

    /// Ordered by the schema that each leads to.
    pub fn migrations(&self) -> Result<Vec<Migration>> {
        let folder = self.folder.join("migrations");
        let mut migrations = Vec::new();
        for entry in fs::read_dir(&folder).with_context(|| format!("`{}`", folder.display()))? {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let Some((number, _)) = name.split_once('-') else { bail!("`{name}` is not called like `0002-what.sql`") };
            let to = number.parse().with_context(|| format!("`{name}` does not begin with a number"))?;
            let text = fs::read_to_string(&path).with_context(|| format!("`{}`", path.display()))?;
            migrations.push(Migration { to, statements: statements(&text) });
        }
        migrations.sort_by_key(|migration| migration.to);
        Ok(migrations)
    }
}

/// A statement ends with a semicolon at the end of a line.
fn statements(text: &str) -> Vec<String> {
    text.split(";\n").map(str::trim).filter(|statement| !statement.is_empty()).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_ends_with_its_line() {
        assert_eq!(statements("SELECT ';x';\nSELECT\n 2;\n\n"), ["SELECT ';x'", "SELECT\n 2"]);
    }
}
