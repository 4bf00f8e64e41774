//! What the files of a Compose project say, and where in them: for whoever proposes a change of one value, or looks at a
//! project where nothing may be run. What a project means altogether only `docker compose config` knows.
//!
//! Reads through a closure, and nothing else; pure otherwise.

mod environment;
mod image;
mod project;
#[cfg(test)]
mod tests;
mod yaml;

pub use environment::{interpolated, keys, variables};
pub use image::Image;
pub use project::{Named, Project, default_files, listed_files};
pub use yaml::{Node, Place, Value};

use std::fmt;

/// What is wrong with a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    pub file: String,
    /// From 1.
    pub line: Option<usize>,
    pub why: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "`{}`, line {line}: {}", self.file, self.why),
            None => write!(f, "`{}`: {}", self.file, self.why),
        }
    }
}

impl std::error::Error for Mistake {}
