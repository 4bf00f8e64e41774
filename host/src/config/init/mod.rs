//! What `upgradectl init` writes: looks at a project's folder and proposes a deployment's file with comments.
//!
//! [`look`] only reads, runs nothing (a project's git configuration may name programs) and follows no link out;
//! [`propose`] is pure. No value of a secret is taken over.

mod client;
mod cluster;
mod git;
mod look;
mod project;
mod propose;
mod stack;
#[cfg(test)]
mod tests;

pub use look::look;
pub use propose::propose;
pub use stack::Stack;

use std::path::{Path, PathBuf};

/// Where the units of a machine lie; the first ones win.
pub const UNIT_FOLDERS: [&str; 4] =
    ["/etc/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system", "/etc/containers/systemd"];

/// What was found in a project's folder. Paths are relative to `directory` but where they say otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Absolute.
    pub directory: PathBuf,
    pub layout: Layout,
    pub repository: Option<Repository>,
    /// SQLite's, by their first bytes.
    pub databases: Vec<PathBuf>,
    /// Folders that look as if users' files were kept in them.
    pub uploads: Vec<PathBuf>,
    pub postgres: Option<Postgres>,
    /// systemd's, that mention the folder.
    pub units: Vec<String>,
    pub build: Option<Script>,
    pub migrate: Option<Script>,
    /// Where containers run it.
    pub stack: Option<Stack>,
    /// What else the folder is.
    pub others: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// `releases/` and a link `current`: as the platform `source` keeps it.
    Releases,
    /// A checkout that is run from where it lies.
    Checkout,
    Neither,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Repository {
    /// The remote `origin`, or the checkout itself; without an account.
    pub address: Option<String>,
    /// The commit that is checked out or active.
    pub commit: Option<String>,
    /// The tag that names that commit.
    pub tag: Option<String>,
    /// Every tag.
    pub tags: Vec<String>,
}

/// From an address like `postgres://user:…@host:5432/database`; the password stays where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Postgres {
    pub host: String,
    pub port: Option<u16>,
    pub user: Option<String>,
    pub database: String,
    pub has_password: bool,
    /// The variable and the file that said so.
    pub source: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Script {
    pub argv: Vec<String>,
    /// What said so.
    pub source: String,
}

/// A file's text where it is small and readable.
fn text_of(path: &Path) -> Option<String> {
    String::from_utf8(super::file::read_bounded(path, 1024 * 1024).ok()?).ok()
}
