//! Small files that are there whole or not at all, whatever happens to the power. Called by every driver of this folder
//! that keeps a word for its successor.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// Makes the names in `folder` durable.
pub fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Makes `folder` and what leads to it, for the daemon's account alone.
pub fn make_folder(folder: &Path) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    let parent = parent(folder)?;
    make_folder(parent)?;
    match fs::DirBuilder::new().mode(0o700).create(folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    sync_folder(parent)
}

/// Makes `folder` and what leads to it, for all to pass through and for the daemon's account alone to list.
pub fn make_passage(folder: &Path) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    let parent = parent(folder)?;
    make_passage(parent)?;
    // Its mode comes before its name: whoever finds it there goes by it.
    let part = part(folder)?;
    fs::create_dir(&part)?;
    fs::set_permissions(&part, fs::Permissions::from_mode(0o711))?;
    match fs::rename(&part, folder) {
        // Another was first.
        Err(_) if folder.is_dir() => fs::remove_dir(&part)?,
        renamed => renamed?,
    }
    sync_folder(parent)
}

/// Replaces `path` by rename.
pub fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let part = write_part(path, bytes)?;
    fs::rename(&part, path)?;
    sync_folder(parent(path)?)
}

/// Publishes `path` unless it is there already; whether it was this call that did.
pub fn write_new(path: &Path, bytes: &[u8]) -> io::Result<bool> {
    let part = write_part(path, bytes)?;
    let linked = fs::hard_link(&part, path);
    fs::remove_file(&part)?;
    match linked {
        Ok(()) => sync_folder(parent(path)?).map(|()| true),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error),
    }
}

/// Removes `path`; nothing where it isn't there.
pub fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Ok(()) => sync_folder(parent(path)?),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

/// Removes what writes of `path` that were cut off left beside it. Nobody may be writing it.
pub fn remove_parts(path: &Path) -> io::Result<()> {
    let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?.to_string_lossy();
    let entries = match fs::read_dir(parent(path)?) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        let found = entry.file_name();
        let found = found.to_string_lossy();
        if found.starts_with(&format!(".{name}.")) && found.ends_with(".part") {
            remove(&entry.path())?;
        }
    }
    Ok(())
}

/// `None` where there is no file.
pub fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Of the files that are not yet whole; two at once must not be the same.
static NUMBER: AtomicU32 = AtomicU32::new(0);

fn write_part(path: &Path, bytes: &[u8]) -> io::Result<PathBuf> {
    let part = part(path)?;
    let write = || {
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&part)?;
        file.write_all(bytes)?;
        file.sync_all()
    };
    match write() {
        Ok(()) => Ok(part),
        Err(error) => {
            let _ = fs::remove_file(&part);
            Err(error)
        }
    }
}

fn part(path: &Path) -> io::Result<PathBuf> {
    let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?.to_string_lossy();
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    Ok(parent(path)?.join(format!(".{name}.{}-{number}.part", std::process::id())))
}

fn parent(path: &Path) -> io::Result<&Path> {
    path.parent().ok_or_else(|| io::ErrorKind::InvalidInput.into())
}

/// Of the file system on which the path lies, or will lie.
pub fn free_bytes(path: &Path) -> Option<u64> {
    let existing = path.ancestors().find(|path| path.exists())?;
    let room = rustix::fs::statvfs(existing).ok()?;
    Some(room.f_bavail.saturating_mul(room.f_frsize))
}
