//! Nobody writes behind a fence unnoticed, and nobody else is accused.

use super::bench::Bench;
use super::rich;
use crate::fence::{fence, mark, unfence};
use scratch_postgres::{Cluster, SUPERUSER};
use std::process::Stdio;
use std::sync::Arc;

fn fence_of(bench: &Bench) -> String {
    fence(&bench.host("r1-fence"), &bench.names("r1-fence")).expect("fenced")
}

fn mark_of(bench: &Bench) -> String {
    mark(&bench.host("r1-seal"), &bench.names("r1-seal")).expect("marked")
}

fn unfence_of(bench: &Bench) {
    unfence(&bench.host("r1-unfence"), &bench.names("r1-unfence")).expect("open");
}

#[test]
fn a_closed_database_lets_nobody_in_and_its_mark_stands_still() {
    for bench in [
        Bench::on(Arc::new(Cluster::start()), "shut", SUPERUSER),
        Bench::on(Arc::new(Cluster::start()), "shut", "shut_app"),
    ] {
        rich(&bench);
        let mut lingering = bench
            .cluster
            .psql("shut_app", "shut")
            .args(["-c", "SELECT pg_sleep(600)"])
            .stderr(Stdio::null())
            .spawn()
            .expect("psql");
        let first = fence_of(&bench);
        assert!(!lingering.wait().expect("ended").success());
        for role in ["shut_app", SUPERUSER] {
            let refused = bench.cluster.try_sql(role, "shut", "SELECT 1").expect_err("shut");
            assert!(refused.contains("not currently accepting connections"), "{refused}");
        }
        // Others go on, vacuum goes on, the server crashes and comes again: nobody wrote here.
        bench.server_sql("CREATE DATABASE busy");
        bench.cluster.sql("busy", "CREATE TABLE t AS SELECT generate_series(1, 1000)");
        bench.server_sql("VACUUM FREEZE pg_database");
        assert_eq!((mark_of(&bench), fence_of(&bench)), (first.clone(), first.clone()));
        bench.cluster.crash();
        assert_eq!((mark_of(&bench), fence_of(&bench)), (first.clone(), first.clone()));
        assert!(bench.as_app("SELECT 1").is_err());

        // Somebody lifted the fence, wrote, and put it back.
        bench.server_sql("ALTER DATABASE shut ALLOW_CONNECTIONS true");
        bench.as_app("INSERT INTO hot VALUES (2)").expect("written");
        assert_ne!(fence_of(&bench), first);
        unfence_of(&bench);
        unfence_of(&bench);
        bench.as_app("INSERT INTO hot VALUES (3)").expect("open again");
    }
}

#[test]
fn a_limited_database_shows_what_a_superuser_writes_and_nothing_else() {
    let bench = Bench::on(Arc::new(Cluster::start()), "limited", SUPERUSER);
    rich(&bench);
    bench.server_sql("ALTER DATABASE limited CONNECTION LIMIT 7");
    bench.sql("SELECT pg_create_logical_replication_slot('s', 'test_decoding')");
    let first = fence_of(&bench);
    assert!(bench.as_app("SELECT 1").is_err());
    for harmless in ["SELECT count(*) FROM ledger.entry", "ANALYZE", "VACUUM FREEZE", "CHECKPOINT"] {
        bench.sql(harmless);
    }
    bench.server_sql("CREATE DATABASE busy");
    bench.cluster.sql("busy", "CREATE TABLE t AS SELECT generate_series(1, 1000)");
    assert_eq!((mark_of(&bench), fence_of(&bench)), (first.clone(), first.clone()));
    bench.cluster.restart();
    assert_eq!(mark_of(&bench), first);
    assert!(bench.as_app("SELECT 1").is_err());

    let mut last = first;
    for write in [
        "UPDATE ledger.entry SET status = 'old' WHERE id = 1",
        "DELETE FROM hot",
        "SELECT nextval('tally')",
        "TRUNCATE hot",
        "CREATE INDEX ON hot (x)",
        "ALTER TABLE hot ADD y int",
        "SELECT lo_put(4711, 0, 'x')",
        "GRANT SELECT ON hot TO pg_monitor",
        "INSERT INTO ledger.part VALUES (1, 'x')",
    ] {
        bench.sql(write);
        let moved = mark_of(&bench);
        assert_ne!(moved, last, "{write}");
        last = moved;
    }
    unfence_of(&bench);
    bench.as_app("SELECT 1").expect("open");
    let limit = bench.server_sql(
        "SELECT datconnlimit || ' ' || (SELECT count(*) FROM pg_db_role_setting WHERE setdatabase = d.oid) \
        FROM pg_database d WHERE datname = 'limited'",
    );
    assert_eq!(limit, "7 0");
}

#[test]
fn a_superuser_in_the_midst_of_a_write_is_noticed() {
    let bench = Bench::on(Arc::new(Cluster::start()), "guest", SUPERUSER);
    bench.sql("CREATE TABLE t (x int)");
    bench.sql("SELECT pg_create_logical_replication_slot('s', 'test_decoding')");
    let first = fence_of(&bench);
    let mut guest = bench
        .cluster
        .psql(SUPERUSER, "guest")
        .args(["-c", "BEGIN; INSERT INTO t VALUES (1); SELECT pg_sleep(600)"])
        .stderr(Stdio::null())
        .spawn()
        .expect("psql");
    let writing = "SELECT count(*) FROM pg_stat_activity WHERE datname = 'guest' AND backend_xid IS NOT NULL";
    while bench.server_sql(writing) == "0" {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    assert_ne!(mark_of(&bench), first);
    // The fence ends it, and what it had begun is gone.
    fence_of(&bench);
    assert!(!guest.wait().expect("ended").success());
    assert_eq!(bench.sql("SELECT count(*) FROM t"), "0");
}

#[test]
fn what_is_prepared_and_undecided_is_no_quiet_database() {
    let bench = Bench::on(Arc::new(Cluster::start()), "undecided", SUPERUSER);
    bench.sql("CREATE TABLE t (x int)");
    bench.sql("BEGIN; INSERT INTO t VALUES (1); PREPARE TRANSACTION 'x'");
    let refused = fence(&bench.host("r1-fence"), &bench.names("r1-fence")).expect_err("refused");
    assert!(refused.text().contains("prepared transactions"), "{}", refused.text());
    assert!(bench.as_app("SELECT 1").is_ok());
}
