//! Secrets are named in files and resolved at the moment of use. Their values never enter a log, an error, a plugin or
//! the journal: [`Secret`] prints as `***`.

use std::fmt;
use std::path::PathBuf;

/// Where a secret lies: `file:/path`, `env:NAME` (of the daemon), `credential:NAME` (systemd's `$CREDENTIALS_DIRECTORY`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretSource {
    File(PathBuf),
    Environment(String),
    Credential(String),
}

/// A secret's value.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    pub fn new(value: String) -> Self {
        Self(value)
    }
    /// Only for the place that hands it to a process's environment or a request's header.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    #[error("the secret `{0}` is not there")]
    Missing(String),
    #[error("the secret `{name}` can be read by others (mode {mode:o}); `chmod 600 {name}` keeps it to its owner")]
    Exposed { name: String, mode: u32 },
    #[error("the secret `{name}` can't be read")]
    Unreadable { name: String, source: std::io::Error },
}

impl SecretSource {
    /// Reads the value; one trailing line end is not part of it.
    pub fn resolve(&self) -> Result<Secret, SecretError> {
        todo!("config")
    }
}
