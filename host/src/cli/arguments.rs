//! What can be typed. One variant for each file in `commands`.

use super::commands;
use super::exit::TABLE;
use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;

/// Keeps self-hosted products at the version that their operator wrote down.
///
/// Talks to the daemon `upgraded` over its socket. The target version stands in the deployment's file; what this command
/// does to it, it does by having the daemon edit that file.
#[derive(Debug, Parser)]
#[command(name = "upgradectl", version, after_long_help = TABLE, max_term_width = 100)]
pub struct Arguments {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Args)]
pub struct Global {
    /// Print JSON: the daemon's answer; lines of JSON where something is followed; `{"error": {}}` where it failed
    #[arg(long, global = true, help_heading = "Global options")]
    pub json: bool,
    /// The daemon's socket [default: `$UPGRADED_SOCKET`, the settings', or /run/upgraded/upgraded.sock]
    #[arg(long, global = true, value_name = "PATH", help_heading = "Global options")]
    pub socket: Option<PathBuf>,
    /// The daemon's settings [default: `$UPGRADED_CONFIG`, or /etc/upgraded/upgraded.toml]
    #[arg(long, global = true, value_name = "FILE", help_heading = "Global options")]
    pub config: Option<PathBuf>,
    /// No colours; `NO_COLOR` in the environment says the same
    #[arg(long, global = true, help_heading = "Global options")]
    pub no_color: bool,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    Init(commands::init::Arguments),
    Status(commands::status::Arguments),
    Releases(commands::releases::Arguments),
    Plan(commands::plan::Arguments),
    Rehearse(commands::rehearse::Arguments),
    Set(commands::set::Arguments),
    Watch(commands::watch::Arguments),
    History(commands::history::Arguments),
    Show(commands::show::Arguments),
    Logs(commands::logs::Arguments),
    Check(commands::check::Arguments),
    Approve(commands::approve::Arguments),
    Retry(commands::retry::Arguments),
    Cancel(commands::cancel::Arguments),
    Rollback(commands::rollback::Arguments),
    Resume(commands::decide::Resume),
    Abandon(commands::decide::Abandon),
    Guard(commands::guard::Arguments),
    Completions(commands::completions::Arguments),
    /// Print the manual page, for example into `/usr/local/share/man/man1/upgradectl.1`
    Man,
}
