//! A job's log: both streams in one, in segments. The first and the last two stay, so that it is bounded and still has
//! the beginning and the end.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

const SEGMENT_BYTES: u64 = 4 << 20;
const KEPT_AT_END: u32 = 2;
/// What a reader takes in at once.
const CHUNK_BYTES: usize = 256 << 10;
/// A longer line is shown in pieces.
const LINE_BYTES: usize = 16 << 10;
const TAIL_BYTES: usize = 8 << 10;

fn segment(folder: &Path, number: u32) -> PathBuf {
    folder.join(format!("log.{number:06}"))
}

/// The supervisor's end.
pub struct Writer {
    folder: PathBuf,
    file: File,
    number: u32,
    written: u64,
}

impl Writer {
    pub fn create(folder: &Path) -> io::Result<Self> {
        Ok(Self { file: create(&segment(folder, 0))?, folder: folder.to_owned(), number: 0, written: 0 })
    }

    /// What finds no room leaves a sign of life at least.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        if let Err(error) = self.file.write_all(bytes) {
            let _ = self.file.set_modified(SystemTime::now());
            return Err(error);
        }
        self.written += bytes.len() as u64;
        if self.written < SEGMENT_BYTES {
            return Ok(());
        }
        // Without room for another segment this one grows.
        let Ok(next) = create(&segment(&self.folder, self.number + 1)) else { return Ok(()) };
        (self.file, self.number, self.written) = (next, self.number + 1, 0);
        if self.number > KEPT_AT_END {
            let _ = fs::remove_file(segment(&self.folder, self.number - KEPT_AT_END));
        }
        Ok(())
    }

    pub fn sync(&self) -> io::Result<()> {
        self.file.sync_all()
    }
}

fn create(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).mode(0o600).open(path)
}

/// The daemon's end: reads on from where it stopped.
pub struct Reader {
    folder: PathBuf,
    number: u32,
    offset: u64,
    lines: LineSplitter,
    touched: Option<SystemTime>,
}

/// What was new at one look.
pub struct News {
    /// Or would have, had there been room.
    pub grew: bool,
    pub lines: Vec<String>,
}

impl Reader {
    pub fn new(folder: &Path) -> Self {
        Self { folder: folder.to_owned(), number: 0, offset: 0, lines: LineSplitter::default(), touched: None }
    }

    pub fn read(&mut self) -> io::Result<News> {
        let mut news = self.read_on()?;
        let modified = fs::metadata(segment(&self.folder, self.number)).and_then(|meta| meta.modified()).ok();
        news.grew |= modified != self.touched;
        self.touched = modified;
        Ok(news)
    }

    fn read_on(&mut self) -> io::Result<News> {
        let mut news = News { grew: false, lines: Vec::new() };
        loop {
            let bytes = read_from(&segment(&self.folder, self.number), self.offset)?;
            match bytes {
                Some(bytes) if !bytes.is_empty() => {
                    self.offset += bytes.len() as u64;
                    news.grew = true;
                    news.lines.extend(self.lines.push(&bytes));
                }
                // This segment is read, or was dropped before we came to it.
                _ => match self.next_segment() {
                    Some(next) => (self.number, self.offset) = (next, 0),
                    None => return Ok(news),
                },
            }
        }
    }

    /// The last line may have no end.
    pub fn finish(&mut self) -> Vec<String> {
        self.lines.finish()
    }

    fn next_segment(&self) -> Option<u32> {
        numbers(&self.folder).into_iter().find(|number| *number > self.number)
    }
}

/// The end of the log, from the beginning of a line.
pub fn tail(folder: &Path) -> String {
    let mut bytes = Vec::new();
    for number in numbers(folder).into_iter().rev().take(2) {
        let mut earlier = fs::read(segment(folder, number)).unwrap_or_default();
        earlier.append(&mut bytes);
        bytes = earlier;
        if bytes.len() >= TAIL_BYTES {
            break;
        }
    }
    last_lines(&bytes)
}

/// As much of the end of `bytes` as a message holds, from the beginning of a line.
pub fn last_lines(bytes: &[u8]) -> String {
    let cut = bytes.len().saturating_sub(TAIL_BYTES);
    let mut tail = &bytes[cut..];
    if cut > 0
        && let Some(end) = tail.iter().position(|byte| *byte == b'\n')
    {
        tail = &tail[end + 1..];
    }
    String::from_utf8_lossy(tail).trim_end().to_owned()
}

fn numbers(folder: &Path) -> Vec<u32> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut numbers: Vec<u32> =
        entries.flatten().filter_map(|entry| entry.file_name().to_str()?.strip_prefix("log.")?.parse().ok()).collect();
    numbers.sort_unstable();
    numbers
}

/// At most one chunk of the bytes after `offset`; `None` where there is no file.
pub fn read_from(path: &Path, offset: u64) -> io::Result<Option<Vec<u8>>> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    file.seek(SeekFrom::Start(offset))?;
    let mut bytes = Vec::new();
    file.take(CHUNK_BYTES as u64).read_to_end(&mut bytes)?;
    Ok(Some(bytes))
}

/// Cuts a stream into lines; a carriage return ends one too, for bars that redraw themselves.
#[derive(Default)]
pub struct LineSplitter {
    open: Vec<u8>,
}

impl LineSplitter {
    pub fn push(&mut self, bytes: &[u8]) -> Vec<String> {
        let mut lines = Vec::new();
        for byte in bytes {
            if matches!(byte, b'\n' | b'\r') {
                lines.extend(self.finish());
                continue;
            }
            self.open.push(*byte);
            if self.open.len() >= LINE_BYTES {
                lines.extend(self.finish());
            }
        }
        lines
    }

    pub fn finish(&mut self) -> Vec<String> {
        let line = String::from_utf8_lossy(&std::mem::take(&mut self.open)).into_owned();
        if line.is_empty() { Vec::new() } else { vec![line] }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_beginning_and_the_end_and_a_reader_skips_what_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let mut writer = Writer::create(folder.path()).unwrap();
        let mut reader = Reader::new(folder.path());
        writer.write(b"the first line\n").unwrap();
        assert_eq!(reader.read().unwrap().lines, ["the first line"]);
        let filler = format!("{}\n", "x".repeat(1023));
        for _ in 0..30 * 1024 {
            writer.write(filler.as_bytes()).unwrap();
        }
        writer.write(b"the last line\n").unwrap();
        assert!(numbers(folder.path()).len() <= 4, "{:?}", numbers(folder.path()));
        assert!(fs::read(segment(folder.path(), 0)).unwrap().starts_with(b"the first line"));
        assert_eq!(reader.read().unwrap().lines.last().unwrap(), "the last line");
        assert!(tail(folder.path()).ends_with("the last line"));
        assert!(tail(folder.path()).len() <= TAIL_BYTES);
    }

    #[test]
    fn what_found_no_room_is_a_sign_of_life() {
        let folder = tempfile::tempdir().unwrap();
        let mut writer = Writer::create(folder.path()).unwrap();
        let mut reader = Reader::new(folder.path());
        writer.write(b"a line\n").unwrap();
        assert!(reader.read().unwrap().grew);
        assert!(!reader.read().unwrap().grew);
        writer.file.set_modified(SystemTime::UNIX_EPOCH).unwrap();
        let news = reader.read().unwrap();
        assert!(news.grew && news.lines.is_empty());
    }

    #[test]
    fn a_redrawn_bar_is_lines() {
        let mut splitter = LineSplitter::default();
        assert_eq!(splitter.push(b"10%\r20%\r\nend"), ["10%", "20%"]);
        assert_eq!(splitter.finish(), ["end"]);
    }
}
