//! Tests of sqlite.

use super::*;
use serde_json::json;
use upgraded_sdk::Severity;
use upgraded_sdk::fake::FakeHost;

fn fake() -> FakeHost {
    let fake = FakeHost::new();
    fake.database("app.db", "table notes\t2\taa\n");
    fake.database("queue.db", "table jobs\t0\tqq\n");
    fake
}

fn call(fake: &FakeHost) -> Call<Settings> {
    fake.call(json!({ "paths": ["app.db", "queue.db"] }))
}

#[test]
fn saved_frozen_fenced_and_put_back_as_one() {
    let fake = fake();
    let host = fake.datastore();
    let mark = SqliteStore::fence(&call(&fake), &host).unwrap();
    assert_eq!(fake.fenced(), ["app.db", "queue.db"]);
    assert_eq!(SqliteStore::mark(&call(&fake), &host).unwrap(), mark);

    fake.step("r1-freeze");
    assert!(SqliteStore::freeze(&call(&fake), &host).unwrap());
    let backup = SqliteStore::backup(&call(&fake), &host, Some("r1-freeze")).unwrap();
    assert_eq!(backup.manifest, "app.db:table notes\t2\taa\nqueue.db:table jobs\t0\tqq\n");
    SqliteStore::unfence(&call(&fake), &host).unwrap();
    assert!(fake.fenced().is_empty());

    fake.database("app.db", "table notes\t1\tbb\n");
    fake.step("r1-restore");
    SqliteStore::restore(&call(&fake), &host, &Origin::Frozen("r1-freeze".into())).unwrap();
    assert_eq!(SqliteStore::manifest(&call(&fake), &host, None).unwrap(), backup.manifest);

    fake.database("app.db", "table notes\t0\tcc\n");
    fake.step("r2-restore");
    SqliteStore::restore(&call(&fake), &host, &Origin::Backup(backup.clone())).unwrap();
    assert_eq!(SqliteStore::manifest(&call(&fake), &host, None).unwrap(), backup.manifest);
    SqliteStore::discard(&call(&fake), &host, "r2-restore").unwrap();
    assert!(!fake.frozen().iter().any(|(_, step)| step == "r2-restore"));
}

#[test]
fn a_damaged_database_is_a_blocker_that_says_what_is_wrong() {
    let fake = fake();
    fake.read_only(true);
    fake.broken("app.db", &["row 3 missing from index a", "b", "c", "d"]);
    let findings = SqliteStore::preflight(&call(&fake), &fake.datastore(), &Hop::new("1.0.0", "1.1.0")).unwrap();
    assert_eq!(findings.len(), 1);
    assert_eq!((findings[0].id.as_str(), findings[0].severity), ("integrity", Severity::Blocker));
    assert_eq!(findings[0].message, "`app.db` is damaged: row 3 missing from index a; b; c, and 1 more");
}

#[test]
fn references_that_lead_nowhere_are_no_damage() {
    let fake = fake();
    fake.read_only(true);
    fake.broken("app.db", &["reference: row 1 of `child` refers to a row of `people` that is not there"]);
    let findings = SqliteStore::preflight(&call(&fake), &fake.datastore(), &Hop::new("1.0.0", "1.1.0")).unwrap();
    assert_eq!(findings.len(), 1);
    assert_eq!((findings[0].id.as_str(), findings[0].severity), ("references", Severity::Warning));
}

#[test]
fn missing_denied_and_locked_databases_are_told_apart() {
    let cases = [
        (Error::not_found("x"), "path-missing"),
        (Error::Denied("mode 000".into()), "path-denied"),
        (Error::conflict("database is locked"), "path-locked"),
        (Error::other("sqlite", "disk I/O error"), "path-unreadable"),
    ];
    for (error, id) in cases {
        let fake = fake();
        fake.fail("sqlite.check", error);
        let findings = SqliteStore::preflight(&call(&fake), &fake.datastore(), &Hop::new("1.0.0", "1.1.0")).unwrap();
        assert!(findings.iter().all(|finding| finding.id == id), "{findings:?}");
        assert_eq!(findings.len(), 2);
    }
}

#[test]
fn a_cancelled_preflight_finds_nothing_out() {
    let fake = fake();
    fake.cancel();
    let found = SqliteStore::preflight(&call(&fake), &fake.datastore(), &Hop::new("1.0.0", "1.1.0"));
    assert_eq!(found, Err(Error::Cancelled));
}
