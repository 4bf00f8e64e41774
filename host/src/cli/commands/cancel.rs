//! `upgradectl cancel`: ends the open run.

use crate::api::CancelRequest;
use crate::cli::exit::{Exit, TABLE};
use crate::cli::failure::Failure;
use crate::cli::render::{Clock, state_line};
use crate::cli::session::Session;
use clap::Args;

/// End the open run: one that touched nothing yet is over at once, one that did turns round
#[derive(Debug, Args)]
#[command(after_long_help = TABLE)]
pub struct Arguments {
    /// The deployment
    name: String,
    /// Kept with the run
    #[arg(long)]
    why: Option<String>,
}

pub async fn run(arguments: &Arguments, session: &mut Session<'_>) -> Result<Exit, Failure> {
    let name = &arguments.name;
    let result = session.client.cancel(name, &CancelRequest { why: arguments.why.clone() }).await;
    let now = session.of_deployment(name, result).await?;
    session.answer(&now, Exit::Done, |t| {
        format!("`{name}` is cancelled; now {}", state_line(&now.state, &Clock::from(t), t.paint()))
    })
}
