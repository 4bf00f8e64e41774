//! When there is nothing more to watch. Pure.

use crate::api::{Deployment, State, WaitReason};
use crate::cli::exit::Exit;

#[derive(Debug, PartialEq, Eq)]
pub enum Settled {
    NotYet,
    At(Exit),
}

/// `watched`: the run that was seen open; how it ended counts, even where its last notice was lost.
pub fn settled(now: &Deployment, watched: Option<u64>, no_wait: bool) -> Settled {
    let ended = now.last_run.as_ref().filter(|run| Some(run.id) == watched).and_then(|run| run.outcome.as_ref());
    if let Some(outcome) = ended {
        return Settled::At(Exit::of_outcome(outcome));
    }
    match &now.state {
        // Where the version line was just edited, the daemon has not looked yet.
        State::Idle if now.installed == now.wanted => Settled::At(Exit::Done),
        State::Idle | State::Planning | State::Running(_) => Settled::NotYet,
        State::Waiting(waiting) if no_wait || waiting.reason == WaitReason::Approval => Settled::At(Exit::Waiting),
        State::Waiting(_) => Settled::NotYet,
        State::Stuck(_) | State::Error { .. } | State::Quarantined { .. } => Settled::At(Exit::of_state(&now.state)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{Outcome, RunSummary, Waiting};
    use crate::plan::Kind;
    use jiff::Timestamp;

    fn deployment(state: State) -> Deployment {
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
    fn waiting(reason: WaitReason) -> State {
        State::Waiting(Waiting { run: None, reason, message: String::new(), until: None })
    }

    #[test]
    fn when_there_is_nothing_more_to_watch() {
        let at = |state: State| settled(&deployment(state), None, false);
        assert_eq!(at(State::Idle), Settled::At(Exit::Done));
        assert_eq!(at(State::Planning), Settled::NotYet);
        assert_eq!(at(waiting(WaitReason::Approval)), Settled::At(Exit::Waiting));
        assert_eq!(at(waiting(WaitReason::Window)), Settled::NotYet);
        assert_eq!(settled(&deployment(waiting(WaitReason::Window)), None, true), Settled::At(Exit::Waiting));
        let edited = Deployment { wanted: Some("1.1".into()), ..deployment(State::Idle) };
        assert_eq!(settled(&edited, None, false), Settled::NotYet);
    }

    #[test]
    fn a_run_that_ended_unseen_counts() {
        let mut now = deployment(State::Idle);
        now.last_run = Some(RunSummary {
            id: 7,
            deployment: "shop".into(),
            kind: Kind::Upgrade,
            from: "1.0".into(),
            to: "1.1".into(),
            started_at: Timestamp::UNIX_EPOCH,
            ended_at: Some(Timestamp::UNIX_EPOCH),
            downtime_s: None,
            outcome: Some(Outcome::RolledBack("it broke".into())),
        });
        assert_eq!(settled(&now, Some(7), false), Settled::At(Exit::Failed));
        assert_eq!(settled(&now, Some(6), false), Settled::At(Exit::Done));
    }
}
