//! The host dies before and after every changing call, and the same call of a new one brings the same end.

use super::bench::{Bench, Host};
use super::{dress, dressing};
use crate::copies::{backup, freeze, manifest};
use crate::fence::{fence, unfence};
use crate::manifest::difference;
use crate::names::Names;
use crate::restore::{from_backup, from_frozen};
use upgraded_sdk::{BackupRef, Result};

const SCHEMA: &str = "CREATE TABLE t AS SELECT generate_series(1, 100) AS x";

/// Runs `act` with a host that dies at every call in turn, then with one that lives; `check` sees each end.
fn at_every_call(
    bench: &Bench, step: &str, act: impl Fn(&Host, &Names) -> Result<()>, reset: impl Fn(), check: impl Fn(),
) {
    let names = bench.names(step);
    for at in 0.. {
        let mut died = false;
        for after in [false, true] {
            reset();
            let dying = bench.dying(step, at, after);
            died |= act(&dying, &names).is_err();
            drop(dying);
            act(&bench.host(step), &names).unwrap_or_else(|error| panic!("call {at}, after {after}: {}", error.text()));
            check();
        }
        if !died {
            assert!(at > 0, "it made no call");
            return;
        }
    }
}

fn freshly_fenced(bench: &Bench) {
    bench.server_sql(&format!(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE starts_with(datname, '{}')",
        bench.database
    ));
    for database in bench.copies().into_iter().chain([bench.database.clone()]) {
        bench.server_sql(&format!("DROP DATABASE IF EXISTS \"{database}\" WITH (FORCE)"));
    }
    bench.server_sql(&format!("CREATE DATABASE {} OWNER {}", bench.database, bench.app()));
    bench.as_app(SCHEMA).expect("made");
    dress(bench);
    fence(&bench.host("r1-fence"), &bench.names("r1-fence")).expect("fenced");
}

fn frozen_and_migrated(bench: &Bench) {
    freshly_fenced(bench);
    freeze(&bench.host("r1-freeze"), &bench.names("r1-freeze")).expect("frozen");
    unfence(&bench.host("r1-unfence"), &bench.names("r1-unfence")).expect("open");
    bench.as_app("DELETE FROM t").expect("migrated");
    fence(&bench.host("r1-fence-back"), &bench.names("r1-fence-back")).expect("fenced");
}

/// Everything is back, owner and settings too, and nothing half-made lies about.
fn restored(bench: &Bench, dressed: &str, copies: usize) {
    unfence(&bench.host("r1-unfence-back"), &bench.names("r1-unfence-back")).expect("open");
    assert_eq!(bench.as_app("SELECT count(*) FROM t"), Ok("100".into()));
    assert_eq!(dressing(bench, &bench.database), dressed);
    assert_eq!(bench.copies().len(), copies, "{:?}", bench.copies());
    assert!(bench.copies().iter().all(|copy| !copy.ends_with("_m")), "{:?}", bench.copies());
}

#[test]
fn a_freeze_that_dies_anywhere_is_made_whole() {
    let bench = Bench::new("crash_freeze");
    let check = || {
        let names = bench.names("r1-freeze");
        let counted = manifest(&bench.host("r1-freeze"), &names, Some("r1-freeze")).expect("counted");
        unfence(&bench.host("r1-unfence"), &bench.names("r1-unfence")).expect("open");
        let live = manifest(&bench.host("r1-look"), &names, None).expect("counted");
        assert_eq!(difference(&live, &counted), None);
        assert_eq!(bench.copies(), [names.copy("r1-freeze")]);
    };
    at_every_call(&bench, "r1-freeze", |host, names| freeze(host, names).map(|_| ()), || freshly_fenced(&bench), check);
}

#[test]
fn a_fence_that_dies_anywhere_stands_and_opens() {
    let bench = Bench::new("crash_fence");
    let check = || {
        assert!(bench.as_app("SELECT 1").is_err());
        unfence(&bench.host("r1-unfence"), &bench.names("r1-unfence")).expect("open");
        bench.as_app("SELECT 1").expect("open");
    };
    let open = || {
        freshly_fenced(&bench);
        unfence(&bench.host("r1-unfence"), &bench.names("r1-unfence")).expect("open");
    };
    at_every_call(&bench, "r1-fence", |host, names| fence(host, names).map(|_| ()), open, check);
}

#[test]
fn a_swap_that_dies_anywhere_ends_swapped() {
    let bench = Bench::new("crash_swap");
    freshly_fenced(&bench);
    unfence(&bench.host("r1-unfence"), &bench.names("r1-unfence")).expect("open");
    let dressed = dressing(&bench, &bench.database);
    let act = |host: &Host, names: &Names| from_frozen(host, names, "r1-freeze");
    at_every_call(&bench, "r1-restore", act, || frozen_and_migrated(&bench), || restored(&bench, &dressed, 1));
}

#[test]
fn a_restore_from_the_vault_that_dies_anywhere_ends_restored() {
    let bench = Bench::owned("crash_restore");
    frozen_and_migrated(&bench);
    let names = bench.names("r1-backup");
    let saved: BackupRef = backup(&bench.host("r1-backup"), &names, Some("r1-freeze")).expect("saved");
    from_frozen(&bench.host("r0-restore"), &bench.names("r0-restore"), "r1-freeze").expect("swapped");
    unfence(&bench.host("r1-unfence"), &bench.names("r1-unfence")).expect("open");
    let dressed = dressing(&bench, &bench.database);
    let act = |host: &Host, names: &Names| from_backup(host, names, &saved);
    // The frozen copy and what was set aside.
    at_every_call(&bench, "r1-restore", act, || frozen_and_migrated(&bench), || restored(&bench, &dressed, 2));
}

#[test]
fn a_backup_that_dies_anywhere_is_made() {
    let bench = Bench::new("crash_backup");
    let act = |host: &Host, names: &Names| backup(host, names, Some("r1-freeze")).map(|_| ());
    let check = || {
        let closed = format!(
            "SELECT bool_or(datallowconn) FROM pg_database WHERE starts_with(datname, '{}_up_')",
            bench.database
        );
        assert_eq!(bench.server_sql(&closed), "f");
    };
    at_every_call(&bench, "r1-backup", act, || frozen_and_migrated(&bench), check);
}
