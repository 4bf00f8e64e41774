//! The socket's place in the file system: its folder, its mode, and one owner at a time.

use super::peer::{Group, group_id};
use rustix::fs::{FlockOperation, flock};
use std::ffi::OsString;
use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

const FOLDER_MODE: u32 = 0o750;
const SOCKET_MODE: u32 = 0o660;

#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    #[error("a daemon answers on `{0}` already")]
    Taken(PathBuf),
    #[error("`{0}` is there and is no socket; it is left alone")]
    NoSocket(PathBuf),
    #[error("there is no group `{0}`, which `socket-group` names; `groupadd --system {0}` makes it")]
    NoGroup(String),
    #[error("the socket `{path}` can't be opened: {doing}")]
    Io { path: PathBuf, doing: &'static str, source: io::Error },
}

/// An open socket. Its name goes when it is dropped.
pub struct Socket {
    pub listener: tokio::net::UnixListener,
    pub group: Option<Group>,
    place: Place,
}

/// What is given back at the end.
struct Place {
    path: PathBuf,
    inode: u64,
    lock: File,
}

impl Socket {
    /// Makes the folder where it is missing (0750), and the socket (0660), both the group's where one is named. A socket
    /// on which nobody answers is replaced.
    pub fn open(path: &Path, group: Option<&str>) -> Result<Self, SocketError> {
        let failed = |doing| move |source| SocketError::Io { path: path.into(), doing, source };
        let group = group.map(find_group).transpose()?.transpose().map_err(failed("asking for the group"))?;
        make_folder(path, group.as_ref()).map_err(failed("making its folder"))?;
        let lock = lock(path)?;
        look_at_the_old_one(path)?;

        // Under another name until its mode is right, then renamed: nobody connects to a socket that is too open.
        let unready = beside(path, "new");
        remove_if_there(&unready).map_err(failed("removing an unready one"))?;
        let listener = UnixListener::bind(&unready).map_err(failed("binding it"))?;
        fs::set_permissions(&unready, Permissions::from_mode(SOCKET_MODE)).map_err(failed("setting its mode"))?;
        if let Some(group) = &group {
            std::os::unix::fs::chown(&unready, None, Some(group.gid)).map_err(failed("giving it to the group"))?;
        }
        fs::rename(&unready, path).map_err(failed("putting it in place"))?;
        let inode = fs::metadata(path).map_err(failed("looking at it"))?.ino();
        listener.set_nonblocking(true).map_err(failed("making it non-blocking"))?;
        let listener = tokio::net::UnixListener::from_std(listener).map_err(failed("waiting on it"))?;
        Ok(Self { listener, group, place: Place { path: path.into(), inode, lock } })
    }

    pub fn path(&self) -> &Path {
        &self.place.path
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if fs::metadata(&self.path).is_ok_and(|there| there.ino() == self.inode)
            && let Err(error) = fs::remove_file(&self.path)
        {
            tracing::warn!(path = %self.path.display(), %error, "the socket could not be removed");
        }
        // Closing alone leaves it to a child that is between its fork and its exec, for as long as that takes.
        if let Err(error) = flock(&self.lock, FlockOperation::Unlock) {
            tracing::warn!(path = %self.path.display(), %error, "the socket's lock could not be given back");
        }
    }
}

fn find_group(name: &str) -> Result<io::Result<Group>, SocketError> {
    match group_id(name) {
        Ok(Some(gid)) => Ok(Ok(Group { name: name.into(), gid })),
        Ok(None) => Err(SocketError::NoGroup(name.into())),
        Err(error) => Ok(Err(error)),
    }
}

/// A folder that was there before keeps its mode: it may be `/run`.
fn make_folder(path: &Path, group: Option<&Group>) -> io::Result<()> {
    let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty() && !folder.exists()) else {
        return Ok(());
    };
    DirBuilder::new().recursive(true).mode(FOLDER_MODE).create(folder)?;
    fs::set_permissions(folder, Permissions::from_mode(FOLDER_MODE))?;
    match group {
        Some(group) => std::os::unix::fs::chown(folder, None, Some(group.gid)),
        None => Ok(()),
    }
}

/// Held while the socket is: two daemons that start at once don't both find the old socket dead.
fn lock(path: &Path) -> Result<File, SocketError> {
    let failed = |doing| move |source| SocketError::Io { path: path.into(), doing, source };
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(beside(path, "lock"))
        .map_err(failed("opening its lock"))?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file),
        Err(rustix::io::Errno::WOULDBLOCK) => Err(SocketError::Taken(path.into())),
        Err(error) => Err(failed("locking it")(error.into())),
    }
}

fn look_at_the_old_one(path: &Path) -> Result<(), SocketError> {
    let failed = |doing| move |source| SocketError::Io { path: path.into(), doing, source };
    match fs::symlink_metadata(path) {
        Ok(there) if !there.file_type().is_socket() => return Err(SocketError::NoSocket(path.into())),
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed("looking at the old one")(error)),
    }
    match UnixStream::connect(path) {
        Ok(_) => Err(SocketError::Taken(path.into())),
        Err(error) if matches!(error.kind(), io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound) => Ok(()),
        Err(error) => Err(failed("asking whether the old one is alive")(error)),
    }
}

fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(".");
    name.push(ending);
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).expect("metadata").permissions().mode() & 0o777
    }

    #[tokio::test]
    async fn folder_and_socket_are_closed_to_others() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("run/upgraded.sock");
        let socket = Socket::open(&path, None).expect("a socket");
        assert_eq!(mode(path.parent().expect("a folder")), FOLDER_MODE);
        assert_eq!(mode(&path), SOCKET_MODE);
        drop(socket);
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn a_living_socket_is_left_alone_and_a_stale_one_replaced() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("upgraded.sock");
        let other = UnixListener::bind(&path).expect("another's socket");
        assert!(matches!(Socket::open(&path, None), Err(SocketError::Taken(_))));
        drop(other);
        assert!(path.exists(), "a listener leaves its name behind");
        let ours = Socket::open(&path, None).expect("the stale one replaced");
        assert!(matches!(Socket::open(&path, None), Err(SocketError::Taken(_))));
        drop(ours);
    }

    #[tokio::test]
    async fn a_child_that_is_about_to_start_a_program_keeps_nobody_out() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("upgraded.sock");
        let socket = Socket::open(&path, None).expect("a socket");
        let of_a_child = socket.place.lock.try_clone().expect("what a fork copies");
        drop(socket);
        drop(Socket::open(&path, None).expect("the socket again"));
        drop(of_a_child);
    }

    #[tokio::test]
    async fn a_file_is_not_replaced() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("upgraded.sock");
        fs::write(&path, "precious").expect("a file");
        assert!(matches!(Socket::open(&path, None), Err(SocketError::NoSocket(_))));
        assert_eq!(fs::read_to_string(&path).expect("still there"), "precious");
    }

    #[tokio::test]
    async fn a_group_that_is_not_there_is_named() {
        let folder = tempfile::tempdir().expect("a folder");
        let error = Socket::open(&folder.path().join("s"), Some("no-such-group")).err().expect("refused");
        assert_eq!(
            error.to_string(),
            "there is no group `no-such-group`, which `socket-group` names; `groupadd --system no-such-group` makes it"
        );
    }
}
