//! `upgradectl guard`: what boot scripts start a service with. Needs no daemon, and becomes the command.

use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::session::Session;
use crate::driver::services::{HELD, guard};
use clap::Args;
use std::ffi::OsString;

/// Start a service unless a run holds it: for boot scripts, where no systemd unit looks after it
///
/// Becomes the command. While a run keeps the service stopped, over a reboot too, it exits with 75 instead; with 126 where
/// the command can't be run. Looks into the daemon's `state` folder and needs no daemon. Only root can look there: a service
/// with an account of its own is started by `upgradectl guard shop/web -- runuser -u shop -- /opt/shop/start`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The service; the platform can be left out where only one has a service of that name
    #[arg(value_name = "DEPLOYMENT/PLATFORM.SERVICE")]
    service: String,
    /// What starts it, with its arguments
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

pub fn run(arguments: &Arguments, session: &Session<'_>) -> Result<Exit, Failure> {
    if let Some(mistakes) = &session.unread {
        let service = &arguments.service;
        eprintln!(
            "whether `{service}` is held can't be seen, so it is not started: the daemon's settings can't be read"
        );
        eprint!("{}", mistakes.render(false));
        return Ok(Exit::Held);
    }
    // It comes back only where it did not become the command, and has said why.
    match guard(&session.settings.state, &arguments.service, &arguments.command) {
        HELD => Ok(Exit::Held),
        code if code == i32::from(Exit::Usage.code()) => Ok(Exit::Usage),
        _ => Ok(Exit::CannotExecute),
    }
}
