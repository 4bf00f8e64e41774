//! Somebody wants to write while the daemon works.

use std::process::Stdio;
use upgraded_tests::{Cut, Daemon, Graph, Install, outcome};

/// The daemon dies with the fence up, as the copy is about to be made.
fn dies_fenced(graph: &Graph, version: &str) {
    let daemon = Daemon::start(graph).settled();
    graph.cut_at(Cut::Started("freeze-main"));
    graph.edit_version(version);
    daemon.dies();
    graph.no_cut();
}

#[test]
fn a_writer_is_kept_out_while_the_fence_stands_and_writes_again_after_the_rollback() {
    let graph = Graph::new(&Install::default());
    let before = graph.data();
    // Somebody's own session, from before.
    let mut session = graph
        .cluster
        .psql(&graph.role(), &graph.database)
        .args(["-c", "SELECT pg_sleep(3600)"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("psql");
    dies_fenced(&graph, "1.7.0");

    assert!(!session.wait().expect("psql ended").success(), "the session of before was ended");
    for role in [graph.role(), scratch_postgres::SUPERUSER.to_owned()] {
        let write = graph.cluster.try_sql(&role, &graph.database, "DELETE FROM events");
        let refused = write.expect_err("nobody gets in");
        assert!(refused.contains("not currently accepting connections"), "{refused}");
    }

    let mut daemon = Daemon::start(&graph);
    let now = daemon.end_of_run_to("1.7.0");
    assert_eq!(outcome(&now), "rolled-back", "{now:#}");
    graph.is_whole("1.1.0", Some(&before));
    graph.append("after-the-rollback");
    let written = graph.as_app("DELETE FROM events WHERE workflow = 'after-the-rollback' RETURNING 1");
    assert_eq!(written, Ok("1".into()), "the writer of before gets in again");
}

/// A mark that moved turns the run round: what was frozen is no longer what the users had.
#[test]
fn who_lifts_the_fence_and_writes_turns_the_run_round_and_keeps_what_was_written() {
    let graph = Graph::new(&Install::default());
    dies_fenced(&graph, "1.2.0");
    let database = &graph.database;
    graph.server_sql(&format!("ALTER DATABASE {database} ALLOW_CONNECTIONS true"));
    graph.as_app("UPDATE events SET decided_by = 'somebody in a hurry' WHERE id = 1").expect("written");
    graph.server_sql(&format!("ALTER DATABASE {database} ALLOW_CONNECTIONS false"));

    let mut daemon = Daemon::start(&graph);
    let now = daemon.end_of_run_to("1.2.0");
    assert_eq!(outcome(&now), "rolled-back", "{now:#}");
    let why = now["last_run"]["outcome"]["why"].as_str().unwrap_or_default();
    assert!(why.contains("somebody wrote to `main` while it was fenced"), "{why}");
    graph.is_whole("1.1.0", None);
    assert_eq!(graph.sql("SELECT decided_by FROM events WHERE id = 1"), "somebody in a hurry");
}
