//! What a tree holds, in one order: a folder before what is in it, names by their bytes.

use crate::driver::beside::work::{At, Pulse};
use crate::driver::beside::{escape_path, is_mounted, look};
use crate::model::VerbError;
use rustix::fs::{XattrFlags, lgetxattr, llistxattr, lsetxattr};
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

pub struct Entry {
    /// Empty for the tree's root.
    pub relative: PathBuf,
    pub path: PathBuf,
    pub metadata: fs::Metadata,
}

/// Visits everything; nothing where nothing is. What vanishes meanwhile is passed over. Special files and other file
/// systems are refused: they can't be saved.
pub fn walk(
    root: &Path, pulse: &Pulse, visit: &mut dyn FnMut(Entry) -> Result<(), VerbError>,
) -> Result<(), VerbError> {
    let Some(metadata) = look(root)? else { return Ok(()) };
    let device = metadata.dev();
    let mut waiting = vec![Entry { relative: PathBuf::new(), path: root.to_path_buf(), metadata }];
    while let Some(entry) = waiting.pop() {
        pulse.alive()?;
        refuse_special(&entry)?;
        let (path, is_root) = (entry.path.clone(), entry.relative.as_os_str().is_empty());
        if !is_root && is_foreign(&entry, device) {
            let path = escape_path(&path);
            return Err(VerbError::Invalid(format!(
                "`{path}` is a mount point inside a tree; it needs a path of its own"
            )));
        }
        if entry.metadata.is_dir() {
            waiting.extend(children(&entry)?);
        }
        match visit(entry) {
            Err(VerbError::NotFound(_)) if !is_root && look(&path)?.is_none() => {}
            visited => visited?,
        }
    }
    Ok(())
}

/// It would go along with a rename of the tree, and a removal would go through it. Files of one file system of layers may be
/// of several devices.
fn is_foreign(entry: &Entry, device: u64) -> bool {
    let metadata = &entry.metadata;
    (metadata.is_dir() && metadata.dev() != device) || (!metadata.is_symlink() && is_mounted(&entry.path))
}

/// Last first, for a stack.
fn children(folder: &Entry) -> Result<Vec<Entry>, VerbError> {
    let listed = match fs::read_dir(&folder.path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        listed => listed.at("listing", &folder.path)?,
    };
    let mut names = Vec::new();
    for entry in listed {
        names.push(entry.at("listing", &folder.path)?.file_name());
    }
    names.sort_unstable_by(|a, b| b.as_encoded_bytes().cmp(a.as_encoded_bytes()));
    let mut children = Vec::with_capacity(names.len());
    for name in names {
        let path = folder.path.join(&name);
        if let Some(metadata) = look(&path)? {
            children.push(Entry { relative: folder.relative.join(&name), path, metadata });
        }
    }
    Ok(children)
}

fn refuse_special(entry: &Entry) -> Result<(), VerbError> {
    let kind = entry.metadata.file_type();
    let what = if kind.is_socket() {
        "a socket"
    } else if kind.is_fifo() {
        "a named pipe"
    } else if kind.is_block_device() || kind.is_char_device() {
        "a device"
    } else {
        return Ok(());
    };
    Err(VerbError::Invalid(format!(
        "`{}` is {what}, which can't be saved; remove it or name other paths",
        escape_path(&entry.path)
    )))
}

pub type Attributes = BTreeMap<Vec<u8>, Vec<u8>>;

/// Extended attributes that belong to the data: users' own, access lists, capabilities. Labels of the machine's own
/// security policy are the machine's: see [`label`].
pub fn attributes(path: &Path) -> Result<Attributes, VerbError> {
    let mut found = Attributes::new();
    for name in list(path)?.split(|byte| *byte == 0).filter(|name| !name.is_empty()) {
        let kept =
            name.starts_with(b"user.") || name.starts_with(b"system.posix_acl_") || name == b"security.capability";
        if !kept {
            continue;
        }
        match read(path, name) {
            Ok(value) => {
                found.insert(name.to_vec(), value);
            }
            Err(rustix::io::Errno::NODATA) => {}
            Err(error) => return Err(io::Error::from(error)).at("reading the attributes of", path),
        }
    }
    Ok(found)
}

const LABEL: &str = "security.selinux";

/// What the machine's security policy knows the file by, where there is one.
pub fn label(path: &Path) -> Option<Vec<u8>> {
    read(path, LABEL.as_bytes()).ok()
}

/// A machine without such a policy, or an account that may not, leaves the label as it is.
pub fn set_label(path: &Path, label: &[u8]) {
    let _ = lsetxattr(path, LABEL, label, XattrFlags::empty());
}

fn list(path: &Path) -> Result<Vec<u8>, VerbError> {
    use rustix::io::Errno;
    let mut names = vec![0_u8; 256];
    loop {
        match llistxattr(path, &mut names[..]) {
            Ok(length) => {
                names.truncate(length);
                return Ok(names);
            }
            Err(Errno::RANGE) => names.resize(names.len() * 4, 0),
            Err(Errno::NOTSUP | Errno::NOENT) => return Ok(Vec::new()),
            Err(error) => return Err(io::Error::from(error)).at("reading the attributes of", path),
        }
    }
}

fn read(path: &Path, name: &[u8]) -> rustix::io::Result<Vec<u8>> {
    let mut value = vec![0_u8; 256];
    loop {
        match lgetxattr(path, name, &mut value[..]) {
            Ok(length) => {
                value.truncate(length);
                return Ok(value);
            }
            Err(rustix::io::Errno::RANGE) => value.resize(value.len() * 4, 0),
            Err(error) => return Err(error),
        }
    }
}
