//! A deployment and a run of it, for tests of what is said of them.

use crate::api::{Deployment, Outcome, RunSummary, State};
use crate::plan::Kind;
use jiff::Timestamp;

pub fn deployment(state: State) -> Deployment {
    Deployment {
        name: "shop".into(),
        product: None,
        installed: Some("1.0".into()),
        detected_at: None,
        wanted: Some("1.0".into()),
        state,
        last_run: None,
    }
}

pub fn run(outcome: Option<Outcome>) -> RunSummary {
    RunSummary {
        id: 7,
        deployment: "shop".into(),
        kind: Kind::Upgrade,
        from: "1.0".into(),
        to: "1.1".into(),
        started_at: Timestamp::UNIX_EPOCH,
        ended_at: outcome.as_ref().map(|_| Timestamp::UNIX_EPOCH),
        downtime_s: None,
        outcome,
    }
}
