//! What is wrong is named before anything is promised, and what differs shows in the manifest.

use super::super::session::Flavour;
use super::super::*;
use super::bench::{ADMIN, Bench, PASSWORD};

async fn problems(bench: &Bench, driver: &Mysql) -> Vec<String> {
    driver.check(&bench.reading()).await.expect("checked")
}

async fn wrong_is_named(flavour: Flavour, database: &str) {
    let bench = Bench::shop(flavour, database).await;
    let account = bench.account.clone();
    assert_eq!(problems(&bench, &bench.driver).await, Vec::<String>::new(), "the documented rights are enough");

    assert_eq!(
        problems(&bench, &bench.as_user(ADMIN, "root", database)).await,
        Vec::<String>::new(),
        "all rights are too"
    );

    let found = problems(&bench, &bench.as_user(&account, "wrong", database)).await;
    assert!(found.len() == 1 && found[0].contains("refuses") && found[0].contains("Access denied"), "{found:?}");
    let found = problems(&bench, &bench.as_user(&account, PASSWORD, &format!("{database}_up_none"))).await;
    assert!(found.len() == 1 && found[0].contains("no database"), "{found:?}");
    let found = problems(&bench, &bench.as_user(ADMIN, "root", "mysql")).await;
    assert!(found.len() == 1 && found[0].contains("the server's own"), "{found:?}");

    let found = problems(&bench, &bench.as_user(&format!("app_{database}"), "app", database)).await;
    let of = |what: &str| found.iter().any(|line| line.contains(what));
    assert!(of("LOCK TABLES") && of("SHOW VIEW") && of("TRIGGER") && of("EVENT"), "{found:?}");
    assert!(of(&format!("{}\\_up\\_%", database.replace('_', "\\_"))) && of("upgraded\\_drill\\_%"), "{found:?}");
    assert!(of("CREATE USER") && of("PROCESS") && of("mysql.*"), "{found:?}");
    assert!(
        !found
            .iter()
            .any(|line| line.contains("lacks SELECT, INSERT") && line.contains(&format!("databases `{database}`"))),
        "{found:?}"
    );

    bench.root(&["DROP FUNCTION doubled"]).await;
    let found = problems(&bench, &bench.driver).await;
    assert!(found.iter().any(|line| line.contains("the view `z_base` can't be used")), "{found:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_is_named() {
    wrong_is_named(Flavour::MariaDb, "wrong").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_is_named_on_mysql() {
    wrong_is_named(Flavour::MySql, "wrong").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_would_be_lost_is_named() {
    let bench = Bench::new(Flavour::MariaDb, "lost").await;
    bench
        .root(&[
            "CREATE TABLE kept (id INT PRIMARY KEY) WITH SYSTEM VERSIONING",
            "CREATE TABLE here (id INT PRIMARY KEY)",
            "CREATE TABLE part (id INT) ENGINE=MyISAM",
            "CREATE TABLE parts (id INT) ENGINE=MERGE UNION=(part)",
            "CREATE DATABASE lost_neighbour",
            "CREATE TABLE lost_neighbour.there (id INT PRIMARY KEY, FOREIGN KEY (id) REFERENCES lost.here (id))",
        ])
        .await;
    let found = problems(&bench, &bench.driver).await;
    assert!(found.iter().any(|line| line.contains("`kept` is system-versioned")), "{found:?}");
    assert!(found.iter().any(|line| line.contains("`lost_neighbour/there`")), "{found:?}");
    assert!(found.iter().any(|line| line.contains("`parts` is of the engine")), "{found:?}");
    assert!(!found.iter().any(|line| line.contains("`part` is of the engine")), "{found:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_difference_shows_in_the_manifest() {
    let bench = Bench::shop(Flavour::MariaDb, "differs").await;
    let mut last = bench.manifest().await;
    assert_eq!(bench.manifest().await, last);
    bench.root(&["INSERT INTO customers (name) VALUES ('gone')", "DELETE FROM customers WHERE name = 'gone'"]).await;
    assert_eq!(bench.manifest().await, last, "the next number is no content");
    for change in [
        "UPDATE kinds SET t = NULL WHERE id = 2",
        "UPDATE kinds SET b = NULL WHERE id = 2",
        "UPDATE kinds SET d = d * 2 WHERE id = 1",
        "UPDATE kinds SET g = ST_GeomFromText('POINT(2 1)') WHERE id = 1",
        "UPDATE kinds SET j = '{}' WHERE id = 1",
        // The same text for both, were values not told apart.
        "INSERT INTO log VALUES ('a'), ('a')",
        "INSERT INTO log VALUES ('a'), ('a')",
        "ALTER TABLE log COMMENT 'new'",
        "ALTER VIEW a_view AS SELECT twice FROM z_base WHERE id > 2",
        "ALTER EVENT never ENABLE",
        "DROP TRIGGER noted_too",
        "DROP PROCEDURE tidy",
        "REVOKE DELETE ON differs.* FROM 'app_differs'@'%'",
        "ALTER DATABASE differs COLLATE utf8mb4_bin",
    ] {
        bench.root(&[change]).await;
        let now = bench.manifest().await;
        assert_ne!(now, last, "{change}");
        last = now;
    }
}
