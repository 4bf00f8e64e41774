//! Each release does what its notes say, on a real PostgreSQL.

mod installation;

use installation::{FRONTEND, GATEWAY, Installation};
use std::time::Duration;

/// At that migration, and whether all models are there that were ever added.
fn state(it: &Installation) -> (String, bool) {
    let (_, health) = it.get(FRONTEND, "/api/health");
    let at = health.split(r#""db_migration":""#).nth(1).map(|rest| rest[..4].to_owned()).unwrap_or_default();
    let (status, models) = it.get(GATEWAY, "/api/models");
    assert_eq!(status, 200, "{models}");
    let (there, catalogue) = models.split_once(r#","catalogue":{"#).expect("a catalogue");
    (at, there.trim_start_matches('{') == catalogue.trim_end_matches('}'))
}

fn at(migration: &str) -> (String, bool) {
    (migration.into(), true)
}

#[test]
fn the_published_way_up() {
    let mut it = Installation::new("published");
    it.up("1.3.0");
    assert!(it.log("model-service").contains("[migrate] applying 0006_create_model_statistics (6/6)"));
    assert_eq!(it.add("first"), (201, r#"{"id":1}"#.into()));
    it.until("the optimizer has done the scheduler's job", |it| {
        it.get(GATEWAY, "/api/query?model=1").1 == r#"{"model":1,"rows":2,"total":"5","plan":"statistics"}"#
    });
    assert_eq!(state(&it), at("0006"));

    assert_eq!(state(it.up("1.4.0")), at("0007"));
    assert_eq!(it.sql("SELECT model_id, plan FROM query_plans"), "1|scan");
    it.get(GATEWAY, "/api/query?model=1");
    assert_eq!(it.sql("SELECT plan, uses FROM query_plans"), "statistics|1");
    assert_eq!(state(it.up("1.5.0")), at("0009"));
    let log = it.log("model-service");
    assert!(log.contains("applying 0008_add_plan_costs (1/2)") && log.contains("[migrate] complete at 0009"), "{log}");
    assert_eq!(it.add("second").0, 201);
    assert_eq!(state(it.up("1.5.1")), at("0009"));
    assert!(!it.log("model-service").contains("applying"));
    assert_eq!(state(it.up("1.10.0")), at("0010"));
    assert!(it.log("model-service").contains("[migrate] 0010_backfill_plans has backfilled a part (10/10)"));

    it.start("2.0.0", &[]);
    assert_eq!(it.ended("model-service"), Some(1));
    assert!(it.log("model-service").contains("`TESSALLITE_PUBLIC_URL` is not set"));
    it.start("2.0.0", &[("TESSALLITE_PUBLIC_URL", "https://models.example.com/")]);
    it.until("the product is healthy", |it| it.get(FRONTEND, "/api/health").0 == 200);
    it.until("users can come in", |it| it.get(GATEWAY, "/healthz").0 == 200);
    assert_eq!(it.add("third"), (201, r#"{"id":3,"link":"https://models.example.com/models/3"}"#.into()));
    assert_eq!(state(&it), at("0011"));

    it.start("1.10.0", &[]);
    assert_eq!(it.ended("model-service"), Some(1));
    assert!(it.log("model-service").contains("[migrate] failed: the database has 0011_add_model_links"));
}

#[test]
fn releases_that_fail_do_so_as_their_notes_say() {
    let mut it = Installation::new("failing");
    it.up("1.4.0");
    for name in ["a", "b", "c", "d"] {
        assert_eq!(it.add(name).0, 201);
    }
    it.start("1.4.2", &[]);
    assert_eq!(it.ended("query-router"), Some(1));

    it.start("1.6.0", &[]);
    assert_eq!(it.ended("model-service"), Some(1));
    let log = it.log("model-service");
    assert!(log.contains("`costs.bin`") && !log.contains("[migrate]"), "{log}");
    it.until("the frontend says what is missing", |it| {
        let (status, health) = it.get(FRONTEND, "/api/health");
        status == 503 && health.contains(r#""status":"unreachable""#) && health.contains(r#""db_migration":"0007""#)
    });

    it.start("1.9.0", &[]);
    it.until("the others are there", |it| it.get(8001, "/api/health").0 == 200);
    assert!(it.log("frontend").contains("themes"));
    assert_eq!(it.get(FRONTEND, "/api/health").0, 0);
    assert_eq!(it.get(GATEWAY, "/api/models").0, 503);

    it.start("1.8.0", &[]);
    assert_eq!(it.ended("model-service"), Some(1));
    assert!(it.log("model-service").contains("[migrate] failed: 0011_move_owners"));
    let half = "SELECT count(*), max(name) FROM schema_migrations";
    assert_eq!(it.sql(half), "10|0010_add_plan_hints");
    assert_eq!(it.sql("SELECT to_regclass('owners') IS NULL"), "t");
    it.start("1.5.1", &[]);
    assert_eq!(it.ended("model-service"), Some(1));
}

#[test]
fn releases_that_are_healthy_and_wrong() {
    let mut it = Installation::new("wrong");
    it.up("1.5.0");
    it.add("a");
    it.add("b");
    assert_eq!(state(&it), at("0009"));
    // The notes of 1.7.0 say 0011.
    assert_eq!(state(it.up("1.7.0")), ("0010".into(), false));
    assert_eq!(it.sql("SELECT count(*) FROM models"), "1");
}

#[test]
fn a_database_that_is_away_and_a_word_to_end() {
    let mut it = Installation::new("away");
    it.up("1.4.0");
    it.cluster.sql("postgres", "ALTER DATABASE away ALLOW_CONNECTIONS false");
    assert_eq!(it.add("lost").0, 503);
    assert_eq!(it.get(GATEWAY, "/api/health").0, 503);
    assert_eq!(it.get(GATEWAY, "/healthz").0, 200);
    it.cluster.sql("postgres", "ALTER DATABASE away ALLOW_CONNECTIONS true");
    it.until("it is back", |it| it.get(GATEWAY, "/api/health").0 == 200);
    assert_eq!(it.add("kept").0, 201);
    let took = it.down();
    assert_eq!(took.len(), 6);
    assert!(took.iter().all(|took| *took < Duration::from_secs(1)), "{took:?}");
}
