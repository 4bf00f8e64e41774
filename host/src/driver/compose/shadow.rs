//! The project as planned edits will leave it, without touching it: the edited files lie in a folder of the daemon's own,
//! and `docker compose` reads those instead, everything else from where it is. Where an edited file is one that others
//! read (included, extended, an `env_file`), the folder mirrors the project's by links, and what Compose makes of it is
//! what is read then.

use super::Compose;
use super::built::{made_too_early, read_by_compose};
use crate::context::StepContext;
use crate::driver::durable;
use crate::driver::process::io_error;
use crate::model::VerbError;
use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::symlink;
use std::path::{Component, Path, PathBuf};
use std::{fs, io};

const DOTENV: &str = ".env";
const RENDERED: &str = ".upgraded-rendered.json";

/// Removed when dropped.
pub struct Shadow {
    folder: PathBuf,
    /// Where relative paths start.
    pub directory: PathBuf,
    pub files: Vec<PathBuf>,
    pub env_files: Vec<PathBuf>,
    /// Where a mirror's folder would give another name.
    pub project: Option<String>,
}

impl Shadow {
    pub async fn make(
        compose: &Compose, cx: &StepContext, edited: BTreeMap<String, Option<Vec<u8>>>,
    ) -> Result<Self, VerbError> {
        let folder = compose.machine.state.join("scratch").join(&cx.deployment).join(format!("{}-compose", cx.step));
        let (files, env_files, project) = (Vec::new(), Vec::new(), None);
        let mut shadow = Self { folder, directory: compose.directory.clone(), files, env_files, project };
        let _ = fs::remove_dir_all(&shadow.folder);
        let known = compose.project.known()?;
        for (path, text) in &edited {
            let Some(text) = text else { continue };
            let old = fs::read(compose.directory.join(path)).ok();
            let bytes = crate::driver::project::fill(path, text, old.as_deref(), &known)?;
            let place = shadow.folder.join(path);
            let parent = place.parent().unwrap_or(&shadow.folder);
            durable::make_folder(parent).map_err(io_error("make a folder for planned files"))?;
            durable::write(&place, &bytes).map_err(io_error("write a planned file"))?;
        }
        let is_planned = |file: &Path| edited.keys().any(|path| Path::new(path) == file);
        let place = |file: &Path| match shadow.folder.join(file) {
            planned if is_planned(file) => planned,
            _ => compose.directory.join(file),
        };
        let env_files = plain(&named_env_files(compose));
        let placed = env_files.iter().map(|file| place(file)).filter(|file| file.is_file()).collect::<Vec<_>>();
        let files = match compose.config.files.is_empty() {
            true => plain(&default_files(&compose.directory, &shadow.folder, &placed)),
            false => plain(&compose.config.files),
        };
        let is_read_by_others = |path: &String| ![&files, &env_files].iter().any(|own| own.contains(&path.into()));
        let mirrors = edited.keys().any(is_read_by_others);
        (shadow.files, shadow.env_files) = (files.iter().map(|file| place(file)).collect(), placed);
        if mirrors {
            shadow.mirror(compose, &edited, &files, &env_files).await?;
        }
        Ok(shadow)
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// From then on the shadow is one file, of which every path is the project's own.
    async fn mirror(
        &mut self, compose: &Compose, edited: &BTreeMap<String, Option<Vec<u8>>>, files: &[PathBuf],
        env_files: &[PathBuf],
    ) -> Result<(), VerbError> {
        let folders: BTreeSet<&Path> = edited.keys().flat_map(|path| Path::new(path).ancestors().skip(1)).collect();
        for folder in folders {
            let is_planned = |name: &Path| edited.keys().any(|path| Path::new(path) == folder.join(name));
            link_beside(&compose.directory.join(folder), &self.folder.join(folder), is_planned)
                .map_err(io_error("mirror the project's folder"))?;
        }
        let mirrored = |files: &[PathBuf]| files.iter().map(|file| self.folder.join(file)).collect::<Vec<_>>();
        (self.files, self.env_files) = (mirrored(files), mirrored(env_files));
        self.env_files.retain(|file| file.is_file());
        self.directory.clone_from(&self.folder);
        self.project = Some(compose.declaration().await?.name);
        let rendered = compose.rendered(Some(self)).await?;
        let known = read_by_compose(&self.folder, files, env_files);
        let absolute = |path: &String| compose.directory.join(path).display().to_string();
        let sources = edited.keys().filter(|path| !known.contains(*path) && !known.contains(&absolute(path)));
        if let Some(why) = made_too_early(&rendered, [&self.folder, &compose.directory], sources) {
            return Err(VerbError::Invalid(why));
        }
        let (theirs, ours) = (compose.directory.display().to_string(), self.folder.display().to_string());
        let rendered = rendered.to_string().replace(&ours, &theirs);
        let place = self.folder.join(RENDERED);
        durable::write(&place, rendered.as_bytes()).map_err(io_error("write the planned project"))?;
        self.directory.clone_from(&compose.directory);
        (self.files, self.env_files, self.project) = (vec![place], Vec::new(), None);
        Ok(())
    }
}

/// Links to whatever lies in `folder`, is not planned and not in `mirror`.
fn link_beside(folder: &Path, mirror: &Path, is_planned: impl Fn(&Path) -> bool) -> io::Result<()> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        let link = mirror.join(entry.file_name());
        if is_planned(Path::new(&entry.file_name())) {
            continue;
        }
        if link.symlink_metadata().is_err() {
            symlink(entry.path(), link)?;
        }
    }
    Ok(())
}

impl Drop for Shadow {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// Without `./`, as edits name them.
fn plain(files: &[PathBuf]) -> Vec<PathBuf> {
    let names = |part: &Component<'_>| *part != Component::CurDir;
    files.iter().map(|file| file.components().filter(names).collect()).collect()
}

/// The env files that Compose reads, as the operator calls them.
pub fn named_env_files(compose: &Compose) -> Vec<PathBuf> {
    match compose.config.env_files.is_empty() {
        true => vec![PathBuf::from(DOTENV)],
        false => compose.config.env_files.clone(),
    }
}

/// The files that Compose reads, as the operator calls them.
pub fn named_files(compose: &Compose) -> Vec<PathBuf> {
    if !compose.config.files.is_empty() {
        return compose.config.files.clone();
    }
    let env_files: Vec<PathBuf> = named_env_files(compose).iter().map(|file| compose.directory.join(file)).collect();
    default_files(&compose.directory, &compose.directory, &env_files)
}

/// As Compose finds them: `COMPOSE_FILE`, or the first default with its override.
fn default_files(directory: &Path, planned: &Path, env_files: &[PathBuf]) -> Vec<PathBuf> {
    let texts: Vec<String> = env_files.iter().filter_map(|file| fs::read_to_string(file).ok()).collect();
    // The last file that has a variable counts.
    let value = |key: &str| texts.iter().rev().find_map(|text| crate::driver::project::dotenv_value(text, key));
    let listed = compose_files::listed_files(&value);
    let there = |name: &str| directory.join(name).is_file() || planned.join(name).is_file();
    let files = if listed.is_empty() { compose_files::default_files(&there) } else { listed };
    files.into_iter().map(PathBuf::from).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_found_as_compose_finds_them() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            fs::write(folder.path().join(name), text).unwrap();
            folder.path().join(name)
        };
        let found = |env_files: &[PathBuf]| {
            let files = default_files(folder.path(), folder.path(), env_files);
            files.iter().map(|file| file.display().to_string()).collect::<Vec<_>>()
        };
        write("docker-compose.yml", "");
        write("compose.override.yaml", "");
        assert_eq!(found(&[]), ["docker-compose.yml", "compose.override.yaml"]);
        let first = write(".env", "COMPOSE_FILE=a.yaml:b.yaml\n");
        assert_eq!(found(std::slice::from_ref(&first)), ["a.yaml", "b.yaml"]);
        let second = write("b.env", "COMPOSE_PATH_SEPARATOR=,\nCOMPOSE_FILE=c.yaml,d.yaml\n");
        assert_eq!(found(&[first, second]), ["c.yaml", "d.yaml"]);
        assert_eq!(plain(&["./a.yaml".into(), "/b/./c.yaml".into()]), [Path::new("a.yaml"), Path::new("/b/c.yaml")]);
    }
}
