//! `upgradectl retry`: lifts a quarantine, and has the daemon look again.

use super::watch;
use crate::cli::exit::{Exit, TABLE};
use crate::cli::failure::Failure;
use crate::cli::session::Session;
use clap::Args;

/// Try the wanted version again that failed or was refused here: lifts its quarantine
#[derive(Debug, Args)]
#[command(after_long_help = TABLE)]
pub struct Arguments {
    /// The deployment
    name: String,
    /// Follow what happens, as `watch` does
    #[arg(long, short)]
    watch: bool,
}

pub async fn run(arguments: &Arguments, session: &mut Session<'_>) -> Result<Exit, Failure> {
    let name = &arguments.name;
    let result = session.client.retry(name).await;
    let now = session.of_deployment(name, result).await?;
    if arguments.watch {
        return watch::follow(name, watch::Options::default(), session).await;
    }
    session.answer(&now, Exit::Done, |_| {
        let again = match &now.wanted {
            Some(to) if now.installed.as_ref() != Some(to) => format!("tried again, to {to}"),
            _ => "looked at again".into(),
        };
        format!("`{name}` is {again}\n`upgradectl watch {name}` follows it")
    })
}
