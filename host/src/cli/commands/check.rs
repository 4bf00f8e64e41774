use crate::api::Check;
use crate::cli::exit::{Exit, TABLE};
use crate::cli::failure::Failure;
use crate::cli::render::{Clock, findings};
use crate::cli::session::Session;
use crate::cli::terminal::Terminal;
use clap::Args;

/// Run the preflight now, on the way to the file's version; nothing is touched
#[derive(Debug, Args)]
#[command(after_long_help = TABLE)]
pub struct Arguments {
    /// The deployment
    name: String,
}

pub async fn run(arguments: &Arguments, session: &mut Session<'_>) -> Result<Exit, Failure> {
    let result = session.client.check(&arguments.name).await;
    let check = session.of_deployment(&arguments.name, result).await?;
    let exit = if check.ready { Exit::Done } else { Exit::Refused };
    session.answer(&check, exit, |t| render(&check, t))
}

fn render(check: &Check, terminal: &Terminal) -> String {
    let paint = terminal.paint();
    let way =
        if check.from == check.to { format!("at {}", check.to) } else { format!("{} → {}", check.from, check.to) };
    let when = Clock::from(terminal).relative(check.checked_at);
    let mut text = format!("{} {way}, checked {when}\n", paint.bold(&check.deployment));
    text += &findings(&check.findings, paint, terminal.width);
    let verdict =
        if check.ready { paint.green("nothing stands against it") } else { paint.red("a blocker stands against it") };
    text + &verdict
}
