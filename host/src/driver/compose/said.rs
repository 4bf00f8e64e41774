//! What `docker compose config` said last, while it still holds: each asking is a program that reads every file anew, and
//! a step asks many times, for the platform and for each datastore that is on it.

use super::Compose;
use super::shadow::{self, Shadow};
use crate::driver::project;
use crate::model::VerbError;
use serde_json::Value;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Of files that others read (included ones, say) a change by somebody else is seen after so long.
const HOLDS_FOR: Duration = Duration::from_secs(5);

/// Of each project, whoever asked.
static SAID: Mutex<Vec<Kept>> = Mutex::new(Vec::new());

struct Kept {
    argv: Vec<String>,
    at: Instant,
    of: Vec<Stamp>,
    edits: u64,
    rendered: Arc<Value>,
}

/// Of a file: none where there is none.
type Stamp = (PathBuf, Option<(u64, u64, i64, i64)>);

impl Compose {
    /// What `docker compose config` says of the files, of a double's as they are.
    pub(super) async fn rendered(&self, shadow: Option<&Shadow>) -> Result<Arc<Value>, VerbError> {
        if shadow.is_some() {
            return self.ask_for_rendered(shadow).await;
        }
        // Both are taken before the answer: what changes meanwhile makes it stale.
        let (argv, of, edits) = (self.named(None), self.stamps(), project::edits());
        {
            let mut said = SAID.lock().expect("no panic holds this lock");
            said.retain(|kept| kept.at.elapsed() < HOLDS_FOR && kept.edits == edits);
            if let Some(kept) = said.iter().find(|kept| (&kept.argv, &kept.of) == (&argv, &of)) {
                return Ok(kept.rendered.clone());
            }
        }
        let at = Instant::now();
        let rendered = self.ask_for_rendered(None).await?;
        let mut said = SAID.lock().expect("no panic holds this lock");
        said.retain(|kept| kept.argv != argv);
        said.push(Kept { argv, at, of, edits, rendered: rendered.clone() });
        Ok(rendered)
    }

    async fn ask_for_rendered(&self, shadow: Option<&Shadow>) -> Result<Arc<Value>, VerbError> {
        let output = self.answer_of(self.named(shadow), shadow, &["config", "--format", "json"]).await?;
        let rendered = serde_json::from_slice(&output.stdout).map_err(|error| {
            VerbError::other("compose", format!("what `docker compose config` says can't be read: {error}"))
        })?;
        Ok(Arc::new(rendered))
    }

    /// Of the files that are named, and the env files.
    fn stamps(&self) -> Vec<Stamp> {
        let files = shadow::named_files(self).into_iter().chain(shadow::named_env_files(self));
        let stamp = |file: PathBuf| {
            let found = self.directory.join(&file).metadata().ok();
            (file, found.map(|found| (found.ino(), found.len(), found.mtime(), found.mtime_nsec())))
        };
        files.map(stamp).collect()
    }
}
