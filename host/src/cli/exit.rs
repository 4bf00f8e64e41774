//! What the exit codes mean. Stable: scripts build on them.

use crate::api::{Deployment, ErrorCode, Outcome, State};
use std::process::ExitCode;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    Done = 0,
    /// Also: the daemon failed, or answered what was not understood.
    Failed = 1,
    Usage = 2,
    Refused = 3,
    Waiting = 4,
    Stuck = 5,
    Unreachable = 6,
    NotFound = 7,
    NotAllowed = 8,
    /// `guard` alone.
    Held = 75,
    /// `guard` alone.
    CannotExecute = 126,
    Interrupted = 130,
}

/// For the end of every help text.
pub const TABLE: &str = "\
Exit codes:
    0  done; with `watch`: the deployment is at its version, or back where it was told to go
    1  failed; with `watch`: the run was rolled back or abandoned
    2  the arguments are wrong
    3  refused: a rule, a blocker, a mistake in the file, or nothing to do it to
    4  waits: for a person, a window, another run, or the next attempt
    5  stuck: read `upgradectl status NAME`, then `resume`, `rollback` or `abandon`
    6  no daemon answers on the socket
    7  there is no such deployment or run
    8  this account may not use the socket
   75  `guard`: the service is held
  126  `guard`: the command can't be run
  130  interrupted";

impl Exit {
    pub fn code(self) -> u8 {
        self as u8
    }

    pub fn of_outcome(outcome: &Outcome) -> Self {
        match outcome {
            Outcome::Committed | Outcome::Rehearsed => Self::Done,
            Outcome::RolledBack(_) | Outcome::Abandoned(_) => Self::Failed,
            Outcome::Refused(_) => Self::Refused,
        }
    }

    /// Of what the deployment needs of a person.
    pub fn of_need(of: &Deployment) -> Self {
        match &of.state {
            State::Idle | State::Planning | State::Running(_) => Self::Done,
            State::Waiting(_) => Self::Waiting,
            State::Stuck(_) => Self::Stuck,
            // A run that can't be taken up.
            State::Error { .. } if of.last_run.as_ref().is_some_and(|run| run.outcome.is_none()) => Self::Stuck,
            State::Error { .. } => Self::Refused,
            State::Quarantined { .. } => Self::Failed,
        }
    }

    pub fn of_error(code: ErrorCode) -> Self {
        match code {
            ErrorCode::InvalidRequest => Self::Usage,
            ErrorCode::NotAllowed => Self::NotAllowed,
            ErrorCode::NotFound => Self::NotFound,
            ErrorCode::Conflict | ErrorCode::Refused | ErrorCode::InvalidFile => Self::Refused,
            ErrorCode::MethodNotAllowed | ErrorCode::TooLarge | ErrorCode::Internal | ErrorCode::Unavailable => {
                Self::Failed
            }
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        exit.code().into()
    }
}
