//! `cargo xtask test`: everything that a change must pass, in stages, with one plain line at the end.

mod pool;
mod programs;
mod tally;

use crate::engine::Lease;
use crate::interrupt::Interrupt;
use crate::stages::Stages;
use crate::workspace::{Workspace, cargo};
use crate::{check, components, setup};
use anyhow::{Context, Result, bail};
use tally::Tally;

/// The tests on a real cluster are a program of their own, and no other needs one. It is not up longer than they are: at
/// rest it takes a third of a processor.
const KUBERNETES: &str = "kubernetes";

pub fn run(filter: Option<&str>) -> Result<()> {
    let mut workspace = Workspace::read()?;
    let mut stages = Stages::default();
    let engine = Lease::default();
    engine.end_when(Interrupt::listen()?);
    if filter.is_none() {
        stages.run("setup", setup::run);
    }
    let built = stages.run("components", || components::build(&workspace));
    let built = built && stages.run("build", || build(&workspace));
    let mut tally = Tally::default();
    if built {
        // The lock file is settled now; tests that a new package brings are seen.
        workspace = Workspace::read()?;
        // Tests that need no engine run without one too.
        stages.run("engine", || engine.begin().map(drop));
        stages.run("tests", || {
            tally = run_tests(&workspace, filter, &engine)?;
            tally.verdict()
        });
        if engine.is_ours() {
            stages.run("engine down", || engine.end());
        }
    }
    if filter.is_none() {
        check::stages_of(&mut stages, &workspace);
    }
    tally.print_failures();
    stages.print_summary();
    tally.print_names();
    println!("{} passed, {} failed", tally.passed, tally.failed);
    if stages.failed() { bail!("not everything passed") } else { Ok(()) }
}

/// Programs and tests alike, with the selection that the tests use, so that nothing is compiled twice.
fn build(workspace: &Workspace) -> Result<()> {
    if !check::has_gcloud() {
        eprintln!("`gcloud` is not on this machine: the tests in which it drives the double of Google's are left out");
    }
    let mut build = cargo();
    build.current_dir(&workspace.root).args(["build", "--bins", "--tests"]);
    build.args(workspace.native_selection()).args(check::features(workspace));
    if build.status().context("`cargo build`")?.success() { Ok(()) } else { bail!("the workspace doesn't build") }
}

fn run_tests(workspace: &Workspace, filter: Option<&str>, engine: &Lease) -> Result<Tally> {
    let mut programs = programs::list(workspace)?;
    let mut arguments = Vec::new();
    match filter {
        Some(KUBERNETES) => programs.retain(|program| program.name == KUBERNETES),
        Some(filter) => {
            programs.retain(|program| program.name != KUBERNETES);
            arguments.push(filter.to_owned());
        }
        None => {}
    }
    let mut variables = vec![
        ("UPGRADED_COMPONENTS", workspace.components_folder().display().to_string()),
        // What takes long in the end-to-end tests is waiting.
        ("RUST_TEST_THREADS", (cores() + 1).to_string()),
        // A snapshot that changed is a failure, not a file to look at later.
        ("INSTA_UPDATE", "no".to_owned()),
    ];
    variables.extend(engine.environment().unwrap_or_default());
    Ok(pool::run(programs, &arguments, &variables, engine))
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(2, std::num::NonZero::get)
}
