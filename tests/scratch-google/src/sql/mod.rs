//! Cloud SQL Admin API, v1 and v1beta4: instances, their backups, and one operation at a time on each.

mod backups;
mod disk;
mod instances;
mod lists;
mod operations;
mod state;

pub use disk::{Disk, Folder};

use crate::core::Core;
use crate::discovery::Call;
use crate::fault::Fate;
use crate::refusal::Refusal;
use serde_json::Value;
use state::State;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

type MakeDisk = Arc<dyn Fn(&str) -> Arc<dyn Disk> + Send + Sync>;

pub(crate) struct Sql {
    state: Mutex<State>,
    /// Where backups and the disks that nobody attached lie.
    folder: PathBuf,
    make_disk: Mutex<Option<MakeDisk>>,
}

impl Sql {
    pub(crate) fn new(folder: &Path) -> Self {
        Self { state: Mutex::default(), folder: folder.to_owned(), make_disk: Mutex::default() }
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nothing panics while it holds the lock")
    }

    pub(crate) fn attach(&self, project: &str, instance: &str, disk: Arc<dyn Disk>) {
        self.state().disks.insert((project.to_owned(), instance.to_owned()), disk);
    }

    pub(crate) fn make_disks_by(&self, make: MakeDisk) {
        *self.make_disk.lock().expect("nothing panics while it holds the lock") = Some(make);
    }

    /// A disk for an instance that has none yet.
    fn new_disk(&self, project: &str, instance: &str) -> Arc<dyn Disk> {
        let make = self.make_disk.lock().expect("nothing panics while it holds the lock").clone();
        match make {
            Some(make) => make(instance),
            None => Arc::new(Folder::at(self.folder.join("disks").join(project).join(instance))),
        }
    }

    /// Where the bytes of a backup lie.
    fn backup_path(&self, project: &str, id: u64) -> PathBuf {
        self.folder.join("backups").join(project).join(id.to_string())
    }
}

pub(crate) fn answer(core: &Arc<Core>, call: &Call, caller: &str, fate: Fate) -> Result<Value, Refusal> {
    match call.method.id.as_str() {
        "sql.backupRuns.delete" => backups::delete(core, call, caller, fate),
        "sql.backupRuns.get" => backups::get(core, call),
        "sql.backupRuns.insert" => backups::insert(core, call, caller, fate),
        "sql.backupRuns.list" => backups::list(core, call),
        "sql.connect.get" => lists::connect(core, call),
        "sql.databases.list" => lists::databases(core, call),
        "sql.instances.delete" => instances::delete(core, call, caller, fate),
        "sql.instances.get" => instances::get(core, call),
        "sql.instances.insert" => instances::insert(core, call, caller, fate),
        "sql.instances.list" => instances::list(core, call),
        "sql.instances.patch" => instances::patch(core, call, caller, fate),
        "sql.instances.restart" => instances::restart(core, call, caller, fate),
        "sql.instances.restoreBackup" => backups::restore(core, call, caller, fate),
        "sql.operations.get" => operations::get(core, call),
        "sql.operations.list" => operations::list(core, call),
        "sql.users.list" => lists::users(core, call),
        other => unreachable!("a method of the document without an answer: `{other}`"),
    }
}

/// The instance of a request gets a label, and with it a new version of its settings.
pub(crate) fn edited_by_somebody_else(core: &Core, call: &Call) {
    let mut state = core.sql.state();
    if let Some(instance) = state.instances.get_mut(&state::key(call)) {
        instance["settings"]["userLabels"]["edited-by"] = "somebody-else".into();
        state::new_version(instance);
    }
}
