//! What the plugin decides, against a fake instance; its SQL runs in the stories, against a real server.

use super::*;
use upgraded_sdk::Severity;
use upgraded_sdk::fake::FakeHost;
use upgraded_sdk::serde_json::json;

fn ids(findings: Vec<Finding>) -> Vec<String> {
    findings.into_iter().map(|finding| finding.id).collect()
}

#[test]
fn what_was_saved_comes_back() {
    let fake = FakeHost::new();
    fake.cloud_instance("shop", "POSTGRES_15");
    let (host, call) = (fake.datastore(), fake.call(json!({})));
    fake.write_cloud_data("old");
    assert_eq!(CloudSql::fence(&call, &host).expect("a mark"), CloudSql::mark(&call, &host).expect("a mark"));
    let backup = CloudSql::backup(&call, &host, None).expect("saved");
    assert_eq!(backup.manifest, "database/postgres\t1\t-\ndatabase/shop\t1\t-");
    fake.write_cloud_data("new");
    CloudSql::restore(&call, &host, &Origin::Backup(backup.clone())).expect("restored");
    assert_eq!(fake.cloud_data(), "old");
    assert!(CloudSql::restore(&call, &host, &Origin::Frozen("r1-freeze-main".into())).is_err());
    let two = BackupRef { artifacts: vec!["a".into(), "b".into()], ..backup };
    assert!(CloudSql::restore(&call, &host, &Origin::Backup(two)).is_err());
}

#[test]
fn preflight_says_what_is_wrong_and_what_it_costs() {
    let fake = FakeHost::new();
    let look = |settings| {
        ids(CloudSql::preflight(&fake.call(settings), &fake.datastore(), &Hop::new("1", "2")).expect("asked"))
    };
    assert_eq!(look(json!({})), ["instance"]);
    fake.cloud_instance("shop", "MYSQL_8_0");
    assert_eq!(look(json!({})), ["price", "not-counted"]);
    assert_eq!(look(json!({ "server": { "database": "shop", "host": "10.0.0.3", "user": "u" } })), ["price", "server"]);
    fake.cloud_instance("shop", "POSTGRES_15");
    assert_eq!(look(json!({ "server": { "database": "elsewhere" } })), ["price", "server"]);
    fake.change_cloud_instance(|instance| instance.backups_outlive_it = false);
    assert_eq!(look(json!({})), ["price", "backups-go-with-it", "not-counted"]);
    fake.change_cloud_instance(|instance| instance.backups_managed = true);
    assert_eq!(look(json!({})), ["price", "backups-managed", "not-counted"]);
    fake.fail_once("cloud-sql.look", Error::Denied("no".into()));
    assert_eq!(look(json!({})), ["google"]);
    fake.fail_once("cloud-sql.look", Error::invalid("it is a replica"));
    assert_eq!(look(json!({})), ["instance"]);
}

#[test]
fn replicas_matter_where_data_may_be_restored() {
    let fake = FakeHost::new();
    fake.cloud_instance("shop", "POSTGRES_15");
    let wave = |rolling: bool| Wave { rolling, ..Wave::new([ServiceRef::new("main", "web")]) };
    let by_code = Hop { expand_only: true, ..Hop::new("1", "2").undo(Undo::CodeOnly) };
    for (hop, severity) in [
        (Hop::new("1", "2").act(wave(true)), Severity::Blocker),
        (by_code.clone().act(wave(true)).act(wave(false)), Severity::Blocker),
        (by_code.act(wave(true)), Severity::Warning),
    ] {
        fake.fail_once("cloud-sql.look", Error::conflict("`shop` has replicas"));
        let found = CloudSql::preflight(&fake.call(json!({})), &fake.datastore(), &hop).expect("asked");
        assert_eq!(
            found.iter().map(|finding| (&*finding.id, finding.severity)).collect::<Vec<_>>(),
            [("replicas", severity)]
        );
    }
}

#[test]
fn what_moved_while_it_was_saved_may_be_anything() {
    let (before, after) = ("a\t1\tx\nb\t2\ty", "a\t1\tx\nb\t3\tz\nc\t1\tw");
    assert_eq!(rows::with_moved(before, after), "a\t1\tx\nb\t*\t*\nc\t*\t*");
}
