//! What is to be remembered of a vault beside its repository: that it was made, and that a prune of it is owed.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Whether `note` says that a vault was in `folder`.
pub(super) fn says_that_it_was_in(folder: &Path, note: &Path) -> io::Result<bool> {
    match fs::read(note) {
        Ok(bytes) => Ok(Path::new(OsStr::from_bytes(bytes.trim_ascii_end())) == folder),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

pub(super) fn write_down(folder: &Path, note: &Path) -> io::Result<()> {
    let around = note.parent().unwrap_or(Path::new("/"));
    let mut file = tempfile::NamedTempFile::new_in(around)?;
    file.write_all(&[folder.as_os_str().as_bytes(), b"\n"].concat())?;
    file.as_file().sync_all()?;
    file.persist(note).map_err(|error| error.error)?;
    super::folder::sync_folder(around)
}

pub(super) const PRUNE_OWED: &str = "prune-owed";

/// In the vault's folder there is a file of that name from before anything is forgotten until all of it is freed.
pub(super) struct OwedPrune(PathBuf);

impl OwedPrune {
    pub(super) fn of(folder: &Path) -> Self {
        Self(folder.join(PRUNE_OWED))
    }

    pub(super) fn is_owed(&self) -> bool {
        self.0.exists()
    }

    /// On a disk that is quite full there may be no place for it, and the prune is wanted all the more.
    pub(super) fn begin(&self) {
        let folder = self.0.parent().unwrap_or(Path::new("/"));
        if let Err(error) = File::create(&self.0).and_then(|_| super::folder::sync_folder(folder)) {
            tracing::warn!(file = %self.0.display(), "a prune that is cut off will not be made up for: {error}");
        }
    }

    pub(super) fn end(&self) -> io::Result<()> {
        match fs::remove_file(&self.0) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            removed => removed,
        }
    }
}
