//! Stages with their times: what a person, or the log of a CI, reads.

use anyhow::Result;
use std::time::{Duration, Instant};

#[derive(Default)]
pub struct Stages {
    done: Vec<Stage>,
}

struct Stage {
    name: String,
    took: Duration,
    failure: Option<String>,
}

impl Stages {
    /// Runs one stage. Its failure is printed and remembered; the next stage runs all the same.
    pub fn run(&mut self, name: &str, work: impl FnOnce() -> Result<()>) -> bool {
        println!("\n=== {name}");
        let began = Instant::now();
        let failure = work().err().map(|error| format!("{error:#}"));
        if let Some(why) = &failure {
            println!("=== {name}: FAILED: {why}");
        }
        let passed = failure.is_none();
        self.done.push(Stage { name: name.to_owned(), took: began.elapsed(), failure });
        passed
    }

    pub fn failed(&self) -> bool {
        self.done.iter().any(|stage| stage.failure.is_some())
    }

    pub fn print_summary(&self) {
        println!();
        for stage in &self.done {
            let end = if stage.failure.is_some() { "FAILED" } else { "ok" };
            println!("{:>8.1} s  {:<28} {end}", stage.took.as_secs_f64(), stage.name);
        }
        let total: Duration = self.done.iter().map(|stage| stage.took).sum();
        println!("{:>8.1} s  in all", total.as_secs_f64());
    }
}
