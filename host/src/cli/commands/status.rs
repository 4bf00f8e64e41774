//! `upgradectl status`: all deployments in a table, or one in full.

use crate::api::Deployment;
use crate::cli::exit::{Exit, TABLE};
use crate::cli::failure::Failure;
use crate::cli::render::{Clock, deployment_details, deployment_table};
use crate::cli::session::Session;
use clap::Args;

/// Show deployments: what is installed, what is wanted, and what is done about it
#[derive(Debug, Args)]
#[command(after_long_help = TABLE)]
pub struct Arguments {
    /// Only this one, in full
    name: Option<String>,
    /// Answer with the exit code, too: 4 where it waits, 5 where it is stuck, 1 where it is quarantined, 3 where it is in
    /// error; of several deployments the first that needs somebody
    #[arg(long)]
    exit_code: bool,
}

pub async fn run(arguments: &Arguments, session: &mut Session<'_>) -> Result<Exit, Failure> {
    let Some(name) = &arguments.name else {
        let all = session.client.deployments().await.map_err(Failure::from)?;
        let exit = if arguments.exit_code { first_need(&all) } else { Exit::Done };
        return session.answer(&all, exit, |t| deployment_table(&all, &Clock::from(t), t.paint(), t.width));
    };
    let one = session.deployment(name).await?;
    let exit = if arguments.exit_code { Exit::of_need(&one) } else { Exit::Done };
    session.answer(&one, exit, |t| deployment_details(&one, &Clock::from(t), t.paint(), t.width))
}

fn first_need(all: &[Deployment]) -> Exit {
    all.iter().map(Exit::of_need).find(|exit| *exit != Exit::Done).unwrap_or(Exit::Done)
}
