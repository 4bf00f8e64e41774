//! `upgradectl man`: the manual page, made from the arguments themselves. Needs no daemon.

use crate::cli;
use crate::cli::exit::{Exit, TABLE};
use crate::cli::failure::Failure;
use crate::cli::session::Session;
use clap::{Arg, Command, CommandFactory};

/// One page for all: every command is a section of its own.
pub fn run(session: &mut Session<'_>) -> Result<Exit, Failure> {
    let mut page = Vec::new();
    let mut whole = cli::Arguments::command();
    whole.build();
    let head = clap_mangen::Man::new(whole.clone().after_long_help(None::<&str>));
    head.render_title(&mut page)?;
    head.render_name_section(&mut page)?;
    head.render_synopsis_section(&mut page)?;
    head.render_description_section(&mut page)?;
    head.render_options_section(&mut page)?;
    page.extend_from_slice(b".SH COMMANDS\n");
    for command in whole.get_subcommands().filter(|command| command.get_name() != "help") {
        page.extend_from_slice(section(command).as_bytes());
    }
    page.extend_from_slice(b".SH EXIT STATUS\n.nf\n");
    for line in TABLE.lines().skip(1) {
        page.extend_from_slice(format!("{}\n", escape(line)).as_bytes());
    }
    page.extend_from_slice(b".fi\n.SH FILES\n.TP\n/etc/upgraded/upgraded.toml\nthe daemon's settings\n");
    page.extend_from_slice(b".TP\n/run/upgraded/upgraded.sock\nthe daemon's socket\n");
    session.terminal.out.write_all(&page)?;
    Ok(Exit::Done)
}

fn section(command: &Command) -> String {
    let usage = command.clone().render_usage().to_string();
    let usage = usage.trim_start_matches("Usage: ").trim_start_matches("upgradectl ");
    let about = command.get_long_about().or_else(|| command.get_about()).map(ToString::to_string).unwrap_or_default();
    let mut text = format!(".SS {}\n{}\n", escape(usage), escape(&about));
    let own = |argument: &&Arg| !argument.is_global_set() && argument.get_id() != "help";
    for argument in command.get_arguments().filter(own) {
        let help =
            argument.get_long_help().or_else(|| argument.get_help()).map(ToString::to_string).unwrap_or_default();
        text += &format!(".TP\n{}\n{}\n", escape(&label(argument)), escape(&help));
    }
    text
}

/// `-w, --watch`, `<NAME>`
fn label(argument: &Arg) -> String {
    let long = argument.to_string();
    match argument.get_short() {
        Some(short) => format!("-{short}, {}", long.trim()),
        None => long.trim().into(),
    }
}

/// What roff takes for its own; an empty line begins a paragraph.
fn escape(text: &str) -> String {
    let text = text.replace('\\', "\\e").replace('-', "\\-").replace('…', "...");
    let guarded = text.lines().map(|line| match line {
        "" => ".PP".into(),
        line if line.starts_with(['.', '\'']) => format!("\\&{line}"),
        line => line.into(),
    });
    guarded.collect::<Vec<String>>().join("\n")
}
