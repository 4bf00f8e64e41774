//! `cargo xtask test`: everything that a change must pass, in stages, with one plain line at the end.

use crate::engine::Lease;
use crate::interrupt::Interrupt;
use crate::stages::Stages;
use crate::workspace::{Workspace, cargo};
use crate::{check, components, kubernetes, setup};
use anyhow::{Context, Result, bail};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

/// The tests on a real cluster are a program of their own, and no other needs one.
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
        if filter.is_none_or(|filter| filter == KUBERNETES) {
            stages.run("kubernetes", kubernetes::begin);
        }
        stages.run("tests", || {
            tally = run_tests(&workspace, filter, &engine)?;
            tally.verdict()
        });
        if kubernetes::is_ours() {
            stages.run("kubernetes down", kubernetes::end);
        }
        if engine.is_ours() {
            stages.run("engine down", || engine.end());
        }
    }
    if filter.is_none() {
        check::stages_of(&mut stages, &workspace);
    }
    stages.print_summary();
    for name in &tally.failures {
        println!("failed: {name}");
    }
    println!("{} passed, {} failed", tally.passed, tally.failed);
    if stages.failed() { bail!("not everything passed") } else { Ok(()) }
}

/// Programs and tests alike, with the selection that the tests use, so that nothing is compiled twice.
fn build(workspace: &Workspace) -> Result<()> {
    let mut build = cargo();
    build.current_dir(&workspace.root).args(["build", "--bins", "--tests"]);
    build.args(workspace.native_selection()).args(check::features(workspace));
    if build.status().context("`cargo build`")?.success() { Ok(()) } else { bail!("the workspace doesn't build") }
}

fn run_tests(workspace: &Workspace, filter: Option<&str>, engine: &Lease) -> Result<Tally> {
    let mut test = cargo();
    test.current_dir(&workspace.root).args(["test", "--no-fail-fast"]);
    test.args(workspace.native_selection()).args(check::features(workspace));
    match filter {
        Some(KUBERNETES) => test.args(["--test", KUBERNETES]),
        filter => test.args(filter),
    };
    test.env("UPGRADED_COMPONENTS", workspace.components_folder());
    // What takes long in the end-to-end tests is waiting.
    let cores = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
    test.env("RUST_TEST_THREADS", (2 * cores).to_string());
    // A snapshot that changed is a failure, not a file to look at later.
    test.env("INSTA_UPDATE", "no");
    test.envs(engine.environment().unwrap_or_default()).envs(kubernetes::environment().unwrap_or_default());
    count(&mut test, engine)
}

/// Passes the output on line by line and counts what the test programs say of themselves.
fn count(test: &mut Command, engine: &Lease) -> Result<Tally> {
    // A group of its own, which an interruption ends as one before the engine goes.
    test.process_group(0).stdin(Stdio::null());
    let mut child = test.stdout(Stdio::piped()).spawn().context("`cargo test`")?;
    engine.used_by(child.id());
    let output = child.stdout.take().context("the output was piped")?;
    let mut tally = Tally::default();
    for line in BufReader::new(output).lines() {
        let line = line.context("the output of `cargo test`")?;
        tally.read(&line);
        // A reader of ours that went away is no reason to leave tests running uncounted.
        let _ = writeln!(std::io::stdout(), "{line}");
    }
    tally.succeeded = child.wait().context("`cargo test`")?.success();
    engine.is_free();
    Ok(tally)
}

#[derive(Default)]
struct Tally {
    passed: u64,
    failed: u64,
    failures: Vec<String>,
    succeeded: bool,
}

impl Tally {
    fn read(&mut self, line: &str) {
        if let Some(name) = line.strip_prefix("test ").and_then(|rest| rest.strip_suffix(" ... FAILED")) {
            self.failures.push(name.to_owned());
        }
        // test result: ok. 12 passed; 0 failed; 0 ignored; 0 measured; 3 filtered out; finished in 0.01s
        let Some(result) = line.strip_prefix("test result: ") else { return };
        for part in result.split([';', '.']) {
            let mut words = part.split_whitespace();
            let (Some(Ok(number)), Some(what)) = (words.next().map(str::parse::<u64>), words.next()) else { continue };
            match what {
                "passed" => self.passed += number,
                "failed" => self.failed += number,
                // A test never skips: what is missing has to be named and counts.
                "ignored" => self.failed += number,
                _ => {}
            }
        }
    }

    /// A test program that died says no result of its own; it still failed.
    fn verdict(&mut self) -> Result<()> {
        if !self.succeeded && self.failed == 0 {
            self.failed = 1;
            self.failures.push("a test program that ended without a result".to_owned());
        }
        match self.failed {
            0 => Ok(()),
            failed => bail!("{failed} tests failed"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_over_all_programs() {
        let mut tally = Tally { succeeded: false, ..Tally::default() };
        for line in [
            "test a::b ... ok",
            "test a::c ... FAILED",
            "test result: FAILED. 1 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.10s",
            "test result: ok. 12 passed; 0 failed; 0 ignored; 0 measured; 3 filtered out; finished in 0.01s",
        ] {
            tally.read(line);
        }
        assert_eq!((tally.passed, tally.failed), (13, 1));
        assert_eq!(tally.failures, ["a::c"]);
        assert!(tally.verdict().is_err());
    }

    #[test]
    fn a_program_that_died_is_a_failure() {
        let mut tally = Tally::default();
        assert!(tally.verdict().is_err());
        assert_eq!(tally.failed, 1);
    }
}
