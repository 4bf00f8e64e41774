//! A drill in a double of the server.

use super::super::double::client;
use super::super::session::{Flavour, Session};
use super::super::*;
use super::bench::Bench;

/// The double has the live one's accounts, whatever its image makes.
#[tokio::test(flavor = "multi_thread")]
async fn a_double_takes_a_backup_under_the_live_name() {
    let bench = Bench::shop(Flavour::MySql, "doubled").await;
    let (artifacts, saved) = bench.driver.save(&bench.changing("r1-backup"), None).await.expect("saved");
    let step = "r1-drill-main";
    let cx = bench.drill(step);
    let server = bench.driver.bound_server().expect("granted");
    let double = server.start_double(&cx, 0).await.expect("a double");
    let there = bench.in_double(step, &double);
    let furnished = bench.driver.furnish_double(&cx, &double).await;
    furnished.expect("our account reaches the double");
    bench.driver.put_back(&there, &artifacts).await.expect("put back");
    assert_eq!(bench.driver.manifest(&there, None).await.expect("a manifest"), saved, "grants and definers as well");
    assert_eq!(bench.made().await, Vec::<String>::new(), "nothing of it is on the live server");
    let live = bench.machine.container().await;
    let not_ours = bench.in_double(step, &live);
    let refused = bench.driver.manifest(&not_ours, None).await.expect_err("a live container is no double");
    assert!(matches!(refused, VerbError::Denied(_)), "{refused}");

    for _ in 0..2 {
        server.discard_double(step).await.expect("discarded");
        let gone = bench.driver.manifest(&there, None).await.expect_err("it is gone");
        assert!(matches!(gone, VerbError::Unavailable(_)), "{gone}");
    }
    assert_eq!(bench.manifest().await, saved);
}

/// A server that stands in for the live one lets in whom that lets in, with the same roles.
async fn lets_in_the_same(flavour: Flavour, database: &str) {
    let bench = Bench::shop(flavour, database).await;
    let (role, guest) = (format!("role_{database}"), format!("guest_{database}"));
    bench
        .root(&[
            &format!("CREATE ROLE {role}"),
            &format!("CREATE USER {guest}@'%' IDENTIFIED BY 'gu\\'est'"),
            &format!("GRANT {role} TO {guest}@'%'"),
            &format!("CREATE USER barred_{database}@'%' IDENTIFIED BY 'x' ACCOUNT LOCK"),
        ])
        .await;
    let step = format!("r1-drill-{database}");
    let cx = bench.drill(&step);
    let server = bench.driver.bound_server().expect("granted");
    let double = server.start_double(&cx, 0).await.expect("a double");
    let accounts = bench.driver.accounts_with_passwords(&bench.reading()).await.expect("the accounts");
    for _ in 0..2 {
        server.tell(&double, &client(), &accounts, None).await.expect("taken");
    }
    let site = bench.in_double(&step, &double).site;
    let enter = async |user: &str, password: &str| {
        let driver = bench.as_user(user, password, "mysql");
        let located = driver.granted()?.located(&site).await?;
        Session::connect(&driver.way(&located, "a test's own")).await
    };
    enter(&format!("app_{database}"), "app").await.expect("the application");
    let mut session = enter(&guest, "gu'est").await.expect("a guest");
    let grants = session.list("SHOW GRANTS").await.expect("its grants").join("\n");
    assert!(grants.contains(&role), "{grants}");
    assert!(enter(&guest, "guest").await.is_err(), "the password is another");
    assert!(enter(&format!("barred_{database}"), "x").await.is_err(), "it is locked there as here");
    server.discard_double(&step).await.expect("discarded");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_double_lets_in_whom_the_live_server_lets_in() {
    lets_in_the_same(Flavour::MariaDb, "entered").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_double_lets_in_whom_the_live_server_lets_in_on_mysql() {
    lets_in_the_same(Flavour::MySql, "entered").await;
}
