//! A copy of a tree, by sharing its blocks where the file system can, and what a copy and an unpacked archive have in
//! common: owners, modes, attributes and times, and getting it all onto the disk.

use super::manifest::owners_count;
use super::walk::{Attributes, Entry, attributes, label, set_label, walk};
use crate::driver::beside::ending;
use crate::driver::beside::work::{At, Pulse};
use crate::model::VerbError;
use rustix::fs::{AtFlags, CWD, OFlags, Timespec, Timestamps, XattrFlags};
use rustix::io::Errno;
use std::collections::HashMap;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, lchown};
use std::path::{Path, PathBuf};

/// What an entry has beside its content.
pub struct Properties {
    pub mode: u32,
    pub owner: (u32, u32),
    pub modified: (i64, i64),
    pub attributes: Attributes,
    /// Of a file of this machine.
    pub label: Option<Vec<u8>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Means {
    /// Sharing blocks where the file system can, copying them where not.
    Any,
    /// Sharing blocks, or nothing.
    Sharing,
}

/// Copies what is at `from` to `to`, where nothing may be; it is on the disk when this returns. False: the file system
/// can't share blocks, and no copy was wanted.
pub fn copy_tree(from: &Path, to: &Path, means: Means, pulse: &Pulse) -> Result<bool, VerbError> {
    if means == Means::Sharing && !can_share(from, to)? {
        return Ok(false);
    }
    let mut folders: Vec<(PathBuf, Properties)> = Vec::new();
    let mut linked: HashMap<u64, PathBuf> = HashMap::new();
    let mut done_bytes = 0;
    walk(from, pulse, &mut |entry| {
        let target = if entry.relative.as_os_str().is_empty() { to.to_path_buf() } else { to.join(&entry.relative) };
        let properties = properties(&entry)?;
        if entry.metadata.is_dir() {
            make_private_folder(&target)?;
            folders.push((target, properties));
        } else if entry.metadata.is_symlink() {
            let link = fs::read_link(&entry.path).at("reading the link", &entry.path)?;
            std::os::unix::fs::symlink(link, &target).at("making", &target)?;
            settle(&target, &properties, true)?;
        } else if let Some(first) = linked.get(&entry.metadata.ino()) {
            fs::hard_link(first, &target).at("making", &target)?;
        } else {
            let Some(bytes) = copy_file(&entry.path, &target, done_bytes, pulse)? else { return Ok(()) };
            done_bytes += bytes;
            settle(&target, &properties, false)?;
            if entry.metadata.nlink() > 1 {
                linked.insert(entry.metadata.ino(), target);
            }
        }
        Ok(())
    })?;
    settle_folders(&folders)?;
    pulse.alive()?;
    sync_all(to, pulse)?;
    Ok(true)
}

/// A file that was listed; none where it vanished since, or became something else: whoever may write there can't have us read
/// another file through a link, or wait at a pipe.
pub fn open_listed(path: &Path) -> Result<Option<File>, VerbError> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    match OpenOptions::new().read(true).custom_flags(flags.bits() as i32).open(path) {
        Ok(file) => Ok(file.metadata().at("reading", path)?.is_file().then_some(file)),
        Err(error) => match Errno::from_io_error(&error) {
            Some(Errno::NOENT | Errno::LOOP | Errno::NXIO) => Ok(None),
            Some(Errno::AGAIN) => open_leased(path),
            _ => Err(error).at("reading", path),
        },
    }
}

/// Somebody's lease is broken only for who waits for it: of the very file that was seen.
fn open_leased(path: &Path) -> Result<Option<File>, VerbError> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW;
    let seen = OpenOptions::new().read(true).custom_flags(flags.bits() as i32).open(path).at("reading", path)?;
    if !seen.metadata().at("reading", path)?.is_file() {
        return Ok(None);
    }
    File::open(format!("/proc/self/fd/{}", seen.as_raw_fd())).at("reading", path).map(Some)
}

/// Shares its blocks where the file system can. How many bytes it has; none where it vanished before it was opened.
pub fn copy_file(from: &Path, to: &Path, done_bytes: u64, pulse: &Pulse) -> Result<Option<u64>, VerbError> {
    let Some(mut source) = open_listed(from)? else { return Ok(None) };
    let mut target = make_private_file(to)?;
    let size_bytes = source.metadata().at("reading", from)?.len();
    if !share(&target, &source) {
        copy_data(&mut source, &mut target, size_bytes, &mut |copied| {
            pulse.alive()?;
            pulse.progress(done_bytes + copied, None, "bytes", "copying");
            Ok(())
        })
        .map_err(|error| match error {
            CopyError::Io(error) => Err::<(), _>(error).at("copying", from).unwrap_err(),
            CopyError::Ended(error) => error,
        })?;
    }
    Ok(Some(size_bytes))
}

enum CopyError {
    Io(io::Error),
    Ended(VerbError),
}

impl From<io::Error> for CopyError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// How much is copied between two looks at the run.
const PIECE: u64 = 8 << 20;

/// Copies what a file holds and leaves its holes out.
fn copy_data(
    from: &mut File, to: &mut File, size_bytes: u64, going: &mut dyn FnMut(u64) -> Result<(), VerbError>,
) -> Result<(), CopyError> {
    to.set_len(size_bytes)?;
    let mut at = 0;
    while at < size_bytes {
        let start = match rustix::fs::seek(&*from, rustix::fs::SeekFrom::Data(at)) {
            Ok(start) => start,
            // Nothing but a hole is left.
            Err(rustix::io::Errno::NXIO) => break,
            Err(rustix::io::Errno::INVAL) => at,
            Err(error) => return Err(io::Error::from(error).into()),
        };
        let end = rustix::fs::seek(&*from, rustix::fs::SeekFrom::Hole(start)).unwrap_or(size_bytes).min(size_bytes);
        from.seek(SeekFrom::Start(start))?;
        to.seek(SeekFrom::Start(start))?;
        at = start;
        while at < end {
            going(at).map_err(CopyError::Ended)?;
            let copied = io::copy(&mut Read::by_ref(from).take(PIECE.min(end - at)), to)?;
            if copied == 0 {
                return Ok(());
            }
            at += copied;
        }
        at = at.max(end);
    }
    Ok(())
}

/// Shares the blocks of `from`; false where the file system can't.
pub fn share(to: &File, from: &File) -> bool {
    rustix::fs::ioctl_ficlone(to, from).is_ok()
}

/// Tries with two small files beside `to`.
fn can_share(from: &Path, to: &Path) -> Result<bool, VerbError> {
    let source = if from.is_file() { from.to_path_buf() } else { ending(to, "-probe-from") };
    let target = ending(to, "-probe");
    let probe = || -> io::Result<bool> {
        if source != from {
            fs::write(&source, [1; 4096])?;
        }
        let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&target)?;
        Ok(share(&file, &File::open(&source)?))
    };
    let can = probe().at("trying to share blocks at", &target);
    for path in [&target, &source].into_iter().filter(|path| *path != from) {
        crate::driver::beside::remove(path)?;
    }
    can
}

pub fn make_private_folder(path: &Path) -> Result<(), VerbError> {
    DirBuilder::new().mode(0o700).create(path).at("making", path)
}

pub fn make_private_file(path: &Path) -> Result<File, VerbError> {
    OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(path).at("making", path)
}

pub fn properties(entry: &Entry) -> Result<Properties, VerbError> {
    let metadata = &entry.metadata;
    Ok(Properties {
        mode: metadata.permissions().mode() & 0o7777,
        owner: (metadata.uid(), metadata.gid()),
        modified: (metadata.mtime(), metadata.mtime_nsec()),
        attributes: attributes(&entry.path)?,
        label: label(&entry.path),
    })
}

pub fn properties_of(path: &Path) -> Result<Properties, VerbError> {
    let metadata = path.symlink_metadata().at("reading", path)?;
    properties(&Entry { relative: PathBuf::new(), path: path.to_owned(), metadata })
}

/// What a new entry may begin with, after the folder above.
const INHERITED: [&str; 2] = ["system.posix_acl_access", "system.posix_acl_default"];

fn drop_inherited(path: &Path, kept: &Attributes) -> Result<(), VerbError> {
    for name in INHERITED.iter().filter(|name| !kept.contains_key(name.as_bytes())) {
        match rustix::fs::lremovexattr(path, *name) {
            // Most have none, only folders have the second, and many a file system has neither.
            Ok(()) | Err(Errno::NODATA | Errno::NOTSUP | Errno::ACCESS | Errno::INVAL) => {}
            Err(error) => return Err(io::Error::from(error)).at("taking the inherited access list from", path),
        }
    }
    Ok(())
}

/// Owner first: a change of owner drops set-user-id and capabilities. The mode after an access list is gone, whose mask it
/// would change instead. The time last: everything else changes it.
pub fn settle(path: &Path, properties: &Properties, link: bool) -> Result<(), VerbError> {
    if owners_count() {
        let (user, group) = properties.owner;
        lchown(path, Some(user), Some(group)).at("giving its owner to", path)?;
    }
    if !link {
        drop_inherited(path, &properties.attributes)?;
        fs::set_permissions(path, fs::Permissions::from_mode(properties.mode)).at("giving its mode to", path)?;
    }
    for (name, value) in &properties.attributes {
        rustix::fs::lsetxattr(path, name.as_slice(), value, XattrFlags::empty())
            .at("giving its attributes to", path)?;
    }
    if let Some(label) = &properties.label {
        set_label(path, label);
    }
    let (tv_sec, tv_nsec) = properties.modified;
    let omit = Timespec { tv_sec: 0, tv_nsec: rustix::fs::UTIME_OMIT };
    let times = Timestamps { last_access: omit, last_modification: Timespec { tv_sec, tv_nsec } };
    rustix::fs::utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW).at("giving its time to", path)
}

/// After everything in them: what is made in a folder changes its time, and a mode may forbid it.
pub fn settle_folders(folders: &[(PathBuf, Properties)]) -> Result<(), VerbError> {
    folders.iter().rev().try_for_each(|(path, properties)| settle(path, properties, false))
}

/// What no file of this machine was copied for has the label of what is live: that of the folder above would shut services
/// out.
pub fn label_like(live: &Path, tree: &Path, pulse: &Pulse) -> Result<(), VerbError> {
    let Some(label) = label(live) else { return Ok(()) };
    walk(tree, pulse, &mut |entry| {
        set_label(&entry.path, &label);
        Ok(())
    })
}

/// Gets everything in the tree onto the disk. Most of these calls are short: the first brings the file system's whole
/// journal along.
pub fn sync_all(path: &Path, pulse: &Pulse) -> Result<(), VerbError> {
    let mut count = 0;
    walk(path, pulse, &mut |entry| {
        count += 1;
        pulse.progress(count, None, "entries", "syncing");
        if entry.metadata.is_symlink() {
            return Ok(());
        }
        match File::open(&entry.path) {
            // Whoever may not open a file again, now that it has its mode, syncs the whole file system.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => sync_file_system(path),
            opened => opened.and_then(|file| file.sync_all()).at("syncing", &entry.path),
        }
    })?;
    crate::driver::beside::sync_folder(path.parent().unwrap_or(Path::new("/")))
}

fn sync_file_system(path: &Path) -> Result<(), VerbError> {
    let folder = path.parent().unwrap_or(Path::new("/"));
    let opened = File::open(folder).at("syncing", folder)?;
    rustix::fs::syncfs(&opened).at("syncing", folder)
}
