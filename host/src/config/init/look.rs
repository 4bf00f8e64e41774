//! Looks at a project's folder. Blocking; bounded, for a folder may hold anything.

use super::stack::{Platform, Stack};
use super::{Found, Layout, Repository, git, project, stack, text_of};
use crate::config::read::is_unit_name;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

const DEPTH: usize = 4;
const ENTRIES: usize = 20_000;
const UNITS: usize = 2_000;
const SQLITE: &[u8; 16] = b"SQLite format 3\0";
/// What no product keeps its data in.
const SKIPPED: [&str; 10] =
    [".git", ".upgraded", "releases", "node_modules", "target", "vendor", ".venv", "venv", "__pycache__", "dist"];
const UPLOADS: [&str; 8] = ["uploads", "upload", "media", "storage", "attachments", "files", "avatars", "blobs"];
/// Where such a folder is one of users' files, and not of a program's source.
const UPLOAD_PARENTS: [&str; 8] = ["", "data", "public", "shared", "storage", "var", "static", "wwwroot"];

/// `folder`: the project's; what it lacks is simply not found, and a file of containers that can't be read is an error with
/// its line. `unit_folders`: [`super::UNIT_FOLDERS`].
pub fn look(folder: &Path, unit_folders: &[&Path]) -> io::Result<Found> {
    let directory = std::fs::canonicalize(folder)?;
    std::fs::read_dir(&directory)?;
    let active = active_release(&directory);
    let layout = match (&active, directory.join(".git").exists()) {
        (Some(_), _) => Layout::Releases,
        (None, true) => Layout::Checkout,
        (None, false) => Layout::Neither,
    };
    // Its own files lie in the release that runs.
    let project = active.clone().unwrap_or_else(|| directory.clone());
    let mut walk = Walk { root: &directory, left: ENTRIES, databases: Vec::new(), uploads: Vec::new() };
    walk.folder(&directory, DEPTH);
    let (mut databases, mut uploads) = (walk.databases, walk.uploads);
    databases.sort();
    uploads.sort();
    let units = units(&directory, unit_folders);
    let (mut stack, mut others) = match layout {
        Layout::Releases => Default::default(),
        Layout::Checkout | Layout::Neither if run_the_project_itself(&units, unit_folders) => Default::default(),
        Layout::Checkout | Layout::Neither => stack::look(&directory, unit_folders)?,
    };
    if layout == Layout::Checkout {
        let is_less = |stack: &mut Stack| !stack.is_sure() && !matches!(stack.platform, Platform::Compose { .. });
        match stack.take_if(is_less) {
            Some(stack) => others.insert(0, stack.platform.to_string()),
            None if stack.is_some() => others.push("a git checkout, whose releases `source` would run".into()),
            None => {}
        }
    }
    Ok(Found {
        repository: repository(&directory, active.as_deref()),
        units,
        stack,
        others,
        postgres: project::postgres(&directory).or_else(|| project::postgres(&project)),
        build: project::build(&project),
        migrate: project::migrate(&project),
        layout,
        databases,
        uploads,
        directory,
    })
}

/// What `current` leads to, where there are releases.
fn active_release(directory: &Path) -> Option<PathBuf> {
    let current = directory.join("current");
    let is_link = current.symlink_metadata().ok()?.is_symlink();
    let release = std::fs::canonicalize(current).ok()?;
    (is_link && directory.join("releases").is_dir() && release.starts_with(directory)).then_some(release)
}

fn repository(directory: &Path, active: Option<&Path>) -> Option<Repository> {
    let mirror = directory.join(".upgraded/repository.git");
    let commit =
        active.and_then(|path| path.file_name()?.to_str()).filter(|name| git::is_commit(name)).map(str::to_owned);
    match active {
        Some(release) if mirror.is_dir() => {
            Some(git::of_mirror(&mirror, commit)).map(|found| with_origin_of(found, release))
        }
        Some(release) => git::of_checkout(release)
            .or(commit.map(|commit| Repository { commit: Some(commit), ..Repository::default() })),
        None => git::of_checkout(directory),
    }
}

fn with_origin_of(mut found: Repository, release: &Path) -> Repository {
    found.address = found.address.or_else(|| git::of_checkout(release)?.address);
    found
}

struct Walk<'w> {
    root: &'w Path,
    left: usize,
    databases: Vec<PathBuf>,
    uploads: Vec<PathBuf>,
}

impl Walk<'_> {
    /// Passes over the copies that runs leave beside what they are of.
    fn folder(&mut self, folder: &Path, depth: usize) {
        let mut entries: Vec<_> = std::fs::read_dir(folder).into_iter().flatten().flatten().take(self.left).collect();
        self.left -= entries.len();
        entries.sort_by_key(std::fs::DirEntry::file_name);
        for entry in entries {
            let (path, name) = (entry.path(), entry.file_name());
            let Ok(kind) = entry.file_type() else { continue };
            let Some(name) = name.to_str() else { continue };
            if kind.is_dir() && !SKIPPED.contains(&name) && !name.contains(".upgraded-") {
                if self.is_for_uploads(folder, name) {
                    self.uploads.extend(self.relative(&path));
                }
                if depth > 0 {
                    self.folder(&path, depth - 1);
                }
            } else if kind.is_file() && !name.contains(".upgraded-") && is_sqlite(&path) {
                self.databases.extend(self.relative(&path));
            }
        }
    }

    /// The outermost of such folders.
    fn is_for_uploads(&self, parent: &Path, name: &str) -> bool {
        let Some(parent) = self.relative(parent) else { return false };
        UPLOADS.contains(&name)
            && UPLOAD_PARENTS.iter().any(|known| parent == Path::new(known))
            && !self.uploads.iter().any(|outer| parent.starts_with(outer))
    }

    /// As text that a file of settings can hold.
    fn relative(&self, path: &Path) -> Option<PathBuf> {
        path.to_str()?;
        path.strip_prefix(self.root).ok().map(Path::to_owned)
    }
}

fn is_sqlite(path: &Path) -> bool {
    let mut first = [0; 16];
    std::fs::File::open(path).and_then(|mut file| file.read_exact(&mut first)).is_ok() && &first == SQLITE
}

/// The units in whose text the folder stands.
fn units(directory: &Path, folders: &[&Path]) -> Vec<String> {
    let Some(directory) = directory.to_str() else { return Vec::new() };
    let entries = folders.iter().flat_map(|folder| std::fs::read_dir(folder).into_iter().flatten().flatten());
    let mut units: Vec<String> = entries
        .take(UNITS)
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_file()))
        .filter_map(|entry| Some((entry.file_name().into_string().ok()?, entry.path())))
        .filter(|(name, path)| {
            name.ends_with(".service")
                && is_unit_name(name)
                && !name.contains("@.")
                && text_of(path).is_some_and(|text| mentions(&text, directory))
        })
        .map(|(name, _)| name)
        .collect();
    units.sort();
    units.dedup();
    units
}

/// A project that units run may have files of containers for its developers.
fn run_the_project_itself(units: &[String], folders: &[&Path]) -> bool {
    const CLIENTS: [&str; 3] = ["compose", "podman", "helm"];
    let texts = units.iter().flat_map(|unit| folders.iter().filter_map(move |folder| text_of(&folder.join(unit))));
    let by_client = texts.filter(|text| CLIENTS.iter().any(|client| text.contains(client))).count();
    !units.is_empty() && by_client == 0
}

/// As a whole path or the beginning of one: `/opt/shop` is not in `/opt/shop2`.
fn mentions(text: &str, path: &str) -> bool {
    let lines = text.lines().filter(|line| !line.trim_start().starts_with(['#', ';']));
    let mut after =
        lines.flat_map(|line| line.match_indices(path).map(|(at, _)| line[at + path.len()..].chars().next()));
    after.any(|next| next.is_none_or(|next| next == '/' || next.is_whitespace() || "\"':;,".contains(next)))
}
