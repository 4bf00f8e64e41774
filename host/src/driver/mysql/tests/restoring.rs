//! Putting back what was saved, wherever a step is cut off.

use super::super::session::Flavour;
use super::super::*;
use super::bench::{ADMIN, Bench, is_cut};
use crate::context::Site;

async fn there_and_back(flavour: Flavour, database: &str) {
    let bench = Bench::shop(flavour, database).await;
    let other = format!("{database}_upper");
    bench.root(&[&format!("CREATE DATABASE {other}"), &format!("CREATE TABLE {other}.t (id INT)")]).await;
    let before = bench.manifest().await;
    let marked = bench.driver.fence(&bench.changing("r1-fence")).await.expect("fenced");
    let (artifacts, saved) = bench.driver.save(&bench.changing("r1-backup"), None).await.expect("saved");
    assert_eq!(saved, before, "the fence changes nothing that is saved");
    assert_eq!(marked, bench.driver.mark(&bench.reading()).await.expect("a mark"));
    bench.driver.unfence(&bench.changing("r1-unfence")).await.expect("unfenced");

    bench.migrate().await;
    let migrated = bench.manifest().await;
    assert_ne!(migrated, before);
    bench.driver.put_back(&bench.changing("r1-restore"), &artifacts).await.expect("put back");
    assert_eq!(bench.manifest().await, before);
    assert_eq!(bench.ask("SELECT COUNT(*) FROM a_view").await, "2");
    bench.root(&["INSERT INTO orders VALUES (77, 1, 1, NULL)"]).await;
    assert_eq!(bench.ask("SELECT GROUP_CONCAT(what ORDER BY what) FROM log").await, "order; 77,too");
    let mut session = bench.session(ADMIN, "root").await;
    let refused = session.set("INSERT INTO orders VALUES (78, 555, 1, NULL)").await.expect_err("no such customer");
    assert!(refused.to_string().contains("foreign key"), "{refused}");
    bench.root(&["DELETE FROM orders WHERE id = 77", "DELETE FROM log"]).await;
    assert_eq!(bench.manifest().await, before);
    // The next customer gets the next number.
    assert_eq!(bench.made().await.len(), 1, "what was set aside is kept");

    // Done again it does nothing; what was set aside takes the name again.
    bench.driver.put_back(&bench.changing("r1-restore"), &artifacts).await.expect("again");
    bench.driver.swap(&bench.changing("r2-restore"), "r1-restore").await.expect("swapped");
    assert_eq!(bench.manifest().await, migrated);
    bench.driver.swap(&bench.changing("r2-restore"), "r1-restore").await.expect("again");
    assert_eq!(bench.manifest().await, migrated);
    let gone = bench.driver.swap(&bench.changing("r3-restore"), "r1-restore").await.expect_err("it was moved");
    assert!(matches!(gone, VerbError::NotFound(_)), "{gone}");
    bench.driver.discard(&bench.changing("r3-discard"), "r2-restore").await.expect("discarded");
    bench.driver.discard(&bench.changing("r3-discard"), "r2-restore").await.expect("again");
    assert_eq!(bench.made().await, Vec::<String>::new());
    assert_eq!(
        bench.ask(&format!("SELECT COUNT(*) FROM information_schema.TABLES WHERE TABLE_SCHEMA = '{other}'")).await,
        "1"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_saved_database_comes_back_with_all_that_it_has() {
    there_and_back(Flavour::MariaDb, "back").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_saved_database_comes_back_on_mysql() {
    there_and_back(Flavour::MySql, "back").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drill_restores_beside_and_leaves_nothing() {
    let bench = Bench::shop(Flavour::MariaDb, "drilled").await;
    let (artifacts, saved) = bench.driver.save(&bench.changing("r1-backup"), None).await.expect("saved");
    let cx = bench.drill("r1-drill");
    bench.driver.put_back(&cx, &artifacts).await.expect("put back");
    assert_eq!(bench.driver.manifest(&cx, None).await.expect("a manifest"), saved);
    assert_eq!(bench.manifest().await, saved);
    let Site::Drill { name, .. } = &cx.site else { panic!("it is a drill") };
    let running =
        format!("SELECT COUNT(*) FROM information_schema.EVENTS WHERE STATUS = 'ENABLED' AND EVENT_SCHEMA = '{name}'");
    assert_eq!(bench.ask(&running).await, "0", "no event of a drill runs");
    let app = bench.session("app_drilled", "app").await.text(&format!("SELECT COUNT(*) FROM {name}.customers")).await;
    assert_eq!(app.as_deref(), Ok("3"), "who has rights on the database has them in the drill");

    for _ in 0..2 {
        bench.driver.discard_scratch(&cx, name).await.expect("discarded");
        assert_eq!(bench.made().await, Vec::<String>::new());
        assert_eq!(
            bench.ask(&format!("SELECT COUNT(*) FROM mysql.db WHERE REPLACE(Db, '\\\\', '') = '{name}'")).await,
            "0"
        );
    }
    assert_eq!(bench.manifest().await, saved);
    let refused = bench.driver.discard_scratch(&cx, "drilled").await.expect_err("it is no drill's");
    assert!(matches!(refused, VerbError::Denied(_)), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restore_that_is_cut_off_anywhere_goes_on() {
    let bench = Bench::new(Flavour::MariaDb, "cut").await;
    bench
        .root(&[
            "CREATE TABLE parents (id INT PRIMARY KEY)",
            "CREATE TABLE children (id INT PRIMARY KEY, FOREIGN KEY (id) REFERENCES parents (id))",
            "INSERT INTO parents VALUES (1), (2)",
            "INSERT INTO children VALUES (2)",
            "CREATE VIEW seen AS SELECT id FROM parents",
            "CREATE TRIGGER kept BEFORE INSERT ON children FOR EACH ROW SET NEW.id = NEW.id + 0",
            "CREATE EVENT nightly ON SCHEDULE EVERY 1 DAY STARTS '2030-01-01 00:00:00' DO DO 1",
        ])
        .await;
    let wanted = bench.manifest().await;
    let (artifacts, _) = bench.driver.save(&bench.changing("r1-backup"), None).await.expect("saved");
    bench
        .root(&[
            "DROP VIEW seen",
            "CREATE TABLE newer (id INT)",
            "DELETE FROM children",
            "CREATE VIEW other AS SELECT 1 AS one",
        ])
        .await;
    let migrated = bench.manifest().await;
    // Each needs the tools twice: every fifth is cut off here, and each statement of the flip below.
    let mut cuts = 0;
    loop {
        let step = format!("r{cuts}-restore");
        bench.cut_after(Some(cuts));
        let first = bench.driver.put_back(&bench.changing(&step), &artifacts).await;
        bench.cut_after(None);
        assert!(first.is_ok() || is_cut(&first), "{first:?}");
        bench.driver.put_back(&bench.changing(&step), &artifacts).await.expect("put back");
        assert_eq!(bench.manifest().await, wanted, "after {cuts} statements");
        bench.driver.swap(&bench.changing("r1-again"), &step).await.expect("swapped");
        assert_eq!(bench.manifest().await, migrated, "after {cuts} statements");
        bench.driver.discard(&bench.changing("r1-discard"), "r1-again").await.expect("discarded");
        assert_eq!(bench.made().await, Vec::<String>::new(), "after {cuts} statements");
        if first.is_ok() {
            break;
        }
        cuts += 5;
    }
    assert!(cuts > 20, "{cuts} statements are fewer than a restore has");

    bench.driver.put_back(&bench.changing("r2-restore"), &artifacts).await.expect("put back");
    let (mut last, mut cuts) = ("r2-restore".to_owned(), 0);
    loop {
        let step = format!("r{cuts}-swap");
        bench.cut_after(Some(cuts));
        let first = bench.driver.swap(&bench.changing(&step), &last).await;
        bench.cut_after(None);
        assert!(first.is_ok() || is_cut(&first), "{first:?}");
        bench.driver.swap(&bench.changing(&step), &last).await.expect("swapped");
        let there = if cuts % 2 == 0 { &migrated } else { &wanted };
        assert_eq!(bench.manifest().await, *there, "after {cuts} statements");
        assert_eq!(bench.made().await.len(), 1, "after {cuts} statements");
        last = step;
        if first.is_ok() {
            break;
        }
        cuts += 1;
    }
    assert!(cuts > 10, "{cuts} statements are fewer than a flip has");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_what_was_saved_never_takes_the_live_name() {
    let bench = Bench::shop(Flavour::MariaDb, "damaged").await;
    let (artifacts, saved) = bench.driver.save(&bench.changing("r1-backup"), None).await.expect("saved");
    let manifest = format!("{}{}", artifacts[0], crate::vault::MANIFEST_SUFFIX);
    let changed = saved.replace("rows customers\t3", "rows customers\t4");
    assert_ne!(changed, saved);
    bench.driver.vault.save_bytes(&manifest, changed.as_bytes()).expect("saved");
    let error = bench.driver.put_back(&bench.changing("r1-restore"), &artifacts).await.expect_err("it differs");
    assert!(error.to_string().contains("rows customers"), "{error}");
    assert_eq!(bench.manifest().await, saved);
    for wrong in [&artifacts[..1], &["shop/none/main/x.tables.sql".to_owned(), artifacts[1].clone()][..]] {
        bench.driver.put_back(&bench.changing("r2-restore"), wrong).await.expect_err("there is no such backup");
    }
}
