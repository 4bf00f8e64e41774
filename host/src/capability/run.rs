//! `run`: a plugin's log, progress, and whether it should end. Needs no grant.

use super::bindings::run::{Host, Level};
use super::guest::Guest;
use crate::activity;

/// Fields of one log line; more are a flood of their own.
const MOST_FIELDS: usize = 20;

impl Host for Guest {
    async fn log(&mut self, level: Level, message: String, fields: Vec<(String, String)>) {
        let mut line = message;
        for (name, value) in fields.iter().take(MOST_FIELDS) {
            line.push_str(&format!(" {name}={value}"));
        }
        self.voice.line(level.into(), &line);
    }

    async fn progress(&mut self, done: u64, total: Option<u64>, unit: String, message: String) {
        self.voice.progress(done, total, &unit, &message);
    }

    async fn cancelled(&mut self) -> bool {
        Guest::cancelled(self)
    }
}

impl From<Level> for activity::Level {
    fn from(level: Level) -> Self {
        match level {
            Level::Trace => activity::Level::Trace,
            Level::Debug => activity::Level::Debug,
            Level::Info => activity::Level::Info,
            Level::Warn => activity::Level::Warn,
            Level::Error => activity::Level::Error,
        }
    }
}
