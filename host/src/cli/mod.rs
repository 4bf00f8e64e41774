//! The command line `upgradectl`: parses, asks the daemon through [`crate::api::Client`], renders.
//!
//! The only module of the library that prints, and only through its [`Terminal`]. Decides nothing about deployments.
//! Called by `bin/upgradectl`; tests call [`run`] with a terminal of their own.

mod arguments;
mod commands;
mod exit;
mod failure;
mod render;
mod session;
mod terminal;
#[cfg(test)]
mod testing;

pub use arguments::Arguments;
pub use exit::Exit;
pub use terminal::Terminal;

use arguments::Command;
use clap::Parser;
use failure::Failure;
use session::Session;
use std::ffi::OsString;
use std::process::ExitCode;

/// The whole program, on the process's own terminal.
pub fn main() -> ExitCode {
    let mut terminal = Terminal::of_the_process();
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            let failure = Failure::Other(anyhow::Error::new(error).context("the program can't start"));
            return failure.report(&mut terminal, false).into();
        }
    };
    runtime.block_on(run(std::env::args_os(), &mut terminal)).into()
}

/// One command. `arguments` begin with the program's name.
pub async fn run(arguments: impl IntoIterator<Item = OsString>, terminal: &mut Terminal) -> Exit {
    let arguments = match Arguments::try_parse_from(arguments) {
        Ok(arguments) => arguments,
        Err(error) => return usage(&error, terminal),
    };
    if arguments.global.no_color {
        terminal.colour = false;
    }
    let json = arguments.global.json;
    let result = match Session::new(arguments.global, terminal) {
        Ok(mut session) => dispatch(arguments.command, &mut session).await,
        Err(failure) => Err(failure),
    };
    result.unwrap_or_else(|failure| failure.report(terminal, json))
}

async fn dispatch(command: Command, session: &mut Session<'_>) -> Result<Exit, Failure> {
    match command {
        Command::Init(arguments) => commands::init::run(&arguments, session),
        Command::Status(arguments) => commands::status::run(&arguments, session).await,
        Command::Releases(arguments) => commands::releases::run(&arguments, session).await,
        Command::Plan(arguments) => commands::plan::run(&arguments, session).await,
        Command::Rehearse(arguments) => commands::rehearse::run(&arguments, session).await,
        Command::Set(arguments) => commands::set::run(&arguments, session).await,
        Command::Watch(arguments) => commands::watch::run(&arguments, session).await,
        Command::History(arguments) => commands::history::run(&arguments, session).await,
        Command::Show(arguments) => commands::show::run(&arguments, session).await,
        Command::Logs(arguments) => commands::logs::run(&arguments, session).await,
        Command::Check(arguments) => commands::check::run(&arguments, session).await,
        Command::Approve(arguments) => commands::approve::run(&arguments, session).await,
        Command::Retry(arguments) => commands::retry::run(&arguments, session).await,
        Command::Cancel(arguments) => commands::cancel::run(&arguments, session).await,
        Command::Rollback(arguments) => commands::rollback::run(&arguments, session).await,
        Command::Resume(arguments) => commands::decide::resume(&arguments, session).await,
        Command::Abandon(arguments) => commands::decide::abandon(&arguments, session).await,
        Command::Guard(arguments) => commands::guard::run(&arguments, session),
        Command::Completions(arguments) => commands::completions::run(&arguments, session),
        Command::Man => commands::man::run(session),
    }
}

/// Help and version are asked for; everything else is a mistake in the arguments.
fn usage(error: &clap::Error, terminal: &mut Terminal) -> Exit {
    let text = error.render();
    let text = if terminal.colour { text.ansi().to_string() } else { text.to_string() };
    let to = if error.use_stderr() { &mut terminal.err } else { &mut terminal.out };
    // Nobody is left to tell when this fails.
    let _ = to.write_all(text.as_bytes()).and_then(|()| to.flush());
    if error.use_stderr() { Exit::Usage } else { Exit::Done }
}
