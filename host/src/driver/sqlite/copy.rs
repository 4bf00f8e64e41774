//! A copy of a live database as of one moment, through SQLite's backup.

use super::connect::{Of, begin_reading, has_log, patiently, reader};
use crate::driver::beside::work::{At, Pulse};
use crate::driver::beside::{look, remove};
use crate::driver::trees::copy::{Properties, make_private_file, properties_of, settle};
use crate::model::VerbError;
use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags};
use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Pages between two looks at the run.
const PAGES: i32 = 1024;
/// After so many beginnings, writers wait until the copy is done.
const PATIENCE: u32 = 3;

/// Copies `from` to `to`, where nothing may be; it is on the disk, without companions, when this returns.
pub fn copy(from: &Path, to: &Path, pulse: &Pulse) -> Result<(), VerbError> {
    drop(make_private_file(to)?);
    back_up(from, to, pulse)?;
    keep_owner(from, to)?;
    File::open(to).and_then(|file| file.sync_all()).at("syncing", to)
}

fn back_up(from: &Path, to: &Path, pulse: &Pulse) -> Result<(), VerbError> {
    let source = reader(from, pulse)?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    // In a log, others write on while a reader keeps its moment. Without one a reader would hold them up.
    let mut held = has_log(&source, from, pulse)?;
    for beginning in 1.. {
        if held || beginning > PATIENCE {
            held = true;
            begin_reading(&source, from, pulse)?;
        }
        // Half a copy is never looked at, and can't be taken back without a journal.
        File::options().write(true).truncate(true).open(to).at("emptying", to)?;
        let mut target = Connection::open_with_flags(to, flags).of(to)?;
        target
            .execute_batch("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA locking_mode = EXCLUSIVE")
            .of(to)?;
        if run(&source, &mut target, from, held, pulse)? {
            target.close().map_err(|(_, error)| error).of(to)?;
            break;
        }
        pulse.activity().line(
            crate::activity::Level::Info,
            format!("`{}` was written to while it was copied: beginning anew", from.display()),
        );
    }
    // A log's reader of the copy would make companions that hold nothing.
    for companion in super::connect::COMPANIONS {
        remove(&crate::driver::beside::ending(to, companion))?;
    }
    Ok(())
}

/// False where somebody wrote meanwhile, and SQLite began anew.
fn run(
    source: &Connection, target: &mut Connection, from: &Path, held: bool, pulse: &Pulse,
) -> Result<bool, VerbError> {
    let backup = Backup::new(source, target).of(from)?;
    let mut least = i32::MAX;
    loop {
        pulse.alive()?;
        let step = patiently(from, pulse, || match backup.step(PAGES)? {
            StepResult::Busy | StepResult::Locked => Err(busy()),
            step => Ok(step),
        })?;
        let progress = backup.progress();
        let done = u64::try_from(progress.pagecount - progress.remaining).unwrap_or(0);
        pulse.progress(done, u64::try_from(progress.pagecount).ok(), "pages", "copying the database");
        match step {
            StepResult::Done => return Ok(true),
            // Begun anew within one step, as much remains as after the first.
            _ if !held && progress.remaining >= least => return Ok(false),
            _ => least = progress.remaining,
        }
    }
}

fn busy() -> rusqlite::Error {
    rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_BUSY), None)
}

/// Gives `to` the owner, mode and attributes of `like`, access lists among them; where there is no such file, the owner of
/// the folder.
pub fn keep_owner(like: &Path, to: &Path) -> Result<(), VerbError> {
    let own = fs::metadata(to).at("looking at", to)?;
    let modified = (own.mtime(), own.mtime_nsec());
    let properties = match look(like)? {
        Some(_) => Properties { modified, ..properties_of(like)? },
        None => {
            let folder = like.parent().unwrap_or(Path::new("/"));
            let metadata = fs::metadata(folder).at("looking at", folder)?;
            let owner = (metadata.uid(), metadata.gid());
            Properties { mode: 0o600, owner, modified, attributes: Default::default(), label: None }
        }
    };
    settle(to, &properties, false)
}
