//! Files that the host wrote for itself and believes only if it did: native code and what components said of themselves.
//!
//! Each carries a keyed digest (HMAC-SHA-256) over its content and what it is for. What is not ours, what others could
//! write, and what doesn't match is not used; the caller makes it anew and puts it in its place.

use super::error::PluginError;
use sha2::{Digest, Sha256};
use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Ours alone, from the moment it is there.
const FOLDER_MODE: u32 = 0o700;
const MAGIC: &[u8; 8] = b"UPGSEAL1";
const HEADER_BYTES: usize = MAGIC.len() + 32;
const KEY_FILE: &str = "key";

pub struct Sealed {
    folder: PathBuf,
    key: [u8; 32],
}

/// Content of a sealed file; the header stays before it, so that nothing is copied.
pub struct Content(Vec<u8>);

impl Content {
    pub fn bytes(&self) -> &[u8] {
        &self.0[HEADER_BYTES..]
    }
}

/// Why a file that is there was not used.
#[derive(Debug, thiserror::Error)]
pub enum Distrust {
    #[error("it belongs to user {0}")]
    Foreign(u32),
    #[error("others may write it (mode {0:o})")]
    Writable(u32),
    #[error("it is no regular file")]
    Irregular,
    #[error("it is not what this host wrote")]
    Forged,
    #[error("{0}")]
    Unreadable(#[from] io::Error),
}

impl Sealed {
    /// Makes the folder and its key where they are missing; takes the folder away from others where they could write it.
    pub fn open(folder: &Path) -> Result<Self, PluginError> {
        let failed = |source| PluginError::State { path: folder.into(), source };
        DirBuilder::new().recursive(true).mode(FOLDER_MODE).create(folder).map_err(failed)?;
        let metadata = std::fs::symlink_metadata(folder).map_err(failed)?;
        if !metadata.is_dir() || metadata.uid() != own_user() {
            return Err(failed(io::Error::other("the folder belongs to somebody else")));
        }
        if metadata.mode() & 0o077 != 0 {
            std::fs::set_permissions(folder, Permissions::from_mode(FOLDER_MODE)).map_err(failed)?;
        }
        let key = open_key(folder).map_err(|source| PluginError::State { path: folder.join(KEY_FILE), source })?;
        Ok(Self { folder: folder.into(), key })
    }

    /// `None` where there is no such file. `purpose` is part of what was sealed: one file can't stand in for another.
    pub fn read(&self, name: &str, purpose: &str) -> Result<Option<Content>, Distrust> {
        let bytes = match read_own(&self.folder.join(name)) {
            Ok(bytes) => bytes,
            Err(Distrust::Unreadable(error)) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(why) => return Err(why),
        };
        let Some((header, content)) = bytes.split_at_checked(HEADER_BYTES) else { return Err(Distrust::Forged) };
        let seal = self.seal(purpose, content);
        if header[..MAGIC.len()] != MAGIC[..] || !same(&header[MAGIC.len()..], &seal) {
            return Err(Distrust::Forged);
        }
        Ok(Some(Content(bytes)))
    }

    /// In place, whole and durable when it returns.
    pub fn publish(&self, name: &str, purpose: &str, content: &[u8]) -> Result<(), PluginError> {
        let mut bytes = Vec::with_capacity(HEADER_BYTES + content.len());
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&self.seal(purpose, content));
        bytes.extend_from_slice(content);
        publish(&self.folder, name, &bytes)
            .map_err(|source| PluginError::State { path: self.folder.join(name), source })
    }

    /// Removes files of the folder whose names the caller no longer needs.
    pub fn remove_if(&self, unneeded: impl Fn(&str) -> bool) {
        let Ok(entries) = std::fs::read_dir(&self.folder) else { return };
        for entry in entries.flatten() {
            if entry.file_name().to_str().is_some_and(|name| name != KEY_FILE && unneeded(name)) {
                // Garbage only takes space; the next time finds it again.
                let _ = std::fs::remove_file(entry.path());
            }
        }
    }

    fn seal(&self, purpose: &str, content: &[u8]) -> [u8; 32] {
        let length = (purpose.len() as u64).to_be_bytes();
        hmac_sha256(&self.key, &[&length, purpose.as_bytes(), content])
    }
}

/// Writes beside, syncs, renames, syncs the folder. Mode 0600.
pub fn publish(folder: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    let mut file = tempfile::Builder::new().prefix(".new-").tempfile_in(folder)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(folder.join(name)).map_err(|error| error.error)?;
    File::open(folder)?.sync_all()
}

fn read_own(path: &Path) -> Result<Vec<u8>, Distrust> {
    let no_follow = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
    let opened = OpenOptions::new().read(true).custom_flags(no_follow.bits() as i32).open(path);
    let mut file = match opened {
        Err(error) if error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error()) => {
            return Err(Distrust::Irregular);
        }
        opened => opened?,
    };
    // Of the open file: a name could point elsewhere by now.
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(Distrust::Irregular);
    }
    if metadata.uid() != own_user() {
        return Err(Distrust::Foreign(metadata.uid()));
    }
    if metadata.mode() & 0o022 != 0 {
        return Err(Distrust::Writable(metadata.mode() & 0o7777));
    }
    let mut bytes = Vec::with_capacity(metadata.len() as usize);
    file.read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn open_key(folder: &Path) -> io::Result<[u8; 32]> {
    for _ in 0..2 {
        let key = read_own(&folder.join(KEY_FILE)).ok().and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
        if let Some(key) = key {
            return Ok(key);
        }
        let mut fresh = [0; 32];
        File::open("/dev/urandom")?.read_exact(&mut fresh)?;
        // Whatever an unusable key sealed is made anew.
        publish(folder, KEY_FILE, &fresh)?;
    }
    Err(io::Error::other("the key can't be read back"))
}

fn own_user() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// Takes the same time wherever they differ.
fn same(left: &[u8], right: &[u8]) -> bool {
    left.len() == right.len() && left.iter().zip(right).fold(0, |differ, (a, b)| differ | (a ^ b)) == 0
}

/// RFC 2104, for keys of up to 64 bytes.
fn hmac_sha256(key: &[u8; 32], parts: &[&[u8]]) -> [u8; 32] {
    let padded = |byte: u8| {
        let mut block = [byte; 64];
        block.iter_mut().zip(key).for_each(|(block, key)| *block ^= key);
        block
    };
    let mut inner = Sha256::new_with_prefix(padded(0x36));
    parts.iter().for_each(|part| inner.update(part));
    Sha256::new_with_prefix(padded(0x5c)).chain_update(inner.finalize()).finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::effect::hex;

    fn sealed() -> (tempfile::TempDir, Sealed) {
        let folder = tempfile::tempdir().unwrap();
        let sealed = Sealed::open(&folder.path().join("plugins")).unwrap();
        (folder, sealed)
    }

    #[test]
    fn the_keyed_digest_is_the_standard_one() {
        // RFC 4231, test case 1, its key padded with zeros as HMAC does.
        let mut key = [0; 32];
        key[..20].fill(0x0b);
        let expected = "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7";
        assert_eq!(hex(&hmac_sha256(&key, &[b"Hi ", b"There"])), expected);
    }

    #[test]
    fn what_was_sealed_is_read_back_for_its_purpose_only() {
        let (_folder, sealed) = sealed();
        assert!(sealed.read("a", "code of a").unwrap().is_none());
        sealed.publish("a", "code of a", b"content").unwrap();
        assert_eq!(sealed.read("a", "code of a").unwrap().unwrap().bytes(), b"content");
        assert!(matches!(sealed.read("a", "code of b"), Err(Distrust::Forged)));
        let again = Sealed::open(&sealed.folder).unwrap();
        assert_eq!(again.read("a", "code of a").unwrap().unwrap().bytes(), b"content");
        let mode = |name| std::fs::metadata(sealed.folder.join(name)).unwrap().mode() & 0o7777;
        assert_eq!((mode("a"), mode(KEY_FILE), mode(".")), (0o600, 0o600, 0o700));
    }

    #[test]
    fn what_somebody_changed_is_not_used() {
        let (_folder, sealed) = sealed();
        sealed.publish("a", "code", b"content").unwrap();
        let path = sealed.folder.join("a");
        let mut bytes = std::fs::read(&path).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        std::fs::write(&path, &bytes).unwrap();
        assert!(matches!(sealed.read("a", "code"), Err(Distrust::Forged)));
        std::fs::write(&path, b"short").unwrap();
        assert!(matches!(sealed.read("a", "code"), Err(Distrust::Forged)));
    }

    #[test]
    fn what_others_may_write_or_a_link_is_not_used() {
        let (folder, sealed) = sealed();
        sealed.publish("a", "code", b"content").unwrap();
        std::fs::set_permissions(sealed.folder.join("a"), Permissions::from_mode(0o620)).unwrap();
        assert!(matches!(sealed.read("a", "code"), Err(Distrust::Writable(0o620))));
        std::fs::rename(sealed.folder.join("a"), folder.path().join("elsewhere")).unwrap();
        std::os::unix::fs::symlink(folder.path().join("elsewhere"), sealed.folder.join("a")).unwrap();
        assert!(matches!(sealed.read("a", "code"), Err(Distrust::Irregular)));
    }

    #[test]
    fn an_open_folder_is_closed_and_an_open_key_replaced() {
        let (_folder, sealed) = sealed();
        sealed.publish("a", "code", b"content").unwrap();
        std::fs::set_permissions(&sealed.folder, Permissions::from_mode(0o777)).unwrap();
        std::fs::set_permissions(sealed.folder.join(KEY_FILE), Permissions::from_mode(0o666)).unwrap();
        let again = Sealed::open(&sealed.folder).unwrap();
        assert_eq!(std::fs::metadata(&sealed.folder).unwrap().mode() & 0o7777, 0o700);
        assert!(matches!(again.read("a", "code"), Err(Distrust::Forged)));
    }
}
