//! What holds of `next` over every legal history: the walks here take whatever the table of events admits.

use super::event::{Decision, Effect, EffectResult, Event, Outcome, Verdict};
use super::next::{Next, Wait, next};
use super::state::{Progress, Status, StepState};
use super::step::{Phase, Step, Stretch};
use super::*;
use crate::model::{Act, Failure, ModeAndOwner, Once, Role, ServiceRef, Undo, Wave};
use proptest::prelude::*;
use serde_json::{Value, json};

#[derive(Debug, Clone)]
struct Shape {
    /// Of each hop: commands (true) and waves, the ways back, whether a file is edited.
    hops: Vec<(Vec<bool>, Vec<u8>, bool)>,
    stores: usize,
    drill: Drill,
    approval: bool,
    window: bool,
    by_hand: bool,
    rolls: bool,
    carries: bool,
}

prop_compose! {
    fn any_shape()(
        hops in prop::collection::vec((prop::collection::vec(any::<bool>(), 0..3), prop::collection::vec(0..3u8, 0..3), any::<bool>()), 1..4),
        stores in 0..3usize,
        drill in prop::sample::select(vec![Drill::Ahead, Drill::Final, Drill::Off]),
        (approval, window) in (any::<bool>(), any::<bool>()),
        (by_hand, rolls, carries) in (prop::bool::weighted(0.2), prop::bool::weighted(0.2), prop::bool::weighted(0.2)),
    ) -> Shape {
        Shape { hops, stores, drill, approval, window, by_hand, rolls, carries }
    }
}

fn service() -> ServiceRef {
    ServiceRef { platform: "main".into(), name: "web".into() }
}

fn once() -> Once {
    Once { service: service(), argv: vec!["migrate".into()], success: None, repeatable: false, idle_ms: 1 }
}

fn plan(shape: &Shape) -> Plan {
    let wave = || Act::Wave(Wave { services: vec![service()], rolling: shape.rolls, follow: vec![] });
    let act = |command: &bool| if *command { Act::Command(once()) } else { wave() };
    // A hop that rolls has a wave, and leaves the data as it is.
    let (a_wave, code_only) = (|| shape.rolls.then(wave), || shape.rolls.then_some(Undo::CodeOnly));
    let undo = |which: &u8| match which {
        0 => Undo::CodeOnly,
        1 => Undo::Rebuild(once()),
        _ => Undo::RestoreData,
    };
    let hops = shape.hops.iter().enumerate().map(|(number, (acts, undos, _))| Hop {
        source: number.to_string(),
        target: (number + 1).to_string(),
        breaking: false,
        acts: acts.iter().map(act).chain(a_wave()).collect(),
        undo: undos.iter().map(undo).chain(code_only()).collect(),
        expand_only: shape.rolls,
        rest: false,
        quiesce: if shape.rolls { vec![] } else { vec![service()] },
        gate: vec![],
        requires: vec![],
        expected_seconds: None,
        notes: vec![],
    });
    let edit = PlannedEdit {
        platform: "main".into(),
        path: "settings".into(),
        why: String::new(),
        before: Some(Replaced { digest: "old".into(), owned: ModeAndOwner { mode: 0o644, uid: 0, gid: 0 } }),
        after: Some(Replacement { digest: "new".into(), content: vec![], executable: false }),
        diff: String::new(),
    };
    let binding = |name: &str, role| PlannedBinding {
        binding: Binding { name: name.into(), role, plugin: "x".into() },
        digest: String::new(),
    };
    let mut bindings = vec![binding("product", Role::Product), binding("main", Role::Platform)];
    bindings.extend(["main", "uploads"][..shape.stores].iter().map(|name| binding(name, Role::Datastore)));
    let way = WayBack {
        of: 1,
        admitted: jiff::Timestamp::UNIX_EPOCH,
        backups: BTreeMap::new(),
        staged: BTreeMap::new(),
        files: vec![],
    };
    Plan {
        schema: PLAN_SCHEMA,
        host_version: String::new(),
        deployment: "shop".into(),
        kind: if shape.by_hand { Kind::Rollback(Box::new(way)) } else { Kind::Upgrade },
        from: "0".into(),
        to: shape.hops.len().to_string(),
        file: String::new(),
        bindings,
        hops: hops.collect(),
        carries: ["main"][..usize::from(shape.carries && !shape.rolls && shape.stores > 0)]
            .iter()
            .map(|name| (*name).to_owned())
            .collect(),
        edits: shape.hops.iter().map(|(_, _, edited)| edited.then(|| edit.clone()).into_iter().collect()).collect(),
        policy: PlannedPolicy {
            undrilled: Vec::new(),
            rehearse: false,
            approve: Approve::Never,
            approval_needed: shape.approval,
            windows: if shape.window { vec!["Sat 02:00-06:00 UTC".into()] } else { vec![] },
            drill: shape.drill,
            idle_ms: 1,
        },
        findings: vec![],
        estimates: Estimates::default(),
    }
}

/// What whoever does what `next` says records first.
fn advised(progress: &Progress) -> Event {
    match next(progress) {
        Next::Do { step, attempt } => Event::Started { step: step.id, attempt },
        Next::Probe { step, attempt } => Event::Probed { step: step.id, attempt, verdicts: vec![] },
        Next::Wait(Wait::Approval) => Event::Approved { by: "x".into() },
        Next::Wait(Wait::Window) => Event::WindowOpened,
        Next::Wait(Wait::Backoff { step, attempt, .. }) => Event::BackoffElapsed { step, attempt },
        Next::Stuck { .. } => word(Decision::Resume),
        Next::Done(outcome) => Event::Finished { outcome },
    }
}

fn word(decision: Decision) -> Event {
    Event::Decided { by: "x".into(), decision, why: "so".into() }
}

/// `odd` finds another mark, or can't freeze.
fn output(phase: Phase, odd: bool) -> Value {
    match phase {
        Phase::Freeze => json!({ "frozen": !odd }),
        Phase::Fence | Phase::FenceBack | Phase::Seal => json!(if odd { "moved" } else { "mark" }),
        _ => Value::Null,
    }
}

/// Something that may happen now, or may not: the table says.
fn event(progress: &Progress, (kind, pick): (u8, u8), wild: bool) -> Event {
    let odd = pick.is_multiple_of(8);
    let open = progress.in_doubt();
    match (kind % 16, open) {
        (0..=7, Some(state)) => Event::Succeeded {
            step: state.step.id.clone(),
            attempt: state.attempts,
            output: output(state.step.phase, odd),
        },
        (8, Some(state)) => {
            let failure = Failure { code: "x".into(), message: "it broke".into(), retryable: odd };
            let waited_out = pick.is_multiple_of(16);
            Event::Failed { step: state.step.id.clone(), attempt: state.attempts, failure, waited_out }
        }
        (9, Some(state)) => Event::Effect(Effect {
            step: state.step.id.clone(),
            attempt: state.attempts,
            number: u32::from(pick % 3),
            verb: "x".into(),
            arguments: String::new(),
            handle: String::new(),
            repeatable: odd,
        }),
        (10, Some(state)) => Event::EffectEnded {
            step: state.step.id.clone(),
            attempt: state.attempts,
            number: u32::from(pick % 3),
            result: EffectResult::Done(Value::Null),
        },
        (11, Some(state)) => {
            let verdicts = state.effects.iter().filter(|e| e.result.is_none()).map(|e| {
                let verdict =
                    [Verdict::NotDone, Verdict::Unknown, Verdict::Done(Value::Null)][usize::from(pick % 3)].clone();
                (e.effect.number, verdict)
            });
            Event::Probed { step: state.step.id.clone(), attempt: state.attempts, verdicts: verdicts.collect() }
        }
        (12, _) => Event::Resumed { host_version: String::new(), boot_id: String::new() },
        (13, _) => match pick % 16 {
            0 => word(Decision::Resume),
            1 => word(Decision::Rollback),
            2 => word(Decision::Abandon),
            3 => Event::CancelRequested { by: "x".into(), why: "so".into() },
            4..=9 => Event::Approved { by: "x".into() },
            _ => Event::WindowOpened,
        },
        (14, _) if wild => {
            let steps = if odd { progress.back() } else { progress.forward.clone() };
            let step = &steps[usize::from(pick) % steps.len()];
            let attempt = progress.steps.get(&step.id).map_or(1, |state| state.attempts + 1);
            Event::Started { step: step.id.clone(), attempt }
        }
        _ => advised(progress),
    }
}

/// A history of whatever the table admits.
fn walk(
    shape: &Shape, choices: &[(u8, u8)], wild: bool, mut look: impl FnMut(&Progress, &Event),
) -> (Progress, Vec<Event>) {
    let mut progress = Progress::new(plan(shape));
    let mut history = vec![Event::Planned { plan: Box::new(plan(shape)) }];
    for choice in choices {
        let event = event(&progress, *choice, wild);
        let mut tried = progress.clone();
        if tried.apply(&event).is_ok() {
            look(&progress, &event);
            history.push(event);
            progress = tried;
        }
    }
    (progress, history)
}

/// Does what `next` says, all of it well, until the end; a run that is stuck is given up.
fn carry_on(mut progress: Progress) -> Outcome {
    for _ in 0..3000 {
        if let Some(outcome) = &progress.finished {
            return outcome.clone();
        }
        let event = match next(&progress) {
            Next::Stuck { .. } => word(Decision::Abandon),
            _ => advised(&progress),
        };
        progress.apply(&event).unwrap_or_else(|illegal| panic!("{illegal}"));
        if let Event::Started { step, attempt } = event {
            let output = good(&progress, &step);
            progress.apply(&Event::Succeeded { step, attempt, output }).unwrap_or_else(|illegal| panic!("{illegal}"));
        }
    }
    panic!("it doesn't end: {:?}", next(&progress));
}

/// The mark stays what it was.
fn good(progress: &Progress, id: &str) -> Value {
    let step = &progress.steps[id].step;
    let fence = progress.steps.values().find(|s| s.step.phase == Phase::Fence && s.step.binding == step.binding);
    match (step.phase, fence.and_then(|fence| fence.first_output.clone())) {
        (Phase::Fence | Phase::Seal, Some(mark)) => mark,
        _ => output(step.phase, false),
    }
}

fn succeeded(progress: &Progress, id: &str) -> bool {
    progress.steps.get(id).is_some_and(|state| matches!(state.status, Status::Succeeded(_)))
}

/// Two hops that edit the same file, in a window.
fn two_hops() -> Plan {
    plan(&Shape {
        hops: vec![(vec![], vec![], true), (vec![], vec![], true)],
        stores: 1,
        drill: Drill::Off,
        approval: false,
        window: true,
        by_hand: false,
        rolls: false,
        carries: false,
    })
}

#[test]
fn after_a_recheck_that_failed_a_window_is_waited_for_again() {
    let mut run = Progress::new(two_hops());
    let (mut windows, mut about_to) = (0, vec![]);
    while !run.started_any(Phase::Quiesce) {
        about_to.push(run.shuts_out());
        let event = match run.in_doubt() {
            Some(StepState { step, attempts: attempt, .. }) if step.phase == Phase::Recheck && windows == 1 => {
                let failure = Failure { code: "x".into(), message: "it is away".into(), retryable: true };
                Event::Failed { step: step.id.clone(), attempt: *attempt, failure, waited_out: false }
            }
            Some(state) => {
                let output = output(state.step.phase, false);
                Event::Succeeded { step: state.step.id.clone(), attempt: state.attempts, output }
            }
            None => advised(&run),
        };
        windows += usize::from(event == Event::WindowOpened);
        run.apply(&event).unwrap();
    }
    assert_eq!(windows, 2);
    // From the recheck on, until it fails.
    about_to.dedup();
    assert_eq!(about_to, [false, true, false, true]);
}

#[test]
fn what_edits_replace_is_known_whatever_they_put_there() {
    let (planned, mut now) = (two_hops(), two_hops());
    now.edits[0][0].after = None;
    now.edits[1][0].before = None;
    assert_eq!(now.replaced(), planned.replaced());
    now.edits[0][0].before = None;
    assert_ne!(now.replaced(), planned.replaced());
}

type Choices = Vec<(u8, u8)>;

fn choices() -> impl Strategy<Value = Choices> {
    prop::collection::vec(any::<(u8, u8)>(), 0..160)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    /// What `next` says is what the table admits; a replay says the same; and from everywhere there is an end.
    #[test]
    fn what_is_advised_is_legal_and_leads_to_an_end(shape in any_shape(), choices in choices(), wild in any::<bool>()) {
        let (progress, history) = walk(&shape, &choices, wild, |progress, _| {
            if progress.finished.is_none() {
                let mut advised_to = progress.clone();
                advised_to.apply(&advised(progress)).unwrap_or_else(|illegal| panic!("{illegal}"));
            }
        });
        let replayed = Progress::replay(&history).unwrap_or_else(|illegal| panic!("{illegal}"));
        prop_assert_eq!(next(&replayed), next(&progress));
        if let Some(outcome) = &progress.finished {
            prop_assert_eq!(next(&progress), Next::Done(outcome.clone()));
            prop_assert!(progress.clone().apply(&Event::WindowOpened).is_err());
        }
        carry_on(progress);
    }

    /// Of every history, also of those that no daemon of ours would write.
    #[test]
    fn an_outcome_is_earned(shape in any_shape(), choices in choices()) {
        let (progress, _) = walk(&shape, &choices, true, |_, _| {});
        match next(&progress) {
            Next::Done(Outcome::Committed) if progress.finished.is_none() => {
                prop_assert!(progress.turned.is_none() && progress.is_upgrade());
                prop_assert!(progress.forward.iter().all(|step| progress.skips(step) || succeeded(&progress, &step.id)));
            }
            Next::Done(Outcome::RolledBack(_)) if progress.finished.is_none() && progress.turned.is_some() => {
                prop_assert!(progress.back().iter().all(|step| succeeded(&progress, &step.id)));
            }
            Next::Do { step, .. } if progress.turned.is_some() => {
                prop_assert_eq!(step.phase.stretch(), Stretch::Back, "the way back takes no step forward");
            }
            _ => {}
        }
        if let Next::Do { step, .. } = next(&progress) {
            prop_assert!(progress.in_doubt().is_none(), "one step at a time");
            if step.phase == Phase::Restore && progress.is_upgrade() {
                prop_assert!(progress.data_held(), "there is something to restore");
            }
        }
    }

    /// Of the histories of a daemon that does what it is told, whatever comes of it.
    #[test]
    fn promises_of_a_run(shape in any_shape(), choices in choices()) {
        let mut asked_back = false;
        walk(&shape, &choices, false, |progress, event| {
            asked_back |= matches!(event, Event::Decided { decision: Decision::Rollback, .. });
            let Event::Started { step, .. } = event else { return };
            let Next::Do { step, .. } = next(progress) else { panic!("`{step}` was not advised") };
            let (plan, upgrade) = (&progress.plan, progress.is_upgrade());
            if step.phase >= Phase::Recheck && upgrade {
                assert!(progress.approved || !plan.policy.approval_needed, "`{}` without an approval", step.id);
            }
            if step.phase == Phase::Admit {
                let verified = |s: &&Step| s.phase == Phase::Verify && !succeeded(progress, &s.id);
                assert!(!progress.forward.iter().any(|s| verified(&s)), "users enter before all is verified");
            }
            if step.phase == Phase::Restore && upgrade {
                assert!(asked_back || !progress.started_any(Phase::Admit), "data goes back after users were let in");
            }
            if step.phase.stretch() == Stretch::Downtime && step.phase > Phase::Unfence {
                let sealed = |s: &&Step| s.phase == Phase::Seal && !succeeded(progress, &s.id);
                assert!(!progress.forward.iter().any(|s| sealed(&s)), "`{}` before the copy is known to be good", step.id);
            }
            if step.phase == Phase::Carry {
                assert!(progress.data_held(), "a server goes whose data is not held");
            }
            if step.phase == Phase::Restore && progress.started_any(Phase::Carry) && upgrade {
                let back = |s: &Step| s.phase == Phase::CarryBack && !succeeded(progress, &s.id);
                assert!(!progress.back().iter().any(back), "data goes back into the new server");
            }
            if plan.rolls() {
                let shuts = |phase: Phase| matches!(phase, Phase::Fence | Phase::FenceBack | Phase::Restore);
                assert!(!shuts(step.phase), "`{}` of a run that rolls", step.id);
            }
            if step.phase == Phase::Commit && upgrade {
                assert!(plan.datastores().iter().all(|store| {
                    [Phase::BackupAhead, Phase::BackupFinal, Phase::BackupLate]
                        .iter()
                        .any(|phase| progress.output(*phase, store).is_some())
                }), "committed without a backup");
            }
        });
    }
}
