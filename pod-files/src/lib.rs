//! What a file of pods says (Kubernetes YAML, as `podman kube play` takes it), and where in it an image stands. Pure.

mod differs;
mod edit;
mod file;
mod pod;
#[cfg(test)]
mod tests;
mod unit;
mod variables;
mod yaml;

pub use differs::{Running, differs, familiar};
pub use edit::{Place, image, set_image};
pub use file::{File, pods_named, service_of};
pub use pod::{Container, Mount, Pod, Source};
pub use unit::{Play, Unit, fetched_again};
pub use variables::{filled, left, substituted, variables};

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
