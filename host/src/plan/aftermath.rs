//! What a run's end means for its deployment: whether the file is settled, and whether its version is tried again.

use super::Kind;
use super::event::Outcome;
use super::state::Progress;
use super::step::Phase;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Aftermath {
    /// The file that the run began with needs nothing more; `version` is what stands. `lifts`: no version is in
    /// quarantine any more.
    Settled { version: String, lifts: bool },
    /// The version failed here after the quiesce: it is not tried again by itself.
    Quarantined { version: String, why: String },
    /// A path that rests goes on with the next look.
    GoesOn,
}

pub fn aftermath(progress: &Progress, outcome: &Outcome) -> Aftermath {
    let plan = &progress.plan;
    let wanted = line_of(&plan.file, "version").unwrap_or_else(|| plan.to.clone());
    let touched = progress.started_any(Phase::Quiesce);
    match (outcome, &plan.kind) {
        (Outcome::Committed, _) if wanted == plan.to => Aftermath::Settled { version: wanted, lifts: true },
        (Outcome::Committed, _) => Aftermath::GoesOn,
        // The version line was set back before the run began.
        (Outcome::RolledBack(_), Kind::Rollback(_)) => Aftermath::Settled { version: plan.to.clone(), lifts: false },
        (Outcome::RolledBack(why) | Outcome::Abandoned(why), _) if touched => {
            Aftermath::Quarantined { version: wanted, why: why.clone() }
        }
        // Nothing was touched: not again for this very file.
        (Outcome::Refused(_) | Outcome::RolledBack(_) | Outcome::Abandoned(_), _) => {
            Aftermath::Settled { version: plan.from.clone(), lifts: false }
        }
    }
}

/// A text of the file's top level, without the rest of the file being looked at.
pub fn line_of(text: &str, key: &str) -> Option<String> {
    Some(text.parse::<toml_edit::DocumentMut>().ok()?.get(key)?.as_str()?.to_owned())
}
