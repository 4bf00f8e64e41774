//! Where the daemon is cut off: a file that it looks at while it runs, so that one daemon serves many tests' instants.

use crate::Machine;
use crate::machine::write_by_rename;
use std::fmt;
use std::fs;
use std::path::PathBuf;

/// Numbers are passages, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    Record(usize),
    BeforeEffect(usize),
    AfterEffect(usize),
    /// Of a step, the first time.
    Started(&'static str),
    Succeeded(&'static str),
}

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Record(number) => write!(f, "record:{number}"),
            Self::BeforeEffect(number) => write!(f, "before-effect:{number}"),
            Self::AfterEffect(number) => write!(f, "after-effect:{number}"),
            Self::Started(step) => write!(f, "started {step}:1"),
            Self::Succeeded(step) => write!(f, "succeeded {step}:1"),
        }
    }
}

impl Machine {
    /// From now on: of the daemon that runs, and of the next one.
    pub fn cut_at(&self, cut: Cut) {
        write_by_rename(&self.cut_file(), &cut.to_string());
    }

    pub fn no_cut(&self) {
        // There may have been none.
        let _ = fs::remove_file(self.cut_file());
    }

    pub(crate) fn cut_file(&self) -> PathBuf {
        self.path("cut.toml")
    }
}
