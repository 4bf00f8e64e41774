//! `upgradectl check`: the daemon's preflight; where no daemon answers or a file is named, the file alone.

mod file;

use crate::api::{ApiError, Check, ClientError, Deployment};
use crate::cli::exit::{Exit, TABLE};
use crate::cli::failure::Failure;
use crate::cli::render::{Clock, findings};
use crate::cli::session::Session;
use crate::cli::terminal::Terminal;
use clap::Args;
use serde::Serialize;
use std::path::{Path, PathBuf};

/// Run the preflight now, on the way to the file's version; nothing is touched
///
/// Of one deployment, or of all. A file (`shop.toml`, `/path/to/shop.toml`) is read without a daemon, and so are the
/// deployments' files where no daemon answers: every mistake with file, line and column. Whether the secrets that a file
/// names are there is for the daemon to see.
#[derive(Debug, Args)]
#[command(after_long_help = TABLE)]
pub struct Arguments {
    /// The deployment, or a file
    #[arg(value_name = "NAME|FILE")]
    of: Option<String>,
}

pub async fn run(arguments: &Arguments, session: &mut Session<'_>) -> Result<Exit, Failure> {
    match &arguments.of {
        Some(of) if of.contains('/') || of.ends_with(".toml") => file::run(&[PathBuf::from(of)], session),
        Some(name) => one(name, session).await,
        None => all(session).await,
    }
}

async fn one(name: &str, session: &mut Session<'_>) -> Result<Exit, Failure> {
    let result = session.client.check(name).await;
    if let Err(error @ ClientError::Unreachable { .. }) = result {
        let file = session.settings.deployments.join(format!("{name}.toml"));
        return without_a_daemon(error, &[file], session);
    }
    let check = session.of_deployment(name, result).await?;
    let exit = exit_of(&check);
    session.answer(&check, exit, |t| render(&check, t))
}

async fn all(session: &mut Session<'_>) -> Result<Exit, Failure> {
    let deployments = match session.client.deployments().await {
        Err(error @ ClientError::Unreachable { .. }) => {
            let files = file::all(&session.settings.deployments);
            return without_a_daemon(error, &files, session);
        }
        result => result?,
    };
    let mut all = Vec::new();
    let mut exit = Exit::Done;
    for Deployment { name: deployment, .. } in deployments {
        let (checked, its_exit) = match session.client.check(&deployment).await {
            Ok(check) => {
                let exit = exit_of(&check);
                (Checked::Done(check), exit)
            }
            // One that has no preflight (a mistake in its file, say) must not hide the others'.
            Err(ClientError::Api(error)) => {
                let exit = Exit::of_error(error.code);
                (Checked::Failed { deployment, error }, exit)
            }
            Err(error) => return Err(error.into()),
        };
        all.push(checked);
        exit = if exit == Exit::Done { its_exit } else { exit };
    }
    session.answer(&all, exit, |t| {
        let told: Vec<_> = all.iter().map(|checked| checked.render(t)).collect();
        told.join("\n\n")
    })
}

/// Of one of several.
#[derive(Serialize)]
#[serde(untagged)]
enum Checked {
    Done(Check),
    Failed { deployment: String, error: ApiError },
}

impl Checked {
    fn render(&self, terminal: &Terminal) -> String {
        match self {
            Self::Done(check) => render(check, terminal),
            Self::Failed { deployment, error } => {
                let told = Failure::from(ClientError::Api(error.clone())).as_text(terminal);
                format!("{}\n{}", terminal.paint().bold(deployment), told.trim_end())
            }
        }
    }
}

/// Only the files, where there are any to read; else it is the daemon that is missed.
fn without_a_daemon(error: ClientError, files: &[PathBuf], session: &mut Session<'_>) -> Result<Exit, Failure> {
    if !files.iter().any(|file| Path::exists(file)) {
        return Err(error.into());
    }
    if !session.json {
        let told = format!("{error}: only the file is read, nothing is tried\n");
        session.terminal.err.write_all(told.as_bytes())?;
    }
    file::run(files, session)
}

fn exit_of(check: &Check) -> Exit {
    if check.ready { Exit::Done } else { Exit::Refused }
}

fn render(check: &Check, terminal: &Terminal) -> String {
    let paint = terminal.paint();
    let way =
        if check.from == check.to { format!("at {}", check.to) } else { format!("{} → {}", check.from, check.to) };
    let when = Clock::from(terminal).relative(check.checked_at);
    let mut text = format!("{} {way}, checked {when}\n", paint.bold(&check.deployment));
    text += &findings(&check.findings, paint, terminal.width);
    let verdict = match check.ready {
        true => paint.green("nothing stands against it"),
        false => paint.red("a blocker stands against it"),
    };
    text + &verdict
}
