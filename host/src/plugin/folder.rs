//! Finds components: the plugins' folder by name, and the kept ones by digest. Reads files, runs nothing.

use super::error::PluginError;
use super::sealed;
use crate::effect::hex;
use sha2::{Digest, Sha256};
use std::collections::{BTreeSet, HashMap};
use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::SystemTime;

const EXTENSION: &str = "wasm";
/// File systems count time in ticks; some of them in whole seconds.
const SETTLED_SECONDS: i64 = 2;

pub struct Folder {
    plugins: PathBuf,
    kept: PathBuf,
    most_bytes: u64,
    /// Digests of files as they were when they were read last.
    seen: Mutex<HashMap<PathBuf, (Identity, String)>>,
}

/// Changes whenever a file's content does; the change time can't be set back.
type Identity = (u64, u64, u64, i64, i64);

/// A component's file and the SHA-256 of its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    pub file: PathBuf,
    pub digest: String,
}

impl Folder {
    pub fn new(plugins: PathBuf, kept: PathBuf, most_bytes: u64) -> Self {
        Self { plugins, kept, most_bytes, seen: Mutex::default() }
    }

    pub fn path(&self) -> &Path {
        &self.plugins
    }

    /// `<name>.wasm`, where there is one.
    pub fn by_file_name(&self, name: &str) -> Option<PathBuf> {
        if name.is_empty() || name.contains(['/', '\0']) || name.starts_with('.') {
            return None;
        }
        let file = self.plugins.join(name).with_added_extension(EXTENSION);
        file.is_file().then_some(file)
    }

    /// Every `*.wasm` of the plugins' folder, by name. Nothing where there is no folder.
    pub fn all(&self) -> Result<Vec<PathBuf>, PluginError> {
        let unreadable = |source| PluginError::Unreadable { file: self.plugins.display().to_string(), source };
        let entries = match std::fs::read_dir(&self.plugins) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(unreadable)?,
        };
        let mut files = Vec::new();
        for entry in entries {
            let path = entry.map_err(unreadable)?.path();
            let hidden = path.file_name().is_none_or(|name| name.as_encoded_bytes().starts_with(b"."));
            if !hidden && path.extension().is_some_and(|extension| extension == EXTENSION) {
                files.push(path);
            }
        }
        files.sort();
        Ok(files)
    }

    /// The digest of a file; read again only where the file changed.
    pub fn look(&self, file: &Path) -> Result<Found, PluginError> {
        let metadata = std::fs::metadata(file).map_err(|source| unreadable(file, source))?;
        let identity = identity(&metadata);
        let seen = self.seen.lock().expect("no panic holds this lock").get(file).cloned();
        if let Some((before, digest)) = seen
            && before == identity
        {
            return Ok(Found { file: file.into(), digest });
        }
        let digest = hex(&Sha256::digest(self.read(file)?));
        // One that changed a moment ago could change again and look the same.
        if metadata.ctime() + SETTLED_SECONDS < now_seconds() {
            self.seen.lock().expect("no panic holds this lock").insert(file.into(), (identity, digest.clone()));
        }
        Ok(Found { file: file.into(), digest })
    }

    /// The bytes with this digest, kept or in the plugins' folder, and the file that they are from.
    pub fn bytes_of(&self, digest: &str) -> Result<Option<(PathBuf, Vec<u8>)>, PluginError> {
        let kept = self.kept_file(digest);
        let candidates = std::iter::once(kept).chain(self.all()?);
        for file in candidates {
            // One that can't be read is not the one that is looked for, or there is another.
            let Ok(found) = self.look(&file) else { continue };
            if found.digest != digest {
                continue;
            }
            let bytes = self.read(&file)?;
            if hex(&Sha256::digest(&bytes)) == digest {
                return Ok(Some((file, bytes)));
            }
        }
        Ok(None)
    }

    /// Keeps a copy for as long as a run refers to it. Durable when it returns; false where the bytes are gone.
    pub fn keep(&self, digest: &str) -> Result<bool, PluginError> {
        let failed = |source| PluginError::State { path: self.kept.clone(), source };
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.kept).map_err(failed)?;
        if self.look(&self.kept_file(digest)).is_ok_and(|found| found.digest == digest) {
            return Ok(true);
        }
        let Some((_, bytes)) = self.bytes_of(digest)? else { return Ok(false) };
        sealed::publish(&self.kept, &format!("{digest}.{EXTENSION}"), &bytes).map_err(failed)?;
        Ok(true)
    }

    /// Drops the copies that nothing refers to any more.
    pub fn keep_only(&self, digests: &BTreeSet<String>) {
        let Ok(entries) = std::fs::read_dir(&self.kept) else { return };
        for path in entries.flatten().map(|entry| entry.path()) {
            let stem = path.file_stem().and_then(|stem| stem.to_str());
            if path.extension().is_some_and(|e| e == EXTENSION) && stem.is_some_and(|stem| !digests.contains(stem)) {
                // It only takes space; the next time finds it again.
                let _ = std::fs::remove_file(&path);
            }
        }
    }

    fn kept_file(&self, digest: &str) -> PathBuf {
        self.kept.join(digest).with_added_extension(EXTENSION)
    }

    fn read(&self, file: &Path) -> Result<Vec<u8>, PluginError> {
        let mut bytes = Vec::new();
        let opened = File::open(file).map_err(|source| unreadable(file, source))?;
        opened.take(self.most_bytes + 1).read_to_end(&mut bytes).map_err(|source| unreadable(file, source))?;
        if bytes.len() as u64 > self.most_bytes {
            let size_bytes = std::fs::metadata(file).map_or(bytes.len() as u64, |metadata| metadata.len());
            return Err(PluginError::TooLarge { file: shown(file), size_bytes, most_bytes: self.most_bytes });
        }
        Ok(bytes)
    }
}

/// A file as messages name it.
pub fn shown(file: &Path) -> String {
    file.file_name().map_or_else(|| file.display().to_string(), |name| name.to_string_lossy().into_owned())
}

fn unreadable(file: &Path, source: io::Error) -> PluginError {
    PluginError::Unreadable { file: file.display().to_string(), source }
}

fn now_seconds() -> i64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(now.as_secs()).unwrap_or(i64::MAX)
}

fn identity(metadata: &Metadata) -> Identity {
    (metadata.dev(), metadata.ino(), metadata.len(), metadata.ctime(), metadata.ctime_nsec())
}
