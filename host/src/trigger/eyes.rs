//! Where to look and when it is worth it: the watches of the operating system, which follow the folder and its links.
//!
//! Events are hints. What they say is used for two things only: that something happened, and who is still writing.

use super::folder::{Folder, Snapshot, deployment_name};
use notify::event::{AccessKind, AccessMode, ModifyKind};
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

pub(super) struct Eyes {
    folder: Folder,
    shared: Arc<Shared>,
    /// None where the system gives no watches: the poll remains.
    watcher: Option<RecommendedWatcher>,
    /// Each watched folder, with the inode that it was: one that was made anew needs a new watch.
    watched: BTreeMap<PathBuf, (u64, u64)>,
}

struct Shared {
    again: Arc<Notify>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The folder, without links: by this path events name what is in it.
    folder: PathBuf,
    /// The name by which it was asked for; a link may stand there, and be swapped.
    link: PathBuf,
    /// Files outside the folder that links in it lead to.
    targets: BTreeSet<PathBuf>,
    /// Changed and not closed since.
    writing: BTreeSet<PathBuf>,
}

impl Eyes {
    pub fn new(folder: &Path, again: Arc<Notify>, with_events: bool) -> Self {
        let shared = Arc::new(Shared { again, state: Mutex::default() });
        let watcher = with_events.then(|| watcher(shared.clone())).flatten();
        Self { folder: Folder::new(folder), shared, watcher, watched: BTreeMap::new() }
    }

    /// Brings the watches up to date, then reads the folder. Blocking.
    pub fn look(&mut self) -> io::Result<Snapshot> {
        let (link, folder) = self.places();
        let above = [&link, &folder].into_iter().filter_map(|path| path.parent());
        let mut wanted: BTreeSet<PathBuf> = above.map(Path::to_owned).chain([folder.clone()]).collect();
        {
            let mut state = self.shared.state();
            (state.link, state.folder) = (link, folder.clone());
        }
        self.follow(&wanted, false);
        let found = self.folder.scan()?;
        let outside = |path: &&PathBuf| path.parent() != Some(folder.as_path());
        let targets: BTreeSet<PathBuf> = found.values().map(|found| &found.real).filter(outside).cloned().collect();
        wanted.extend(targets.iter().filter_map(|target| target.parent()).map(Path::to_owned));
        self.shared.state().targets = targets;
        if self.follow(&wanted, true) {
            // What changed there before the watch was set has made no event.
            return self.folder.scan();
        }
        Ok(found)
    }

    /// The folder's name, and the folder that it leads to.
    fn places(&self) -> (PathBuf, PathBuf) {
        let asked = self.folder.path();
        let link = match (asked.parent().map(std::fs::canonicalize), asked.file_name()) {
            (Some(Ok(above)), Some(name)) => above.join(name),
            _ => asked.to_owned(),
        };
        let folder = std::fs::canonicalize(asked).unwrap_or_else(|_| link.clone());
        (link, folder)
    }

    /// Files that somebody has changed and not closed.
    pub fn being_written(&self) -> BTreeSet<PathBuf> {
        self.shared.state().writing.clone()
    }

    /// Watches these folders, and no others where they are `all`; whether one is new.
    fn follow(&mut self, wanted: &BTreeSet<PathBuf>, all: bool) -> bool {
        let Some(watcher) = &mut self.watcher else { return false };
        let inode = |path: &Path| path.metadata().ok().filter(|m| m.is_dir()).map(|m| (m.dev(), m.ino()));
        let stale = |path: &Path, watched| inode(path) != Some(watched) || (all && !wanted.contains(path));
        let old: Vec<PathBuf> =
            self.watched.iter().filter(|(path, was)| stale(path, **was)).map(|(path, _)| path.clone()).collect();
        for path in old {
            // It fails where the folder is gone, and the watch with it.
            let _ = watcher.unwatch(&path);
            self.watched.remove(&path);
        }
        let mut new = false;
        for path in wanted {
            let Some(inode) = inode(path).filter(|_| !self.watched.contains_key(path)) else { continue };
            match watcher.watch(path, RecursiveMode::NonRecursive) {
                Ok(()) => {
                    self.watched.insert(path.clone(), inode);
                    new = true;
                }
                Err(error) => tracing::debug!("`{}` is only polled: {error}", path.display()),
            }
        }
        new
    }
}

fn watcher(shared: Arc<Shared>) -> Option<RecommendedWatcher> {
    let made = notify::recommended_watcher(move |event: notify::Result<Event>| match event {
        Ok(event) => shared.take(&event),
        Err(_) => shared.lost(),
    });
    made.inspect_err(|error| tracing::warn!("deployments are only polled, the system gives no watches: {error}")).ok()
}

impl Shared {
    fn take(&self, event: &Event) {
        if event.need_rescan() {
            return self.lost();
        }
        // To read a file is an event too, and a look reads files.
        let closed = matches!(event.kind, EventKind::Access(AccessKind::Close(AccessMode::Write)));
        if matches!(event.kind, EventKind::Access(_)) && !closed {
            return;
        }
        let mut concerns = false;
        let mut state = self.state();
        for path in event.paths.iter().filter(|path| state.concerns(path)).cloned().collect::<Vec<_>>() {
            concerns = true;
            match event.kind {
                EventKind::Modify(ModifyKind::Data(_)) => state.writing.insert(path),
                EventKind::Modify(ModifyKind::Metadata(_)) => continue,
                _ => state.writing.remove(&path),
            };
        }
        drop(state);
        if concerns {
            self.again.notify_one();
        }
    }

    /// Events were lost: nothing is known of who writes.
    fn lost(&self) {
        self.state().writing.clear();
        self.again.notify_one();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn concerns(&self, path: &Path) -> bool {
        if path == self.folder || path == self.link || self.targets.contains(path) {
            return true;
        }
        // `..data` is the link by which Kubernetes swaps a whole folder of files.
        let in_folder = |name: &OsStr| deployment_name(name).is_some() || name.as_encoded_bytes().starts_with(b"..");
        path.parent() == Some(self.folder.as_path()) && path.file_name().is_some_and(in_folder)
    }
}
