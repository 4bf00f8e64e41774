//! Tests of mysql.

use super::*;
use serde_json::json;
use upgraded_sdk::fake::FakeHost;
use upgraded_sdk::{Severity, schema};

const EMPTY: &str = "rows notes\t0\t0-0\n";
const FULL: &str = "rows notes\t2\t7-9\n";

fn call(fake: &FakeHost) -> Call<Settings> {
    let password = json!({ "secret": "server.password" });
    fake.call(json!({ "server": { "service": "mysql", "user": "upgraded", "password": password, "database": "shop" } }))
}

fn findings(fake: &FakeHost) -> Result<Vec<Finding>> {
    fake.read_only(true);
    MysqlStore::preflight(&call(fake), &fake.datastore(), &Hop::new("1.0.0", "1.1.0"))
}

#[test]
fn saved_under_the_fence_and_put_back() {
    let fake = FakeHost::new();
    fake.mysql(FULL);
    let (host, call) = (fake.datastore(), call(&fake));
    let mark = MysqlStore::fence(&call, &host).unwrap();
    assert!(fake.mysql_fenced());
    assert!(!MysqlStore::freeze(&call, &host).unwrap());
    let backup = MysqlStore::backup(&call, &host, None).unwrap();
    assert_eq!((backup.artifacts.len(), backup.manifest.as_str()), (2, FULL));
    assert_eq!(MysqlStore::mark(&call, &host).unwrap(), mark);
    MysqlStore::unfence(&call, &host).unwrap();
    assert!(!fake.mysql_fenced());

    fake.mysql(EMPTY);
    assert_ne!(MysqlStore::mark(&call, &host).unwrap(), mark);
    fake.step("r1-restore");
    MysqlStore::restore(&call, &host, &Origin::Backup(backup)).unwrap();
    assert_eq!(MysqlStore::manifest(&call, &host, None).unwrap(), FULL);

    // What the restore set aside can come back, and be let go.
    fake.step("r2-restore");
    MysqlStore::restore(&call, &host, &Origin::Frozen("r1-restore".into())).unwrap();
    assert_eq!(MysqlStore::manifest(&call, &host, None).unwrap(), EMPTY);
    assert_eq!(fake.mysql_frozen(), ["r2-restore"]);
    MysqlStore::discard(&call, &host, "r2-restore").unwrap();
    assert!(fake.mysql_frozen().is_empty());
}

#[test]
fn frozen_saved_later_and_put_back() {
    let fake = FakeHost::new();
    fake.mysql(FULL);
    fake.mysql_freezes();
    let (host, call) = (fake.datastore(), call(&fake));
    fake.step("r1-freeze");
    assert!(MysqlStore::freeze(&call, &host).unwrap());
    assert_eq!(MysqlStore::manifest(&call, &host, Some("r1-freeze")).unwrap(), FULL);
    fake.mysql(EMPTY);
    assert_eq!(MysqlStore::backup(&call, &host, Some("r1-freeze")).unwrap().manifest, FULL);
    fake.step("r1-restore");
    MysqlStore::restore(&call, &host, &Origin::Frozen("r1-freeze".into())).unwrap();
    assert_eq!(MysqlStore::manifest(&call, &host, None).unwrap(), FULL);
    let gone = MysqlStore::backup(&call, &host, Some("r1-freeze"));
    assert!(matches!(gone, Err(Error::NotFound(_))), "{gone:?}");
}

#[test]
fn each_thing_that_is_wrong_is_a_blocker_of_its_own() {
    let fake = FakeHost::new();
    fake.mysql(FULL);
    assert_eq!(findings(&fake), Ok(Vec::new()));
    fake.mysql_problems(&["'a'@'%' lacks EVENT", "'a'@'%' lacks PROCESS"]);
    let found = findings(&fake).unwrap();
    assert!(found.iter().all(|finding| finding.severity == Severity::Blocker));
    let told: Vec<(&str, &str)> = found.iter().map(|finding| (finding.id.as_str(), finding.message.as_str())).collect();
    assert_eq!(told, [("server", "'a'@'%' lacks EVENT"), ("server-2", "'a'@'%' lacks PROCESS")]);
}

#[test]
fn why_a_server_can_not_be_asked_is_told() {
    let cases = [
        (Error::Denied("`shop` is not granted".into()), "denied"),
        (Error::Unavailable("the service has no container that runs".into()), "connection"),
    ];
    for (error, id) in cases {
        let fake = FakeHost::new();
        fake.fail("mysql.check", error);
        assert_eq!(findings(&fake).unwrap().iter().map(|finding| finding.id.as_str()).collect::<Vec<_>>(), [id]);
    }
}

#[test]
fn a_cancelled_preflight_finds_nothing_out() {
    let fake = FakeHost::new();
    fake.cancel();
    assert_eq!(findings(&fake), Err(Error::Cancelled));
}

#[test]
fn a_drill_names_another_database() {
    let schema = schema::<Settings>();
    assert!(schema.to_string().contains(r#""x-site":"name""#), "{schema}");
}
