//! What will happen, decided before it happens. Pure: no clock, no I/O, no plugin.

pub mod aftermath;
pub mod event;
pub mod next;
#[cfg(test)]
mod properties;
pub mod state;
pub mod step;

use crate::config::{Approve, Drill};
use crate::model::{Binding, Finding, Hop, ModeAndOwner};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Bumped with every change of what the journal keeps. A newer one than ours is refused.
pub const PLAN_SCHEMA: u32 = 2;

/// Everything a run is: its first event. Later steps know nothing else but the recorded outputs of earlier ones.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    pub schema: u32,
    pub host_version: String,
    pub deployment: String,
    pub kind: Kind,
    pub from: String,
    pub to: String,
    /// The deployment's file as the run began with it; secrets stand in it by name only.
    pub file: String,
    /// Product first, then platforms and datastores in the file's order.
    pub bindings: Vec<PlannedBinding>,
    /// In order; one at least.
    pub hops: Vec<Hop>,
    /// Of each hop, in the order in which they are put in place.
    pub edits: Vec<Vec<PlannedEdit>>,
    /// Datastores whose server the first hop's edits make another image of: their data is carried into the new one where
    /// that doesn't read the old one's.
    #[serde(default)]
    pub carries: Vec<String>,
    pub policy: PlannedPolicy,
    /// Warnings and notes; a plan with a blocker never becomes a run.
    pub findings: Vec<Finding>,
    pub estimates: Estimates,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    Upgrade,
    /// By hand, after a run committed: its way back, from its own quiesce.
    Rollback(Box<WayBack>),
    /// On a throw-away double; nothing live is changed.
    Rehearsal,
}

impl Plan {
    /// Of each file that is edited, by platform and path: what the plan was made for; none: no file.
    pub fn replaced(&self) -> BTreeMap<(&str, &str), Option<&Replaced>> {
        let mut replaced = BTreeMap::new();
        for edit in self.edits.iter().flatten() {
            // A later hop's is what the first one left.
            replaced.entry((edit.platform.as_str(), edit.path.as_str())).or_insert(edit.before.as_ref());
        }
        replaced
    }
}

impl WayBack {
    /// Keys in the vault of all that goes back.
    pub fn artifacts(&self) -> impl Iterator<Item = &str> {
        let saved = self.backups.values().flat_map(|backup| &backup.artifacts);
        let replaced = self.files.iter().filter_map(|file| file.before.as_ref()).map(|(_, key)| key);
        saved.chain(replaced).map(String::as_str)
    }
}

/// What the run that is taken back recorded.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WayBack {
    /// The run's number.
    pub of: u64,
    /// When its users were let in: what was written since is set aside.
    pub admitted: jiff::Timestamp,
    /// Of each datastore.
    pub backups: BTreeMap<String, SavedBackup>,
    /// Of each platform: the token of its first hop.
    pub staged: BTreeMap<String, String>,
    pub files: Vec<FileBack>,
}

/// A backup as a run remembers it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedBackup {
    /// Keys in the vault.
    pub artifacts: Vec<String>,
    /// SHA-256 of the manifest, whose lines the journal keeps apart.
    pub manifest: String,
}

/// A file that a run replaces, and how it comes back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileBack {
    pub platform: String,
    pub path: String,
    /// The old file, and the key of its bytes in the vault; none: there was no file.
    pub before: Option<(Replaced, String)>,
    /// SHA-256 of each content that the run put there.
    pub afters: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedBinding {
    #[serde(flatten)]
    pub binding: Binding,
    /// SHA-256 of the component, hexadecimal.
    pub digest: String,
}

/// A change to one file, with the bytes that it replaces named by digest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedEdit {
    /// The platform whose `directory` the path starts from.
    pub platform: String,
    pub path: String,
    pub why: String,
    /// What was there when the plan was made; none: no file.
    pub before: Option<Replaced>,
    /// None: the file goes.
    pub after: Option<Replacement>,
    /// Unified, for a person.
    pub diff: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replaced {
    /// SHA-256.
    pub digest: String,
    #[serde(flatten)]
    pub owned: ModeAndOwner,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replacement {
    /// SHA-256.
    pub digest: String,
    /// With secrets as placeholders.
    pub content: Vec<u8>,
    /// By whoever may read it. False: the old file's mode stays.
    pub executable: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedPolicy {
    pub approve: Approve,
    /// Whether this path needs an approval.
    pub approval_needed: bool,
    /// As written; empty: at any time.
    pub windows: Vec<String>,
    pub drill: Drill,
    /// Datastores whose backups are not drilled, whatever `drill` says.
    #[serde(default)]
    pub undrilled: Vec<String>,
    /// The whole path on a double before anything is touched.
    #[serde(default)]
    pub rehearse: bool,
    pub idle_ms: u64,
}

/// What a rehearsal found out: the output of its step.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Rehearsed {
    /// All of it, in seconds, with making the double and its data.
    pub took_s: f64,
    /// How long users of the double were shut out, in seconds.
    pub downtime_s: Option<f64>,
    /// Of the double's own run, in seconds, in their order.
    pub steps: Vec<(String, f64)>,
}

/// In seconds, from the last drill and the last runs; none where nothing is known yet.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Estimates {
    pub backup_s: Option<f64>,
    pub downtime_s: Option<f64>,
    pub rollback_s: Option<f64>,
}
