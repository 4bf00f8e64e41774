//! Saving, while somebody writes.

use super::super::session::Flavour;
use super::bench::{ADMIN, Bench};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

pub const PAIR: &[&str] = &[
    "CREATE TABLE a (id INT PRIMARY KEY AUTO_INCREMENT, x INT)",
    "CREATE TABLE b (id INT PRIMARY KEY AUTO_INCREMENT, x INT)",
];

/// Writes to both tables in one transaction, again and again, until it is told to stop.
pub async fn writing(bench: &Bench) -> (Arc<AtomicBool>, tokio::task::JoinHandle<u64>) {
    let stop = Arc::new(AtomicBool::new(false));
    let (told, mut session) = (stop.clone(), bench.session(ADMIN, "root").await);
    let task = tokio::spawn(async move {
        let mut written = 0;
        while !told.load(Ordering::Relaxed) {
            for sql in ["START TRANSACTION", "INSERT INTO a (x) VALUES (1)", "INSERT INTO b (x) VALUES (1)", "COMMIT"] {
                session.set(sql).await.expect("written");
            }
            written += 1;
        }
        written
    });
    (stop, task)
}

fn rows<'a>(manifest: &'a str, table: &str) -> &'a str {
    let of = format!("rows {table}\t");
    manifest
        .lines()
        .find_map(|line| line.strip_prefix(&of))
        .expect("the table's line")
        .split('\t')
        .next()
        .expect("a count")
}

async fn saved_while_written(flavour: Flavour, database: &str) {
    let bench = Bench::new(flavour, database).await;
    bench.root(PAIR).await;
    let (stop, task) = writing(&bench).await;
    let saved = bench.driver.save(&bench.changing("r1-backup"), None).await;
    stop.store(true, Ordering::Relaxed);
    let written = task.await.expect("no panic");
    let (artifacts, manifest) = saved.expect("saved");
    assert_eq!(rows(&manifest, "a"), rows(&manifest, "b"), "a moment between two transactions");
    assert!(written > rows(&manifest, "a").parse().expect("a number"), "writing went on after that moment");
    // Which compares what was saved with this manifest.
    bench.driver.put_back(&bench.changing("r1-restore"), &artifacts).await.expect("put back");
    assert_eq!(bench.manifest().await, manifest);
}

#[tokio::test(flavor = "multi_thread")]
async fn manifest_and_bytes_are_of_one_moment() {
    saved_while_written(Flavour::MariaDb, "moment").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn manifest_and_bytes_are_of_one_moment_on_mysql() {
    saved_while_written(Flavour::MySql, "moment").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_right_to_lock_nothing_is_saved_that_changed_meanwhile() {
    let bench = Bench::new(Flavour::MariaDb, "unlocked").await;
    bench.root(PAIR).await;
    bench.root(&["REVOKE RELOAD ON *.* FROM 'up_unlocked'@'%'"]).await;
    let cx = bench.changing("r1-backup");
    let (_, manifest) = bench.driver.save(&cx, None).await.expect("nobody writes");
    assert_eq!(manifest, bench.manifest().await);
    assert!(cx.activity.tail().iter().any(|line| line.contains("manifest is taken twice")), "{:?}", cx.activity.tail());

    let (stop, task) = writing(&bench).await;
    let error = bench.driver.save(&bench.changing("r2-backup"), None).await.expect_err("somebody writes");
    stop.store(true, Ordering::Relaxed);
    task.await.expect("no panic");
    assert!(error.to_string().contains("GRANT RELOAD"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_database_and_tables_without_transactions_are_saved_too() {
    let bench = Bench::new(Flavour::MariaDb, "plainer").await;
    let (artifacts, manifest) = bench.driver.save(&bench.changing("r1-backup"), None).await.expect("saved");
    bench
        .root(&[
            "CREATE TABLE t (x FLOAT) ENGINE=MyISAM",
            "CREATE SEQUENCE s START WITH 5",
            "DO NEXTVAL(s)",
            "INSERT INTO t VALUES (1.23456789), (-3.4e-38), (16777217)",
        ])
        .await;
    let (filled, full) = bench.driver.save(&bench.changing("r2-backup"), None).await.expect("saved");
    bench.driver.put_back(&bench.changing("r1-restore"), &artifacts).await.expect("put back");
    assert_eq!(bench.manifest().await, manifest);
    bench.driver.put_back(&bench.changing("r2-restore"), &filled).await.expect("put back");
    assert_eq!(bench.manifest().await, full);
    assert_eq!(bench.ask("SELECT COUNT(*) FROM t WHERE x * 1e0 = 1.2345678806304932").await, "1", "all its digits");
    assert_eq!(bench.ask("SELECT NEXTVAL(s) > 5").await, "1", "a sequence goes on");
}
