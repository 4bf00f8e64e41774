//! Data on a disk of this machine and what lies beside it: frozen copies, what a restore builds, what it set aside.
//!
//! Shared by `trees` and `sqlite`. Everything lies in the same folder as the live path, so that a rename moves it:
//!
//! | name | what |
//! |---|---|
//! | `<live>.upgraded-<step>` | the frozen copy that the step made, or what its restore set aside |
//! | `….none` | the same, where there was nothing |
//! | `….new`, `….new.none` | what the step's restore is about to put in place, whole and verified |
//! | `….part` | not whole yet: removed and begun anew |
//! | `….taken` | which step's restore put the frozen copy in place, where it could not be kept |

pub mod flip;
#[cfg(test)]
pub mod testing;
pub mod work;

use crate::context::{Site, StepContext};
use crate::model::VerbError;
use rustix::fs::{AtFlags, CWD, StatxAttributes, StatxFlags};
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use work::At;

/// More links than a path may go through on its way.
const MOST_LINKS: usize = 40;

/// One granted path on the site of the call.
#[derive(Debug, Clone)]
pub struct Place {
    /// The name that the operator and the plugin use.
    pub name: String,
    pub live: PathBuf,
}

impl Place {
    /// The path that was granted under `name`; at a drill site, its double.
    pub fn of(cx: &StepContext, paths: &BTreeMap<String, PathBuf>, name: &str) -> Result<Self, VerbError> {
        let granted = paths.get(name).ok_or_else(|| {
            let known: Vec<_> = paths.keys().map(|known| format!("`{known}`")).collect();
            VerbError::Denied(format!("`{name}` is none of the granted `paths`: {}", known.join(", ")))
        })?;
        let live = match &cx.site {
            Site::Live => granted.clone(),
            Site::Drill { root, .. } => root.join(one_component(name)),
        };
        if live.file_name().is_none() || !live.is_absolute() {
            return Err(VerbError::Invalid(format!(
                "`{}` can't be saved: name a folder or a file beneath it",
                live.display()
            )));
        }
        Ok(Self { name: name.into(), live })
    }

    /// Follows links, so that what is renamed is the data itself, and makes sure that it can be renamed.
    pub fn settled(mut self) -> Result<Self, VerbError> {
        for _ in 0..MOST_LINKS {
            let Some(metadata) = look(&self.live)? else { return Ok(self) };
            if !metadata.is_symlink() {
                refuse_mount_point(&self.live, &metadata)?;
                return Ok(self);
            }
            let target = fs::read_link(&self.live).at("reading the link", &self.live)?;
            self.live = self.live.parent().unwrap_or(Path::new("/")).join(target);
        }
        Err(VerbError::Invalid(format!("`{}` leads through too many links", self.live.display())))
    }

    /// The frozen copy that `step` made, or what it set aside.
    pub fn frozen(&self, step: &str) -> Result<Copy, VerbError> {
        let plain = !step.is_empty() && step.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        if !plain {
            return Err(VerbError::Invalid(format!("`{step}` is no step's name")));
        }
        Ok(Copy { path: ending(&self.live, &format!(".upgraded-{step}")) })
    }

    /// The folder that holds the live path and everything beside it.
    pub fn folder(&self) -> &Path {
        self.live.parent().unwrap_or(Path::new("/"))
    }

    /// Makes the folder where it is missing: a path that does not exist yet may lie in one that doesn't either.
    pub fn make_folder(&self) -> Result<(), VerbError> {
        let mut missing = Vec::new();
        let mut folder = self.folder();
        while look(folder)?.is_none() {
            missing.push(folder.to_path_buf());
            folder = folder.parent().unwrap_or(Path::new("/"));
        }
        for path in missing.iter().rev() {
            let above = path.parent().unwrap_or(Path::new("/"));
            fs::create_dir(path).at("making", path)?;
            // Whoever gets into the folder above gets into this one, whatever the daemon's mask is.
            let like = fs::metadata(above).at("looking at", above)?;
            // An account that may not give it away stays its owner.
            let _ = std::os::unix::fs::chown(path, Some(like.uid()), Some(like.gid()));
            fs::set_permissions(path, fs::Permissions::from_mode(like.mode() & 0o777)).at("opening", path)?;
            sync_folder(above)?;
        }
        Ok(())
    }
}

/// A copy beside the live path; its derived names.
#[derive(Debug, Clone)]
pub struct Copy {
    pub path: PathBuf,
}

impl Copy {
    /// Says that there was nothing to copy.
    pub fn none(&self) -> PathBuf {
        ending(&self.path, ".none")
    }
    pub fn part(&self) -> PathBuf {
        ending(&self.path, ".part")
    }
    pub fn taken(&self) -> PathBuf {
        ending(&self.path, ".taken")
    }
    /// What a restore of the same step is about to put in place.
    pub fn new(&self) -> Copy {
        Copy { path: ending(&self.path, ".new") }
    }
    pub fn state(&self) -> Result<State, VerbError> {
        if look(&self.path)?.is_some() {
            return Ok(State::Whole);
        }
        Ok(if look(&self.none())?.is_some() { State::Nothing } else { State::Missing })
    }
}

/// Nothing is set aside, and what the step's restore was about to put in place may be all there is of a frozen copy.
pub fn unfinished(copy: &Copy) -> Result<Option<VerbError>, VerbError> {
    let new = copy.new();
    let why = || format!("`{}` was about to be put in place; repeat the restore, or move it away", new.path.display());
    Ok((new.state()? == State::Whole).then(|| VerbError::Conflict(why())))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// A copy is there.
    Whole,
    /// It is recorded that there was nothing to copy.
    Nothing,
    /// No copy was made.
    Missing,
}

/// `path` with `text` after its last component.
pub fn ending(path: &Path, text: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(text);
    name.into()
}

/// What is there, links not followed; none where nothing is.
pub fn look(path: &Path) -> Result<Option<fs::Metadata>, VerbError> {
    match fs::symlink_metadata(path) {
        Ok(metadata) => Ok(Some(metadata)),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(None),
        Err(error) => Err(error).at("looking at", path),
    }
}

pub fn sync_folder(folder: &Path) -> Result<(), VerbError> {
    fs::File::open(folder).and_then(|folder| folder.sync_all()).at("syncing", folder)
}

/// Writes a small file and makes it durable with its name.
pub fn put_file(path: &Path, content: &[u8]) -> Result<(), VerbError> {
    use io::Write;
    let folder = path.parent().unwrap_or(Path::new("/"));
    let write = || {
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        file.write_all(content)?;
        file.as_file().sync_all()?;
        file.persist(path).map_err(|error| error.error)?;
        fs::File::open(folder)?.sync_all()
    };
    write().at("writing", path)
}

/// Removes a file or a whole folder; one that is not there is passed over.
pub fn remove(path: &Path) -> Result<(), VerbError> {
    match look(path)? {
        None => Ok(()),
        Some(metadata) if metadata.is_dir() => fs::remove_dir_all(path).at("removing", path),
        Some(_) => fs::remove_file(path).at("removing", path),
    }
}

/// A name as one component of a path or a key: `/` and what is not printable as `%2F`.
pub fn one_component(name: &str) -> String {
    let escaped = escape(name.as_bytes()).replace('/', "%2F");
    match escaped.as_str() {
        "." => "%2E".into(),
        ".." => "%2E%2E".into(),
        _ => escaped,
    }
}

/// A path's bytes as one printable word: control characters, `%` and what is not UTF-8 as `%0A`.
pub fn escape(bytes: &[u8]) -> String {
    use std::fmt::Write;
    let mut text = String::with_capacity(bytes.len());
    let raw = |text: &mut String, bytes: &[u8]| {
        for byte in bytes {
            // Writing to a string can't fail.
            let _ = write!(text, "%{byte:02X}");
        }
    };
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            if character.is_control() || character == '%' {
                raw(&mut text, character.encode_utf8(&mut [0; 4]).as_bytes());
            } else {
                text.push(character);
            }
        }
        raw(&mut text, chunk.invalid());
    }
    text
}

pub fn escape_path(path: &Path) -> String {
    escape(path.as_os_str().as_bytes())
}

/// The vault's key of what a step saves.
pub fn artifact_key(cx: &StepContext, name: &str) -> String {
    let parts = [&cx.deployment, &cx.step, &cx.binding.name].map(|part| one_component(part));
    format!("{}/{}", parts.join("/"), one_component(name))
}

/// Of a key that [`artifact_key`] made: what was saved, as [`one_component`] has it.
pub fn artifact_name(key: &str) -> &str {
    key.rsplit('/').next().unwrap_or_default()
}

/// Bytes of one path are never put into another.
pub fn check_is_of(artifact: &str, path: &str) -> Result<(), VerbError> {
    if artifact_name(artifact) == one_component(path) {
        return Ok(());
    }
    Err(VerbError::Invalid(format!("the artifact `{artifact}` is none of `{path}`")))
}

/// Something is mounted there, of the same file system too (`mount --bind`). Kernels before 5.8 don't say so.
pub fn is_mounted(path: &Path) -> bool {
    rustix::fs::statx(CWD, path, AtFlags::SYMLINK_NOFOLLOW, StatxFlags::empty())
        .is_ok_and(|seen| seen.stx_attributes.contains(StatxAttributes::MOUNT_ROOT))
}

/// A mount point can't be renamed, and what lies beside it is on another disk.
fn refuse_mount_point(path: &Path, metadata: &fs::Metadata) -> Result<(), VerbError> {
    let folder = path.parent().unwrap_or(Path::new("/"));
    if is_mounted(path) || look(folder)?.is_some_and(|folder| folder.dev() != metadata.dev()) {
        return Err(VerbError::Invalid(format!(
            "`{}` is a mount point, which can't be set aside; name a folder beneath it, or what is mounted there",
            path.display()
        )));
    }
    Ok(())
}
