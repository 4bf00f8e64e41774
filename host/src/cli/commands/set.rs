//! `upgradectl set`: has the daemon edit the `version` line.

use super::watch;
use crate::cli::exit::{Exit, TABLE};
use crate::cli::failure::Failure;
use crate::cli::session::Session;
use clap::Args;

/// Want another version: edits the `version` line of the deployment's file, comments kept
///
/// The daemon then does the rest, as it does when the line is edited by hand.
#[derive(Debug, Args)]
#[command(after_long_help = TABLE)]
pub struct Arguments {
    /// The deployment
    name: String,
    /// The version, as its vendor writes it
    version: String,
    /// Follow what happens, as `watch` does
    #[arg(long, short)]
    watch: bool,
}

pub async fn run(arguments: &Arguments, session: &mut Session<'_>) -> Result<Exit, Failure> {
    let name = &arguments.name;
    let result = session.client.set(name, &arguments.version).await;
    let set = session.of_deployment(name, result).await?;
    if arguments.watch {
        return watch::follow(name, watch::Options::default(), session).await;
    }
    session.answer(&set, Exit::Done, |_| {
        if set.before == set.version {
            return format!("`{name}` was to be at {} already", set.version);
        }
        format!(
            "`{name}` is to be at {}, was {} ({})\n`upgradectl watch {name}` follows it",
            set.version, set.before, set.file
        )
    })
}
