//! The folder of deployments' files as it is: names and digests. Blocking; never changes anything.

use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};

/// Larger ones are no deployment's file; they are reported as unreadable and not read.
const FILE_BYTES: u64 = 1024 * 1024;

#[derive(Debug, Clone)]
pub struct Folder {
    path: PathBuf,
}

/// What was found, by the deployment's name.
pub type Snapshot = BTreeMap<String, Found>;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    pub content: Content,
    /// The file itself, where symbolic links lead; also one that is not there.
    pub real: PathBuf,
}

/// All that is known of a file's content; a file that can't be read is there, and whoever reads it says why it can't.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// SHA-256.
    Digest([u8; 32]),
    Unreadable(io::ErrorKind),
}

impl Folder {
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Every deployment's file. A folder that is not there has none; one that can't be read is an error.
    pub fn scan(&self) -> io::Result<Snapshot> {
        let entries = match std::fs::read_dir(&self.path) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Snapshot::new()),
            Err(error) => return Err(error),
        };
        let mut snapshot = Snapshot::new();
        for entry in entries {
            let entry = entry?;
            let Some(name) = deployment_name(&entry.file_name()).map(str::to_owned) else { continue };
            let path = entry.path();
            let content = read(&path);
            // It was there a moment ago and isn't now: a file, not a link that leads nowhere.
            if content == Content::Unreadable(io::ErrorKind::NotFound) && path.symlink_metadata().is_err() {
                continue;
            }
            snapshot.insert(name, Found { content, real: real(&path) });
        }
        Ok(snapshot)
    }
}

/// `shop` of `shop.toml`. What editors and tools write beside it (`.shop.toml.swp`, `shop.toml~`, `#shop.toml#`, `4913`,
/// `sedX1y2`) is no deployment's.
pub fn deployment_name(file: &OsStr) -> Option<&str> {
    let stem = file.to_str()?.strip_suffix(".toml")?;
    (!stem.is_empty() && !stem.starts_with(['.', '#'])).then_some(stem)
}

/// Of a link that leads nowhere, the place where it looks: a file may appear there.
fn real(path: &Path) -> PathBuf {
    std::fs::canonicalize(path).unwrap_or_else(|_| match (std::fs::read_link(path), path.parent()) {
        (Ok(target), Some(folder)) => folder.join(target),
        _ => path.to_owned(),
    })
}

fn read(path: &Path) -> Content {
    match crate::config::file::read_bounded(path, FILE_BYTES) {
        Ok(bytes) => Content::Digest(Sha256::digest(bytes).into()),
        Err(error) => Content::Unreadable(error.kind()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_deployments_files_count() {
        for name in ["shop.toml", "a.b.toml"] {
            assert!(deployment_name(OsStr::new(name)).is_some(), "{name}");
        }
        for name in [
            ".toml",
            ".shop.toml",
            ".shop.toml.swp",
            "shop.toml~",
            "#shop.toml#",
            ".#shop.toml",
            "4913",
            "shop.toml.bak",
            "shop.toml.dpkg-new",
            "sedA1b2C3",
            "shop.tom",
            "..data",
            "shop.toml.swp",
            "shop.TOML",
        ] {
            assert!(deployment_name(OsStr::new(name)).is_none(), "{name}");
        }
    }

    #[test]
    fn what_can_not_be_read_is_there_all_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::create_dir(at("folder.toml")).unwrap();
        std::os::unix::fs::symlink("nowhere", at("dangling.toml")).unwrap();
        std::os::unix::fs::symlink("loop.toml", at("loop.toml")).unwrap();
        std::fs::write(at("large.toml"), vec![b' '; 2 << 20]).unwrap();
        rustix::fs::mknodat(rustix::fs::CWD, at("pipe.toml"), rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
        std::fs::write(at("sound.toml"), "").unwrap();
        let snapshot = Folder::new(folder.path()).scan().unwrap();
        let readable: Vec<_> = snapshot
            .iter()
            .filter(|(_, found)| matches!(found.content, Content::Digest(_)))
            .map(|(name, _)| name)
            .collect();
        assert_eq!(readable, ["sound"]);
        assert_eq!(snapshot.len(), 6);
        assert!(Folder::new(at("none")).scan().unwrap().is_empty());
        assert!(Folder::new(at("sound.toml")).scan().is_err(), "no folder");
    }
}
