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

/// What was found lately, except for what a double can't have: that may be mended meanwhile.
static LOOKED_AT: Mutex<BTreeMap<PathBuf, (Instant, Option<More>)>> = Mutex::new(BTreeMap::new());

/// Why reading may not be all that is done in a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum More {
    /// Who listens there is reached: a sentence's end.
    Reaches(String),
    /// It holds too much for anybody to look at all of it.
    Unknown,
}

/// Whether the machine itself is reached through it.
pub fn is_the_machines(path: &Path) -> bool {
    let reaches = |folder: &str| path.starts_with(folder) || Path::new(folder).starts_with(path);
    SOCKETS.into_iter().any(reaches) || is_special(path)
}

/// None: reading is all that is done there.
pub fn does_more(path: &Path) -> Option<More> {
    if KERNELS.iter().any(|folder| path.starts_with(folder)) {
        return None;
    }
    let looked_at = || LOOKED_AT.lock().expect("no panic holds this lock");
    {
        let mut known = looked_at();
        known.retain(|_, (at, _)| at.elapsed() < HOLDS_FOR);
        if let Some((_, found)) = known.get(path) {
            return found.clone();
        }
    }
    let found = look_beneath(path, ENTRIES);
    if !matches!(found, Some(More::Reaches(_))) {
        looked_at().insert(path.to_owned(), (Instant::now(), found.clone()));
    }
    found
}

/// Follows no link: within a container it leads elsewhere.
fn look_beneath(folder: &Path, most: usize) -> Option<More> {
    let (mut folders, mut seen) = (vec![folder.to_owned()], 0);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            seen += 1;
            if seen > most {
                return Some(More::Unknown);
            }
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => folders.push(entry.path()),
                Ok(kind) if kind.is_socket() || kind.is_fifo() => {
                    let why = format!("through which it reaches whoever listens at `{}`", entry.path().display());
                    return Some(More::Reaches(why));
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
        assert_eq!(look_beneath(folder.path(), 3), Some(More::Unknown));
        let _listener = std::os::unix::net::UnixListener::bind(inner.join("mysql.sock")).unwrap();
        let Some(More::Reaches(why)) = does_more(folder.path()) else { panic!("a socket lies there") };
        assert!(why.ends_with("mysql/run/mysql.sock`"), "{why}");
        assert_eq!(does_more(&inner.join("my.cnf")), None);
        assert_eq!(does_more(Path::new("/sys")), None);
        assert!(is_the_machines(Path::new("/var/run/docker.sock")) && is_the_machines(Path::new("/")));
    }
}
