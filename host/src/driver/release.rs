//! Where releases lie beneath a deployment's folder: `releases/<commit>/`, the link `current` that names the active one,
//! and `.upgraded/` for what only the daemon reads.

use std::io;
use std::path::{Path, PathBuf};

/// What only the daemon reads and writes.
pub const OWN_FOLDER: &str = ".upgraded";

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    pub directory: PathBuf,
}

impl Layout {
    pub fn new(directory: &Path) -> Self {
        Self { directory: directory.to_owned() }
    }
    pub fn releases(&self) -> PathBuf {
        self.directory.join("releases")
    }
    pub fn release(&self, commit: &Commit) -> PathBuf {
        self.releases().join(&commit.0)
    }
    pub fn current(&self) -> PathBuf {
        self.directory.join("current")
    }
    pub fn own(&self) -> PathBuf {
        self.directory.join(OWN_FOLDER)
    }
    pub fn mirror(&self) -> PathBuf {
        self.own().join("repository.git")
    }
    /// There while a release is being prepared: what lies in its folder is not whole.
    pub fn preparing(&self, commit: &Commit) -> PathBuf {
        self.own().join("preparing").join(&commit.0)
    }

    /// The folder that `current` names; the deployment's own where there is no link.
    pub fn active_folder(&self) -> io::Result<PathBuf> {
        match self.current().canonicalize() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(self.directory.clone()),
            other => other,
        }
    }

    /// The commit that `current` names; `None` where there is no link.
    pub fn active(&self) -> io::Result<Option<Commit>> {
        let target = match std::fs::read_link(self.current()) {
            Ok(target) => target,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let target = self.directory.join(target);
        let commit = target.file_name().and_then(|name| Commit::parse(name.to_str()?));
        let wrong = || {
            let message = format!(
                "`{}` is to link to `releases/<commit>`, not to `{}`",
                self.current().display(),
                target.display()
            );
            io::Error::new(io::ErrorKind::InvalidData, message)
        };
        match commit {
            Some(commit) if target == self.release(&commit) => Ok(Some(commit)),
            _ => Err(wrong()),
        }
    }
}

/// A full commit: 40 hexadecimal digits, and so a safe name for a folder.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Commit(String);

impl Commit {
    pub fn parse(text: &str) -> Option<Self> {
        let fits = text.len() == 40 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        fits.then(|| Self(text.to_owned()))
    }
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
