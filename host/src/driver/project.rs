//! Behind `files`, and behind the host's own edits: the project's files beneath one folder, never outside it.

use crate::context::StepContext;
use crate::model::*;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Mutex;

pub struct Project {
    pub folder: Option<PathBuf>,
    /// Edits proposed earlier in the same plan, as whole contents.
    pub overlay: Mutex<BTreeMap<String, Vec<u8>>>,
}

#[allow(unused_variables, reason = "signatures first")]
impl Project {
    pub async fn read(&self, cx: &StepContext, path: &str) -> Result<Vec<u8>, VerbError> {
        todo!()
    }
    /// What `change` makes of `old`; `path` says the format.
    pub fn render(path: &str, old: Option<&[u8]>, change: &Change) -> Result<Vec<u8>, VerbError> {
        todo!()
    }
    /// Puts `new` in place atomically and durably, mode and owner kept; `None` removes the file. Refuses with `Conflict`
    /// where what is there has another digest than `expected` (SHA-256, none: no file); not where it is `new` already.
    pub async fn put(
        &self, cx: &StepContext, path: &str, expected: Option<&str>, new: Option<&[u8]>,
    ) -> Result<(), VerbError> {
        todo!()
    }
}
