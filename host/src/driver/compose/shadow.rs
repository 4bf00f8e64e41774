//! The project as planned edits will leave it, without touching it: the edited files lie in a folder of the daemon's own,
//! and `docker compose` reads those instead, everything else from where it is.

use super::Compose;
use crate::context::StepContext;
use crate::driver::durable;
use crate::driver::process::io_error;
use crate::model::VerbError;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// What Compose looks for where no file is named, the first that is there; with it an override, of the same ending.
const DEFAULT_FILES: [&str; 4] = ["compose.yaml", "compose.yml", "docker-compose.yaml", "docker-compose.yml"];
const DOTENV: &str = ".env";

/// Removed when dropped.
pub struct Shadow {
    folder: PathBuf,
    pub files: Vec<PathBuf>,
    pub env_files: Vec<PathBuf>,
}

impl Shadow {
    pub fn make(compose: &Compose, cx: &StepContext, edited: BTreeMap<String, Vec<u8>>) -> Result<Self, VerbError> {
        let folder = compose.machine.state.join("scratch").join(&cx.deployment).join(format!("{}-compose", cx.step));
        let mut shadow = Self { folder, files: Vec::new(), env_files: Vec::new() };
        let _ = fs::remove_dir_all(&shadow.folder);
        for (path, text) in &edited {
            let old = fs::read(compose.directory.join(path)).ok();
            let bytes = crate::driver::project::fill(path, text, old.as_deref())?;
            let place = shadow.folder.join(path);
            let parent = place.parent().unwrap_or(&shadow.folder);
            durable::make_folder(parent).map_err(io_error("make a folder for planned files"))?;
            durable::write(&place, &bytes).map_err(io_error("write a planned file"))?;
        }
        let place = |file: &Path| match shadow.folder.join(file) {
            planned if planned.is_file() => planned,
            _ => compose.directory.join(file),
        };
        let env_files = match compose.config.env_files.is_empty() {
            true => vec![PathBuf::from(DOTENV)],
            false => compose.config.env_files.clone(),
        };
        let env_files = env_files.iter().map(|file| place(file)).filter(|file| file.is_file()).collect::<Vec<_>>();
        let files = match compose.config.files.is_empty() {
            true => default_files(&compose.directory, &shadow.folder, &env_files),
            false => compose.config.files.clone(),
        };
        let files = files.iter().map(|file| place(file)).collect();
        (shadow.files, shadow.env_files) = (files, env_files);
        Ok(shadow)
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }
}

impl Drop for Shadow {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// The files that Compose reads, as the operator calls them.
pub fn named_files(compose: &Compose) -> Vec<PathBuf> {
    if !compose.config.files.is_empty() {
        return compose.config.files.clone();
    }
    let env_files =
        if compose.config.env_files.is_empty() { &[PathBuf::from(DOTENV)][..] } else { &compose.config.env_files };
    let env_files: Vec<PathBuf> = env_files.iter().map(|file| compose.directory.join(file)).collect();
    default_files(&compose.directory, &compose.directory, &env_files)
}

/// As Compose finds them: `COMPOSE_FILE`, or the first default with its override.
fn default_files(directory: &Path, planned: &Path, env_files: &[PathBuf]) -> Vec<PathBuf> {
    for file in env_files {
        let text = fs::read_to_string(file).unwrap_or_default();
        if let Some(named) = crate::driver::project::dotenv_value(&text, "COMPOSE_FILE") {
            return named.split(':').filter(|name| !name.is_empty()).map(PathBuf::from).collect();
        }
    }
    let there = |name: &str| directory.join(name).is_file() || planned.join(name).is_file();
    let Some(first) = DEFAULT_FILES.into_iter().find(|name| there(name)) else { return Vec::new() };
    let stem = first.split('.').next().unwrap_or_default();
    let overrides = ["yaml", "yml"].map(|ending| format!("{stem}.override.{ending}"));
    let found = overrides.into_iter().find(|name| there(name));
    std::iter::once(PathBuf::from(first)).chain(found.map(PathBuf::from)).collect()
}
