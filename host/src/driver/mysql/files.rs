//! The files in which the engine keeps a database's tables, where the server's data lies on this machine.

use super::Work;
use super::session::{Session, name, quoted};
use super::shape::Table;
use crate::driver::beside;
use crate::driver::beside::work::{self, At, Pulse};
use crate::driver::server::on_the_machine;
use crate::driver::trees::copy::{copy_file, properties_of, settle};
use crate::model::VerbError;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

const DATA: &str = "ibd";
/// What an export writes beside them, and an import reads.
const DESCRIPTION: &str = "cfg";
/// The server's error: the database's folder has files of somebody else's.
const NOT_EMPTY: &str = "sql-1010";
/// In a definition: what the engine keeps elsewhere, in several files, or does not export.
const NOT_EXPORTED: [&str; 5] = ["FULLTEXT ", "PARTITION BY ", "DATA DIRECTORY", "ENCRYPT", "TABLESPACE"];

/// Of a database and of the one beside it that becomes its copy.
#[derive(Clone)]
pub struct Files {
    from: PathBuf,
    to: PathBuf,
}

impl Files {
    /// None where the data lies elsewhere, or its copies would not be the server's alone to know of.
    pub async fn of(work: &Work<'_>, session: &mut Session, beside: &str) -> Result<Option<Self>, VerbError> {
        let live = work.names.live.as_str();
        if !live.is_ascii() || is_replicated(session).await? {
            return Ok(None);
        }
        let (from, to) = (folder_of(work, session, live).await?, folder_of(work, session, beside).await?);
        let files = from.zip(to).map(|(from, to)| Self { from, to });
        Ok(files.filter(|files| files.from.is_dir() && files.to.is_dir()))
    }

    /// Whether the table has a file of its own that can be taken in by the copy.
    pub fn has(&self, table: &Table) -> bool {
        let refused = NOT_EXPORTED.iter().any(|words| table.statement.contains(words));
        let own = table.engine == "InnoDB" && table.name.is_ascii() && !table.is_sequence() && !refused;
        own && file(&self.from, &table.name, DATA).is_file()
    }

    pub fn bytes(&self, tables: &[&Table]) -> u64 {
        let size = |table: &&Table| fs::metadata(file(&self.from, &table.name, DATA)).map_or(0, |found| found.len());
        tables.iter().map(size).sum()
    }

    pub fn folder(&self) -> &Path {
        &self.to
    }

    /// While the server keeps the tables still, and the copy's have no files.
    pub async fn copy(&self, work: &Work<'_>, tables: &[&Table]) -> Result<(), VerbError> {
        let (files, names): (Self, Vec<String>) =
            (self.clone(), tables.iter().map(|table| table.name.clone()).collect());
        work::run(work.cx, self.to.clone(), move |pulse| {
            let mut done_bytes = 0;
            for name in &names {
                for kind in [DATA, DESCRIPTION] {
                    let (from, to) = (file(&files.from, name, kind), file(&files.to, name, kind));
                    beside::remove(&to)?;
                    done_bytes += copy(&from, &to, done_bytes, pulse)?;
                }
            }
            Ok(())
        })
        .await
    }

    /// Whatever the server does not know of there.
    pub async fn tidy(&self, work: &Work<'_>) -> Result<(), VerbError> {
        remove_all(work, self.to.clone(), &[DESCRIPTION]).await
    }
}

/// Drops a database with files that the server does not know. MariaDB refuses to; MySQL says that it is gone, leaves them, and
/// makes none of that name again.
pub async fn drop_with_strays(work: &Work<'_>, session: &mut Session, database: &str) -> Result<(), VerbError> {
    let sql = format!("DROP DATABASE IF EXISTS {}", name(database));
    match session.change(&sql).await {
        Err(VerbError::Other(failure)) if failure.code == NOT_EMPTY => {
            drop_tables(session, database).await?;
            remove_strays(work, session, database).await?;
            session.change(&sql).await
        }
        Err(error) => Err(error),
        Ok(()) => remove_strays(work, session, database).await,
    }
}

pub async fn remove_strays(work: &Work<'_>, session: &mut Session, database: &str) -> Result<(), VerbError> {
    let Some(folder) = folder_of(work, session, database).await? else { return Ok(()) };
    remove_all(work, folder.clone(), &[DATA, DESCRIPTION]).await?;
    match fs::remove_dir(&folder) {
        Err(error) if !is_not_ours(&error) => Err(error).at("removing", &folder),
        _ => Ok(()),
    }
}

/// Gone, or of a server whose files the daemon's account does not reach: then no copy was made there.
fn is_not_ours(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied)
}

async fn drop_tables(session: &mut Session, database: &str) -> Result<(), VerbError> {
    session.set("SET SESSION foreign_key_checks = 0").await?;
    let sql = "SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA = ";
    for table in session.list(&format!("{sql}{}", quoted(database))).await? {
        session.change(&format!("DROP TABLE IF EXISTS {}.{}", name(database), name(&table))).await?;
    }
    session.set("SET SESSION foreign_key_checks = 1").await
}

/// On this machine, where the server's container has it from there. At an address there may be another server than the one
/// whose data lies at that path here.
async fn folder_of(work: &Work<'_>, session: &mut Session, database: &str) -> Result<Option<PathBuf>, VerbError> {
    let Some(container) = &work.located.container else { return Ok(None) };
    let folder = PathBuf::from(session.text("SELECT @@datadir").await?);
    Ok(on_the_machine(container, &folder).map(|folder| folder.join(in_the_engine(database))))
}

/// As the engine writes a name, and ASCII alone as the file system has it.
pub fn in_the_engine(name: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || !c.is_ascii();
    name.chars().map(|c| if plain(c) { c.to_string() } else { format!("@{:04x}", c as u32) }).collect()
}

fn file(folder: &Path, table: &str, kind: &str) -> PathBuf {
    folder.join(format!("{}.{kind}", in_the_engine(table)))
}

/// How many bytes it has.
fn copy(from: &Path, to: &Path, done_bytes: u64, pulse: &Pulse) -> Result<u64, VerbError> {
    let properties = properties_of(from)?;
    let Some(bytes) = copy_file(from, to, done_bytes, pulse)? else {
        return Err(VerbError::Conflict(format!("`{}` went while it was copied", from.display())));
    };
    settle(to, &properties, false)?;
    Ok(bytes)
}

async fn remove_all(work: &Work<'_>, folder: PathBuf, kinds: &'static [&str]) -> Result<(), VerbError> {
    work::run(work.cx, folder.clone(), move |_| {
        let entries = match fs::read_dir(&folder) {
            Err(error) if is_not_ours(&error) => return Ok(()),
            entries => entries.at("reading", &folder)?,
        };
        for entry in entries {
            let path = entry.at("reading", &folder)?.path();
            if path.extension().and_then(|kind| kind.to_str()).is_some_and(|kind| kinds.contains(&kind)) {
                beside::remove(&path)?;
            }
        }
        Ok(())
    })
    .await
}

/// Others repeat what this server is told, and would not find the files.
async fn is_replicated(session: &mut Session) -> Result<bool, VerbError> {
    let clusters = "SHOW GLOBAL VARIABLES WHERE (Variable_name = 'wsrep_on' AND Value = 'ON') \
                    OR (Variable_name = 'group_replication_group_name' AND Value <> '')";
    if !session.rows(clusters).await?.is_empty() {
        return Ok(true);
    }
    let connections = super::fence::connections(session).await?;
    Ok(connections.iter().any(|connection| connection.command.starts_with("Binlog Dump")))
}
