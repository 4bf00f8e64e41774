//! The graph on the disk: `log`, a line for each record, and `snapshot`, which holds everything up to one of them. A
//! record is on the disk before anybody hears of it.

use crate::graph::{Graph, Played, Record, Refusal};
use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use std::fs::{self, File, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// Of the files.
const FORMAT: u32 = 1;
/// A snapshot is made after so many records.
const LOG_RECORDS: u64 = 2000;

pub struct Store {
    folder: PathBuf,
    log: File,
    pub graph: Graph,
    /// Of the last record.
    number: u64,
    in_log: u64,
    /// The log can't be written to any more.
    broken: bool,
}

#[derive(Serialize, Deserialize)]
struct Snapshot {
    format: u32,
    number: u64,
    graph: Graph,
}

#[derive(Serialize, Deserialize)]
struct Line {
    number: u64,
    record: Record,
}

/// What is read of a newer format than ours.
#[derive(Deserialize)]
struct Stamp {
    format: u32,
}

#[derive(Debug)]
pub enum WriteError {
    Refused(Refusal),
    Broken(String),
}

impl Store {
    pub fn open(folder: &Path) -> Result<Self> {
        fs::create_dir_all(folder).with_context(|| format!("`{}`", folder.display()))?;
        let snapshot = snapshot(folder)?;
        let path = folder.join("log");
        let mut log = OpenOptions::new().read(true).append(true).create(true).open(&path)?;
        let text = fs::read(&path)?;
        // The last line may be half a line: nobody was told of it.
        let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        log.set_len(whole as u64)?;
        log.seek(SeekFrom::End(0))?;
        let mut store = Self {
            folder: folder.to_owned(),
            log,
            graph: snapshot.graph,
            number: snapshot.number,
            in_log: 0,
            broken: false,
        };
        for line in text[..whole].split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            store.replay(line)?;
        }
        if !folder.join("snapshot").exists() {
            store.snapshot()?; // it says the format
        }
        Ok(store)
    }

    fn replay(&mut self, line: &[u8]) -> Result<()> {
        let Line { number, record } = serde_json::from_slice(line).context("a line of the log can't be read")?;
        // Lines that the snapshot has already: it was made, and the log not yet emptied.
        if number <= self.number {
            return Ok(());
        }
        if number != self.number + 1 || self.graph.play(&record).is_err() {
            bail!("the record {number} of the log does not follow {}", self.number);
        }
        (self.number, self.in_log) = (number, self.in_log + 1);
        Ok(())
    }

    /// Durable when it returns. A record that changes nothing is not written.
    pub fn write(&mut self, record: &Record) -> Result<(u64, bool), WriteError> {
        if self.broken {
            return Err(WriteError::Broken("the log can't be written; the database has to be started again".into()));
        }
        let mut tried = self.graph.clone();
        let played: Played = tried.play(record);
        let (id, changed) = played.map_err(WriteError::Refused)?;
        if changed {
            if let Err(error) = self.append(record) {
                self.broken = true;
                return Err(WriteError::Broken(format!("the log can't be written: {error}")));
            }
            self.graph = tried;
        }
        Ok((id, changed))
    }

    fn append(&mut self, record: &Record) -> Result<()> {
        let line = Line { number: self.number + 1, record: record.clone() };
        let mut text = serde_json::to_vec(&line)?;
        text.push(b'\n');
        self.log.write_all(&text)?;
        self.log.sync_data()?;
        (self.number, self.in_log) = (self.number + 1, self.in_log + 1);
        Ok(())
    }

    pub fn is_broken(&self) -> bool {
        self.broken
    }

    /// Makes the log short again.
    pub fn tidy(&mut self) -> Result<()> {
        if self.in_log < LOG_RECORDS { Ok(()) } else { self.snapshot() }
    }

    fn snapshot(&mut self) -> Result<()> {
        let snapshot = Snapshot { format: FORMAT, number: self.number, graph: self.graph.clone() };
        let beside = self.folder.join("snapshot.new");
        let mut file = File::create(&beside)?;
        file.write_all(&serde_json::to_vec(&snapshot)?)?;
        file.sync_all()?;
        fs::rename(&beside, self.folder.join("snapshot"))?;
        File::open(&self.folder)?.sync_all()?;
        self.log.set_len(0)?;
        self.log.sync_all()?;
        self.in_log = 0;
        Ok(())
    }
}

fn snapshot(folder: &Path) -> Result<Snapshot> {
    let path = folder.join("snapshot");
    if !path.exists() {
        return Ok(Snapshot { format: FORMAT, number: 0, graph: Graph::default() });
    }
    let text = fs::read(&path).with_context(|| format!("`{}`", path.display()))?;
    let Stamp { format } = serde_json::from_slice(&text).with_context(|| format!("`{}`", path.display()))?;
    if format > FORMAT {
        bail!(
            "`{}` has the format {format}, and this database reads up to {FORMAT}: start a newer one",
            folder.display()
        );
    }
    serde_json::from_slice(&text).with_context(|| format!("`{}`", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::Node;
    use serde_json::{Map, json};

    fn tag(name: &str) -> Record {
        let properties = Map::from_iter([("name".to_owned(), json!(name))]);
        Record::Create {
            node: Node { kind: "BuiltinTag".into(), properties, edges: Vec::new() },
            unique: Some("name".into()),
        }
    }

    fn with_three(folder: &Path) -> Store {
        let mut store = Store::open(folder).unwrap();
        for name in ["t1", "t2", "t3"] {
            store.write(&tag(name)).unwrap();
        }
        store
    }

    fn count(store: &Store) -> u64 {
        store.graph.export()["count"].as_u64().expect("a count")
    }

    #[test]
    fn what_was_written_is_there_after_the_log_and_after_the_snapshot() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = with_three(folder.path());
        assert!(matches!(store.write(&tag("t1")), Err(WriteError::Refused(Refusal::Conflict(_)))));
        let told = store.graph.export();
        assert_eq!(Store::open(folder.path()).unwrap().graph.export(), told);
        store.snapshot().unwrap();
        store.write(&tag("t4")).unwrap();
        assert_eq!(count(&Store::open(folder.path()).unwrap()), 4);
    }

    #[test]
    fn a_snapshot_before_the_log_was_emptied_counts_nothing_twice() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = with_three(folder.path());
        let log = fs::read(folder.path().join("log")).unwrap();
        store.snapshot().unwrap();
        fs::write(folder.path().join("log"), log).unwrap();
        assert_eq!(count(&Store::open(folder.path()).unwrap()), 3);
    }

    #[test]
    fn half_a_line_is_nothing_and_a_gap_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = Store::open(folder.path()).unwrap();
        store.write(&tag("t1")).unwrap();
        store.write(&tag("t2")).unwrap();
        let path = folder.path().join("log");
        let log = fs::read_to_string(&path).unwrap();
        fs::write(&path, &log[..log.len() - 5]).unwrap();
        let mut again = Store::open(folder.path()).unwrap();
        assert_eq!(count(&again), 1);
        again.write(&tag("t3")).unwrap();
        assert_eq!(count(&Store::open(folder.path()).unwrap()), 2);
        fs::write(&path, log.split_inclusive('\n').next_back().unwrap()).unwrap();
        let error = Store::open(folder.path()).err().unwrap().to_string();
        assert_eq!(error, "the record 2 of the log does not follow 0");
    }

    #[test]
    fn a_newer_format_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        drop(Store::open(folder.path()).unwrap());
        fs::write(folder.path().join("snapshot"), r#"{"format":2,"what":"ever"}"#).unwrap();
        let error = Store::open(folder.path()).err().unwrap().to_string();
        assert!(error.ends_with("has the format 2, and this database reads up to 1: start a newer one"), "{error}");
    }
}
