//! Answers as text for a person. Pure: everything that varies (width, colour, clock, zone) is handed in.

mod deployment;
mod findings;
mod plan;
mod quantity;
mod run;
mod table;
mod time;

pub use deployment::{deployment_details, deployment_table, state_line};
pub use findings::{diagnostics, findings};
pub use plan::plan;
pub use quantity::progress;
pub use run::{brief_outcome, failure_lines, log_line, mark, run_details, run_table, seconds};
pub use table::{Column, Table, wrap};
pub use time::{Clock, duration};

use crate::plan::Kind;

/// Colours, or none.
#[derive(Debug, Clone, Copy)]
pub struct Paint {
    pub on: bool,
}

impl Paint {
    fn with(self, code: &str, text: &str) -> String {
        if self.on && !text.is_empty() { format!("\x1b[{code}m{text}\x1b[0m") } else { text.into() }
    }
    pub fn bold(self, text: &str) -> String {
        self.with("1", text)
    }
    pub fn dim(self, text: &str) -> String {
        self.with("2", text)
    }
    pub fn red(self, text: &str) -> String {
        self.with("31", text)
    }
    pub fn green(self, text: &str) -> String {
        self.with("32", text)
    }
    pub fn yellow(self, text: &str) -> String {
        self.with("33", text)
    }
    pub fn cyan(self, text: &str) -> String {
        self.with("36", text)
    }
}

/// `upgrade`, `rollback of run 7`.
fn kind(kind: &Kind) -> String {
    match kind {
        Kind::Upgrade => "upgrade".into(),
        Kind::Rollback(way) => format!("rollback of run {}", way.of),
        Kind::Rehearsal => "rehearsal".into(),
    }
}

/// `1 step`, `2 steps`.
pub fn count(number: usize, one: &str) -> String {
    if number == 1 { format!("1 {one}") } else { format!("{number} {one}s") }
}
