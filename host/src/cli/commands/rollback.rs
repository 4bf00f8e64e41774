//! `upgradectl rollback`: back, after a question where users' writes would be set aside.

use super::watch;
use crate::api::{RollbackAnswer, RollbackRequest};
use crate::cli::exit::{Exit, TABLE};
use crate::cli::failure::Failure;
use crate::cli::render::Clock;
use crate::cli::session::Session;
use clap::Args;

/// Go back to the version before, data included
///
/// An open run turns round. After a run was committed, users have written since: what they wrote is set aside, so it
/// says from when, and asks.
#[derive(Debug, Args)]
#[command(after_long_help = TABLE)]
pub struct Arguments {
    /// The deployment
    name: String,
    /// Don't ask
    #[arg(long, short)]
    yes: bool,
    /// Follow what happens, as `watch` does
    #[arg(long, short)]
    watch: bool,
}

pub async fn run(arguments: &Arguments, session: &mut Session<'_>) -> Result<Exit, Failure> {
    let name = &arguments.name;
    let first = session.client.rollback(name, &RollbackRequest::default()).await;
    let first = session.of_deployment(name, first).await?;
    let answer = match first {
        RollbackAnswer::NeedsConfirmation { run, .. } => {
            if let Some(exit) = ask(arguments, &first, session)? {
                return Ok(exit);
            }
            session.client.rollback(name, &RollbackRequest { confirm: Some(run) }).await?
        }
        started @ RollbackAnswer::Started { .. } => started,
    };
    let RollbackAnswer::Started { run } = answer else {
        let told = "the daemon asks again: another run was committed meanwhile";
        return Err(Failure::own(Exit::Waiting, told).hint(format!("`upgradectl rollback {name}` asks anew")));
    };
    if arguments.watch {
        return watch::follow(name, watch::Options::back(), session).await;
    }
    session
        .answer(&answer, Exit::Done, |_| format!("`{name}` goes back, run {run}\n`upgradectl watch {name}` follows it"))
}

/// None: go on.
fn ask(arguments: &Arguments, answer: &RollbackAnswer, session: &mut Session<'_>) -> Result<Option<Exit>, Failure> {
    let RollbackAnswer::NeedsConfirmation { run, to, writes_since, message } = answer else { return Ok(None) };
    if arguments.yes {
        return Ok(None);
    }
    if session.json {
        session.terminal.json(answer)?;
        return Ok(Some(Exit::Waiting));
    }
    let since = Clock::from(&*session.terminal).moment(*writes_since);
    let told = format!("back to {to}, undoing run {run}: {message}\nwhat was written since {since} is set aside");
    if !session.terminal.asks {
        let failure = Failure::own(Exit::Waiting, format!("this needs a confirmation: {told}"));
        return Err(failure.hint("nothing was touched; `--yes` confirms it"));
    }
    session.terminal.err.write_all(format!("{told}\n").as_bytes())?;
    if session.terminal.confirm("Go back?")? {
        return Ok(None);
    }
    session.terminal.line("nothing was touched")?;
    Ok(Some(Exit::Waiting))
}
