//! Behind `files`, and behind the host's own edits: the project's files beneath one folder, never outside it.
//!
//! What is read has placeholders where secrets stand ([`mask`]); what is put is filled in again from the file that it
//! replaces. Digests are those of the text with placeholders: a plan and a journal never hold more.

mod back;
mod dotenv;
mod known;
mod mask;
mod render;
mod scalars;
mod yaml;

pub use dotenv::{is_dotenv, value as dotenv_value, variables as dotenv_variables};
pub use known::{known, remember};
pub use mask::{fill, mask, secret_parts};

use super::process::io_error;
use super::release::{Layout, OWN_FOLDER};
use crate::context::{Site, StepContext};
use crate::effect::hex;
use crate::model::*;
use crate::plan::event::{Effect, Verdict};
use cap_std::ambient_authority;
use cap_std::fs::{Dir, OpenOptions, OpenOptionsExt};
use rustix::fs::{Gid, Mode, Uid, fchmod, fchown};
use serde::Serialize;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

const FILE_BYTES: u64 = 8 << 20;

/// Files that were put, by anybody here.
static EDITS: AtomicU64 = AtomicU64::new(0);

/// Rises with every file that is put.
pub fn edits() -> u64 {
    EDITS.load(Ordering::SeqCst)
}

pub struct Project {
    pub folder: Option<PathBuf>,
    /// Edits proposed earlier in the same plan, as whole contents; none: the file goes.
    overlay: Mutex<BTreeMap<String, Option<Vec<u8>>>>,
}

/// Of a file that is put.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Rights {
    /// The file's that it replaces; of a new one, those of any file of the project.
    AsBefore,
    /// And whoever may read it may run it.
    Executable,
    Exactly(ModeAndOwner),
}

impl Project {
    pub fn new(folder: Option<PathBuf>) -> Self {
        Self { folder, overlay: Mutex::default() }
    }

    /// With placeholders for secrets; 8 MiB at most.
    pub async fn read(&self, cx: &StepContext, path: &str) -> Result<Vec<u8>, VerbError> {
        let relative = relative(path)?;
        if let Some(planned) = self.overlay.lock().expect("no panic holds this lock").get(path) {
            return planned.clone().ok_or_else(|| not_found(path));
        }
        let dir = self.open()?;
        let path = path.to_owned();
        let text = blocking(move || {
            let raw = read(&dir, &relative, &path)?.ok_or_else(|| not_found(&path))?;
            Ok(mask(&path, &raw))
        });
        let text = text.await?;
        cx.activity.touch();
        Ok(text)
    }

    /// What `change` makes of `old`; `path` says the format. None: the file goes.
    pub fn render(path: &str, old: Option<&[u8]>, change: &Change) -> Result<Option<Vec<u8>>, VerbError> {
        relative(path)?;
        render::render(path, old, change)
    }

    /// The SHA-256 that `put` expects for a file of which `read` returned `text`.
    pub fn digest(text: &[u8]) -> String {
        hex(&Sha256::digest(text))
    }

    /// None where there is no file.
    pub async fn mode_and_owner(&self, path: &str) -> Result<Option<ModeAndOwner>, VerbError> {
        let (dir, relative, path) = (self.open()?, relative(path)?, path.to_owned());
        blocking(move || mode_and_owner(&dir, &relative).map_err(|error| outside(&path, error))).await
    }

    /// Puts `new` in place atomically and durably; `None` removes the file. Refuses with `Conflict`
    /// where what is there has another digest than `expected` (SHA-256 of what `read` returns or of the bytes
    /// themselves; none: no file); not where it is `new` already.
    pub async fn put(
        &self, cx: &StepContext, path: &str, expected: Option<&str>, new: Option<&[u8]>, rights: Rights,
    ) -> Result<(), VerbError> {
        let relative = relative(path)?;
        if cx.site != Site::Live {
            return Err(VerbError::Denied(format!("`{path}` is a file of the live site, and this is a drill")));
        }
        let dir = self.open()?;
        let handle = self.folder.iter().map(|folder| folder.join(&relative).display().to_string()).collect::<String>();
        let arguments = (path, expected, new.map(Self::digest), rights);
        let put = Put {
            dir,
            relative,
            path: path.to_owned(),
            known: self.known()?,
            part: format!(".upgraded-{}.part", cx.step),
            expected: expected.map(str::to_owned),
            new: new.map(<[u8]>::to_vec),
            rights,
        };
        let done = cx.effects.perform("project.put", &arguments, &handle, true, blocking(move || put.perform())).await;
        EDITS.fetch_add(1, Ordering::SeqCst);
        done
    }

    /// The host can't tell old from new by the journal alone; doing it again converges.
    pub async fn fence_and_probe(&self, _effect: &Effect) -> Verdict {
        Verdict::Unknown
    }

    /// What placeholders of the repository's files stand for.
    pub fn known(&self) -> Result<BTreeMap<String, String>, VerbError> {
        let own = self.folder.as_ref().map(|folder| Layout::new(folder).own());
        own.map_or(Ok(BTreeMap::new()), |own| known(&own).map_err(io_error("read what files of the repository hold")))
    }

    fn open(&self) -> Result<Dir, VerbError> {
        let folder = self.folder.as_ref().ok_or_else(|| {
            VerbError::Denied("the deployment's file names no `directory`, so there are no project files".into())
        })?;
        Dir::open_ambient_dir(folder, ambient_authority())
            .map_err(|error| VerbError::Unavailable(format!("can't open `{}`: {error}", folder.display())))
    }
}

struct Put {
    dir: Dir,
    relative: PathBuf,
    /// As the plugin says it.
    path: String,
    known: BTreeMap<String, String>,
    /// The name of the file that takes the other's place.
    part: String,
    expected: Option<String>,
    new: Option<Vec<u8>>,
    rights: Rights,
}

impl Put {
    fn perform(self) -> Result<(), VerbError> {
        // A link within the folder is followed: what it leads to is replaced, not the link.
        let place = match self.dir.canonicalize(&self.relative) {
            Ok(place) => place,
            Err(error) if error.kind() == io::ErrorKind::NotFound => self.relative.clone(),
            Err(error) => return Err(outside(&self.path, error)),
        };
        keep_out(&self.dir, &place, &self.path)?;
        let old = read(&self.dir, &place, &self.path)?;
        let filled = match &self.new {
            Some(new) => Some(mask::fill(&self.path, new, old.as_deref(), &self.known)),
            None => None,
        };
        let there = match &filled {
            Some(Ok(filled)) => old.as_ref() == Some(filled),
            Some(Err(_)) => false,
            None => old.is_none(),
        };
        if there {
            self.set_rights(&place).map_err(|error| outside(&self.path, error))?;
            return self.sync(&place);
        }
        if !self.is_expected(old.as_deref()) {
            return Err(VerbError::Conflict(format!(
                "`{}` was changed by somebody else since the plan was made",
                self.path
            )));
        }
        match filled.transpose()? {
            Some(bytes) => self.replace(&place, &bytes),
            None => self.dir.remove_file(&place).map_err(io_error("remove a file of the project")),
        }?;
        self.sync(&place)
    }

    fn is_expected(&self, old: Option<&[u8]>) -> bool {
        match (old, &self.expected) {
            (None, None) => true,
            (Some(old), Some(expected)) => {
                *expected == Project::digest(&mask::mask(&self.path, old)) || *expected == Project::digest(old)
            }
            (Some(_), None) | (None, Some(_)) => false,
        }
    }

    fn replace(&self, place: &Path, bytes: &[u8]) -> Result<(), VerbError> {
        let write = || -> io::Result<()> {
            let folder = self.folder_of(place)?;
            let old = mode_and_owner(&self.dir, place)?;
            let mut options = OpenOptions::new();
            options.write(true).create(true).truncate(true).mode(0o600);
            let mut part = folder.open_with(&self.part, &options)?;
            part.write_all(bytes)?;
            let old = match old {
                Some(old) => old,
                None => {
                    let folder = folder.try_clone()?.into_std_file().metadata()?;
                    let mode = if dotenv::is_dotenv(&self.path) { 0o600 } else { 0o644 };
                    ModeAndOwner { mode, uid: folder.uid(), gid: folder.gid() }
                }
            };
            give(&part.try_clone()?.into_std(), self.rights.after(old))?;
            part.sync_all()?;
            folder.rename(&self.part, &folder, place.file_name().ok_or(io::ErrorKind::InvalidInput)?)
        };
        write().map_err(|error| outside(&self.path, error))
    }

    /// Of a file whose bytes are right already.
    fn set_rights(&self, place: &Path) -> io::Result<()> {
        let Some(now) = mode_and_owner(&self.dir, place)? else { return Ok(()) };
        match self.rights.after(now) {
            same if same == now => Ok(()),
            rights => {
                let file = self.dir.open(place)?.into_std();
                give(&file, rights)?;
                file.sync_all()
            }
        }
    }

    fn folder_of(&self, place: &Path) -> io::Result<Dir> {
        let Some(parent) = place.parent().filter(|parent| *parent != Path::new("")) else {
            return self.dir.try_clone();
        };
        let mut above = PathBuf::from(".");
        for part in parent {
            let folder = above.join(part);
            match self.dir.create_dir(&folder) {
                Ok(()) => self.open_as(&folder, &above)?,
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
            sync_folder(&self.dir, &above)?;
            above = folder;
        }
        self.dir.open_dir(parent)
    }

    /// Whoever gets into the folder above gets into the new one, whatever the daemon's mask is.
    fn open_as(&self, folder: &Path, above: &Path) -> io::Result<()> {
        let Some(like) = mode_and_owner(&self.dir, above)? else { return Ok(()) };
        let folder = self.dir.open(folder)?.into_std();
        // An account that may not give it away stays its owner.
        let _ = fchown(&folder, Some(Uid::from_raw(like.uid)), Some(Gid::from_raw(like.gid)));
        Ok(fchmod(&folder, Mode::from_raw_mode(like.mode & 0o777))?)
    }

    fn sync(&self, place: &Path) -> Result<(), VerbError> {
        let parent = match place.parent() {
            Some(parent) if parent != Path::new("") => parent,
            _ => Path::new("."),
        };
        let synced = match sync_folder(&self.dir, parent) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other,
        };
        synced.map_err(io_error("make a file of the project durable"))
    }
}

impl Rights {
    fn after(self, old: ModeAndOwner) -> ModeAndOwner {
        match self {
            Self::AsBefore => old,
            Self::Executable => ModeAndOwner { mode: old.mode | ((old.mode & 0o444) >> 2), ..old },
            Self::Exactly(rights) => rights,
        }
    }
}

fn mode_and_owner(dir: &Dir, place: &Path) -> io::Result<Option<ModeAndOwner>> {
    use cap_std::fs::MetadataExt;
    match dir.metadata(place) {
        Ok(found) => Ok(Some(ModeAndOwner { mode: found.mode() & 0o7777, uid: found.uid(), gid: found.gid() })),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn give(file: &std::fs::File, rights: ModeAndOwner) -> io::Result<()> {
    let now = file.metadata()?;
    if (now.uid(), now.gid()) != (rights.uid, rights.gid) {
        fchown(file, Some(Uid::from_raw(rights.uid)), Some(Gid::from_raw(rights.gid)))?;
    }
    Ok(fchmod(file, Mode::from_raw_mode(rights.mode))?)
}

fn read(dir: &Dir, relative: &Path, path: &str) -> Result<Option<Vec<u8>>, VerbError> {
    keep_out(dir, relative, path)?;
    let file = match dir.open(relative) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(outside(path, error)),
    };
    if !file.metadata().map_err(io_error("read a file of the project"))?.is_file() {
        return Err(VerbError::Invalid(format!("`{path}` is no file")));
    }
    let mut bytes = Vec::new();
    file.take(FILE_BYTES + 1).read_to_end(&mut bytes).map_err(io_error("read a file of the project"))?;
    if bytes.len() as u64 > FILE_BYTES {
        return Err(VerbError::Invalid(format!("`{path}` is larger than {FILE_BYTES} bytes")));
    }
    Ok(Some(bytes))
}

/// Opened anew: a folder's own handle is only good for finding what is in it.
fn sync_folder(dir: &Dir, folder: &Path) -> io::Result<()> {
    dir.open(folder)?.into_std().sync_all()
}

/// A path that names a file beneath the folder, and nothing else.
fn relative(path: &str) -> Result<PathBuf, VerbError> {
    let relative: PathBuf = Path::new(path).components().filter(|part| !matches!(part, Component::CurDir)).collect();
    let beneath = relative.components().all(|part| matches!(part, Component::Normal(_)));
    if relative == Path::new("") || !beneath || path.contains('\0') {
        return Err(VerbError::Denied(format!("`{path}` does not name a file beneath the deployment's `directory`")));
    }
    match is_own(&relative) {
        true => Err(the_daemons_own(path)),
        false => Ok(relative),
    }
}

/// Links may lead to the daemon's own files, too: of what is not there yet, its folder's place counts.
fn keep_out(dir: &Dir, relative: &Path, path: &str) -> Result<(), VerbError> {
    for above in relative.ancestors().filter(|above| *above != Path::new("")) {
        match dir.canonicalize(above) {
            Ok(place) if is_own(&place) => return Err(the_daemons_own(path)),
            Ok(_) => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(outside(path, error)),
        }
    }
    Ok(())
}

/// The mirror of a repository lies there, and what placeholders stand for; also of a deployment in a folder beneath.
fn is_own(path: &Path) -> bool {
    path.iter().any(|part| part.eq_ignore_ascii_case(OWN_FOLDER))
}

fn the_daemons_own(path: &str) -> VerbError {
    VerbError::Denied(format!("`{path}` is the daemon's own"))
}

fn not_found(path: &str) -> VerbError {
    VerbError::NotFound(format!("there is no file `{path}` in the deployment's `directory`"))
}

fn outside(path: &str, error: io::Error) -> VerbError {
    match error.kind() {
        io::ErrorKind::PermissionDenied => VerbError::Denied(format!(
            "`{path}` leads out of the deployment's `directory`, or may not be opened: {error}"
        )),
        _ => VerbError::other("io", format!("can't open or replace `{path}`: {error}")),
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, VerbError> + Send + 'static,
) -> Result<T, VerbError> {
    tokio::task::spawn_blocking(work).await.map_err(|error| VerbError::other("io", error.to_string()))?
}

#[cfg(test)]
mod tests;
