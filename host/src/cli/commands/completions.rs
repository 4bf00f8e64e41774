//! `upgradectl completions`: scripts for shells, made from the arguments themselves. Needs no daemon.

use crate::cli;
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::session::Session;
use clap::{Args, CommandFactory};
use clap_complete::Shell;

/// Print completions for a shell, for example `source <(upgradectl completions bash)`
#[derive(Debug, Args)]
pub struct Arguments {
    /// Which shell's
    #[arg(value_parser = parse_shell)]
    shell: Shell,
}

fn parse_shell(name: &str) -> Result<Shell, String> {
    match name {
        "bash" => Ok(Shell::Bash),
        "zsh" => Ok(Shell::Zsh),
        "fish" => Ok(Shell::Fish),
        _ => Err("there are `bash`, `zsh` and `fish`".into()),
    }
}

pub fn run(arguments: &Arguments, session: &mut Session<'_>) -> Result<Exit, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut cli::Arguments::command(), "upgradectl", &mut script);
    session.terminal.out.write_all(&script)?;
    Ok(Exit::Done)
}
