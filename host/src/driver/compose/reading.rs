//! What a double that may only read a path of the machine could do there all the same: what listens at a socket answers
//! whoever connects to it, and a mount that is read-only does not hinder that.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// Folders of the machine in which sockets lie that are as good as the machine itself.
const SOCKETS: [&str; 2] = ["/run", "/var/run"];
/// The kernel's own, in which nothing listens.
const KERNELS: [&str; 2] = ["/proc", "/sys"];
/// As many as are looked at of one folder.
const ENTRIES: usize = 100_000;
/// A double's files are read many times.
const HOLDS_FOR: Duration = Duration::from_secs(60);

static HARMLESS: Mutex<BTreeMap<PathBuf, Instant>> = Mutex::new(BTreeMap::new());

/// Whether the machine itself is reached through it.
pub fn is_the_machines(path: &Path) -> bool {
    let reaches = |folder: &str| path.starts_with(folder) || Path::new(folder).starts_with(path);
    SOCKETS.into_iter().any(reaches) || is_special(path)
}

/// Why reading may not be all that is done in a folder.
pub fn does_more(path: &Path) -> Option<String> {
    if KERNELS.iter().any(|folder| path.starts_with(folder)) {
        return None;
    }
    let mut harmless = HARMLESS.lock().expect("no panic holds this lock");
    harmless.retain(|_, at| at.elapsed() < HOLDS_FOR);
    if harmless.contains_key(path) {
        return None;
    }
    let why = look_beneath(path, ENTRIES);
    if why.is_none() {
        harmless.insert(path.to_owned(), Instant::now());
    }
    why
}

/// Follows no link: within a container it leads elsewhere.
fn look_beneath(folder: &Path, most: usize) -> Option<String> {
    let (mut folders, mut seen) = (vec![folder.to_owned()], 0);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            seen += 1;
            if seen > most {
                return Some(format!(
                    "which has more than {most} entries, so that nobody looked for sockets in all of it"
                ));
            }
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => folders.push(entry.path()),
                Ok(kind) if kind.is_socket() || kind.is_fifo() => {
                    return Some(format!("through which it reaches whoever listens at `{}`", entry.path().display()));
                }
                _ => {}
            }
        }
    }
    None
}

/// A socket, a pipe or a device.
fn is_special(path: &Path) -> bool {
    path.metadata().is_ok_and(|found| !found.is_file() && !found.is_dir())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_beneath_a_folder_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let inner = folder.path().join("mysql/run");
        fs::create_dir_all(&inner).unwrap();
        fs::write(inner.join("my.cnf"), "").unwrap();
        std::os::unix::fs::symlink("/dev/log", inner.join("link")).unwrap();
        assert_eq!(look_beneath(folder.path(), 4), None);
        assert!(look_beneath(folder.path(), 3).unwrap().contains("more than 3 entries"));
        let _listener = std::os::unix::net::UnixListener::bind(inner.join("mysql.sock")).unwrap();
        assert!(does_more(folder.path()).unwrap().ends_with("mysql/run/mysql.sock`"));
        assert_eq!(does_more(&inner.join("my.cnf")), None);
        assert_eq!(does_more(Path::new("/sys")), None);
        assert!(is_the_machines(Path::new("/var/run/docker.sock")) && is_the_machines(Path::new("/")));
    }
}
