//! Room beside the journal that is freed when the disk is full, so that a run under way can still be written down and
//! taken back: by the journal itself, and by the jobs of the way back.

use rustix::fs::FallocateFlags;
use rustix::io::Errno;
use std::fs::{File, Metadata};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

const RESERVE_BYTES: u64 = 16 << 20;
const CHUNK_BYTES: usize = 1 << 20;
pub const FILE: &str = "journal.reserve";

/// There is no room, or none left for this account.
pub fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// Does the work; where the disk is full, once more with the reserve in the daemon's folder `state` freed.
pub fn with_reserve<T>(state: &Path, work: impl Fn() -> io::Result<T>) -> io::Result<T> {
    match work() {
        Err(error) if is_full(&error) && std::fs::remove_file(state.join(FILE)).is_ok() => work(),
        done => done,
    }
}

/// Sets the room aside where it isn't.
pub fn set_aside(path: &Path) -> io::Result<()> {
    if path.metadata().is_ok_and(|meta| is_whole(&meta)) {
        return Ok(());
    }
    let made = make(path);
    if made.is_err() {
        let _ = std::fs::remove_file(path);
    }
    made
}

fn is_whole(meta: &Metadata) -> bool {
    meta.len() == RESERVE_BYTES && meta.blocks() * 512 >= RESERVE_BYTES
}

fn make(path: &Path) -> io::Result<()> {
    let mut file = File::create(path)?;
    match rustix::fs::fallocate(&file, FallocateFlags::empty(), 0, RESERVE_BYTES) {
        Ok(()) if is_whole(&file.metadata()?) => Ok(()),
        // Some file systems have no such call, and some do nothing by it.
        Ok(()) | Err(Errno::OPNOTSUPP | Errno::NOSYS) => fill(&mut file),
        Err(errno) => Err(errno.into()),
    }
}

/// With bytes that no file system makes smaller.
fn fill(file: &mut File) -> io::Result<()> {
    let mut word = 0x9E37_79B9_7F4A_7C15_u64;
    let mut chunk = vec![0; CHUNK_BYTES];
    for _ in 0..RESERVE_BYTES / CHUNK_BYTES as u64 {
        for bytes in chunk.chunks_exact_mut(size_of::<u64>()) {
            word ^= word << 13;
            word ^= word >> 7;
            word ^= word << 17;
            bytes.copy_from_slice(&word.to_le_bytes());
        }
        file.write_all(&chunk)?;
    }
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    #[test]
    fn a_reserve_is_set_aside_by_either_means_and_freed_once() {
        let state = tempfile::tempdir().unwrap();
        let path = state.path().join(FILE);
        fill(&mut File::create(&path).unwrap()).unwrap();
        assert_eq!(path.metadata().unwrap().len(), RESERVE_BYTES);
        // A sparse one is none.
        File::create(&path).unwrap().set_len(RESERVE_BYTES).unwrap();
        set_aside(&path).unwrap();
        assert_eq!(path.metadata().unwrap().len(), RESERVE_BYTES);

        let tries = Cell::new(0);
        let full = || {
            tries.set(tries.get() + 1);
            Err::<(), _>(io::Error::from(io::ErrorKind::QuotaExceeded))
        };
        assert!(with_reserve(state.path(), full).is_err());
        assert!(tries.get() == 2 && !path.exists());
        assert!(with_reserve(state.path(), full).is_err());
        assert_eq!(tries.get(), 3, "there is nothing more to free");
    }
}
