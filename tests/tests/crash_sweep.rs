//! The daemon is cut off at every record of its journal, in a run that is good and in one that turns round. Whatever the
//! instant: the next daemon brings the site to the old or to the new version, whole.
//!
//! `UPGRADED_SWEEP_STRIDE`: `1` cuts at every record; without it, at every sixth, so that the sweep stays in minutes.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use upgraded_tests::{Daemon, Setup, Site, outcome, stride};

const AT_ONCE: usize = 3;

#[test]
fn a_good_run_survives_a_cut_at_every_record() {
    sweep("1.0.0", "1.1.0", "committed", "1.1.0");
}

#[test]
fn a_run_that_turns_round_survives_a_cut_at_every_record() {
    sweep("1.1.0", "1.2.0", "rolled-back", "1.1.0");
}

fn sweep(from: &'static str, to: &'static str, ends_as: &'static str, at: &'static str) {
    let setup = Setup { version: from, ..Setup::default() };
    // Once uncut: how many records there are, and what the data is at the end.
    let site = Site::new(&setup);
    let old = site.checksums();
    let mut daemon = Daemon::start(&site).settled();
    site.edit_version(to);
    let now = daemon.end_of_run_to(to);
    assert_eq!(outcome(&now), ends_as, "{now:#}");
    site.is_whole(at, None);
    let new = site.checksums();
    let records = site.records();
    daemon.stop();
    assert_eq!(new == old, from == at);
    drop(site);

    let cuts = Mutex::new((1..=records).step_by(stride("UPGRADED_SWEEP_STRIDE", 6)));
    let failed = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                loop {
                    let next = cuts.lock().expect("nothing panics here").next();
                    let Some(record) = next else { return };
                    let done = catch_unwind(AssertUnwindSafe(|| cut(&setup, to, record, (&old, &new), at)));
                    if done.is_err() {
                        failed.lock().expect("nothing panics here").push(record);
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().expect("nothing panics here");
    assert!(failed.is_empty(), "{from} → {to}: cut at records {failed:?} of {records} it did not end whole");
}

fn cut(setup: &Setup, to: &'static str, record: u32, (old, new): (&str, &str), at: &'static str) {
    let site = Site::new(setup);
    let daemon = Daemon::start_with(&site, &[("UPGRADED_FAILPOINT", &format!("record:{record}"))]).settled();
    site.edit_version(to);
    daemon.dies();

    let mut daemon = Daemon::start(&site);
    let now = daemon.end_of_run_to(to);
    // The first time only: a run that was cut may turn round where an uncut one would have gone through.
    let stands = now["installed"].as_str().unwrap_or_default().to_owned();
    match outcome(&now) {
        "committed" => assert_eq!(stands, at, "cut at record {record}: {now:#}"),
        _ => assert_eq!(stands, setup.version, "cut at record {record}: {now:#}"),
    }
    let data = if stands == setup.version { old } else { new };
    site.is_whole(&stands, Some(data));
    daemon.stop();
}
