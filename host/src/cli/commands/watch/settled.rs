//! When there is nothing more to watch. Pure.

use super::Options;
use crate::api::{Deployment, Outcome, State, WaitReason};
use crate::cli::exit::Exit;
use crate::plan::Kind;

#[derive(Debug, PartialEq, Eq)]
pub enum Settled {
    NotYet,
    At(Exit),
}

/// What was asked to go back, and went, is done.
pub fn exit(outcome: &Outcome, kind: Option<&Kind>, options: Options) -> Exit {
    match outcome {
        Outcome::RolledBack(_) if options.back || matches!(kind, Some(Kind::Rollback(_))) => Exit::Done,
        other => Exit::of_outcome(other),
    }
}

/// `watched`: the run that was seen open; how it ended counts, even where its last notice was lost.
pub fn settled(now: &Deployment, watched: Option<u64>, options: Options) -> Settled {
    let run = now.last_run.as_ref().filter(|run| Some(run.id) == watched);
    if let Some((run, outcome)) = run.and_then(|run| Some((run, run.outcome.as_ref()?))) {
        return Settled::At(exit(outcome, Some(&run.kind), options));
    }
    let is_open = now.last_run.as_ref().is_some_and(|run| run.outcome.is_none());
    match &now.state {
        State::Idle if is_open => Settled::NotYet,
        // Where the version line was just edited, the daemon has not looked yet.
        State::Idle if now.installed == now.wanted => Settled::At(Exit::Done),
        State::Idle | State::Planning | State::Running(_) => Settled::NotYet,
        State::Waiting(waiting) if options.no_wait || waiting.reason == WaitReason::Approval => {
            Settled::At(Exit::Waiting)
        }
        State::Waiting(_) => Settled::NotYet,
        State::Stuck(_) | State::Error { .. } | State::Quarantined { .. } => Settled::At(Exit::of_need(now)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::Waiting;
    use crate::cli::testing::{deployment, run};

    fn waiting(reason: WaitReason) -> State {
        State::Waiting(Waiting { run: None, reason, message: String::new(), until: None })
    }

    #[test]
    fn when_there_is_nothing_more_to_watch() {
        let at = |state: State| settled(&deployment(state), None, Options::default());
        assert_eq!(at(State::Idle), Settled::At(Exit::Done));
        assert_eq!(at(State::Planning), Settled::NotYet);
        assert_eq!(at(waiting(WaitReason::Approval)), Settled::At(Exit::Waiting));
        assert_eq!(at(waiting(WaitReason::Window)), Settled::NotYet);
        let hasty = Options { no_wait: true, ..Options::default() };
        assert_eq!(settled(&deployment(waiting(WaitReason::Window)), None, hasty), Settled::At(Exit::Waiting));
        let edited = Deployment { wanted: Some("1.1".into()), ..deployment(State::Idle) };
        assert_eq!(settled(&edited, None, Options::default()), Settled::NotYet);
    }

    #[test]
    fn a_run_that_has_only_begun_is_not_over() {
        let now = Deployment { last_run: Some(run(None)), ..deployment(State::Idle) };
        assert_eq!(settled(&now, Some(7), Options::default()), Settled::NotYet);
    }

    #[test]
    fn a_run_that_cannot_be_taken_up_is_stuck_and_not_refused() {
        let error = || State::Error { message: String::new(), diagnostics: None };
        let at = |last_run| settled(&Deployment { last_run, ..deployment(error()) }, None, Options::default());
        assert_eq!(at(Some(run(None))), Settled::At(Exit::Stuck));
        assert_eq!(at(Some(run(Some(Outcome::Committed)))), Settled::At(Exit::Refused));
        assert_eq!(at(None), Settled::At(Exit::Refused));
    }

    #[test]
    fn a_run_that_ended_unseen_counts() {
        let mut now = deployment(State::Idle);
        now.last_run = Some(run(Some(Outcome::RolledBack("it broke".into()))));
        let at = |watched, options| settled(&now, Some(watched), options);
        assert_eq!(at(7, Options::default()), Settled::At(Exit::Failed));
        assert_eq!(at(7, Options { back: true, ..Options::default() }), Settled::At(Exit::Done), "as it was asked to");
        assert_eq!(at(6, Options::default()), Settled::At(Exit::Done));
    }
}
