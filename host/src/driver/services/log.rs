//! A service's log as it grows: a file, across rotations, or a unit's journal. Secrets that the service's own commands are
//! handed are replaced before anybody sees a line.

use super::Service;
use crate::config::ServiceControl;
use crate::driver::durable;
use crate::driver::process::io_error;
use crate::driver::process::log::{LineSplitter, last_lines};
use crate::driver::process::redact::Redactor;
use crate::model::VerbError;
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::io::{AsyncBufReadExt, BufReader, Split};
use tokio::process::{Child, ChildStdout, Command};

const CHUNK_BYTES: u64 = 256 << 10;
const TAIL_BYTES: u64 = 8 << 10;
/// How long a look at a journal waits for a line.
const LOOK: Duration = Duration::from_millis(200);

/// Where a log ended when its service was last started.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    pub inode: u64,
    pub offset: u64,
    /// Since 1970.
    pub time_us: u64,
}

impl Position {
    /// The end of the service's log, now.
    pub fn end(service: &Service<'_>) -> Self {
        let metadata = service.log_file().and_then(|file| fs::metadata(file).ok());
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self {
            inode: metadata.as_ref().map_or(0, fs::Metadata::ino),
            offset: metadata.as_ref().map_or(0, fs::Metadata::len),
            time_us: u64::try_from(now.as_micros()).unwrap_or(u64::MAX),
        }
    }

    pub fn of_last_start(service: &Service<'_>) -> Result<Option<Self>, VerbError> {
        let bytes = durable::read(&service.file("start.json")).map_err(io_error("read where a log began"))?;
        Ok(bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok()))
    }

    pub fn record(&self, service: &Service<'_>) -> Result<(), VerbError> {
        let text = serde_json::to_vec(self).map_err(|error| VerbError::other("io", error.to_string()))?;
        durable::write(&service.file("start.json"), &text).map_err(io_error("write where a log begins"))
    }
}

pub struct Log {
    source: Source,
    redactor: Redactor,
}

#[expect(clippy::large_enum_variant, reason = "one at a time, on the stack of whoever follows it")]
enum Source {
    File(FileLog),
    Journal(Journal),
}

impl Log {
    pub fn open(service: &Service<'_>, from: Position) -> Result<Self, VerbError> {
        let source = match (service.log_file(), &service.config.control) {
            (Some(path), _) => Source::File(FileLog::new(path, from)),
            (None, ServiceControl::Unit(unit)) => Source::Journal(Journal::open(service, unit, from)?),
            (None, ServiceControl::Commands { .. }) => {
                return Err(VerbError::NotFound(format!("`{}` has no log", service.name)));
            }
        };
        Ok(Self { source, redactor: service.redactor() })
    }

    /// The lines that are new; waits a moment for them where the log can't be polled.
    pub async fn news(&mut self) -> Result<Vec<String>, VerbError> {
        let lines = match &mut self.source {
            Source::File(file) => file.news().map_err(io_error("read a service's log")),
            Source::Journal(journal) => journal.news().await.map_err(io_error("read a service's journal")),
        };
        Ok(lines?.iter().map(|line| self.redactor.text(line)).collect())
    }
}

/// The end of the service's log, for a message.
pub async fn tail(service: &Service<'_>) -> String {
    let text = match (service.log_file(), &service.config.control) {
        (Some(path), _) => file_tail(&path).unwrap_or_default(),
        (None, ServiceControl::Unit(unit)) => service.machine.systemd.last_lines(unit).await,
        (None, ServiceControl::Commands { .. }) => String::new(),
    };
    service.redactor().text(&text)
}

pub fn file_tail(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(TAIL_BYTES)))?;
    let mut bytes = Vec::new();
    file.take(TAIL_BYTES).read_to_end(&mut bytes)?;
    Ok(last_lines(&bytes))
}

pub struct FileLog {
    path: PathBuf,
    inode: u64,
    offset: u64,
    /// Kept open: after a rotation the rest is read through it.
    file: Option<File>,
    lines: LineSplitter,
}

impl FileLog {
    fn new(path: PathBuf, from: Position) -> Self {
        Self { path, inode: from.inode, offset: from.offset, file: None, lines: LineSplitter::default() }
    }

    fn news(&mut self) -> io::Result<Vec<String>> {
        let mut news = Vec::new();
        if self.file.is_none() {
            self.file = self.first()?;
        }
        loop {
            let Some(file) = &mut self.file else { return Ok(news) };
            if file.metadata()?.len() < self.offset {
                // Cut to nothing and written anew.
                self.offset = 0;
            }
            file.seek(SeekFrom::Start(self.offset))?;
            let mut bytes = Vec::new();
            let count = file.take(CHUNK_BYTES).read_to_end(&mut bytes)?;
            self.offset += count as u64;
            news.extend(self.lines.push(&bytes));
            if count as u64 == CHUNK_BYTES {
                continue;
            }
            match named(&self.path)? {
                Some((next, inode)) if inode != self.inode => {
                    news.extend(self.lines.finish());
                    (self.file, self.inode, self.offset) = (Some(next), inode, 0);
                }
                _ => return Ok(news),
            }
        }
    }

    /// The file that the position speaks of, under its own name or under that of a first rotation; else what is there.
    fn first(&mut self) -> io::Result<Option<File>> {
        let mut rotated = self.path.clone().into_os_string();
        rotated.push(".1");
        for path in [self.path.as_path(), Path::new(&rotated)] {
            if let Some((file, inode)) = named(path)?
                && inode == self.inode
            {
                return Ok(Some(file));
            }
        }
        let Some((file, inode)) = named(&self.path)? else { return Ok(None) };
        (self.inode, self.offset) = (inode, 0);
        Ok(Some(file))
    }
}

fn named(path: &Path) -> io::Result<Option<(File, u64)>> {
    match File::open(path) {
        Ok(file) => {
            let inode = file.metadata()?.ino();
            Ok(Some((file, inode)))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

pub struct Journal {
    lines: Split<BufReader<ChildStdout>>,
    /// Ends with us.
    _program: Child,
}

impl Journal {
    fn open(service: &Service<'_>, unit: &str, from: Position) -> Result<Self, VerbError> {
        let since = format!("--since=@{}.{:06}", from.time_us / 1_000_000, from.time_us % 1_000_000);
        let mut program = Command::new(&service.machine.systemd.journalctl)
            .args(["--no-pager", "--output=cat", "--follow", "--lines=all", &since, "--unit", unit])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| VerbError::Unavailable(format!("`journalctl` can't be run: {error}")))?;
        let output = program.stdout.take().ok_or_else(|| VerbError::other("io", "`journalctl` has no output"))?;
        Ok(Self { lines: BufReader::new(output).split(b'\n'), _program: program })
    }

    async fn news(&mut self) -> io::Result<Vec<String>> {
        let mut news = Vec::new();
        while let Ok(line) = tokio::time::timeout(LOOK, self.lines.next_segment()).await {
            match line? {
                Some(line) => news.push(String::from_utf8_lossy(&line).into_owned()),
                None => {
                    // The program is gone: a look must still take its time.
                    tokio::time::sleep(LOOK).await;
                    break;
                }
            }
            if news.len() >= 1000 {
                break;
            }
        }
        Ok(news)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn append(path: &Path, text: &str) {
        let mut file = fs::OpenOptions::new().append(true).create(true).open(path).unwrap();
        file.write_all(text.as_bytes()).unwrap();
    }

    #[test]
    fn a_rotated_log_is_read_to_its_end_and_on() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("web.log");
        append(&path, "before\n");
        let metadata = fs::metadata(&path).unwrap();
        let start = Position { inode: metadata.ino(), offset: metadata.len(), time_us: 0 };
        let mut log = FileLog::new(path.clone(), start);
        append(&path, "one\ntw");
        assert_eq!(log.news().unwrap(), ["one"]);
        append(&path, "o\n");
        fs::rename(&path, folder.path().join("web.log.1")).unwrap();
        append(&path, "three\n");
        assert_eq!(log.news().unwrap(), ["two", "three"]);
        assert_eq!(FileLog::new(path.clone(), start).news().unwrap(), ["one", "two", "three"]);
        fs::write(&path, "4\n").unwrap();
        assert_eq!(log.news().unwrap(), ["4"]);
        assert_eq!(FileLog::new(path.clone(), Position::default()).news().unwrap(), ["4"]);
        assert_eq!(FileLog::new(folder.path().join("none"), start).news().unwrap(), Vec::<String>::new());
    }
}
