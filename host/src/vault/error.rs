//! Why the vault did not do what was asked, in words for the operator.

use crate::model::VerbError;
use rustic_core::RusticError;
use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};

#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    #[error("the vault's key `{path}` {why}")]
    Key { path: PathBuf, why: String },
    #[error("`{folder}` is neither empty nor a vault; name an empty folder or a restic repository")]
    NotAVault { folder: PathBuf },
    #[error("there is no vault in `{folder}`: is its disk mounted?")]
    Missing { folder: PathBuf },
    #[error("there is no vault in `{folder}`, where one was: is its disk mounted? To begin a new one, remove `{note}`")]
    Gone { folder: PathBuf, note: PathBuf },
    #[error("`{path}`, which says where the vault is: {source}")]
    Note { path: PathBuf, source: io::Error },
    #[error("restic is at work in the vault in `{folder}`; nothing is forgotten meanwhile")]
    Busy { folder: PathBuf },
    #[error("the vault holds no artifact `{0}`")]
    NotFound(String),
    #[error("the artifact `{key}` is damaged: {why}")]
    Damaged { key: String, why: String },
    /// What was to be saved could not be read to its end; nothing was kept.
    #[error("what was to be saved as `{key}` could not be read: {source}")]
    Stream { key: String, source: io::Error },
    #[error("`{0}` is no key of an artifact: parts of letters, digits and other visible characters between single `/`")]
    BadKey(String),
    #[error("no space is left for the vault in `{folder}`")]
    Full { folder: PathBuf },
    #[error("the vault in `{folder}` can't be written: {why}")]
    ReadOnly { folder: PathBuf, why: String },
    #[error("the vault in `{folder}`: {why}")]
    Other { folder: PathBuf, why: String },
}

impl VaultError {
    /// What was to be saved broke off; not the vault.
    pub fn is_stream(&self) -> bool {
        matches!(self, Self::Stream { .. })
    }

    pub(super) fn io(folder: &Path, what: &str, error: &io::Error) -> Self {
        let folder = folder.to_path_buf();
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
                Self::Full { folder }
            }
            io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied => {
                Self::ReadOnly { folder, why: format!("{what}: {error}") }
            }
            _ => Self::Other { folder, why: format!("{what}: {error}") },
        }
    }

    /// The cause, where it is one of the operating system's, says more than rustic's guidance.
    pub(super) fn rustic(folder: &Path, what: &str, error: &RusticError) -> Self {
        let mut causes: Vec<String> = Vec::new();
        let mut cause: Option<&(dyn Error + 'static)> = error.source();
        while let Some(current) = cause {
            if let Some(io) = current.downcast_ref::<io::Error>() {
                return Self::io(folder, what, io);
            }
            causes.push(current.to_string());
            cause = current.source();
        }
        let why = causes.last().cloned().unwrap_or_else(|| error.display_log());
        Self::Other { folder: folder.to_path_buf(), why: format!("{what}: {why}") }
    }
}

/// A file that was listed and is not there any more.
pub(super) fn is_gone(error: &RusticError) -> bool {
    let mut cause: Option<&(dyn Error + 'static)> = error.source();
    while let Some(current) = cause {
        if let Some(io) = current.downcast_ref::<io::Error>() {
            return io.kind() == io::ErrorKind::NotFound;
        }
        cause = current.source();
    }
    false
}

impl From<VaultError> for VerbError {
    fn from(error: VaultError) -> Self {
        let message = error.to_string();
        match error {
            VaultError::NotFound(_) => Self::NotFound(message),
            VaultError::BadKey(_) => Self::Invalid(message),
            VaultError::Full { .. } | VaultError::ReadOnly { .. } | VaultError::Busy { .. } => {
                Self::Unavailable(message)
            }
            VaultError::Stream { source, .. } if is_cancelled(&source) => Self::Cancelled,
            VaultError::Stream { .. } => Self::other("stream", message),
            VaultError::Damaged { .. } => Self::other("damaged", message),
            VaultError::Key { .. }
            | VaultError::NotAVault { .. }
            | VaultError::Missing { .. }
            | VaultError::Gone { .. }
            | VaultError::Note { .. }
            | VaultError::Other { .. } => Self::other("vault", message),
        }
    }
}

/// A stream that ends because its run was cancelled fails with this.
#[derive(Debug, thiserror::Error)]
#[error("cancelled")]
pub struct StreamCancelled;

impl StreamCancelled {
    pub fn error() -> io::Error {
        io::Error::other(Self)
    }
}

fn is_cancelled(error: &io::Error) -> bool {
    error.get_ref().is_some_and(|inner| inner.is::<StreamCancelled>())
}
