//! Reads all rows of a database over several connections at once.
//!
//! Large tables are cut by ranges of their primary key. Each lane takes the next part when it is done with one, and the
//! parts of one table stand far from each other, so that lanes seldom work on the same one.

use super::Work;
use super::manifest::Content;
use super::rows::{Tally, add_line};
use super::save;
use super::session::{Session, name, quoted};
use super::shape::Table;
use super::wire::{Tapped, Wire};
use crate::activity::Activity;
use crate::model::VerbError;
use std::cmp::Reverse;
use std::collections::{BTreeMap, VecDeque};
use std::io::{self, Cursor, Read};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use tar::{EntryType, Header};
use tokio_util::task::TaskTracker;

/// Of a table in one part: enough for the vault to find again what it has.
const PART_BYTES: u64 = 32 << 20;
const MOST_PARTS: u64 = 256;
/// Of the lines in one file of an archive: what is loaded in one transaction.
const FILE_BYTES: usize = 8 << 20;
const TAR_BLOCK: usize = 512;
/// Rows between two looks at whether the step is cancelled.
const LOOK_ROWS: u64 = 4096;

/// One for each processor, within reason.
fn count() -> usize {
    std::thread::available_parallelism().map_or(2, |count| count.get().clamp(2, 4))
}

/// Connections that read side by side.
pub struct Lanes(Vec<Tapped>);

impl Lanes {
    pub async fn open(work: &Work<'_>) -> Result<Self, VerbError> {
        let mut lanes = Vec::new();
        for _ in 0..count() {
            let mut lane = Tapped::open(&work.way).await?;
            // Each value in the bytes that the table has.
            lane.session.set("SET SESSION character_set_results = binary").await?;
            lanes.push(lane);
        }
        Ok(Self(lanes))
    }

    /// From here on they see the database as of now.
    pub async fn begin(&mut self) -> Result<(), VerbError> {
        for lane in &mut self.0 {
            save::begin(&mut lane.session).await?;
        }
        Ok(())
    }

    /// Reads every row; `work`, on a thread of its own, does something with each lane's.
    pub async fn read<T: Send + 'static>(
        self, rows: &Arc<Rows>, tasks: &TaskTracker,
        work: impl Fn(usize, Lane) -> Result<T, VerbError> + Clone + Send + 'static,
    ) -> Result<Vec<T>, VerbError> {
        let lanes = self.0.into_iter().enumerate().map(|(number, tapped)| {
            let (rows, work) = (rows.clone(), work.clone());
            async move {
                let (mut session, wire) = tapped.take().await?;
                let lane = Lane { rows, wire, part: None, tally: Tally::default(), files: 0 };
                let reading = tasks.spawn_blocking(move || work(number, lane));
                let read =
                    reading.await.map_err(|error| VerbError::other("rows", format!("reading broke: {error}")))?;
                session.rest();
                read
            }
        });
        futures::future::try_join_all(lanes).await
    }

    /// What there is of each table.
    pub async fn contents(self, work: &Work<'_>, rows: &Arc<Rows>) -> Result<Vec<Content>, VerbError> {
        self.read(rows, &work.driver.tasks, |_, mut lane| lane.count()).await?;
        Ok(rows.contents())
    }
}

/// What is to be read, and what came of it.
pub struct Rows {
    names: Vec<String>,
    parts: Mutex<VecDeque<Part>>,
    tallies: Mutex<Vec<Tally>>,
    activity: Activity,
    done_bytes: AtomicU64,
}

struct Part {
    table: usize,
    question: String,
}

impl Rows {
    pub async fn of(
        session: &mut Session, database: &str, tables: &[Table], activity: &Activity,
    ) -> Result<Arc<Self>, VerbError> {
        let mut parts = Vec::new();
        for (number, table) in tables.iter().enumerate() {
            for (order, range) in ranges(session, database, table).await?.into_iter().enumerate() {
                let question = format!("SELECT {} FROM {}.{}{range}", asked(table), name(database), name(&table.name));
                parts.push((order, Reverse(table.bytes), Part { table: number, question }));
            }
        }
        parts.sort_by_key(|(order, bytes, _)| (*order, *bytes));
        Ok(Arc::new(Self {
            names: tables.iter().map(|table| table.name.clone()).collect(),
            parts: Mutex::new(parts.into_iter().map(|(_, _, part)| part).collect()),
            tallies: Mutex::new(vec![Tally::default(); tables.len()]),
            activity: activity.clone(),
            done_bytes: AtomicU64::new(0),
        }))
    }

    pub fn contents(&self) -> Vec<Content> {
        let tallies = self.tallies.lock().expect("no panic holds this lock");
        let content = |(name, tally): (&String, &Tally)| Content {
            table: name.clone(),
            rows: tally.rows,
            digest: tally.digest(),
        };
        self.names.iter().zip(tallies.iter()).map(content).collect()
    }

    fn shows(&self, bytes: usize, message: &'static str) -> Result<(), VerbError> {
        let bytes = bytes as u64;
        let done = self.done_bytes.fetch_add(bytes, Ordering::Relaxed) + bytes;
        self.activity.progress(done, None, "bytes", message);
        if self.activity.cancelled() { Err(VerbError::Cancelled) } else { Ok(()) }
    }
}

/// The columns that hold something of their own; a FLOAT with all its digits.
fn asked(table: &Table) -> String {
    let columns: Vec<String> = table
        .stored()
        .map(|column| if column.kind == "float" { format!("{} * 1e0", name(&column.name)) } else { name(&column.name) })
        .collect();
    if columns.is_empty() { "''".into() } else { columns.join(", ") }
}

/// Conditions, each for a part of the table, and all together for every row that there may be.
async fn ranges(session: &mut Session, database: &str, table: &Table) -> Result<Vec<String>, VerbError> {
    let count = (table.bytes / PART_BYTES).min(MOST_PARTS);
    let (Some(key), 2..) = (&table.key, count) else { return Ok(vec![String::new()]) };
    let key = name(key);
    let sql = format!("SELECT MIN({key}), MAX({key}) FROM {}.{}", name(database), name(&table.name));
    let ends: Vec<i128> = session.row(&sql).await?.into_iter().flatten().filter_map(|end| end.parse().ok()).collect();
    let [least, most] = ends[..] else { return Ok(vec![String::new()]) };
    Ok(cut(&key, least, most, count.into()))
}

fn cut(key: &str, least: i128, most: i128, count: i128) -> Vec<String> {
    let mut at: Vec<i128> = (1..count).map(|part| least + (most - least + 1) * part / count).collect();
    at.dedup();
    let from = std::iter::once(None).chain(at.iter().map(Some));
    let to = at.iter().map(Some).chain([None]);
    from.zip(to)
        .map(|ends| match ends {
            (None, None) => String::new(),
            (None, Some(to)) => format!(" WHERE {key} < {to}"),
            (Some(from), None) => format!(" WHERE {key} >= {from}"),
            (Some(from), Some(to)) => format!(" WHERE {key} >= {from} AND {key} < {to}"),
        })
        .collect()
}

/// One connection's share. Blocking.
pub struct Lane {
    rows: Arc<Rows>,
    wire: Wire,
    part: Option<Part>,
    tally: Tally,
    files: u64,
}

impl Lane {
    pub fn count(&mut self) -> Result<(), VerbError> {
        while let Some(part) = self.next()? {
            let mut bytes = 0;
            while let Some(row) = self.wire.row()? {
                self.tally.add(row);
                bytes += row.len();
                if self.tally.rows.is_multiple_of(LOOK_ROWS) {
                    self.rows.shows(std::mem::take(&mut bytes), "read for the manifest")?;
                }
            }
            self.rows.shows(bytes, "read for the manifest")?;
            self.ends(&part);
        }
        Ok(())
    }

    /// A file of an archive: lines of one table, with the head before them. None after the last.
    fn file(&mut self) -> Result<Option<Vec<u8>>, VerbError> {
        while let Some(part) = self.next()? {
            let mut file = Vec::with_capacity(TAR_BLOCK + FILE_BYTES + (64 << 10));
            file.resize(TAR_BLOCK, 0);
            let mut ended = false;
            while file.len() < FILE_BYTES && !ended {
                match self.wire.row()? {
                    Some(row) => {
                        self.tally.add(row);
                        add_line(row, &mut file).ok_or_else(|| VerbError::other("rows", "a row can't be read"))?;
                    }
                    None => ended = true,
                }
            }
            self.rows.shows(file.len(), "saved")?;
            let table = part.table;
            if ended {
                self.ends(&part);
            } else {
                self.part = Some(part);
            }
            if file.len() > TAR_BLOCK {
                self.files += 1;
                seal(&mut file, &format!("{}.{:06}.tsv", table + 1, self.files))
                    .map_err(|error| VerbError::other("rows", error.to_string()))?;
                return Ok(Some(file));
            }
        }
        Ok(None)
    }

    /// The part that is under way, or the next one.
    fn next(&mut self) -> Result<Option<Part>, VerbError> {
        if let Some(part) = self.part.take() {
            return Ok(Some(part));
        }
        let next = self.rows.parts.lock().expect("no panic holds this lock").pop_front();
        if let Some(part) = &next {
            self.wire.query(&part.question)?;
        }
        Ok(next)
    }

    fn ends(&mut self, part: &Part) {
        let tally = std::mem::take(&mut self.tally);
        self.rows.tallies.lock().expect("no panic holds this lock")[part.table].merge(&tally);
    }
}

/// Writes the head before the lines, and fills the last block.
fn seal(file: &mut Vec<u8>, path: &str) -> io::Result<()> {
    let mut head = Header::new_ustar();
    head.set_path(path)?;
    head.set_entry_type(EntryType::Regular);
    head.set_mode(0o600);
    head.set_size((file.len() - TAR_BLOCK) as u64);
    head.set_cksum();
    file[..TAR_BLOCK].copy_from_slice(head.as_bytes());
    file.resize(file.len().next_multiple_of(TAR_BLOCK), 0);
    Ok(())
}

/// A lane's rows as one archive.
pub struct Archive {
    lane: Lane,
    file: Cursor<Vec<u8>>,
    ended: bool,
    /// Why reading failed: what an error of `io` can't tell.
    failure: Arc<Mutex<Option<VerbError>>>,
}

impl Archive {
    pub fn new(lane: Lane, failure: Arc<Mutex<Option<VerbError>>>) -> Self {
        Self { lane, file: Cursor::default(), ended: false, failure }
    }
}

impl Read for Archive {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let read = self.file.read(buffer)?;
            if read > 0 || buffer.is_empty() || self.ended {
                return Ok(read);
            }
            self.file = Cursor::new(match self.lane.file() {
                Ok(Some(file)) => file,
                Ok(None) => {
                    self.ended = true;
                    vec![0; 2 * TAR_BLOCK]
                }
                Err(error) => {
                    let told = io::Error::other(error.to_string());
                    *self.failure.lock().expect("no panic holds this lock") = Some(error);
                    return Err(told);
                }
            });
        }
    }
}

/// The tables' keys by whose ranges they are cut: the first column of the primary key, where it is a whole number.
pub async fn keys(session: &mut Session, database: &str) -> Result<BTreeMap<String, String>, VerbError> {
    let sql = format!(
        "SELECT s.TABLE_NAME, s.COLUMN_NAME FROM information_schema.STATISTICS s JOIN information_schema.COLUMNS c \
         ON c.TABLE_SCHEMA = s.TABLE_SCHEMA AND c.TABLE_NAME = s.TABLE_NAME AND c.COLUMN_NAME = s.COLUMN_NAME \
         WHERE s.TABLE_SCHEMA = {} AND s.INDEX_NAME = 'PRIMARY' AND s.SEQ_IN_INDEX = 1 \
         AND c.DATA_TYPE IN ('tinyint', 'smallint', 'mediumint', 'int', 'bigint')",
        quoted(database)
    );
    let rows = super::grants::texts(session.rows(&sql).await?);
    Ok(rows.into_iter().filter_map(|row| Some((row.first()?.clone(), row.get(1)?.clone()))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_leave_no_row_out() {
        assert_eq!(cut("`id`", 1, 10, 2), [" WHERE `id` < 6", " WHERE `id` >= 6"]);
        assert_eq!(cut("`id`", -4, 7, 3), [" WHERE `id` < 0", " WHERE `id` >= 0 AND `id` < 4", " WHERE `id` >= 4"]);
        assert_eq!(cut("`id`", 5, 5, 4), [" WHERE `id` < 5", " WHERE `id` >= 5"]);
        let most = i128::from(u64::MAX);
        assert_eq!(cut("`id`", 0, most, 2)[1], " WHERE `id` >= 9223372036854775808");
    }

    #[test]
    fn a_file_of_lines_is_one_of_an_archive() {
        let mut file = vec![0; TAR_BLOCK];
        file.extend_from_slice(b"1\ta\n");
        seal(&mut file, "7.000001.tsv").expect("sealed");
        assert_eq!(file.len(), 2 * TAR_BLOCK);
        let mut archive = tar::Archive::new(&file[..]);
        let mut entry = archive.entries().expect("entries").next().expect("one").expect("whole");
        assert_eq!(entry.path().expect("a path").to_str(), Some("7.000001.tsv"));
        let mut lines = String::new();
        entry.read_to_string(&mut lines).expect("read");
        assert_eq!(lines, "1\ta\n");
    }
}
