//! `upgradectl plan`: shown by [`render::plan`]; the exit code says whether a blocker stands against it.

use crate::cli::exit::{Exit, TABLE};
use crate::cli::failure::Failure;
use crate::cli::render::{self, Clock, findings};
use crate::cli::session::Session;
use clap::Args;

/// Show every step before it happens: release notes, steps, edited files, waits, estimates, findings
///
/// Nothing is touched. What a run does is the plan that is shown here. Exits with 3 where a blocker stands against it.
#[derive(Debug, Args)]
#[command(after_long_help = TABLE)]
pub struct Arguments {
    /// The deployment
    name: String,
    /// To another version than the file's
    #[arg(long, value_name = "VERSION")]
    to: Option<String>,
}

pub async fn run(arguments: &Arguments, session: &mut Session<'_>) -> Result<Exit, Failure> {
    let result = session.client.plan(&arguments.name, arguments.to.as_deref()).await;
    let plan = session.of_deployment(&arguments.name, result).await?;
    let exit = if plan.ready { Exit::Done } else { Exit::Refused };
    session.answer(&plan, exit, |t| {
        if plan.hops.is_empty() && plan.from == plan.to {
            let noticed = findings(&plan.findings, t.paint(), t.width);
            return format!("nothing to do: `{}` is at {}\n{noticed}", plan.deployment, plan.to);
        }
        render::plan(&plan, &Clock::from(t), t.paint(), t.width)
    })
}
