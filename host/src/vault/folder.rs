//! The repository's files in a local folder. Like rustic's own local storage, but a file is durable with its folder when a
//! write returns, and a folder that can't be listed is an error: a prune that overlooks a snapshot would remove its data.

use rustic_core::{
    ALL_FILE_TYPES, BytesList, ErrorKind, FileType, Id, ReadBackend, RusticError, RusticResult, WriteBackend,
};
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;
use tokio_util::bytes::Bytes;

/// One operation's view of the folder; remembers what it wrote and the first write that went wrong.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    written: Mutex<Vec<(FileType, Id)>>,
    failed: Mutex<Option<io::Error>>,
}

/// The ending of a file that is not whole yet.
const PART: &str = ".part";

impl Folder {
    pub(super) fn new(path: &Path) -> Self {
        Self { path: path.to_path_buf(), written: Mutex::default(), failed: Mutex::default() }
    }

    /// What this operation wrote, in order.
    pub(super) fn written(&self, kind: FileType) -> Vec<Id> {
        lock(&self.written).iter().filter(|(written, _)| *written == kind).map(|(_, id)| *id).collect()
    }

    /// rustic goes on after some failed writes and only logs them, so they are kept here. A read that fails is told to
    /// whoever reads.
    pub(super) fn take_failure(&self) -> Option<io::Error> {
        lock(&self.failed).take()
    }

    /// Removes what a crash left of files that were being written. Only while nobody else uses the repository.
    pub(super) fn remove_parts(&self) -> io::Result<()> {
        for kind in ALL_FILE_TYPES {
            for_each_file(&self.folder_of(kind), &mut |path| {
                if path.to_string_lossy().ends_with(PART) { fs::remove_file(path) } else { Ok(()) }
            })?;
        }
        Ok(())
    }

    fn folder_of(&self, kind: FileType) -> PathBuf {
        match kind {
            FileType::Config => self.path.clone(),
            _ => self.path.join(kind.dirname()),
        }
    }

    fn file(&self, kind: FileType, id: &Id) -> PathBuf {
        let name = id.to_hex().to_string();
        match kind {
            FileType::Config => self.path.join("config"),
            FileType::Pack => self.path.join("data").join(&name[..2]).join(name),
            _ => self.path.join(kind.dirname()).join(name),
        }
    }

    fn sizes(&self, kind: FileType) -> io::Result<Vec<(Id, u32)>> {
        if kind == FileType::Config {
            return match fs::metadata(self.path.join("config")) {
                Ok(metadata) => Ok(vec![(Id::default(), size_of(&metadata))]),
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
                Err(error) => Err(error),
            };
        }
        let mut found = Vec::new();
        for_each_file(&self.folder_of(kind), &mut |path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if name.len() == 64
                && let Ok(id) = name.parse::<Id>()
            {
                found.push((id, size_of(&fs::metadata(path)?)));
            }
            Ok(())
        })?;
        Ok(found)
    }

    fn write(&self, kind: FileType, id: &Id, content: BytesList) -> io::Result<()> {
        let path = self.file(kind, id);
        let folder = path.parent().unwrap_or(&self.path);
        let mut part = path.clone().into_os_string();
        part.push(PART);
        let written = write_new(Path::new(&part), content).and_then(|()| fs::rename(&part, &path));
        if let Err(error) = written {
            // The cause of the failure is what counts; what is left is removed with the next prune.
            let _ = fs::remove_file(&part);
            return Err(error);
        }
        sync_folder(folder)
    }

    /// For what changes the repository.
    fn note<T>(&self, kind: FileType, what: &str, result: io::Result<T>) -> RusticResult<T> {
        if let Err(error) = &result {
            let copy =
                error.raw_os_error().map_or_else(|| io::Error::other(error.to_string()), io::Error::from_raw_os_error);
            lock(&self.failed).get_or_insert(copy);
        }
        told(kind, what, result)
    }
}

fn told<T>(kind: FileType, what: &str, result: io::Result<T>) -> RusticResult<T> {
    result.map_err(|error| {
        RusticError::with_source(ErrorKind::Backend, format!("{what} of a {} file failed", kind.dirname()), error)
    })
}

impl ReadBackend for Folder {
    fn location(&self) -> String {
        format!("local:{}", self.path.display())
    }
    fn list_with_size(&self, kind: FileType) -> RusticResult<Vec<(Id, u32)>> {
        told(kind, "listing", self.sizes(kind))
    }
    fn read_full(&self, kind: FileType, id: &Id) -> RusticResult<Bytes> {
        told(kind, "reading", fs::read(self.file(kind, id)).map(Into::into))
    }
    fn read_partial(&self, kind: FileType, id: &Id, _cacheable: bool, offset: u32, length: u32) -> RusticResult<Bytes> {
        let read = || {
            let mut file = File::open(self.file(kind, id))?;
            file.seek(SeekFrom::Start(offset.into()))?;
            let mut bytes = vec![0; length as usize];
            file.read_exact(&mut bytes)?;
            Ok(bytes.into())
        };
        told(kind, "reading", read())
    }
    fn warmup_path(&self, kind: FileType, id: &Id) -> String {
        self.file(kind, id).to_string_lossy().into_owned()
    }
}

impl WriteBackend for Folder {
    fn create(&self) -> RusticResult<()> {
        let create = || {
            // `locks` is none of rustic's, but restic expects it.
            for kind in ["keys", "snapshots", "index", "data", "locks"] {
                make_folder(&self.path.join(kind))?;
            }
            for byte in 0..=255_u8 {
                make_folder(&self.path.join("data").join(format!("{byte:02x}")))?;
            }
            sync_folder(&self.path.join("data"))?;
            sync_folder(&self.path)
        };
        self.note(FileType::Config, "creating", create())
    }
    fn write_bytes(&self, kind: FileType, id: &Id, _cacheable: bool, content: BytesList) -> RusticResult<()> {
        self.note(kind, "writing", self.write(kind, id, content))?;
        lock(&self.written).push((kind, *id));
        Ok(())
    }
    fn remove(&self, kind: FileType, id: &Id, _cacheable: bool) -> RusticResult<()> {
        let path = self.file(kind, id);
        let removed = match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => sync_folder(path.parent().unwrap_or(&self.path)),
        };
        self.note(kind, "removing", removed)
    }
}

pub(super) fn make_folder(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Whether a file in the folder was written within that time.
pub(super) fn has_newer(folder: &Path, age: Duration) -> io::Result<bool> {
    let mut newer = false;
    for_each_file(folder, &mut |path| {
        let written = fs::metadata(path).and_then(|metadata| metadata.modified());
        newer |= written.is_ok_and(|written| written.elapsed().map_or(true, |passed| passed < age));
        Ok(())
    })?;
    Ok(newer)
}

pub(super) fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

fn write_new(path: &Path, content: BytesList) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    for bytes in content.slice() {
        file.write_all(bytes)?;
    }
    file.sync_all()
}

fn for_each_file(folder: &Path, visit: &mut dyn FnMut(&Path) -> io::Result<()>) -> io::Result<()> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    for entry in entries {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_dir() && folder.ends_with("data") {
            for_each_file(&entry.path(), visit)?;
        } else if kind.is_file() {
            visit(&entry.path())?;
        }
    }
    Ok(())
}

fn size_of(metadata: &fs::Metadata) -> u32 {
    u32::try_from(metadata.len()).unwrap_or(u32::MAX)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("no panic holds this lock")
}
