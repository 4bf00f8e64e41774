//! The vault's key: the repository's password, in a file that only the daemon reads.

use super::error::VaultError;
use crate::effect::hex;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

const KEY_BYTES: usize = 32;
/// Longer than any password that `restic` users keep in a file.
const LONGEST_BYTES: u64 = 4096;

/// Makes a key of 32 random bytes, as text. Refuses where there is a file already: a key is never replaced.
pub(super) fn make(path: &Path) -> Result<(), VaultError> {
    let wrong = |why: String| VaultError::Key { path: path.to_path_buf(), why };
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let write = || {
        super::folder::make_folder(folder)?;
        let mut random = [0_u8; KEY_BYTES];
        File::open("/dev/urandom")?.read_exact(&mut random)?;
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        writeln!(file, "{}", hex(&random))?;
        file.as_file().sync_all()?;
        file.persist_noclobber(path).map_err(|error| error.error)?;
        super::folder::sync_folder(folder)
    };
    write().map_err(|error: std::io::Error| wrong(format!("can't be made: {error}")))
}

/// The password; refuses a file that others may read.
pub(super) fn read(path: &Path) -> Result<String, VaultError> {
    let wrong = |why: String| VaultError::Key { path: path.to_path_buf(), why };
    let read = || {
        let file = File::open(path)?;
        let metadata = file.metadata()?;
        let mut text = String::new();
        file.take(LONGEST_BYTES).read_to_string(&mut text)?;
        Ok((metadata, text))
    };
    let (metadata, text) = read().map_err(|error: std::io::Error| match error.kind() {
        std::io::ErrorKind::NotFound => wrong("is missing; put it back: without it no backup can be read".into()),
        _ => wrong(format!("can't be read: {error}")),
    })?;
    if !metadata.is_file() {
        return Err(wrong("is no file".into()));
    }
    let mode = metadata.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(wrong(format!("may be read or changed by others (mode {mode:03o}); make it `chmod 600`")));
    }
    let password = text.trim_end_matches(['\n', '\r']).to_owned();
    if password.is_empty() {
        return Err(wrong("is empty".into()));
    }
    Ok(password)
}

/// A key kept where what it opens is kept protects nothing.
pub(super) fn refuse_inside(path: &Path, folder: &Path) -> Result<(), VaultError> {
    let (Ok(key), Ok(vault)) = (fs::canonicalize(path), fs::canonicalize(folder)) else { return Ok(()) };
    if key.starts_with(&vault) {
        let why = format!("lies inside the vault `{}`; keep it elsewhere", folder.display());
        return Err(VaultError::Key { path: path.to_path_buf(), why });
    }
    Ok(())
}
