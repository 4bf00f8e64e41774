//! What the host itself does in a step, beside calling plugins: a seam, behind which stand the real drivers
//! (`daemon::hands`) or the simulator.

use crate::activity::Activity;
use crate::context::{Site, StepContext};
use crate::driver::Doubled;
use crate::model::{BackupRef, Failure, Finding};
use crate::plan::event::{Effect, Verdict};
use crate::plan::step::Step;
use crate::plan::{FileBack, Plan, PlannedEdit, Rehearsed};
use async_trait::async_trait;
use std::collections::BTreeMap;

/// Of a copy of data whose service goes on running.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    Before,
    After,
}

#[async_trait]
pub trait Hands: Send + Sync {
    /// Detects and checks once more, right before downtime, and waits for a vault that is being tidied.
    async fn recheck(&self, plan: &Plan, activity: &Activity) -> Result<Vec<Finding>, Failure>;

    /// Reads the backup's bytes back from the vault.
    async fn check_backup(&self, cx: &StepContext, backup: &BackupRef) -> Result<(), Failure>;

    /// Durable when it returns; the manifest's SHA-256, by which [`Hands::manifest`] finds it again.
    fn keep_manifest(&self, manifest: &str) -> Result<String, Failure>;

    fn manifest(&self, digest: &str) -> Result<String, Failure>;

    /// A throw-away double for this step's drill.
    fn drill_site(&self, step: &str, binding: &str) -> Site;

    /// Starts a double of the datastore's server for this step's drill, where policy wants one and there can be one.
    async fn drill_double(&self, cx: &StepContext) -> Result<Doubled, Failure>;

    /// Leaves nothing of a drill. Converges.
    async fn clear_drill(&self, cx: &StepContext) -> Result<(), Failure>;

    /// Runs what the operator named for this moment of a copy of the binding's data; nothing where nothing is named, or
    /// where the service does not run.
    async fn hook(&self, cx: &StepContext, moment: Moment) -> Result<(), Failure>;

    /// The service that a hook is for stays stopped from now on: its data is replaced.
    async fn stop_hooked(&self, cx: &StepContext) -> Result<(), Failure>;

    /// Starts what [`Hands::stop_hooked`] stopped for these datastores, of the platform `cx` is of.
    async fn start_hooked(&self, cx: &StepContext, datastores: &[&str]) -> Result<(), Failure>;

    /// Where the files, or a release of this version, name another server than the one that holds the datastore, and that
    /// doesn't read the old one's data: puts it in the old one's place, empty but for the accounts, and says so. The old
    /// data stays beside.
    async fn renew_server(&self, cx: &StepContext, version: &str) -> Result<bool, Failure>;

    /// The old server takes its place again: with the data that stayed beside, where this run's [`Hands::renew_server`]
    /// left it; else the one that stood before the run `of`, empty as there. What the new one holds goes, or is `kept` and
    /// named. Converges.
    async fn put_server_back(&self, cx: &StepContext, of: Option<u64>, kept: bool) -> Result<(), Failure>;

    /// What stayed beside of the datastore's server goes, or is `kept` and named.
    async fn let_go_of_server(&self, cx: &StepContext, datastore: &str, kept: bool) -> Result<(), Failure>;

    /// Takes the plan's path on a throw-away double with the data of these backups, one for each datastore; nothing of
    /// it is left. Its failure is that of the double.
    async fn rehearse(
        &self, cx: &StepContext, plan: &Plan, backups: BTreeMap<String, BackupRef>,
    ) -> Result<Rehearsed, Failure>;

    /// Keeps the old bytes in the vault under `key` of each edit's number, then puts the new ones in place.
    async fn put_edits(
        &self, cx: &StepContext, edits: &[PlannedEdit], key: &(dyn for<'a> Fn(usize) -> String + Sync),
    ) -> Result<(), Failure>;

    /// Puts every file back; what somebody else made of one meanwhile is kept beside it and named.
    async fn put_files_back(&self, cx: &StepContext, files: &[FileBack]) -> Result<Vec<String>, Failure>;

    /// From now on the project's files read as these edits will leave them.
    fn lay_over(&self, edits: &[&PlannedEdit]);

    /// They read as they are again.
    fn clear_overlay(&self);

    /// The step made a local copy, which retention will let go one day.
    fn keep_copy(&self, binding: &str, step: &str) -> Result<(), Failure>;

    /// The step has removed its copy itself, or never made one.
    fn copy_is_gone(&self, binding: &str, step: &str) -> Result<(), Failure>;

    /// See [`crate::driver::Drivers::fence_and_probe`].
    async fn fence_and_probe(&self, step: &Step, effect: &Effect) -> Verdict;
}
