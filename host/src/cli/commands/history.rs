//! `upgradectl history`: runs in a table.

use crate::cli::exit::{Exit, TABLE};
use crate::cli::failure::Failure;
use crate::cli::render::{Clock, run_table};
use crate::cli::session::Session;
use clap::Args;

/// List runs, newest first
#[derive(Debug, Args)]
#[command(after_long_help = TABLE)]
pub struct Arguments {
    /// Only this deployment's
    name: Option<String>,
    /// So many at most
    #[arg(long, short = 'n', default_value_t = 20, value_name = "NUMBER")]
    limit: usize,
}

pub async fn run(arguments: &Arguments, session: &mut Session<'_>) -> Result<Exit, Failure> {
    let result = session.client.runs(arguments.name.as_deref(), arguments.limit).await;
    let runs = match &arguments.name {
        Some(name) => session.of_deployment(name, result).await?,
        None => result?,
    };
    session.answer(&runs, Exit::Done, |t| run_table(&runs, &Clock::from(t), t.paint(), t.width))
}
