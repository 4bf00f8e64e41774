//! `upgradectl show`: one run in full.

use crate::cli::exit::{Exit, TABLE};
use crate::cli::failure::Failure;
use crate::cli::render::{self, Clock, run_details};
use crate::cli::session::Session;
use clap::Args;

/// Show one run: its steps with their times, what was found, how it ended
#[derive(Debug, Args)]
#[command(after_long_help = TABLE)]
pub struct Arguments {
    /// Its number, from `history`
    run: u64,
    /// The plan that it began with, too
    #[arg(long)]
    plan: bool,
}

pub async fn run(arguments: &Arguments, session: &mut Session<'_>) -> Result<Exit, Failure> {
    let run = session.client.run(arguments.run).await?;
    session.answer(&run, Exit::Done, |t| {
        let clock = Clock::from(t);
        let mut text = run_details(&run, &clock, t.paint(), t.width);
        if arguments.plan {
            text += &format!("\n{}", render::plan(&run.plan, &clock, t.paint(), t.width));
        }
        text
    })
}
