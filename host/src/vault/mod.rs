//! Where backups are kept: a restic repository, one snapshot for each artifact.

use std::io::Read;
use std::path::Path;

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

#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    #[error("{0}")]
    Other(String),
}

/// Blocking: call it from `spawn_blocking`. Cheap to clone; the repository stays open.
#[derive(Clone)]
pub struct Vault {}

impl Vault {
    /// Opens the repository; makes it where the folder is empty or missing.
    pub fn open(folder: &Path, key_file: &Path) -> Result<Self, VaultError> {
        let _ = (folder, key_file);
        todo!("vault")
    }
    /// Durable when it returns. Saving a key again replaces nothing: the newest counts.
    pub fn save(&self, key: &str, bytes: impl Read + Send + 'static) -> Result<Artifact, VaultError> {
        let _ = (key, bytes);
        todo!("vault")
    }
    pub fn find(&self, key: &str) -> Result<Artifact, VaultError> {
        let _ = key;
        todo!("vault")
    }
    /// A reader of the artifact's bytes; its digest is checked at the end, an error there is a read error.
    pub fn open_artifact(&self, key: &str) -> Result<Box<dyn Read + Send>, VaultError> {
        let _ = key;
        todo!("vault")
    }
    /// Reads the whole artifact back and compares size and digest.
    pub fn check(&self, key: &str) -> Result<(), VaultError> {
        let _ = key;
        todo!("vault")
    }
    pub fn list(&self, prefix: &str) -> Result<Vec<Artifact>, VaultError> {
        let _ = prefix;
        todo!("vault")
    }
    /// Forgets artifacts and frees what only they held.
    pub fn forget(&self, keys: &[String]) -> Result<(), VaultError> {
        let _ = keys;
        todo!("vault")
    }
}
