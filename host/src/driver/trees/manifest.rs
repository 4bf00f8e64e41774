//! What a tree holds, as sorted lines: `path<TAB>size<TAB>digest` of kind, mode, owner, attributes and content; and its
//! mark, which costs no reading.

use super::copy::open_listed;
use super::walk::{Attributes, Entry, attributes, walk};
use crate::driver::beside::work::{At, Pulse};
use crate::driver::beside::{escape_path, look};
use crate::effect::hex;
use crate::model::VerbError;
use sha2::{Digest, Sha256};
use std::fs;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// More lines than this are folded, folder by folder: a manifest goes through a plugin and into the journal.
const MOST_LINES: usize = 10_000;
const BLOCK: usize = 1 << 20;

/// The tree at `root`.
pub fn manifest(root: &Path, pulse: &Pulse) -> Result<String, VerbError> {
    let mut lines = Lines::default();
    let mut read_bytes = 0;
    walk(root, pulse, &mut |entry| {
        let attributes = attributes(&entry.path)?;
        let mut content = Sha256::new();
        let mut size_bytes = 0;
        if entry.metadata.is_file() {
            let Some(mut file) = open_listed(&entry.path)? else { return vanished(&entry) };
            let mut block = vec![0; BLOCK.min(entry.metadata.len() as usize + 1)];
            loop {
                pulse.alive()?;
                let read = file.read(&mut block).at("reading", &entry.path)?;
                if read == 0 {
                    break;
                }
                content.update(&block[..read]);
                size_bytes += read as u64;
                read_bytes += read as u64;
                pulse.progress(read_bytes, None, "bytes", "reading the tree");
            }
        }
        lines.add(&entry, &attributes, size_bytes, content)
    })?;
    Ok(lines.finish())
}

/// Passed over but for the root.
fn vanished(entry: &Entry) -> Result<(), VerbError> {
    if entry.relative.as_os_str().is_empty() {
        return Err(VerbError::NotFound(format!("`{}` is gone", escape_path(&entry.path))));
    }
    Ok(())
}

/// Changes with every write, not with a rename of the whole: entries, sizes, times of change.
pub fn mark(root: &Path, pulse: &Pulse) -> Result<String, VerbError> {
    let (mut count, mut size_bytes, mut newest, mut hasher) = (0_u64, 0_u64, 0_i128, Sha256::new());
    walk(root, pulse, &mut |entry| {
        let metadata = &entry.metadata;
        count += 1;
        pulse.progress(count, None, "entries", "looking through the tree");
        let nanoseconds =
            |seconds: i64, nanoseconds: i64| i128::from(seconds) * 1_000_000_000 + i128::from(nanoseconds);
        let modified = nanoseconds(metadata.mtime(), metadata.mtime_nsec());
        newest = newest.max(modified);
        size_bytes += if metadata.is_file() { metadata.len() } else { 0 };
        hasher.update(entry.relative.as_os_str().as_bytes());
        hasher.update(b"\0");
        hasher.update(modified.to_le_bytes());
        // A rename of the tree is a change of its root's own status.
        if !entry.relative.as_os_str().is_empty() {
            hasher.update(nanoseconds(metadata.ctime(), metadata.ctime_nsec()).to_le_bytes());
        }
        for number in [
            metadata.len(),
            metadata.ino(),
            u64::from(metadata.mode()),
            u64::from(metadata.uid()),
            u64::from(metadata.gid()),
        ] {
            hasher.update(number.to_le_bytes());
        }
        Ok(())
    })?;
    if count == 0 {
        return Ok(ABSENT.into());
    }
    Ok(format!("{count} entries, {size_bytes} bytes, newest {newest}, {}", &hex(&hasher.finalize())[..32]))
}

/// What is said of a path where nothing is.
pub const ABSENT: &str = "absent";

/// Collects a manifest; the same lines whether a tree was read or streamed.
#[derive(Default)]
pub struct Lines(Vec<String>);

impl Lines {
    /// `content`: of a regular file, the digest of its `size_bytes` bytes.
    pub fn add(
        &mut self, entry: &Entry, attributes: &Attributes, size_bytes: u64, content: Sha256,
    ) -> Result<(), VerbError> {
        let metadata = &entry.metadata;
        let mut hasher = Sha256::new();
        if metadata.is_symlink() {
            hasher.update(b"link\0");
            hasher.update(fs::read_link(&entry.path).at("reading the link", &entry.path)?.as_os_str().as_bytes());
        } else {
            hasher.update(if metadata.is_dir() { &b"folder\0"[..] } else { &b"file\0"[..] });
            hasher.update((metadata.mode() & 0o7777).to_le_bytes());
            hasher.update(content.finalize());
        }
        if owners_count() {
            hasher.update(metadata.uid().to_le_bytes());
            hasher.update(metadata.gid().to_le_bytes());
        }
        for (name, value) in attributes {
            for part in [name, value] {
                hasher.update((part.len() as u64).to_le_bytes());
                hasher.update(part);
            }
        }
        let path = if entry.relative.as_os_str().is_empty() { ".".into() } else { escape_path(&entry.relative) };
        self.0.push(format!("{path}\t{size_bytes}\t{}", &hex(&hasher.finalize())[..40]));
        Ok(())
    }

    pub fn finish(mut self) -> String {
        if self.0.is_empty() {
            return format!(".\t0\t{ABSENT}\n");
        }
        self.0.sort_unstable();
        let mut text = fold(self.0, MOST_LINES).join("\n");
        text.push('\n');
        text
    }
}

/// An owner can be given back by root alone, and means nothing to anybody else's restore.
pub fn owners_count() -> bool {
    rustix::process::geteuid().is_root()
}

/// One line for each folder of the greatest depth that still fits: bytes together, a digest of its lines.
fn fold(lines: Vec<String>, most: usize) -> Vec<String> {
    if lines.len() <= most {
        return lines;
    }
    let prefix = |line: &str, depth: usize| -> String {
        let path = line.split('\t').next().unwrap_or_default();
        path.split('/').take(depth).collect::<Vec<_>>().join("/")
    };
    let groups = |depth: usize| {
        let mut groups: std::collections::BTreeMap<String, Vec<&String>> = Default::default();
        for line in &lines {
            groups.entry(prefix(line, depth)).or_default().push(line);
        }
        groups
    };
    let deepest = lines.iter().map(|line| line.split('/').count()).max().unwrap_or(0);
    let mut chosen = groups(0);
    for depth in 1..=deepest {
        let deeper = groups(depth);
        if deeper.len() > most {
            break;
        }
        chosen = deeper;
    }
    let folded = chosen.into_iter().map(|(prefix, lines)| {
        let sizes = lines.iter().filter_map(|line| line.split('\t').nth(1)?.parse::<u64>().ok());
        let mut hasher = Sha256::new();
        lines.iter().for_each(|line| hasher.update(format!("{line}\n")));
        format!("{prefix}/*\t{}\t{}", sizes.sum::<u64>(), &hex(&hasher.finalize())[..40])
    });
    folded.collect()
}

/// The first lines in which two manifests differ, for a message.
pub fn difference(expected: &str, found: &str) -> String {
    let lines = |text: &str| text.lines().map(str::to_owned).collect::<std::collections::BTreeSet<_>>();
    let (expected, found) = (lines(expected), lines(found));
    let name = |line: &String| line.split('\t').next().unwrap_or_default().to_owned();
    let names: std::collections::BTreeSet<_> = expected.symmetric_difference(&found).map(name).collect();
    let shown: Vec<_> = names.iter().take(3).map(|name| format!("`{name}`")).collect();
    format!("{} of {} lines differ: {}", names.len(), expected.len().max(found.len()), shown.join(", "))
}

/// Of a copy that says it holds nothing.
pub fn of_nothing() -> String {
    Lines::default().finish()
}

/// Whether a manifest says that nothing was there.
pub fn is_of_nothing(manifest: &str) -> bool {
    manifest == of_nothing()
}

/// Of what lies at `path`, for comparing two places without reading them.
pub fn exists(path: &Path) -> Result<bool, VerbError> {
    Ok(look(path)?.is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_lines_are_folded_by_folder() {
        let line = |folder: u32, file: u32| format!("media/{folder}/{file}\t2\tdigest");
        let lines: Vec<_> = (0..7).flat_map(|folder| (0..5).map(move |file| line(folder, file))).collect();
        assert_eq!(fold(lines.clone(), 35), lines);
        let folded = fold(lines.clone(), 10);
        assert_eq!(folded.len(), 7);
        assert!(folded[0].starts_with("media/0/*\t10\t"), "{}", folded[0]);
        assert_eq!(fold(lines.clone(), 6).len(), 1);
        let mut other = lines.clone();
        other[3] = line(0, 9);
        assert_ne!(fold(other, 10), folded);
    }
}
