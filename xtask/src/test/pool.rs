//! Runs programs of tests, one for each core at a time: most of what the long ones do is waiting, and not for each other.

use super::programs::Program;
use super::tally::Tally;
use crate::engine::Lease;
use crate::kubernetes;
use anyhow::{Context, Result};
use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;
use std::{io, thread};

pub fn run(programs: Vec<Program>, arguments: &[String], variables: &[(&str, String)], engine: &Lease) -> Tally {
    let waiting = Mutex::new(VecDeque::from(programs));
    let next = || waiting.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
    let tally = Mutex::new(Tally::default());
    let work = || {
        while let Some(Program { name, command, .. }) = next() {
            let own = run_one(&name, command, arguments, variables, engine).unwrap_or_else(|error| {
                say(&format!("{name}: {error:#}"));
                Tally::default()
            });
            tally.lock().unwrap_or_else(PoisonError::into_inner).add(own, &name);
        }
    };
    thread::scope(|scope| {
        for _ in 0..super::cores() {
            scope.spawn(work);
        }
    });
    tally.into_inner().unwrap_or_else(PoisonError::into_inner)
}

/// Passes the output on line by line, what failed tests wrote apart: others write at the same time.
fn run_one(
    name: &str, mut command: Command, arguments: &[String], variables: &[(&str, String)], engine: &Lease,
) -> Result<Tally> {
    let began = Instant::now();
    say(&format!("     Running {name}"));
    command.args(arguments).envs(variables.iter().map(|(name, value)| (name, value)));
    let _cluster = if name == super::KUBERNETES {
        let cluster = kubernetes::Lease::begin()?;
        command.envs(kubernetes::environment()?);
        // The cluster takes its own share of the processors.
        command.env("RUST_TEST_THREADS", super::cores().to_string());
        Some(cluster)
    } else {
        None
    };
    command.stdin(Stdio::null()).stdout(Stdio::piped());
    let mut child = engine.start(&mut command).context("it doesn't start")?;
    let output = child.stdout.take().context("the output was piped")?;
    let mut tally = Tally::default();
    for line in BufReader::new(output).lines() {
        let line = line.context("its output")?;
        if tally.read(&line) {
            say(&line);
        }
    }
    tally.succeeded = engine.wait(&mut child).context("its end")?.success();
    say(&format!("       Ended {name} after {:.1} s", began.elapsed().as_secs_f64()));
    Ok(tally)
}

/// A reader of ours that went away is no reason to leave tests running uncounted.
fn say(line: &str) {
    let _ = writeln!(io::stdout(), "{line}");
}
