//! Names of what a step makes at Google's. Run and step alone would not do: a daemon that lost its state counts its runs
//! anew, and would take a former life's backup for its own.

use crate::context::StepContext;
use crate::driver::durable;
use crate::driver::process::io_error;
use crate::effect::hex;
use crate::model::VerbError;
use sha2::{Digest, Sha256};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

const LETTERS: usize = 8;

/// A step, and the name of what it made.
pub type Made = (String, String);

/// The same for each attempt of a step, and for no other step of this or any daemon: `r12-h0-1f2e3d4c`.
pub fn of_step(cx: &StepContext, state: &Path) -> Result<String, VerbError> {
    let folder = state.join("google").join(&cx.deployment);
    let file = folder.join(&cx.step);
    let failed = io_error("name what the step makes");
    durable::make_folder(&folder).map_err(&failed)?;
    if durable::read(&file).map_err(&failed)?.is_none() {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
        let digest = hex(&Sha256::digest(format!("{} {} {now}", cx.deployment, cx.step)));
        durable::write_new(&file, &digest.as_bytes()[..LETTERS]).map_err(&failed)?;
    }
    let kept = durable::read(&file).map_err(&failed)?.unwrap_or_default();
    Ok(name(&cx.step, &kept))
}

/// Of those steps of a deployment that made something, or were to.
pub fn of_steps(state: &Path, deployment: &str, wanted: impl Fn(&str) -> bool) -> Vec<Made> {
    let folder = state.join("google").join(deployment);
    let entries = std::fs::read_dir(&folder).into_iter().flatten().flatten();
    let steps = entries.filter_map(|entry| entry.file_name().into_string().ok()).filter(|step| wanted(step));
    let named = |step: String| {
        let kept = durable::read(&folder.join(&step)).ok()??;
        let name = name(&step, &kept);
        Some((step, name))
    };
    steps.filter_map(named).collect()
}

/// Nothing of theirs is at Google's any more.
pub fn forget(state: &Path, deployment: &str, made: &[Made]) -> Result<(), VerbError> {
    let folder = state.join("google").join(deployment);
    let mut files = made.iter().map(|(step, _)| folder.join(step));
    files.try_for_each(|file| durable::remove(&file)).map_err(io_error("forget what steps made"))
}

fn name(step: &str, kept: &[u8]) -> String {
    let first: Vec<&str> = step.splitn(3, '-').take(2).collect();
    format!("{}-{}", first.join("-"), String::from_utf8_lossy(kept))
}
