//! `upgradectl rehearse`: the upgrade on a throw-away double.

use super::watch;
use crate::api::RehearseRequest;
use crate::cli::exit::{Exit, TABLE};
use crate::cli::failure::Failure;
use crate::cli::session::Session;
use clap::Args;

/// Take an upgrade on a throw-away double first: the whole stack, with a restored copy of the data
///
/// The double shares nothing writable with what runs, lets nobody in, and reaches nothing outside. It is upgraded and
/// verified as the real one would be, measured, and thrown away; `show` tells how long each step took and how long users
/// would have waited. What it finds out is the next plan's estimate. Nothing live is changed, but the backup that the
/// copy is made from lies in the vault. `[policy] rehearse = true` has each upgrade rehearsed before it begins.
#[derive(Debug, Args)]
#[command(after_long_help = TABLE)]
pub struct Arguments {
    /// The deployment
    name: String,
    /// To another version than the file's
    #[arg(long, value_name = "VERSION")]
    to: Option<String>,
    /// Follow what happens, as `watch` does
    #[arg(long, short)]
    watch: bool,
}

pub async fn run(arguments: &Arguments, session: &mut Session<'_>) -> Result<Exit, Failure> {
    let name = &arguments.name;
    let result = session.client.rehearse(name, &RehearseRequest { to: arguments.to.clone() }).await;
    let started = session.of_deployment(name, result).await?;
    if arguments.watch {
        return watch::follow(name, watch::Options::default(), session).await;
    }
    session.answer(&started, Exit::Done, |_| {
        let (run, from, to) = (started.run, &started.from, &started.to);
        format!(
            "rehearses {from} → {to}, run {run}\n`upgradectl watch {name}` follows it, `upgradectl show {run}` tells"
        )
    })
}
