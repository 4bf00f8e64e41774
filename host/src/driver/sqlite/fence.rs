//! The lock that keeps everybody else from writing to a database, and its mark.
//!
//! The lock is SQLite's own: a write transaction on a connection that this process keeps, so that it ends with the process
//! and is taken again after a restart. Readers go on.

use super::connect::{Of, is_busy, locker, patiently, reader};
use crate::driver::beside::work::Pulse;
use crate::driver::beside::{ending, look};
use crate::model::VerbError;
use rusqlite::{Connection, ffi};
use std::collections::HashMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

/// Tries of half a second each.
const TRIES: u32 = 60;

struct Held {
    connection: Connection,
    inode: (u64, u64),
}

/// By live path. A fence that was let go for a flip is in here without one.
static FENCES: LazyLock<Mutex<HashMap<PathBuf, Option<Held>>>> = LazyLock::new(Mutex::default);

fn fences() -> MutexGuard<'static, HashMap<PathBuf, Option<Held>>> {
    FENCES.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Takes the lock, or keeps it where it is held.
pub fn take(path: &Path, pulse: &Pulse) -> Result<(), VerbError> {
    let inode = inode(path)?;
    if fences().get(path).is_some_and(|held| held.as_ref().is_some_and(|held| held.inode == inode)) {
        return Ok(());
    }
    pause(path);
    for attempt in 1..=TRIES {
        pulse.alive()?;
        pulse.activity().progress(attempt.into(), Some(TRIES.into()), "tries", "waiting for the database's write lock");
        if let Some(connection) = lock(path, pulse)? {
            fences().insert(path.to_path_buf(), Some(Held { connection, inode }));
            return Ok(());
        }
    }
    Err(VerbError::Unavailable(format!("`{}` is locked by another writer; stop what writes to it", path.display())))
}

fn lock(path: &Path, pulse: &Pulse) -> Result<Option<Connection>, VerbError> {
    let connection = locker(path, pulse)?;
    // What readers keep from being brought over stays in the log, and nobody adds to it.
    let checkpoint = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
    match checkpoint.and_then(|()| connection.execute_batch("BEGIN IMMEDIATE")) {
        Ok(()) => {
            // The lock outlives this call, and with it its run's cancellation.
            let mut connection = connection;
            connection.progress_handler(0, None::<fn() -> bool>).of(path)?;
            Ok(Some(connection))
        }
        Err(error) if is_busy(&error) => Ok(None),
        Err(error) => Err(error).of(path),
    }
}

/// Lets everybody write again; nothing where no lock is held.
pub fn release(path: &Path) {
    let held = fences().remove(path);
    drop(held);
}

/// Lets go of the file for a flip, and remembers to take what comes into its place.
pub fn pause(path: &Path) {
    let mut fences = fences();
    if let Some(held) = fences.get_mut(path) {
        drop(held.take());
    }
}

/// To be taken on what comes into place: nothing is there now.
pub fn want(path: &Path) {
    fences().insert(path.to_path_buf(), None);
}

/// Takes the lock on what came into place, where it was held before.
pub fn resume(path: &Path, pulse: &Pulse) -> Result<(), VerbError> {
    let wanted = fences().get(path).is_some_and(Option::is_none);
    if wanted && look(path)?.is_some() {
        take(path, pulse)?;
    }
    Ok(())
}

/// Changes with every write by anybody; not with a rename, and not by our reading.
pub fn mark(path: &Path, pulse: &Pulse) -> Result<String, VerbError> {
    let header = match fences().get(path) {
        Some(Some(held)) => header(&held.connection, path, pulse)?,
        _ => header(&reader(path, pulse)?, path, pulse)?,
    };
    let metadata =
        look(path)?.ok_or_else(|| VerbError::NotFound(format!("there is no database `{}`", path.display())))?;
    let number = |at: usize| u32::from_be_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
    let log = match look(&ending(path, "-wal"))? {
        Some(log) if log.len() > 0 => format!("log of {} bytes at {}.{:09}", log.len(), log.mtime(), log.mtime_nsec()),
        _ => "no log".into(),
    };
    Ok(format!(
        "change {}, schema {}, {} bytes at {}.{:09}, file {}, {log}",
        number(24),
        number(40),
        metadata.len(),
        metadata.mtime(),
        metadata.mtime_nsec(),
        metadata.ino(),
    ))
}

fn inode(path: &Path) -> Result<(u64, u64), VerbError> {
    let metadata =
        look(path)?.ok_or_else(|| VerbError::NotFound(format!("there is no database `{}`", path.display())))?;
    Ok((metadata.dev(), metadata.ino()))
}

const HEADER_BYTES: usize = 100;

/// The file's first bytes, through SQLite's own descriptor: opening one of ours and closing it would drop the locks that
/// any connection of this process holds on the file. An empty file has zeros.
fn header(connection: &Connection, path: &Path, pulse: &Pulse) -> Result<[u8; HEADER_BYTES], VerbError> {
    // The file is opened with the first statement.
    patiently(path, pulse, || connection.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(())))?;
    let mut header = [0_u8; HEADER_BYTES];
    let mut file: *mut ffi::sqlite3_file = std::ptr::null_mut();
    // SAFETY: the connection is open and used by this thread alone; SQLite fills `file` with a pointer that lives as long
    // as the connection, and reads at most `HEADER_BYTES` into `header`.
    let code = unsafe {
        let asked = ffi::sqlite3_file_control(
            connection.handle(),
            c"main".as_ptr(),
            ffi::SQLITE_FCNTL_FILE_POINTER,
            (&raw mut file).cast(),
        );
        match file.as_ref().and_then(|file| file.pMethods.as_ref()).and_then(|methods| methods.xRead) {
            Some(read) if asked == ffi::SQLITE_OK => read(file, header.as_mut_ptr().cast(), HEADER_BYTES as i32, 0),
            _ => ffi::SQLITE_ERROR,
        }
    };
    match code {
        ffi::SQLITE_OK | ffi::SQLITE_IOERR_SHORT_READ => Ok(header),
        code => {
            Err(VerbError::other("sqlite", format!("the header of `{}` can't be read (code {code})", path.display())))
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        // Closing does the same; said here, so that nobody takes it for a write that was lost.
        let _ = self.connection.execute_batch("ROLLBACK");
    }
}
