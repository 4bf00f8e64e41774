//! The daemon is cut off at every record of its journal: in a run that is good, in one that turns round, and in a
//! rollback by hand. Also before and after effects, once more while the next daemon takes the run up, and together with
//! the whole machine. Whatever the instant: the site ends as it would have without the cut, whole, and nobody helped.
//!
//! `UPGRADED_SWEEP_STRIDE=6` cuts at every sixth record only.

mod bench;

use bench::{Bench, Story};
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use upgraded_tests::{Cut, Site, stride};

/// Sites at once: a run mostly waits for its product.
const LANES: usize = 4;
/// Blows that one site takes; then a fresh one is cheaper than a vault full of backups.
const BLOWS: usize = 12;

/// What befalls one run.
#[derive(Debug, Clone, Copy)]
pub struct Blow {
    pub first: Cut,
    /// While the next daemon takes the run up.
    pub second: Option<Cut>,
    /// The services and jobs go with the daemon, and what is enabled is started before the next daemon.
    pub with_the_machine: bool,
    /// In the rollback by hand that brings a committed site back.
    pub by_hand: Option<Cut>,
}

impl Blow {
    fn at(first: Cut) -> Self {
        Self { first, second: None, with_the_machine: false, by_hand: None }
    }
}

impl fmt::Display for Blow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.first)?;
        if self.with_the_machine {
            f.write_str(" with the machine")?;
        }
        for (what, cut) in [("then", self.second), ("by hand", self.by_hand)] {
            if let Some(cut) = cut {
                write!(f, " {what} {cut}")?;
            }
        }
        Ok(())
    }
}

#[test]
fn a_good_run_and_a_rollback_by_hand_survive_a_cut_at_every_record() {
    sweep(Story { from: "1.0.0", to: "1.1.0", ends_as: "committed" }, |length| {
        let mut blows: Vec<Blow> = every_record(length.records);
        for (blow, record) in blows.iter_mut().zip((1..=length.by_hand).step_by(every())) {
            blow.by_hand = Some(Cut::Record(record));
        }
        blows
    });
}

#[test]
fn a_run_that_turns_round_survives_a_cut_at_every_record() {
    sweep(Story { from: "1.1.0", to: "1.2.0", ends_as: "rolled-back" }, |length| {
        let mut blows = every_record(length.records);
        for (number, blow) in blows.iter_mut().enumerate() {
            // A third is cut again, at another place of the way on each time; what ends at once can't be.
            let room = blow.first != Cut::Record(length.records) && number % 3 == 0;
            blow.second = room.then_some(Cut::Record(1 + number / 3 % 2));
            blow.with_the_machine = number % 5 == 1;
        }
        let effects = (1..=length.effects).step_by(4 * every());
        blows.extend(effects.clone().map(|effect| Blow::at(Cut::BeforeEffect(effect))));
        blows.extend(effects.map(|effect| Blow::at(Cut::AfterEffect(effect))));
        blows
    });
}

fn every() -> usize {
    stride("UPGRADED_SWEEP_STRIDE", 1)
}

fn every_record(records: usize) -> Vec<Blow> {
    (1..=records).step_by(every()).map(|record| Blow::at(Cut::Record(record))).collect()
}

/// Of the uncut run, and of the rollback by hand after it.
struct Length {
    records: usize,
    effects: usize,
    by_hand: usize,
}

fn sweep(story: Story, blows: impl Fn(&Length) -> Vec<Blow>) {
    let site = Site::new(&story.setup());
    let mut bench = Bench::new(&site, story, None);
    bench.upgrade();
    let (records, effects) = (site.events().len(), site.count_events("effect"));
    let new = site.checksums();
    let mut by_hand = 0;
    if story.commits() {
        bench.roll_back_by_hand(None);
        by_hand = site.events().len();
    }
    bench.leave();
    drop(site);

    let all = blows(&Length { records, effects, by_hand });
    let count = all.len();
    let (left, failed) = (Mutex::new(all.into_iter()), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..LANES {
            scope.spawn(|| lane(story, &new, &left, &failed));
        }
    });
    let failed = failed.into_inner().expect("nothing panics here");
    let Story { from, to, .. } = story;
    assert!(failed.is_empty(), "{from} → {to}, {records} records: {} of {count} blows: {failed:?}", failed.len());
}

fn lane(story: Story, new: &str, left: &Mutex<std::vec::IntoIter<Blow>>, failed: &Mutex<Vec<String>>) {
    let next = || left.lock().expect("nothing panics here").next();
    while let Some(first) = next() {
        let site = Site::new(&story.setup());
        let mut bench = Bench::new(&site, story, Some(new));
        let mut blow = Some(first);
        for number in 1.. {
            let Some(now) = blow else { break };
            if catch_unwind(AssertUnwindSafe(|| bench.strike(now))).is_err() {
                failed.lock().expect("nothing panics here").push(now.to_string());
                break;
            }
            blow = if number < BLOWS { next() } else { None };
        }
    }
}
