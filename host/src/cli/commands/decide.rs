//! `resume` and `abandon`: the word on a stuck run. The third word is `rollback`.

use super::watch;
use crate::api::{DecideRequest, Decision};
use crate::cli::exit::{Exit, TABLE};
use crate::cli::failure::Failure;
use crate::cli::session::Session;
use clap::Args;

/// Go on with a stuck run, after what stopped it was put right
#[derive(Debug, Args)]
#[command(after_long_help = TABLE)]
pub struct Resume {
    /// The deployment
    name: String,
    /// Kept with the run
    #[arg(long)]
    why: Option<String>,
    /// Follow what happens, as `watch` does
    #[arg(long, short)]
    watch: bool,
}

/// Give a stuck run up: the daemon touches nothing more of it and leaves everything as it stands
#[derive(Debug, Args)]
#[command(after_long_help = TABLE)]
pub struct Abandon {
    /// The deployment
    name: String,
    /// Kept with the run, for those who come after
    #[arg(long)]
    why: String,
}

pub async fn resume(arguments: &Resume, session: &mut Session<'_>) -> Result<Exit, Failure> {
    let name = &arguments.name;
    let request = DecideRequest { decision: Decision::Resume, why: arguments.why.clone() };
    let result = session.client.decide(name, &request).await;
    let now = session.of_deployment(name, result).await?;
    if arguments.watch {
        return watch::follow(name, watch::Options::default(), session).await;
    }
    session.answer(&now, Exit::Done, |_| format!("`{name}` goes on\n`upgradectl watch {name}` follows it"))
}

pub async fn abandon(arguments: &Abandon, session: &mut Session<'_>) -> Result<Exit, Failure> {
    let name = &arguments.name;
    let request = DecideRequest { decision: Decision::Abandon, why: Some(arguments.why.clone()) };
    let result = session.client.decide(name, &request).await;
    let now = session.of_deployment(name, result).await?;
    session.answer(&now, Exit::Done, |_| {
        let shown =
            now.last_run.as_ref().map(|run| format!("\n`upgradectl show {}` lists what it holds still", run.id));
        format!("the run of `{name}` is given up; everything stays as it stands{}", shown.unwrap_or_default())
    })
}
