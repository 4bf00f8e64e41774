//! The pipeline on a machine in memory: every story is cut after each record and before and after each effect, with and
//! without a reboot, taken up again, and must end at the old or the new version, whole, with every row that a user was
//! told is written.

mod hasty;
mod roles;
mod windows;
mod world;

use super::ledger::{Place, RunLedger, Scissors};
use super::{Ended, Parked, Patience, Pipeline};
use crate::config::{Approve, Drill};
use crate::effect::LedgerError;
use crate::journal::Journal;
use crate::model::*;
use crate::phase::hands::Hands;
use crate::plan::event::{Event, Outcome};
use crate::plan::next::{Next, next};
use crate::plan::*;
use crate::plugin::roles::Bound;
use async_trait::async_trait;
use hasty::Hasty;
use roles::Sim;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use world::{Behaviour, World};

/// One way that a run can go.
#[derive(Debug, Clone)]
struct Story {
    hops: u32,
    stores: Vec<&'static str>,
    behaviour: Behaviour,
    undo: Vec<Undo>,
    can_freeze: bool,
    repeatable: bool,
    strict_schema: bool,
    drill: Drill,
    rehearse: bool,
    rolls: bool,
    /// The server of each store is another after the first hop.
    carries: bool,
    /// After a reboot nothing answers at first.
    starts_slowly: bool,
    expected: Expected,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Expected {
    Committed,
    RolledBack,
    /// A migration in doubt that must not be repeated may turn an otherwise good run round.
    Either,
}

fn story() -> Story {
    Story {
        hops: 1,
        stores: vec!["main", "uploads"],
        behaviour: Behaviour::Good,
        undo: vec![],
        can_freeze: true,
        repeatable: true,
        strict_schema: true,
        drill: Drill::Ahead,
        rehearse: false,
        rolls: false,
        carries: false,
        starts_slowly: false,
        expected: Expected::Committed,
    }
}

fn stories() -> Vec<Story> {
    use Behaviour::*;
    let rebuild = Undo::Rebuild(once("rebuild"));
    let back = |behaviour| Story { behaviour, expected: Expected::RolledBack, ..story() };
    let rolling = |story| Story { rolls: true, undo: vec![Undo::CodeOnly], strict_schema: false, ..story };
    vec![
        story(),
        Story { hops: 3, ..story() },
        Story { can_freeze: false, ..story() },
        Story { drill: Drill::Final, ..story() },
        Story { drill: Drill::Off, stores: vec![], ..story() },
        Story { drill: Drill::Off, rehearse: true, ..story() },
        Story { repeatable: false, expected: Expected::Either, ..story() },
        back(MigrationFails),
        Story { can_freeze: false, ..back(MigrationFails) },
        back(WrongOnVerify),
        Story { hops: 2, ..back(WrongOnVerify) },
        Story { undo: vec![Undo::CodeOnly, Undo::RestoreData], ..back(WrongOnVerify) },
        Story { undo: vec![Undo::CodeOnly], strict_schema: false, ..back(WrongOnVerify) },
        Story { undo: vec![rebuild.clone()], strict_schema: false, ..back(WrongOnVerify) },
        Story { undo: vec![rebuild], ..back(RebuildFails) },
        back(NeverStarts),
        Story { carries: true, hops: 2, ..story() },
        Story { carries: true, ..back(WrongOnVerify) },
        Story { carries: true, undo: vec![Undo::CodeOnly], strict_schema: false, ..back(NeverStarts) },
        Story { repeatable: false, ..back(NeverStarts) },
        rolling(Story { hops: 2, drill: Drill::Off, ..story() }),
        rolling(back(WrongOnVerify)),
        rolling(back(NeverStarts)),
    ]
}

fn once(name: &str) -> Once {
    let service = ServiceRef { platform: "platform".into(), name: "web".into() };
    Once { service, argv: vec![name.into()], success: None, repeatable: true, idle_ms: 1000 }
}

fn plan(story: &Story) -> Plan {
    let service = ServiceRef { platform: "platform".into(), name: "web".into() };
    let hop = |number: u32| Hop {
        source: (number + 1).to_string(),
        target: (number + 2).to_string(),
        breaking: false,
        acts: vec![
            Act::Command(Once { repeatable: story.repeatable, ..once("migrate") }),
            Act::Wave(Wave { services: vec![service.clone()], rolling: story.rolls, follow: vec![] }),
        ],
        undo: story.undo.clone(),
        expand_only: story.rolls,
        rest: false,
        quiesce: if story.rolls { vec![] } else { vec![service.clone()] },
        gate: vec![],
        requires: vec![],
        expected_seconds: None,
        notes: vec![],
    };
    let edit = |number: u32| PlannedEdit {
        platform: "platform".into(),
        path: "settings".into(),
        why: "the new version needs it".into(),
        before: Some(Replaced {
            digest: format!("digest {}", number + 1),
            owned: ModeAndOwner { mode: 0o644, uid: 0, gid: 0 },
        }),
        after: Some(Replacement {
            digest: format!("digest {}", number + 2),
            content: format!("setting of version {}", number + 2).into_bytes(),
            executable: false,
        }),
        diff: String::new(),
    };
    let binding = |name: &str, role| PlannedBinding {
        binding: Binding { name: name.into(), role, plugin: "sim".into() },
        digest: String::new(),
    };
    let mut bindings = vec![binding("product", Role::Product), binding("platform", Role::Platform)];
    bindings.extend(story.stores.iter().map(|name| binding(name, Role::Datastore)));
    Plan {
        schema: PLAN_SCHEMA,
        host_version: "0".into(),
        deployment: "story".into(),
        kind: Kind::Upgrade,
        from: "1".into(),
        to: (story.hops + 1).to_string(),
        file: String::new(),
        bindings,
        hops: (0..story.hops).map(hop).collect(),
        carries: story.stores.iter().filter(|_| story.carries).map(|name| (*name).to_owned()).collect(),
        edits: (0..story.hops).map(|number| vec![edit(number)]).collect(),
        policy: PlannedPolicy {
            undrilled: Vec::new(),
            approve: Approve::Never,
            approval_needed: false,
            windows: vec![],
            drill: story.drill,
            rehearse: story.rehearse,
            idle_ms: 1000,
        },
        findings: vec![],
        estimates: Estimates::default(),
    }
}

/// One life of the daemon: takes the run up and goes on until it ends or the scissors close.
async fn live(sim: &Sim, plan: &Plan, journal: &Journal, run: u64, scissors: Option<Scissors>) -> Option<Outcome> {
    let ledger = RunLedger::open(journal.clone(), run, Arc::new(|_, _| {}), scissors).expect("legal history");
    let resumed = Event::Resumed { host_version: "0".into(), boot_id: "0".into() };
    if ledger.with(|p| p.finished.is_none()) && ledger.append(resumed).is_err() {
        return None;
    }
    let hasty = Hasty { starting_up: sim.world.lock().unwrap().starts_slowly };
    match pipeline(sim, plan, ledger, Arc::new(hasty), &Arc::new(Semaphore::new(1))).drive().await {
        Ok(Ended::Outcome(outcome)) => Some(outcome),
        Ok(Ended::Shutdown) => unreachable!("nobody shuts down"),
        Err(_) => None,
    }
}

fn pipeline(
    sim: &Sim, plan: &Plan, ledger: RunLedger, patience: Arc<dyn Patience>, slots: &Arc<Semaphore>,
) -> Pipeline {
    let bind = |role: Role| {
        plan.bindings.iter().filter(move |b| b.binding.role == role).map(|b| b.binding.clone()).collect::<Vec<_>>()
    };
    let sim = Arc::new(sim.clone());
    let bound = Bound {
        product: (bind(Role::Product)[0].clone(), sim.clone()),
        platforms: bind(Role::Platform).into_iter().map(|b| (b, sim.clone() as _)).collect(),
        datastores: bind(Role::Datastore).into_iter().map(|b| (b, sim.clone() as _)).collect(),
        digests: BTreeMap::new(),
    };
    let hands: Arc<dyn Hands> = sim.clone();
    let sink = Arc::new(|_: &step::Step| -> crate::activity::Sink { Arc::new(|_| {}) });
    let (run, stop) = (ledger.run(), CancellationToken::new());
    Pipeline::new(run, Arc::new(ledger), bound, hands, patience, sink, stop, slots.clone())
}

/// Closes at the n-th passage of any place.
fn scissors(at: usize, passed: &Arc<AtomicUsize>) -> Scissors {
    let passed = passed.clone();
    Arc::new(
        move |_: Place| {
            if passed.fetch_add(1, Ordering::SeqCst) == at { Err(LedgerError("cut".into())) } else { Ok(()) }
        },
    )
}

#[derive(Debug, Clone, Copy)]
struct Crash {
    reboot: bool,
    fence_survives: bool,
    doubled: bool,
    /// A second cut, so many places after the first.
    again: Option<usize>,
}

fn told(story: &Story) -> (Sim, Plan) {
    let world = World { serves_on: story.rolls, starts_slowly: story.starts_slowly, ..World::new(&story.stores) };
    let sim = Sim {
        world: Arc::new(Mutex::new(world)),
        behaviour: story.behaviour,
        doubled: false,
        can_freeze: story.can_freeze,
        repeatable: story.repeatable,
        strict_schema: story.strict_schema,
    };
    (sim, plan(story))
}

/// Plays the story with a cut; true when it was reached.
async fn play(story: &Story, cut: Option<usize>, crash: Crash) -> bool {
    let (sim, plan) = told(story);
    let sim = Sim { doubled: crash.doubled, ..sim };
    let journal = Journal::in_memory().expect("memory");
    let run = journal.begin(&plan).expect("memory");
    let passed = Arc::new(AtomicUsize::new(0));
    let first = cut.map(|at| scissors(at, &passed));
    let mut outcome = live(&sim, &plan, &journal, run, first).await;
    let reached = outcome.is_none();
    if let (None, Some(again)) = (&outcome, crash.again) {
        sim.world.lock().unwrap().crash(crash.reboot, crash.fence_survives);
        let second = scissors(again, &Arc::new(AtomicUsize::new(0)));
        outcome = live(&sim, &plan, &journal, run, Some(second)).await;
    }
    if outcome.is_none() {
        sim.world.lock().unwrap().crash(crash.reboot, crash.fence_survives);
        outcome = live(&sim, &plan, &journal, run, None).await;
    }
    let context = format!("{story:?} cut {cut:?} {crash:?}");
    judge(story, &sim.world.lock().unwrap(), outcome, reached, &context);
    reached
}

fn judge(story: &Story, world: &World, outcome: Option<Outcome>, cut: bool, context: &str) {
    let outcome = outcome.unwrap_or_else(|| panic!("no outcome: {context}"));
    let committed = match (&outcome, story.expected) {
        (Outcome::Committed, Expected::Committed | Expected::Either) => true,
        (Outcome::RolledBack(_), Expected::RolledBack) => false,
        (Outcome::RolledBack(_), Expected::Either) if cut => false,
        _ => panic!("{outcome:?}: {context}"),
    };
    let version = if committed { story.hops + 1 } else { 1 };
    assert_eq!(world.running, Some(version), "what runs: {outcome:?} {context}");
    assert!(world.gate, "users are in: {context}");
    assert!(world.fenced.is_empty(), "no fence is left: {context}");
    assert_eq!(world.file, format!("setting of version {version}"), "{context}");
    let server = if committed && story.carries { 2 } else { 1 };
    assert!(world.servers.values().all(|now| *now == server), "{:?} instead of {server}: {context}", world.servers);
    assert!(world.beside.is_empty(), "nothing of a server is left: {context}");
    assert_eq!(world.left_drills, 0, "no drill is left: {context}");
    for data in world.data.values() {
        assert!(!data.half, "whole: {context}");
        for row in &world.acknowledged {
            assert!(data.rows.contains(row), "row {row} was acknowledged and is lost: {context}");
        }
        if story.strict_schema {
            assert_eq!(data.schema, version, "{context}");
        }
    }
    assert!(story.rolls || !world.migrated_beside, "no migration runs beside a server: {context}");
    if !story.repeatable {
        assert!(world.migrations.values().all(|times| *times <= 1), "a migration ran twice: {context}");
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime")
}

#[test]
fn every_story_ends_whole_without_a_cut() {
    let crash = Crash { reboot: false, fence_survives: true, doubled: false, again: None };
    for story in stories() {
        runtime().block_on(play(&story, None, crash));
        runtime().block_on(play(&story, None, Crash { doubled: true, ..crash }));
    }
}

/// One thread for each processor, since the many runs of a story are one after the other.
fn on_all_processors<T: Send>(jobs: Vec<T>, work: impl Fn(T) -> usize + Sync) -> usize {
    let threads = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
    let jobs = Mutex::new(jobs);
    let next = || jobs.lock().expect("no panic holds this lock").pop();
    std::thread::scope(|scope| {
        let lanes: Vec<_> =
            (0..threads).map(|_| scope.spawn(|| std::iter::from_fn(next).map(&work).sum::<usize>())).collect();
        lanes.into_iter().map(|lane| lane.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))).sum()
    })
}

/// How often the story was cut until it ran through.
fn cut_everywhere(story: &Story, crash: Crash) -> usize {
    let runtime = runtime();
    (0..).take_while(|at| runtime.block_on(play(story, Some(*at), crash))).count()
}

#[test]
fn every_story_ends_whole_wherever_it_is_cut() {
    let crashes = [(false, false, true), (true, true, false)];
    let crashes =
        crashes.map(|(reboot, fence_survives, doubled)| Crash { reboot, fence_survives, doubled, again: None });
    let jobs = stories().into_iter().flat_map(|story| crashes.map(|crash| (story.clone(), crash))).collect();
    let runs = on_all_processors(jobs, |(story, crash)| {
        let cuts = cut_everywhere(&story, crash);
        assert!(cuts > 20, "the story was cut only {cuts} times");
        cuts
    });
    assert!(runs > 2000, "only {runs} runs");
}

#[test]
fn every_story_survives_a_second_cut_soon_after_the_first() {
    let crash =
        |again| Crash { reboot: again % 2 == 0, fence_survives: again % 3 == 0, doubled: false, again: Some(again) };
    let stories = [story(), stories()[6].clone(), stories()[10].clone()];
    let jobs = stories.into_iter().flat_map(|story| [0, 1, 3, 8].map(|again| (story.clone(), crash(again)))).collect();
    on_all_processors(jobs, |(story, crash)| cut_everywhere(&story, crash));
}

#[test]
fn a_word_from_outside_comes_before_the_step_that_was_about_to_begin() {
    let (_, plan) = told(&story());
    let journal = Journal::in_memory().expect("memory");
    let run = journal.begin(&plan).expect("memory");
    assert!(journal.begin(&plan).is_err(), "a deployment has one run at a time");
    let ledger = RunLedger::open(journal, run, Arc::new(|_, _| {}), None).expect("legal history");
    let todo = ledger.with(next);
    let Next::Do { step, attempt } = &todo else { panic!("{todo:?}") };
    let started = Event::Started { step: step.id.clone(), attempt: *attempt };
    ledger.record_from_outside(Event::CancelRequested { by: "me".into(), why: "no".into() }).expect("legal");
    assert!(!ledger.append_while(&todo, started).expect("a journal"));
    assert!(matches!(ledger.with(next), Next::Done(Outcome::Refused(_))));
}
