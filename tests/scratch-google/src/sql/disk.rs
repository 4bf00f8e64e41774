//! The data of an instance.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// What an instance holds. A test attaches a real server; without one an instance is a folder.
///
/// All of it may block.
pub trait Disk: Send + Sync {
    /// Writes all data to `to`, which is not there yet.
    ///
    /// # Errors
    /// The backup run is `FAILED` with this text.
    fn back_up(&self, to: &Path) -> io::Result<()>;

    /// Replaces all data by what `back_up` wrote to `from`, on this disk or on another.
    ///
    /// # Errors
    /// The operation ends with this text.
    fn restore(&self, from: &Path) -> io::Result<()>;

    /// Stops the server and starts it again.
    ///
    /// # Errors
    /// The operation ends with this text.
    fn restart(&self) -> io::Result<()> {
        Ok(())
    }

    /// The instance is deleted.
    fn remove(&self) {}

    /// The address in `ipAddresses`.
    fn address(&self) -> String {
        "127.0.0.1".to_owned()
    }

    fn databases(&self) -> Vec<String> {
        vec!["postgres".to_owned()]
    }

    fn users(&self) -> Vec<String> {
        vec!["postgres".to_owned()]
    }
}

/// Files.
pub struct Folder {
    path: PathBuf,
}

impl Folder {
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }
}

impl Disk for Folder {
    fn back_up(&self, to: &Path) -> io::Result<()> {
        fs::create_dir_all(&self.path)?;
        copy(&self.path, to)
    }

    fn restore(&self, from: &Path) -> io::Result<()> {
        self.remove();
        copy(from, &self.path)
    }

    fn remove(&self) {
        // It may never have been written to.
        let _ = fs::remove_dir_all(&self.path);
    }
}

fn copy(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}
