//! What an outcome means for the deployment from then on. Pure: the journal writes it down together with the outcome, so
//! that no crash comes between the two.

use super::event::Outcome;
use super::state::{Progress, Status};
use super::step::Phase;
use super::{Kind, Plan};

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Aftermath {
    /// The file that began the run asks for nothing more; `version` runs.
    Settled { version: String },
    /// `version` failed here after quiesce: not again until the version line changes or the operator says so.
    Quarantined { version: String, why: String },
    /// The next look at the file decides.
    LookAgain,
}

/// The code of a recheck that found another machine than the plan was made for: a new plan may well succeed.
pub const OUTDATED: &str = "outdated";

impl Aftermath {
    pub fn of(progress: &Progress, outcome: &Outcome) -> Self {
        let plan = &progress.plan;
        let settled = |version: &str| Self::Settled { version: version.to_owned() };
        match (outcome, &plan.kind) {
            // It says nothing of what the file asks for.
            (_, Kind::Rehearsal) | (Outcome::Rehearsed, _) => Self::LookAgain,
            // A path that rests goes on.
            (Outcome::Committed, _) if wanted(plan) != plan.to => Self::LookAgain,
            // The version line was set back before a rollback by hand began.
            (Outcome::Committed, _) | (Outcome::RolledBack(_), Kind::Rollback(_)) => settled(&plan.to),
            (Outcome::RolledBack(why) | Outcome::Abandoned(why), _) if progress.started_any(Phase::Quiesce) => {
                Self::Quarantined { version: wanted(plan), why: why.clone() }
            }
            (Outcome::Refused(_), _) if is_outdated(progress) => Self::LookAgain,
            // Cancelled or refused before anything was touched: not again for this very file.
            (Outcome::Refused(_) | Outcome::RolledBack(_) | Outcome::Abandoned(_), _) => settled(&plan.from),
        }
    }
}

/// The version line that began the run: a path that rests has another target of its own.
fn wanted(plan: &Plan) -> String {
    crate::config::edit::line_of(&plan.file, "version").unwrap_or_else(|| plan.to.clone())
}

fn is_outdated(progress: &Progress) -> bool {
    progress.steps.values().any(|state| {
        state.step.phase == Phase::Recheck
            && matches!(&state.status, Status::Failed(failure) if failure.code == OUTDATED)
    })
}
