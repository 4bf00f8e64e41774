//! Where backups are kept: a restic repository, one snapshot for each artifact, so that `restic` reads it without us.
//!
//! A snapshot's only file lies at the artifact's key; tags hold its size and digest, so a lost journal loses nothing. The
//! repository is opened for each operation with the key that [`Vault::open`] derived once (that is the slow part), and
//! nothing of it stays in memory between operations. Several operations may run at once: a lock on the folder lets
//! [`Vault::forget`] run alone. Drivers and the pipeline call this, from `spawn_blocking`; it decides nothing.

mod error;
mod folder;
mod key;
mod notes;
mod opening;
mod stream;
#[cfg(test)]
mod tests;

pub use error::{StreamCancelled, VaultError};
pub use stream::Pipe;

use crate::effect::hex;
use folder::Folder;
use notes::OwedPrune;
use opening::{lock_folder, new_repository, unlock};
use rustic_core::repofile::{MasterKey, SnapshotFile, SnapshotId};
use rustic_core::{
    BackupOptions, Credentials, FileType, LimitOption, OpenStatus, PruneOptions, Repository, RusticResult,
    SnapshotOptions,
};
use rustix::fs::FlockOperation;
use sha2::Digest;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// One saved stream.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Artifact {
    /// `<deployment>/<step>/<binding>/<name>`; unique.
    pub key: String,
    pub size_bytes: u64,
    /// SHA-256 of the bytes, hexadecimal.
    pub digest: String,
    /// The snapshot's id in the repository.
    pub snapshot: String,
}

/// Blocking: call it from `spawn_blocking`. Cheap to clone.
#[derive(Clone)]
pub struct Vault {
    shared: Arc<Shared>,
}

struct Shared {
    folder: PathBuf,
    key_file: PathBuf,
    master: Mutex<Option<MasterKey>>,
}

/// Snapshots with this tag are artifacts.
const WHOLE: &str = "upgraded";
/// Snapshots with this tag are streams whose end was not reached.
const PARTIAL: &str = "upgraded-part";
const SIZE_TAG: &str = "size-";
const DIGEST_TAG: &str = "sha256-";
/// Of listing snapshots while others save.
const TRIES: u32 = 100;
/// restic refreshes its locks each five minutes; an older one is a crash's.
const RESTIC_LOCKS: Duration = Duration::from_secs(30 * 60);
/// zstd's fastest regular level.
const COMPRESSION: i32 = 1;
/// An artifact's companion: forgotten with it, never listed on its own account.
pub const MANIFEST_SUFFIX: &str = ".manifest";

impl Vault {
    /// Makes the key of a new vault: 32 random bytes as text, readable by the daemon alone. Refuses where a file is.
    pub fn make_key(path: &Path) -> Result<(), VaultError> {
        key::make(path)
    }

    /// Opens the repository; makes it where the folder is empty or missing.
    pub fn open(folder: &Path, key_file: &Path) -> Result<Self, VaultError> {
        let vault = Self::later(folder, key_file);
        vault.keep(unlock(folder, key_file, true)?);
        Ok(vault)
    }

    /// As [`Vault::open`], but made once: the file `note` says in which folder that was. A disk that is not mounted leaves an
    /// empty folder, and a vault there would lie on the disk below.
    pub fn open_noted(folder: &Path, key_file: &Path, note: &Path) -> Result<Self, VaultError> {
        let unnoted = |error: io::Error| VaultError::Note { path: note.to_path_buf(), source: error };
        if notes::says_that_it_was_in(folder, note).map_err(unnoted)? {
            let vault = Self::later(folder, key_file);
            return match vault.master() {
                Err(VaultError::Missing { folder }) => Err(VaultError::Gone { folder, note: note.to_path_buf() }),
                opened => opened.map(|_| vault),
            };
        }
        let vault = Self::open(folder, key_file)?;
        notes::write_down(folder, note).map_err(unnoted)?;
        Ok(vault)
    }

    /// Opened when something is asked of it; never made: for a run under way, whose way back may well do without.
    pub fn later(folder: &Path, key_file: &Path) -> Self {
        let (folder, key_file) = (folder.to_path_buf(), key_file.to_path_buf());
        Self { shared: Arc::new(Shared { folder, key_file, master: Mutex::default() }) }
    }

    pub fn folder(&self) -> &Path {
        &self.shared.folder
    }

    /// Durable when it returns. Saving a key again replaces nothing: the newest counts.
    pub fn save(&self, key: &str, bytes: impl Read + Send + 'static) -> Result<Artifact, VaultError> {
        check_key(key)?;
        let _held = self.lock(FlockOperation::LockShared)?;
        let storage = Arc::new(Folder::new(self.folder()));
        let tally = Arc::new(Mutex::new(stream::Tally::default()));
        let outcome = self.archive(key, Box::new(bytes), &storage, &tally);
        if outcome.is_err() {
            self.drop_remains(&storage);
        }
        outcome
    }

    /// The newest artifact of that key.
    pub fn find(&self, key: &str) -> Result<Artifact, VaultError> {
        let _held = self.lock(FlockOperation::LockShared)?;
        self.newest(&self.connect(&self.storage())?, key).map(|(artifact, _)| artifact)
    }

    /// A reader of the artifact's bytes; its digest is checked at the end, an error there is a read error. [`forget`]
    /// waits until it is dropped.
    ///
    /// [`forget`]: Vault::forget
    pub fn open_artifact(&self, key: &str) -> Result<Box<dyn Read + Send>, VaultError> {
        let held = self.lock(FlockOperation::LockShared)?;
        let repository = self.connect(&self.storage())?;
        let (artifact, snapshot) = self.newest(&repository, key)?;
        let damaged = |e: Box<rustic_core::RusticError>| VaultError::Damaged { key: key.into(), why: e.display_log() };
        let repository = repository.to_indexed().map_err(damaged)?;
        let node = repository.node_from_snapshot_and_path(&snapshot, key).map_err(damaged)?;
        let work = move |end: &mut stream::PipeEnd| {
            let _held = held;
            repository.dump(&node, end).map_err(|e| io::Error::other(e.display_log()))
        };
        let inner = stream::Pipe::run(work).map_err(|e| VaultError::io(self.folder(), "reading", &e))?;
        let (size_bytes, digest) = (artifact.size_bytes, artifact.digest);
        Ok(Box::new(stream::Checked { inner, hasher: Default::default(), read_bytes: 0, size_bytes, digest }))
    }

    /// Reads the whole artifact back and compares size and digest.
    pub fn check(&self, key: &str) -> Result<(), VaultError> {
        let mut reader = self.open_artifact(key)?;
        match io::copy(&mut reader, &mut io::sink()) {
            Ok(_) => Ok(()),
            Err(error) => Err(VaultError::Damaged { key: key.into(), why: error.to_string() }),
        }
    }

    /// The newest artifact of each key that begins with `prefix`, sorted by key.
    pub fn list(&self, prefix: &str) -> Result<Vec<Artifact>, VaultError> {
        let _held = self.lock(FlockOperation::LockShared)?;
        let repository = self.connect(&self.storage())?;
        let mut all: Vec<_> = self.artifacts(&repository)?;
        all.retain(|(artifact, _)| artifact.key.starts_with(prefix));
        all.sort_by(|(a, x), (b, y)| a.key.cmp(&b.key).then(y.time.cmp(&x.time)));
        all.dedup_by(|(later, _), (first, _)| later.key == first.key);
        Ok(all.into_iter().map(|(artifact, _)| artifact).collect())
    }

    /// Forgets artifacts with their companions and frees what only they held; keys that are not there are passed over.
    /// Without any it frees what an earlier call was kept from. Waits until nobody else uses the vault, and refuses where
    /// restic does; whether it `may` is asked once nobody can begin to. Whether nothing is left to free.
    pub fn forget(&self, keys: &[String], may: impl FnOnce() -> bool) -> Result<bool, VaultError> {
        let owed = OwedPrune::of(self.folder());
        if keys.is_empty() && !owed.is_owed() {
            return Ok(true);
        }
        let _held = self.lock(FlockOperation::LockExclusive)?;
        if !may() {
            return Ok(false);
        }
        let failed = |e: io::Error| VaultError::io(self.folder(), "forgetting", &e);
        if folder::has_newer(&self.folder().join("locks"), RESTIC_LOCKS).map_err(failed)? {
            return Err(VaultError::Busy { folder: self.folder().to_path_buf() });
        }
        let storage = self.storage();
        let repository = self.connect(&storage)?;
        let wanted = |key: &str| keys.iter().any(|k| k == key || Some(k.as_str()) == key.strip_suffix(MANIFEST_SUFFIX));
        let gone: Vec<SnapshotId> = self
            .snapshots(&repository)?
            .iter()
            .filter(|snapshot| match artifact_of(snapshot) {
                Some(artifact) => wanted(&artifact.key),
                None => snapshot.tags.contains(PARTIAL),
            })
            .map(|snapshot| snapshot.id)
            .collect();
        let wrong = |e: Box<rustic_core::RusticError>| VaultError::rustic(self.folder(), "forgetting", &e);
        owed.begin();
        repository.delete_snapshots(&gone).map_err(wrong)?;
        storage.remove_parts().map_err(failed)?;
        let mut options = PruneOptions::default();
        // Nobody else reads now, so that nothing has to stay for a while.
        options.instant_delete = true;
        // First what nobody uses at all: on a full disk nothing else could be written anew.
        for max_repack in [LimitOption::Percentage(0), LimitOption::Unlimited] {
            options.max_repack = max_repack;
            let plan = repository.prune_plan(&options).map_err(wrong)?;
            repository.prune(&options, plan).map_err(wrong)?;
        }
        owed.end().map_err(failed)?;
        Ok(true)
    }

    /// For what fits into memory: a file's former content, a manifest.
    pub fn save_bytes(&self, key: &str, bytes: &[u8]) -> Result<Artifact, VaultError> {
        self.save(key, io::Cursor::new(bytes.to_vec()))
    }

    pub fn read_bytes(&self, key: &str) -> Result<Vec<u8>, VaultError> {
        let mut bytes = Vec::new();
        match self.open_artifact(key)?.read_to_end(&mut bytes) {
            Ok(_) => Ok(bytes),
            Err(error) => Err(VaultError::Damaged { key: key.into(), why: error.to_string() }),
        }
    }

    /// The stream becomes a snapshot that is marked as partial; once it is known to be whole, one with size and digest
    /// takes its place.
    fn archive(
        &self, key: &str, bytes: Box<dyn Read + Send>, storage: &Arc<Folder>, tally: &Arc<Mutex<stream::Tally>>,
    ) -> Result<Artifact, VaultError> {
        let wrong = |e: Box<rustic_core::RusticError>| match storage.take_failure() {
            Some(cause) => VaultError::io(self.folder(), "saving", &cause),
            None => VaultError::rustic(self.folder(), "saving", &e),
        };
        let repository = self.connect(storage)?;
        let newest = self.newest(&repository, key).ok().map(|(_, snapshot)| snapshot.time);
        let repository = repository.to_indexed_ids().map_err(wrong)?;
        let path = PathBuf::from("/").join(key);
        let reader = stream::Counted { inner: bytes, tally: tally.clone() };
        let source = stream::Source { path: path.clone(), reader: Mutex::new(Some(reader)) };
        let mut options = BackupOptions::default();
        options.no_scan = true;
        // With a parent, a second stream of equal name and metadata counts as unchanged and is not read.
        options.parent_opts.force = true;
        let blank = SnapshotOptions::default().add_tags(PARTIAL).and_then(|o| o.to_snapshot()).map_err(wrong)?;
        let archived = repository.archive(&options, &source, blank, &[path]);
        let mut tally = std::mem::take(&mut *tally.lock().expect("no panic holds this lock"));
        if let Some(source) = tally.failed.take() {
            return Err(VaultError::Stream { key: key.into(), source });
        }
        let partial = archived.map_err(wrong)?;
        if let Some(cause) = storage.take_failure() {
            return Err(VaultError::io(self.folder(), "saving", &cause));
        }
        // rustic leaves a file out that it could not process, and only logs it.
        let summary = partial.summary.clone().unwrap_or_default();
        if !tally.ended || summary.total_files_processed != 1 || summary.total_bytes_processed != tally.size_bytes {
            let why = format!("saving: {} of {} bytes arrived", summary.total_bytes_processed, tally.size_bytes);
            return Err(VaultError::Other { folder: self.folder().to_path_buf(), why });
        }
        let digest = hex(&tally.hasher.finalize());
        let mut whole = partial.clone();
        whole.tags = Default::default();
        for tag in [WHOLE.into(), format!("{SIZE_TAG}{}", tally.size_bytes), format!("{DIGEST_TAG}{digest}")] {
            whole.tags.add(tag);
        }
        // The newest counts, even where the clock was put back.
        if let Some(newest) = newest.filter(|newest| *newest >= whole.time) {
            whole.time = &newest + jiff::SignedDuration::from_millis(1);
        }
        repository.save_snapshots(vec![whole]).map_err(wrong)?;
        let snapshot = storage.written(FileType::Snapshot).last().map(|id| id.to_hex().to_string()).unwrap_or_default();
        repository.delete_snapshots(&[partial.id]).map_err(wrong)?;
        Ok(Artifact { key: key.into(), size_bytes: tally.size_bytes, digest, snapshot })
    }

    /// After a save that failed: its snapshot, and the packs that no index names and that nobody can refer to therefore.
    /// What it had indexed goes with the next prune.
    fn drop_remains(&self, storage: &Arc<Folder>) {
        use rustic_core::{WriteBackend, repofile::IndexFile};
        let remove = || -> RusticResult<()> {
            for id in storage.written(FileType::Snapshot) {
                storage.remove(FileType::Snapshot, &id, false)?;
            }
            let Some(master) = self.kept_master() else { return Ok(()) };
            let repository = new_repository(storage.clone())?.open(&Credentials::Masterkey(master))?;
            let mut packs = storage.written(FileType::Pack);
            let written = packs.len();
            for index in repository.stream_files::<IndexFile>()? {
                let (_, index) = index?;
                packs.retain(|id| !index.packs.iter().any(|pack| *pack.id == *id));
            }
            if packs.len() < written {
                OwedPrune::of(self.folder()).begin();
            }
            packs.iter().try_for_each(|id| storage.remove(FileType::Pack, id, false))
        };
        if let Err(error) = remove() {
            OwedPrune::of(self.folder()).begin();
            tracing::warn!(folder = %self.folder().display(), "what a failed save left stays until the next prune: {}", error.display_log());
        }
    }

    fn storage(&self) -> Arc<Folder> {
        Arc::new(Folder::new(self.folder()))
    }

    /// Under the folder's lock. A key that doesn't fit is derived anew by the next operation: another repository may be
    /// mounted by now.
    fn connect(&self, storage: &Arc<Folder>) -> Result<Repository<OpenStatus>, VaultError> {
        let gone = || VaultError::Missing { folder: self.folder().to_path_buf() };
        let master = self.kept_master().ok_or_else(gone)?;
        let opened =
            new_repository(storage.clone()).and_then(|repository| repository.open(&Credentials::Masterkey(master)));
        opened.map_err(|e| {
            *self.shared.master.lock().expect("no panic holds this lock") = None;
            VaultError::rustic(self.folder(), "opening it", &e)
        })
    }

    fn master(&self) -> Result<MasterKey, VaultError> {
        if let Some(master) = self.kept_master() {
            return Ok(master);
        }
        let master = unlock(self.folder(), &self.shared.key_file, false)?;
        self.keep(master.clone());
        Ok(master)
    }

    fn kept_master(&self) -> Option<MasterKey> {
        self.shared.master.lock().expect("no panic holds this lock").clone()
    }

    fn keep(&self, master: MasterKey) {
        *self.shared.master.lock().expect("no panic holds this lock") = Some(master);
    }

    /// Unlocked first: that takes the folder's lock itself.
    fn lock(&self, kind: FlockOperation) -> Result<File, VaultError> {
        self.master()?;
        lock_folder(self.folder(), kind)
    }

    fn newest(&self, repository: &Repository<OpenStatus>, key: &str) -> Result<(Artifact, SnapshotFile), VaultError> {
        let all = self.artifacts(repository)?;
        let newest =
            all.into_iter().filter(|(artifact, _)| artifact.key == key).max_by_key(|(_, s)| s.time.timestamp());
        newest.ok_or_else(|| VaultError::NotFound(key.into()))
    }

    fn artifacts(&self, repository: &Repository<OpenStatus>) -> Result<Vec<(Artifact, SnapshotFile)>, VaultError> {
        let snapshots = self.snapshots(repository)?;
        Ok(snapshots.into_iter().filter_map(|snapshot| Some((artifact_of(&snapshot)?, snapshot))).collect())
    }

    /// A save beside this one takes its partial snapshot away: what is gone between listing and reading is listed anew.
    fn snapshots(&self, repository: &Repository<OpenStatus>) -> Result<Vec<SnapshotFile>, VaultError> {
        let mut tries = 0;
        loop {
            match repository.get_all_snapshots() {
                Err(error) if tries < TRIES && error::is_gone(&error) => tries += 1,
                read => return read.map_err(|e| VaultError::rustic(self.folder(), "reading its snapshots", &e)),
            }
        }
    }
}

/// None for a snapshot that is not ours, or not whole.
fn artifact_of(snapshot: &SnapshotFile) -> Option<Artifact> {
    if !snapshot.tags.contains(WHOLE) {
        return None;
    }
    let tag = |prefix: &str| snapshot.tags.iter().find_map(|tag| tag.strip_prefix(prefix));
    Some(Artifact {
        key: snapshot.paths.iter().next()?.trim_start_matches('/').into(),
        size_bytes: tag(SIZE_TAG)?.parse().ok()?,
        digest: tag(DIGEST_TAG)?.into(),
        snapshot: snapshot.id.to_hex().to_string(),
    })
}

/// A key is a path inside a snapshot.
fn check_key(key: &str) -> Result<(), VaultError> {
    let part = |part: &str| {
        !part.is_empty() && part != "." && part != ".." && part.len() < 256 && !part.contains(|c: char| c.is_control())
    };
    if key.split('/').all(part) { Ok(()) } else { Err(VaultError::BadKey(key.into())) }
}
