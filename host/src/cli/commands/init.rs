//! `upgradectl init`: a deployment's file, proposed by [`crate::config::init`]; this decides only where it goes.

use crate::cli::exit::{Exit, TABLE};
use crate::cli::failure::Failure;
use crate::cli::session::Session;
use crate::config::init::{UNIT_FOLDERS, look, propose};
use crate::config::read::{name_of, name_rule};
use anyhow::Context;
use clap::Args;
use serde_json::json;
use std::fs::{File, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// Look at a project's folder and write a deployment's file for it, with comments
///
/// Understands a git checkout, releases, Compose files, files of podman's pods, a chart of Helm or values for one, and what
/// deploys to Cloud Run. Nothing of the project is run or changed, and no secret's value is taken over. The file is written
/// where you are, to be looked over before you put it among the deployments; one that is there already is left alone. Needs
/// no daemon.
#[derive(Debug, Args)]
#[command(after_long_help = TABLE)]
pub struct Arguments {
    /// The project's folder
    #[arg(default_value = ".")]
    directory: PathBuf,
    /// What the deployment is to be called [default: what the folder is called]
    #[arg(long)]
    name: Option<String>,
    /// Where to write the file [default: `NAME.toml`, here]
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Print the file and write nothing
    #[arg(long, conflicts_with = "output")]
    stdout: bool,
}

pub fn run(arguments: &Arguments, session: &mut Session<'_>) -> Result<Exit, Failure> {
    let mut found = look(&arguments.directory, &UNIT_FOLDERS.map(Path::new)).map_err(|error| {
        let told = format!("the folder `{}` can't be looked at: {error}", arguments.directory.display());
        Failure::own(Exit::NotFound, told)
    })?;
    if let Some(stack) = &mut found.stack {
        stack.ask_clients(|name| std::env::var(name).ok()).map_err(|unusable| {
            let hint = "run `upgraded` where the engine is, or `docker context use default` for one of this machine";
            Failure::own(Exit::Usage, unusable.to_string()).hint(hint)
        })?;
    }
    let name = name(arguments, &found.directory)?;
    let text = propose(&name, &found);
    if arguments.stdout {
        return session.answer(&json!({ "name": name, "file": null, "text": text }), Exit::Done, |_| text);
    }
    let file = arguments.output.clone().unwrap_or_else(|| format!("{name}.toml").into());
    create(&file, &text)?;
    let deployments = session.settings.deployments.clone();
    session.answer(&json!({ "name": name, "file": file, "text": text }), Exit::Done, |_| {
        let (file, deployments) = (file.display(), deployments.display());
        format!(
            "wrote `{file}`\nlook it over, see what `upgradectl check {file}` says, and put it into `{deployments}`"
        )
    })
}

/// The file's name is the deployment's.
fn name(arguments: &Arguments, directory: &Path) -> Result<String, Failure> {
    let of_file = arguments.output.as_deref().and_then(name_of);
    let of_folder = directory.file_name().and_then(|name| name.to_str());
    let name = arguments.name.as_deref().or(of_file).or(of_folder).unwrap_or_default().to_owned();
    if let Err(rule) = name_rule(&name) {
        let told = format!("`{name}` can't be the name of a deployment: {rule}");
        return Err(Failure::own(Exit::Usage, told).hint("`--name NAME` says another"));
    }
    if of_file != Some(&name) && arguments.output.is_some() {
        let told = format!("the file of the deployment `{name}` must be called `{name}.toml`");
        return Err(Failure::own(Exit::Usage, told));
    }
    Ok(name)
}

/// Whole or not at all, and never over another.
fn create(file: &Path, text: &str) -> Result<(), Failure> {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let written = || -> io::Result<()> {
        let mut new = tempfile::Builder::new().prefix(".upgraded-").tempfile_in(folder)?;
        new.write_all(text.as_bytes())?;
        new.as_file().set_permissions(Permissions::from_mode(0o644))?;
        new.as_file().sync_all()?;
        new.persist_noclobber(file).map_err(|error| error.error)?;
        File::open(folder)?.sync_all()
    };
    match written() {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            let told = format!("`{}` is there already, and is left alone", file.display());
            Err(Failure::own(Exit::Refused, told)
                .hint("`--stdout` prints the proposal, `--output FILE` writes another"))
        }
        result => result.with_context(|| format!("`{}` can't be written", file.display())).map_err(Failure::Other),
    }
}
