//! From a folder and a key file to the key that opens the repository; makes one where there is none and one is wanted.

use super::error::VaultError;
use super::folder::{self, Folder};
use super::notes::PRUNE_OWED;
use super::{COMPRESSION, key};
use rustic_core::repofile::{Chunker, MasterKey};
use rustic_core::{
    ConfigOptions, Credentials, FileType, KeyOptions, OpenStatus, Repository, RepositoryBackends, RepositoryOptions,
    RusticResult,
};
use rustix::fs::{FlockOperation, flock};
use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::sync::Arc;

/// The key that everything in the repository is encrypted with; derived from the password, which takes its time.
pub(super) fn unlock(folder: &Path, key_file: &Path, make: bool) -> Result<MasterKey, VaultError> {
    let password = key::read(key_file)?;
    let missing = || VaultError::Missing { folder: folder.to_path_buf() };
    if make {
        folder::make_folder(folder).map_err(|e| VaultError::io(folder, "making its folder", &e))?;
    } else if matches!(folder.try_exists(), Ok(false)) {
        return Err(missing());
    }
    key::refuse_inside(key_file, folder)?;
    let look = || state_of(folder).map_err(|e| VaultError::io(folder, "reading its folder", &e));
    let mut held = lock_folder(folder, FlockOperation::LockShared)?;
    let mut found = look()?;
    if matches!(found, Found::Nothing) && make {
        drop(held);
        held = lock_folder(folder, FlockOperation::LockExclusive)?;
        found = look()?;
    }
    let credentials = Credentials::Password(password);
    let repository = match found {
        Found::Repository => new_repository(Arc::new(Folder::new(folder)))
            .and_then(|repository| repository.open(&credentials))
            .map_err(|e| match VaultError::rustic(folder, "opening it", &e) {
                VaultError::Other { .. } => VaultError::Key {
                    path: key_file.to_path_buf(),
                    why: format!("does not open the vault in `{}`: {}", folder.display(), e.display_log()),
                },
                other => other,
            })?,
        Found::Nothing if make => make_repository(folder, &credentials)
            .map_err(|e| VaultError::rustic(folder, "making the repository", &e))?,
        Found::Nothing => return Err(missing()),
        Found::Foreign => return Err(VaultError::NotAVault { folder: folder.to_path_buf() }),
    };
    drop(held);
    Ok(repository.key())
}

enum Found {
    Repository,
    Nothing,
    Foreign,
}

/// A crash between the first file and `config`, which is written last, leaves folders and keys, and nothing to lose.
fn state_of(folder: &Path) -> io::Result<Found> {
    if folder.join("config").try_exists()? {
        return Ok(Found::Repository);
    }
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name();
        let known = ["keys", "snapshots", "index", "data", "locks", "lost+found", PRUNE_OWED];
        let ours = known.iter().any(|known| name == *known);
        if !ours && !name.to_string_lossy().ends_with(".part") {
            return Ok(Found::Foreign);
        }
    }
    for kind in ["snapshots", "index"] {
        if fs::read_dir(folder.join(kind)).is_ok_and(|mut entries| entries.next().is_some()) {
            return Ok(Found::Foreign);
        }
    }
    Ok(Found::Nothing)
}

pub(super) fn new_repository(storage: Arc<Folder>) -> RusticResult<Repository<()>> {
    let options = RepositoryOptions::default().no_cache(true);
    Repository::new(&options, &RepositoryBackends::new(storage, None))
}

fn make_repository(folder: &Path, credentials: &Credentials) -> RusticResult<Repository<OpenStatus>> {
    use rustic_core::{ReadBackend, WriteBackend};
    let storage = Arc::new(Folder::new(folder));
    // A key that an interrupted start left opens nothing, and our password would fit it.
    for id in storage.list(FileType::Key)? {
        storage.remove(FileType::Key, &id, false)?;
    }
    let mut config = ConfigOptions::default();
    // Chunks of 1 MiB each cost no rolling hash, and a database's pages don't move.
    config.set_chunker = Some(Chunker::FixedSize);
    config.set_compression = Some(COMPRESSION);
    new_repository(storage)?.init(credentials, &KeyOptions::default(), &config)
}

/// Held until the file is dropped. The lock is the folder's own: restic and rustic don't know it, so that an operator who
/// prunes by hand stops the daemon first.
pub(super) fn lock_folder(folder: &Path, kind: FlockOperation) -> Result<File, VaultError> {
    let open = || {
        let file = File::open(folder)?;
        loop {
            match flock(&file, kind) {
                Err(rustix::io::Errno::INTR) => {}
                result => break result.map(|()| file).map_err(io::Error::from),
            }
        }
    };
    open().map_err(|e| VaultError::io(folder, "locking it", &e))
}
