//! A copy of a project's folder without its data.

use crate::driver::beside::look;
use crate::driver::beside::work::{At, Pulse};
use crate::driver::durable;
use crate::driver::trees::copy::{Means, copy_tree, properties_of, settle};
use crate::model::VerbError;
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// What a file's blocks are counted in.
const BLOCK_BYTES: u64 = 512;

/// Copies `from` to `to`, where nothing may be. Folders among `apart` stay empty, with their owner and mode; copies that lie
/// beside them, and what is no file, folder or link, are left out.
pub fn copy_project(from: &Path, to: &Path, apart: &[PathBuf], pulse: &Pulse) -> Result<(), VerbError> {
    durable::make_passage(to.parent().unwrap_or(to)).at("making", to)?;
    copy(from, to, apart, pulse)
}

fn copy(from: &Path, to: &Path, apart: &[PathBuf], pulse: &Pulse) -> Result<(), VerbError> {
    pulse.alive()?;
    let found = from.symlink_metadata().at("reading", from)?;
    if !found.is_dir() {
        let copied = found.is_file() || found.is_symlink();
        return if copied { copy_tree(from, to, Means::Any, pulse).map(drop) } else { Ok(()) };
    }
    let empty = apart.iter().any(|path| path == from);
    if !empty && !apart.iter().any(|path| path.starts_with(from)) && !holds_something_special(from) {
        return copy_tree(from, to, Means::Any, pulse).map(drop);
    }
    fs::create_dir(to).at("making", to)?;
    if !empty {
        for name in names(from, apart)? {
            copy(&from.join(&name), &to.join(&name), apart, pulse)?;
        }
    }
    settle(to, &properties_of(from)?, false)
}

/// What a copy takes on the disk, at most: a file system that shares blocks takes less.
pub fn size_bytes(from: &Path, apart: &[PathBuf], pulse: &Pulse) -> Result<u64, VerbError> {
    pulse.alive()?;
    let Some(found) = look(from)? else { return Ok(0) };
    if found.is_file() {
        return Ok(found.len().min(found.blocks().saturating_mul(BLOCK_BYTES)));
    }
    if !found.is_dir() || apart.iter().any(|path| path == from) {
        return Ok(0);
    }
    let mut bytes: u64 = 0;
    for name in names(from, apart)? {
        bytes = bytes.saturating_add(size_bytes(&from.join(name), apart, pulse)?);
    }
    pulse.activity().touch();
    Ok(bytes)
}

/// Of what is copied of a folder.
fn names(folder: &Path, apart: &[PathBuf]) -> Result<Vec<OsString>, VerbError> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).at("reading", folder)? {
        let name = entry.at("reading", folder)?.file_name();
        if !is_kept_beside(&folder.join(&name), apart) {
            names.push(name);
        }
    }
    Ok(names)
}

/// A copy that an upgrade froze beside the data, or set aside there.
fn is_kept_beside(path: &Path, apart: &[PathBuf]) -> bool {
    let (path, beginning) = (path.as_os_str().as_encoded_bytes(), b".upgraded-");
    let ending = |live: &PathBuf| path.strip_prefix(live.as_os_str().as_encoded_bytes());
    apart.iter().filter_map(ending).any(|ending| ending.starts_with(beginning))
}

/// A socket, a pipe or a device, for example one that a service listens on.
fn holds_something_special(folder: &Path) -> bool {
    let Ok(entries) = fs::read_dir(folder) else { return false };
    entries.flatten().any(|entry| match entry.file_type() {
        Ok(kind) if kind.is_dir() => holds_something_special(&entry.path()),
        Ok(kind) => !kind.is_file() && !kind.is_symlink(),
        Err(_) => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::activity::Activity;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn data_its_copies_and_sockets_are_left_out() {
        let scratch = tempfile::tempdir().unwrap();
        let (from, to) = (scratch.path().join("shop"), scratch.path().join("rehearsals/shop/project"));
        fs::create_dir_all(from.join("data/files")).unwrap();
        fs::create_dir_all(from.join("conf/run")).unwrap();
        fs::write(from.join("compose.yaml"), "services: {}").unwrap();
        fs::write(from.join("data/files/big"), "bytes").unwrap();
        fs::write(from.join("data/notes"), "kept").unwrap();
        fs::set_permissions(from.join("data/files"), fs::Permissions::from_mode(0o750)).unwrap();
        fs::create_dir_all(from.join("data/files.upgraded-r5-freeze-files")).unwrap();
        fs::write(from.join("data/files.upgraded-r5-freeze-files/big"), "bytes").unwrap();
        let _listener = std::os::unix::net::UnixListener::bind(from.join("conf/run/socket")).unwrap();
        let (apart, pulse) = ([from.join("data/files")], Pulse::new(&Activity::silent()));
        let wanted = ["services: {}", "kept"].map(str::len).into_iter().sum::<usize>() as u64;
        assert_eq!(size_bytes(&from, &apart, &pulse).unwrap(), wanted);
        copy_project(&from, &to, &apart, &pulse).unwrap();
        assert_eq!(fs::read_to_string(to.join("compose.yaml")).unwrap(), "services: {}");
        assert_eq!(fs::read_to_string(to.join("data/notes")).unwrap(), "kept");
        assert_eq!(fs::read_dir(to.join("data/files")).unwrap().count(), 0);
        assert_eq!(to.join("data/files").metadata().unwrap().permissions().mode() & 0o777, 0o750);
        assert!(!to.join("data/files.upgraded-r5-freeze-files").exists());
        assert!(!to.join("conf/run/socket").exists() && to.join("conf/run").is_dir());
    }
}
