//! A job's folder: what is to run, who watches over it, and how it ended. Read and written by the daemon and by the
//! job's supervisor, either of which may vanish at any instant.
//!
//! `spec.json` is written by the daemon before anything runs. `supervisor.json` is claimed by exactly one: the
//! supervisor, or a fence that keeps it from ever starting. `started` is there before the command may run, `exit.json`
//! after nothing of it runs any more.

use super::launch::Launch;
use super::proc::Identity;
use crate::driver::durable;
use crate::driver::process::NamedCommand;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::io;
use std::path::{Path, PathBuf};

/// The variable by which everything that a job starts is found again.
pub const MARK_VARIABLE: &str = "UPGRADED_MARK";

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spec {
    pub launch: Launch,
    /// [`super::mark`]
    pub mark: String,
    /// What was asked for, for who comes after a crash.
    pub command: NamedCommand,
    /// Ends with the daemon: it only reads.
    pub tied: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exit {
    /// 128 and the signal where one ended it.
    pub code: i32,
    pub elapsed_ms: u64,
    /// Why it never ran.
    pub unstartable: Option<String>,
    /// Some of what it printed found no room in the log.
    #[serde(default)]
    pub unheard: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// Nobody has claimed it.
    Unclaimed,
    Running(Identity),
    Ended(Exit),
    /// The supervisor is gone and left no exit.
    Lost {
        started: bool,
    },
}

#[derive(Debug, Clone)]
pub struct Folder(PathBuf);

impl Folder {
    pub fn new(path: &Path) -> Self {
        Self(path.to_owned())
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The daemon's: `jobs/<deployment>/<job>` is beneath it.
    pub fn of_daemon(&self) -> &Path {
        self.0.ancestors().nth(3).unwrap_or(&self.0)
    }

    pub fn state(&self) -> io::Result<State> {
        // The exit is asked for last: a supervisor may write it and go between two looks.
        let supervisor: Option<Identity> = self.read("supervisor.json")?;
        let alive = supervisor.as_ref().is_some_and(Identity::alive);
        if let Some(exit) = self.read("exit.json")? {
            return Ok(State::Ended(exit));
        }
        Ok(match supervisor {
            None => State::Unclaimed,
            Some(supervisor) if alive => State::Running(supervisor),
            Some(_) => State::Lost { started: self.0.join("started").exists() },
        })
    }

    pub fn spec(&self) -> io::Result<Option<Spec>> {
        self.read("spec.json")
    }

    pub fn write_spec(&self, spec: &Spec) -> io::Result<()> {
        durable::write(&self.0.join("spec.json"), &serde_json::to_vec_pretty(spec)?)
    }

    /// Whether the caller got it.
    pub fn claim(&self, supervisor: &Identity) -> io::Result<bool> {
        durable::write_new(&self.0.join("supervisor.json"), &serde_json::to_vec(supervisor)?)
    }

    pub fn write_started(&self) -> io::Result<()> {
        durable::write(&self.0.join("started"), b"")
    }

    pub fn write_exit(&self, exit: &Exit) -> io::Result<()> {
        durable::write(&self.0.join("exit.json"), &serde_json::to_vec(exit)?)
    }

    fn read<T: DeserializeOwned>(&self, name: &str) -> io::Result<Option<T>> {
        let bytes = durable::read(&self.0.join(name))?;
        bytes.map(|bytes| serde_json::from_slice(&bytes).map_err(io::Error::from)).transpose()
    }
}
