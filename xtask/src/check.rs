//! Everything that is wrong without running it: formatting, lints, licences, direction of imports, wording.

use crate::stages::Stages;
use crate::workspace::{Workspace, cargo};
use crate::{imports, setup, text};
use anyhow::{Context, Result, bail};
use std::process::Command;

pub fn run() -> Result<()> {
    let workspace = Workspace::read()?;
    let mut stages = Stages::default();
    stages_of(&mut stages, &workspace);
    stages.print_summary();
    if stages.failed() { bail!("a check failed") } else { Ok(()) }
}

pub fn stages_of(stages: &mut Stages, workspace: &Workspace) {
    stages.run("formatting", || {
        succeed(
            cargo().current_dir(&workspace.root).args(["fmt", "--all", "--check"]),
            "`cargo fmt --all` sets it right",
        )
    });
    stages.run("direction of imports", || imports::check(&workspace.root));
    stages.run("wording", || text::check(&workspace.root));
    stages.run("licences", || licences(workspace));
    stages.run("lints", || {
        let mut clippy = cargo();
        clippy.current_dir(&workspace.root).args(["clippy", "--quiet", "--all-targets"]);
        clippy.args(workspace.native_selection()).args(features(workspace)).args(["--", "--deny", "warnings"]);
        succeed(&mut clippy, "`cargo clippy` shows it")
    });
}

/// What tests and lints are built with: the crash tests need the cuts, and the double of Google's is driven by a real client
/// where that is on this machine.
pub fn features(workspace: &Workspace) -> &'static [&'static str] {
    match workspace.packages.iter().any(|package| package.name == "upgraded") {
        true if has_gcloud() => &["--features", "upgraded/failpoints,scratch-google/gcloud"],
        true => &["--features", "upgraded/failpoints"],
        false => &[],
    }
}

pub fn has_gcloud() -> bool {
    setup::find("gcloud").is_some()
}

fn licences(workspace: &Workspace) -> Result<()> {
    // Advisories need a database of others; they are for a person to ask for.
    let mut deny = Command::new(setup::cargo_deny(workspace)?);
    deny.current_dir(&workspace.root).args(["--locked", "check", "licenses", "bans", "sources"]);
    succeed(&mut deny, "deny.toml says what is allowed")
}

fn succeed(command: &mut Command, hint: &str) -> Result<()> {
    let program = command.get_program().to_string_lossy().into_owned();
    let status = command.status().with_context(|| format!("`{program}` did not start"))?;
    if status.success() { Ok(()) } else { bail!("{hint}") }
}
