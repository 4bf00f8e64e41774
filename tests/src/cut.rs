//! Where the daemon is cut off: a file that it looks at while it runs, so that one daemon serves many tests' instants.

use crate::machine::write_by_rename;
use crate::{Daemon, Machine, is_over, kind, last_run, outcome, stride};
use serde_json::Value;
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

impl Cut {
    /// Some instants; every record, or every so many, where `variable` says so.
    pub fn some<'a>(usual: &'a [Self], variable: &str) -> Box<dyn Iterator<Item = Self> + 'a> {
        match std::env::var_os(variable) {
            Some(_) => Box::new(Self::records(3, variable, 1)),
            None => Box::new(usual.iter().copied()),
        }
    }

    /// Records from `first`, every so many as `variable` says, or `usual`.
    pub fn records(first: usize, variable: &str, usual: usize) -> impl Iterator<Item = Self> + use<> {
        (first..).step_by(stride(variable, usual)).map(Self::Record)
    }
}

/// A run to `to` that turns round, and then the same again, is cut off at each of these instants, until one run is over before
/// its own comes: whatever the instant, the next daemon ends it, and `is_whole` looks. How many were cut off.
pub fn turns_round_at(site: &Machine, to: &str, cuts: impl IntoIterator<Item = Cut>, is_whole: impl Fn(Cut)) -> usize {
    let mut daemon = Daemon::start(site).settled();
    let first = 1 + daemon.now()["last_run"]["id"].as_u64().unwrap_or(0);
    let mut died_so_often = 0;
    for (run, cut) in (first..).zip(cuts) {
        site.cut_at(cut);
        if run == first {
            site.edit_version(to);
        } else {
            daemon.told(&["retry", &site.name]);
        }
        let over = |now: &Value| is_over(now, run) && kind(now) == "quarantined";
        let died = daemon.dies_unless(over);
        site.no_cut();
        if died {
            died_so_often += 1;
            daemon = Daemon::start(site);
        }
        let now = daemon.wait("the run ends", over);
        assert_eq!(outcome(&now), "rolled-back", "cut at `{cut}`: {now:#}\n{}", site.log());
        assert_eq!(last_run(&now), run, "nothing began by itself");
        is_whole(cut);
        if !died {
            break;
        }
    }
    died_so_often
}
