//! `upgradectl approve`: lets the run begin that waits for a person.

use super::watch;
use crate::api::{ApproveRequest, Deployment, State};
use crate::cli::exit::{Exit, TABLE};
use crate::cli::failure::Failure;
use crate::cli::session::Session;
use clap::Args;

/// Let the run begin that waits for an approval
#[derive(Debug, Args)]
#[command(after_long_help = TABLE)]
pub struct Arguments {
    /// The deployment
    name: String,
    /// Follow what happens, as `watch` does
    #[arg(long, short)]
    watch: bool,
}

/// Approves the run that was seen here: where another took its place meanwhile, the daemon refuses.
pub async fn run(arguments: &Arguments, session: &mut Session<'_>) -> Result<Exit, Failure> {
    let name = &arguments.name;
    let seen = session.deployment(name).await?;
    let request = ApproveRequest { run: waiting_run(&seen) };
    let now = session.client.approve(name, &request).await?;
    if arguments.watch {
        return watch::follow(name, watch::Options::default(), session).await;
    }
    session.answer(&now, Exit::Done, |_| {
        let to = now.wanted.as_deref().unwrap_or("its version");
        format!("approved: `{name}` to {to}\n`upgradectl watch {name}` follows it")
    })
}

fn waiting_run(seen: &Deployment) -> Option<u64> {
    match &seen.state {
        State::Waiting(waiting) => waiting.run,
        _ => None,
    }
}
