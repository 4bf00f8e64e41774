//! Somebody wants to write while the daemon works.

use crate::run_to;
use std::process::Stdio;
use upgraded_tests::{Daemon, Graph, Install, outcome};

/// The daemon dies with the fence up, at the record after which the copy would be made.
fn dies_fenced(graph: &Graph, version: &str) {
    let mut daemon = Daemon::start(graph).settled();
    let number = record_of(graph, &mut daemon);
    graph.edit_version("1.1.0");
    daemon
        .wait("the file and the product agree again", |now| now["wanted"] == "1.1.0" && now["state"]["kind"] == "idle");
    daemon.stop();
    let daemon = Daemon::start_with(graph, &[("UPGRADED_FAILPOINT", &format!("record:{number}"))]).settled();
    graph.edit_version(version);
    daemon.dies();
}

/// The number of the freeze's first record, from a run that was cut by nobody.
fn record_of(graph: &Graph, daemon: &mut Daemon) -> u32 {
    run_to(daemon, "1.3.0", "rolled-back");
    let sql = "SELECT number + 1 FROM records WHERE run = 1 AND body LIKE '%\"started\"%\"freeze-main\"%'";
    graph.journal().query_row(sql, [], |row| row.get(0)).expect("the freeze began")
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
