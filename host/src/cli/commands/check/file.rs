//! Deployments' files read without a daemon: against the plugins that are installed here, secrets by name only.

use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::session::Session;
use crate::config::read::{name_of, read_text};
use crate::config::{Deployment, Diagnostics, SecretCheck, Settings};
use crate::plugin::Plugins;
use serde::Serialize;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// What became of one file.
#[derive(Serialize)]
struct Read {
    file: PathBuf,
    name: Option<String>,
    /// Null: none.
    diagnostics: Option<Diagnostics>,
}

pub fn run(files: &[PathBuf], session: &mut Session<'_>) -> Result<Exit, Failure> {
    let settings = &session.settings;
    // Compiling a plugin blocks for seconds, and must not happen on a thread of the runtime.
    let read = std::thread::scope(|scope| scope.spawn(|| read_all(files, settings)).join());
    let read = read.map_err(|_| Failure::own(Exit::Failed, "reading the files panicked"))?;
    let mistakes = read.iter().any(|read| read.diagnostics.is_some());
    let exit = if mistakes { Exit::Refused } else { Exit::Done };
    session.answer(&read, exit, |t| {
        let paint = t.paint();
        let told = read.iter().map(|read| match &read.diagnostics {
            None => format!("{}: {}\n", read.file.display(), paint.green("no mistakes")),
            Some(diagnostics) => diagnostics.render(paint.on),
        });
        told.collect()
    })
}

fn read_all(files: &[PathBuf], settings: &Settings) -> Vec<Read> {
    let own = if is_ours(&settings.state) { None } else { tempfile::tempdir().ok() };
    let state = own.as_ref().map_or(settings.state.as_path(), tempfile::TempDir::path);
    let plugins = Plugins::new(settings.plugins.clone(), state);
    files
        .iter()
        .map(|file| Read {
            file: file.clone(),
            name: name_of(file).map(Into::into),
            diagnostics: read(file, &plugins).err(),
        })
        .collect()
}

/// What others compiled is not believed, and nobody may put anything beside it: whoever checks a file needs neither.
fn is_ours(state: &Path) -> bool {
    let nearest = state.ancestors().find_map(|folder| folder.metadata().ok());
    nearest.is_some_and(|folder| folder.uid() == rustix::process::geteuid().as_raw())
}

fn read(file: &Path, plugins: &Plugins) -> Result<Deployment, Diagnostics> {
    let Some(name) = name_of(file) else {
        let help = Some("for example `shop.toml`, of the deployment `shop`".into());
        return Err(Diagnostics::of_file(file, "the name of a deployment's file ends in `.toml`", help));
    };
    Deployment::parse(name, file, &read_text(file)?, plugins, SecretCheck::NameOnly)
}

/// The files of the deployments' folder, by name; none where it can't be read.
pub fn all(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.path()).filter(|file| is_deployment(file)).collect();
    files.sort();
    files
}

fn is_deployment(file: &Path) -> bool {
    name_of(file).is_some_and(|name| !name.starts_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_folder_that_is_to_be_made_is_its_parents_owners() {
        let ours = tempfile::tempdir().unwrap();
        assert!(is_ours(ours.path()) && is_ours(&ours.path().join("upgraded/state")));
        let other = ours.path().join("other");
        std::fs::create_dir(&other).unwrap();
        std::os::unix::fs::chown(&other, Some(65534), None).expect("this test needs root, to give a folder away");
        assert!(!is_ours(&other.join("state")));
    }
}
