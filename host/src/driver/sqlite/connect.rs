//! Connections to databases of others, and to our own copies.
//!
//! A database that somebody may have open is only ever opened by SQLite: closing any other descriptor of it would drop
//! every lock that this process holds on it.

use crate::driver::beside::work::{At, Pulse};
use crate::driver::beside::{ending, look, remove};
use crate::model::VerbError;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags};
use std::fs::File;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::{Duration, Instant};

/// What belongs to a database file and means nothing, or harm, without it.
pub const COMPANIONS: &[&str] = &["-wal", "-journal", "-shm"];
/// How long a try for the write lock waits; there are many of them.
const LOCK_WAIT: Duration = Duration::from_millis(500);
/// How long a reading waits for its turn.
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// A busy writer without a log leaves gaps of microseconds; SQLite's own waiting rarely meets one.
const BETWEEN_TRIES: Duration = Duration::from_millis(1);
/// Virtual machine steps between two looks at the run.
const STEPS_BETWEEN_LOOKS: i32 = 10_000;

/// Reads a database that others may have open. It may have to roll a crash's remains back, as anybody's first reading does.
pub fn reader(path: &Path, pulse: &Pulse) -> Result<Connection, VerbError> {
    let log_waits = waits(path, "-wal")?;
    let connection = open(path, OpenFlags::SQLITE_OPEN_READ_WRITE, pulse)?;
    if log_waits {
        // Reading is no reason to move the mark: the log stays as it is when we close.
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true).of(path)?;
    }
    connection.pragma_update(None, "query_only", true).of(path)?;
    Ok(connection)
}

/// Reads a copy of ours, which nobody writes to.
pub fn copy_reader(path: &Path, pulse: &Pulse) -> Result<Connection, VerbError> {
    make_single(path, pulse)?;
    let mut address = String::from("file:");
    for byte in path.as_os_str().as_bytes() {
        if byte.is_ascii_alphanumeric() || b"/-._".contains(byte) {
            address.push(char::from(*byte));
        } else {
            address.push_str(&format!("%{byte:02X}"));
        }
    }
    address.push_str("?immutable=1");
    open(Path::new(&address), OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI, pulse)
}

/// For the fence: takes locks, writes nothing.
pub fn locker(path: &Path, pulse: &Pulse) -> Result<Connection, VerbError> {
    let connection = open(path, OpenFlags::SQLITE_OPEN_READ_WRITE, pulse)?;
    connection.busy_timeout(LOCK_WAIT).of(path)?;
    Ok(connection)
}

/// Begins a reading of one moment, which lasts until the transaction ends.
pub fn begin_reading(connection: &Connection, path: &Path, pulse: &Pulse) -> Result<(), VerbError> {
    patiently(path, pulse, || {
        let begun = connection.execute_batch("BEGIN; SELECT count(*) FROM sqlite_schema");
        if begun.is_err() && !connection.is_autocommit() {
            connection.execute_batch("ROLLBACK")?;
        }
        begun
    })
}

/// Others write on while it is read.
pub fn has_log(connection: &Connection, path: &Path, pulse: &Pulse) -> Result<bool, VerbError> {
    let mode = || connection.query_row("PRAGMA journal_mode", [], |row| row.get::<_, String>(0));
    Ok(patiently(path, pulse, mode)?.eq_ignore_ascii_case("wal"))
}

/// Tries again while somebody else has the lock.
pub fn patiently<T>(
    path: &Path, pulse: &Pulse, mut attempt: impl FnMut() -> rusqlite::Result<T>,
) -> Result<T, VerbError> {
    let begun = Instant::now();
    loop {
        match attempt() {
            Err(error) if is_busy(&error) && begun.elapsed() < LONGEST_WAIT => {
                pulse.alive()?;
                pulse.activity().touch();
                std::thread::sleep(BETWEEN_TRIES);
            }
            result => return result.of(path),
        }
    }
}

pub fn is_busy(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked))
}

/// Brings what lies in a copy's companions into the file itself: what a restore set aside may still have a log.
pub fn make_single(path: &Path, pulse: &Pulse) -> Result<(), VerbError> {
    if waits(path, "-wal")? || waits(path, "-journal")? {
        let connection = open(path, OpenFlags::SQLITE_OPEN_READ_WRITE, pulse)?;
        // The first reading rolls a hot journal back; one that stays was not hot.
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(())).of(path)?;
        let busy: i64 = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0)).of(path)?;
        connection.close().map_err(|(_, error)| error).of(path)?;
        if busy != 0 || waits(path, "-wal")? {
            return Err(VerbError::Conflict(format!("somebody has the copy `{}` open", path.display())));
        }
        File::open(path).and_then(|file| file.sync_all()).at("syncing", path)?;
    }
    COMPANIONS.iter().try_for_each(|companion| remove(&ending(path, companion)))
}

fn waits(path: &Path, companion: &str) -> Result<bool, VerbError> {
    Ok(look(&ending(path, companion))?.is_some_and(|file| file.len() > 0))
}

fn open(path: &Path, flags: OpenFlags, pulse: &Pulse) -> Result<Connection, VerbError> {
    let mut connection = Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX).of(path)?;
    connection.busy_timeout(Duration::ZERO).of(path)?;
    let pulse = pulse.clone();
    connection
        .progress_handler(
            STEPS_BETWEEN_LOOKS,
            Some(move || {
                pulse.activity().touch();
                pulse.is_over()
            }),
        )
        .of(path)?;
    Ok(connection)
}

/// Says which database it was.
pub trait Of<T> {
    fn of(self, path: &Path) -> Result<T, VerbError>;
}

impl<T> Of<T> for rusqlite::Result<T> {
    fn of(self, path: &Path) -> Result<T, VerbError> {
        self.map_err(|error| {
            let message = format!("`{}`: {error}", path.display());
            match error.sqlite_error_code() {
                Some(ErrorCode::OperationInterrupted) => VerbError::Cancelled,
                Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
                    VerbError::Unavailable(format!("`{}` is locked by somebody else", path.display()))
                }
                Some(ErrorCode::DiskFull) => VerbError::Unavailable(message),
                Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => VerbError::other("damaged", message),
                _ => VerbError::other("sqlite", message),
            }
        })
    }
}
