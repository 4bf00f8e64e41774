//! Releases that are no good, and the narrowest way back that helps.

use crate::{done, failure, place, run_to};
use upgraded_tests::{Daemon, Graph, Install, Role, kind, last_run, outcome};

/// "A narrower recovery path can be: revert to the previous code version, start the runtime, rebuild affected
/// projections, verify health and digests"
#[test]
fn wrong_projections_are_rebuilt_and_the_data_stays() {
    let graph = Graph::new(&Install::default());
    let (before, database) = (graph.data(), graph.database_id());
    let mut daemon = Daemon::start(&graph).settled();
    let run = run_to(&mut daemon, "1.3.0", "rolled-back");
    let (step, why) = failure(&run);
    assert_eq!(step, "h0-verify", "the product's own check finds it, behind the gate");
    assert!(why.contains("/api/v1/projections/health` is answered with 503"), "{why}");
    let back: Vec<&str> =
        done(&run).into_iter().filter(|step| step.starts_with('b')).filter(|s| !s.starts_with("backup")).collect();
    assert!(back.contains(&"b0-rebuild-main") && back.contains(&"b0-admit-back-main"), "{back:?}");
    assert!(!back.iter().any(|step| step.contains("restore") || step.starts_with("b1")), "no wider way: {back:?}");
    assert_eq!(graph.database_id(), database, "the very same database");
    graph.is_whole("1.1.0", Some(&before));
    assert_eq!(kind(&daemon.now()), "quarantined");
}

#[test]
fn where_a_rebuild_does_not_help_the_data_goes_back() {
    let graph = Graph::new(&Install::default());
    let (before, database) = (graph.data(), graph.database_id());
    let mut daemon = Daemon::start(&graph).settled();
    let run = run_to(&mut daemon, "1.10.0", "rolled-back");
    let back = done(&run);
    let place = |step: &str| place(&back, step);
    assert!(place("b0-rebuild-main") < place("b0-verify-back"));
    assert!(place("b0-verify-back") < place("b1-restore-main"), "first the narrower way: {back:?}");
    assert!(!back.contains(&"b0-admit-back-main"), "nobody was let in to what was not verified: {back:?}");
    assert_ne!(graph.database_id(), database, "the frozen copy took the name");
    graph.is_whole("1.1.0", Some(&before));
}

/// "Do not use this shortcut when the database migration itself is suspect."
fn goes_back_with_its_data(graph: &Graph, version: &str) -> serde_json::Value {
    let before = graph.data();
    let mut daemon = Daemon::start(graph).settled();
    let run = run_to(&mut daemon, version, "rolled-back");
    let back = done(&run);
    assert!(back.contains(&"b0-restore-main") && back.contains(&"b0-compare-back-main"), "{back:?}");
    assert!(!back.iter().any(|step| step.contains("rebuild")), "{back:?}");
    graph.is_whole(graph.version(), Some(&before));
    daemon.stop();
    run
}

#[test]
fn a_migration_that_fails_half_way_leaves_no_trace() {
    let graph = Graph::new(&Install::default());
    let run = goes_back_with_its_data(&graph, "1.5.0");
    let (step, why) = failure(&run);
    assert_eq!(step, "h0-apply-main-0", "the command itself fails");
    assert!(why.contains("constraint \"decided_by\" is violated"), "what it said is told: {why}");
    assert_eq!(graph.sql("SELECT to_regclass('labels') IS NULL"), "t", "the first migration is gone too");
    // It is set aside, for whoever wants to know.
    let aside = graph.copy_of(&format!("r{}-b0-restore-main", run["id"]));
    assert!(graph.copies().contains(&aside), "{aside}: {:?}", graph.copies());
}

/// Nothing but the new version's own verification notices: what the migration left is consistent with its schema.
#[test]
fn a_migration_that_loses_events_is_found_by_verification() {
    let graph = Graph::new(&Install::default());
    let run = goes_back_with_its_data(&graph, "1.7.0");
    let (step, why) = failure(&run);
    assert_eq!(step, "h0-verify");
    assert!(why.contains("/api/v1/admin/replays` is answered with 409"), "{why}");
    assert!(why.contains("does not follow from the one before it"), "{why}");
}

#[test]
fn a_release_that_crashes_at_start_goes_back_by_code_alone() {
    let policy = "drill = \"off\"\nidle = \"10s\"\n".into();
    let graph = Graph::new(&Install { policy, ..Install::default() });
    let (before, database) = (graph.data(), graph.database_id());
    let mut daemon = Daemon::start(&graph).settled();
    let run = run_to(&mut daemon, "1.6.0", "rolled-back");
    let (step, why) = failure(&run);
    assert_eq!(step, "h0-apply-main-1", "the wave that starts it: {why}");
    assert!(why.contains("could not start application decisiongraph"), "what it said is told: {why}");
    let back = done(&run);
    assert!(!back.iter().any(|step| step.contains("rebuild") || step.contains("restore")), "{back:?}");
    assert_eq!(graph.database_id(), database);
    graph.is_whole("1.1.0", Some(&before));
}

#[test]
fn a_rollback_by_hand_says_what_it_sets_aside_and_keeps_it() {
    let graph = Graph::new(&Install { version: "1.0.0", ..Install::default() });
    let before = graph.data();
    let mut daemon = Daemon::start(&graph).settled();
    let run = run_to(&mut daemon, "1.1.0", "committed");
    graph.append("written-since");

    let (asked, code) = daemon.upgradectl(&["rollback", &graph.name]);
    assert_ne!(code, Some(0), "it asks first: {asked:#}");
    let admitted = run["steps"].as_array().expect("steps").iter().find(|step| step["id"] == "admit-main");
    assert_eq!(asked["writes_since"], admitted.expect("users were let in")["started_at"], "{asked:#}");
    assert_eq!(asked["to"], "1.0.0");
    graph.is_whole("1.1.0", None);

    daemon.told(&["rollback", &graph.name, "--yes"]);
    let now = daemon.end_of_run_after(run["id"].as_u64().expect("an id"));
    assert_eq!(outcome(&now), "rolled-back", "{now:#}");
    let now = daemon.wait("nothing is left to do", |now| kind(now) == "idle");
    assert_eq!((&now["installed"], &now["wanted"]), (&"1.0.0".into(), &"1.0.0".into()), "{now:#}");
    graph.is_whole("1.0.0", Some(&before));
    assert_eq!(graph.sql("SELECT count(*) FROM events WHERE workflow = 'written-since'"), "0");

    let aside = graph.copy_of(&format!("r{}-b0-restore-main", last_run(&now)));
    assert!(graph.copies().contains(&aside), "{aside}: {:?}", graph.copies());
    graph.server_sql(&format!("ALTER DATABASE {aside} ALLOW_CONNECTIONS true CONNECTION LIMIT -1"));
    let kept = graph.cluster.sql(&aside, "SELECT count(*) FROM events WHERE workflow = 'written-since'");
    assert_eq!(kept, "1", "what the user wrote is set aside, whole");
    graph.server_sql(&format!("ALTER DATABASE {aside} ALLOW_CONNECTIONS false"));
}

/// A logical slot would stay with the copy: there is none, and the backup is whole before anything is applied.
#[test]
fn without_a_frozen_copy_the_final_backup_is_whole_first_and_comes_back_from_the_vault() {
    let graph = Graph::new(&Install { role: Role::Superuser, ..Install::default() });
    graph.sql(&format!("SELECT pg_create_logical_replication_slot('{}', 'test_decoding')", graph.database));
    let run = goes_back_with_its_data(&graph, "1.7.0");
    let steps = done(&run);
    let place = |step: &str| place(&steps, step);
    assert!(place("backup-final-main") < place("h0-apply-main-0"), "{steps:?}");
    assert!(place("backup-final-main") < place("b0-restore-main"), "{steps:?}");
    assert!(!steps.contains(&"backup-late-main"), "{steps:?}");
    let frozen = graph.copy_of(&format!("r{}-freeze-main", run["id"]));
    assert!(!graph.copies().contains(&frozen), "there was no frozen copy: {:?}", graph.copies());
    let drop = format!("SELECT pg_drop_replication_slot('{}')", graph.database);
    graph.server_sql(&drop);
}
