//! A copy beside, wherever it is cut off: what is put in place, saved later and let go.

use super::super::session::Flavour;
use super::super::*;
use super::bench::{Bench, is_cut};
use super::saving::{PAIR, writing};
use std::sync::atomic::Ordering;

async fn frozen_and_back(flavour: Flavour, database: &str) {
    let bench = Bench::shop(flavour, database).await;
    let before = bench.manifest().await;
    bench.driver.fence(&bench.changing("r1-fence")).await.expect("fenced");
    let cx = bench.changing("r1-freeze");
    for _ in 0..2 {
        assert_eq!(bench.driver.freeze(&cx).await, Ok(true), "{:?}", cx.activity.tail());
    }
    let said = cx.activity.tail().join("\n");
    // The one with words to search is not exported.
    assert!(said.contains("5 tables are copied as files, 1 row by row"), "{said}");
    let folders = bench.machine.folders(database);
    let left = folders.iter().flat_map(|(_, files)| files).find(|file| file.ends_with(".cfg"));
    assert!(folders.len() > 1 && left.is_none(), "what an export wrote is gone: {folders:?}");
    let frozen = Some("r1-freeze");
    assert_eq!(bench.driver.manifest(&bench.reading(), frozen).await.as_deref(), Ok(&*before));
    bench.driver.unfence(&bench.changing("r1-unfence")).await.expect("unfenced");

    bench.migrate().await;
    let migrated = bench.manifest().await;
    let (artifacts, saved) = bench.driver.save(&bench.changing("r1-backup"), frozen).await.expect("saved");
    assert_eq!(saved, before, "the backup is of the copy");
    bench.driver.swap(&bench.changing("r1-restore"), "r1-freeze").await.expect("swapped");
    assert_eq!(bench.manifest().await, before);
    bench.root(&["INSERT INTO customers (name) VALUES ('Eve')"]).await;
    assert_eq!(bench.ask("SELECT MAX(id) FROM customers").await, "10", "the next customer gets the next number");

    bench.driver.put_back(&bench.changing("r2-restore"), &artifacts).await.expect("put back");
    assert_eq!(bench.manifest().await, before);
    bench.driver.swap(&bench.changing("r3-restore"), "r1-restore").await.expect("swapped");
    assert_eq!(bench.manifest().await, migrated);
    for step in ["r2-restore", "r3-restore"] {
        bench.driver.discard(&bench.changing("r3-discard"), step).await.expect("discarded");
    }
    assert_eq!(bench.made().await, Vec::<String>::new());
    let gone = bench.driver.manifest(&bench.reading(), frozen).await;
    assert!(matches!(gone, Err(VerbError::NotFound(_))), "{gone:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_database_comes_back_with_all_that_it_has() {
    frozen_and_back(Flavour::MariaDb, "frozen").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_database_comes_back_on_mysql() {
    frozen_and_back(Flavour::MySql, "frozen").await;
}

async fn cut_off(flavour: Flavour, database: &str) {
    let bench = Bench::new(flavour, database).await;
    bench
        .root(&[
            "CREATE TABLE parents (id INT PRIMARY KEY, t TEXT, KEY t (t(9)))",
            "CREATE TABLE children (id INT PRIMARY KEY, FOREIGN KEY (id) REFERENCES parents (id))",
            "CREATE TABLE words (t TEXT, FULLTEXT KEY (t))",
            "INSERT INTO parents VALUES (1, 'one'), (2, 'two')",
            "INSERT INTO children VALUES (2)",
            "INSERT INTO words VALUES ('three')",
        ])
        .await;
    let wanted = bench.manifest().await;
    let mut cuts = 0;
    loop {
        let step = format!("r{cuts}-freeze");
        bench.cut_after(Some(cuts));
        let first = bench.driver.freeze(&bench.changing(&step)).await;
        bench.cut_after(None);
        assert!(first == Ok(true) || is_cut(&first), "{first:?}");
        // What was cut off goes, or is done anew.
        if cuts % 2 == 0 {
            bench.driver.discard(&bench.changing("r1-discard"), &step).await.expect("discarded");
            assert_eq!(bench.made().await, Vec::<String>::new(), "after {cuts} statements");
            assert_eq!(bench.machine.folders(database).len(), 1, "after {cuts} statements");
        }
        let cx = bench.changing(&step);
        assert_eq!(bench.driver.freeze(&cx).await, Ok(true), "after {cuts} statements: {:?}", cx.activity.tail());
        let found = bench.driver.manifest(&bench.reading(), Some(&step)).await;
        assert_eq!(found.as_deref(), Ok(&*wanted), "after {cuts} statements");
        bench.driver.discard(&bench.changing("r1-discard"), &step).await.expect("discarded");
        assert_eq!(bench.made().await, Vec::<String>::new(), "after {cuts} statements");
        if first.is_ok() {
            break;
        }
        cuts += 1;
    }
    assert!(cuts > 10, "{cuts} statements are fewer than a copy needs");
    assert_eq!(bench.manifest().await, wanted);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_is_cut_off_anywhere_is_made_anew() {
    cut_off(Flavour::MariaDb, "half").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_is_cut_off_anywhere_is_made_anew_on_mysql() {
    cut_off(Flavour::MySql, "half").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_written_to_meanwhile_is_no_copy() {
    let bench = Bench::new(Flavour::MariaDb, "restless").await;
    bench.root(PAIR).await;
    let (stop, task) = writing(&bench).await;
    let cx = bench.changing("r1-freeze");
    let frozen = bench.driver.freeze(&cx).await;
    stop.store(true, Ordering::Relaxed);
    task.await.expect("no panic");
    assert_eq!(frozen, Ok(false));
    let said = cx.activity.tail().join("\n");
    assert!(said.contains("no copy of `restless` beside: conflict: it was written to while it was copied"), "{said}");
    assert_eq!(bench.made().await, Vec::<String>::new());
}
