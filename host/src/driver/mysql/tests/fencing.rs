//! The fence, and what an interrupted step leaves.

use super::super::session::{Flavour, LOCKS, Session};
use super::super::wire::Tapped;
use super::super::*;
use super::bench::{ADMIN, Bench, PASSWORD, is_cut};
use crate::plan::event::Effect;

async fn is_locked(bench: &Bench, user: &str, password: &str) -> bool {
    match bench.try_session(user, password).await {
        Ok(_) => false,
        Err(error) => {
            assert!(error.to_string().contains("locked"), "{error}");
            true
        }
    }
}

async fn events(bench: &Bench) -> String {
    let sql = "SELECT GROUP_CONCAT(CONCAT(EVENT_NAME, ' ', STATUS, ' ', DEFINER) ORDER BY EVENT_NAME) \
               FROM information_schema.EVENTS WHERE EVENT_SCHEMA = DATABASE()";
    bench.ask(sql).await
}

async fn locks_and_gives_back(flavour: Flavour, database: &str) {
    let bench = Bench::shop(flavour, database).await;
    let app = format!("app_{database}");
    let [barred, late, stranger, member] =
        ["barred", "late", "stranger", "member"].map(|who| format!("{who}_{database}"));
    bench
        .root(&[
            &format!("CREATE USER '{barred}'@'%' IDENTIFIED BY 'x' ACCOUNT LOCK"),
            &format!("GRANT SELECT ON {database}.* TO '{barred}'@'%'"),
            &format!("CREATE USER '{stranger}'@'%' IDENTIFIED BY 'x'"),
            &format!("CREATE USER '{late}'@'%' IDENTIFIED BY 'x'"),
            &format!("CREATE USER '{member}'@'%' IDENTIFIED BY 'x'"),
            "CREATE ROLE writers, chiefs",
            &format!("GRANT INSERT ON {database}.* TO writers"),
            "GRANT writers TO chiefs",
            &format!("GRANT chiefs TO '{member}'@'%'"),
        ])
        .await;
    let before = events(&bench).await;
    assert!(before.contains("nightly ENABLED mysql.tests@"), "{before}");
    let mut writer = bench.session(&app, "app").await;
    let mut same = bench.session(&bench.account, PASSWORD).await;
    assert_eq!(writer.text("SELECT COUNT(*) FROM customers").await.as_deref(), Ok("3"));

    let mark = bench.driver.fence(&bench.changing("r1-fence")).await.expect("fenced");
    assert!(writer.set("INSERT INTO log VALUES ('late')").await.is_err(), "its connection is ended");
    assert!(same.set("INSERT INTO log VALUES ('late')").await.is_err(), "also one of the host's own account");
    assert!(is_locked(&bench, &app, "app").await);
    assert!(is_locked(&bench, &member, "x").await, "its rights are those of a role's role");
    assert!(!is_locked(&bench, &stranger, "x").await, "who has no rights is none of our business");
    assert!(events(&bench).await.contains("nightly DISABLED mysql.tests@"));

    // Again, and who came since.
    bench.root(&[&format!("GRANT SELECT ON {database}.log TO '{late}'@'%'")]).await;
    let again = bench.driver.fence(&bench.changing("r1-fence")).await.expect("fenced");
    assert_ne!(again, mark, "a grant is part of the manifest");
    assert!(is_locked(&bench, &late, "x").await);

    for _ in 0..2 {
        bench.driver.unfence(&bench.changing("r1-unfence")).await.expect("unfenced");
        assert!(!is_locked(&bench, &app, "app").await && !is_locked(&bench, &late, "x").await);
        assert!(!is_locked(&bench, &member, "x").await);
        assert!(is_locked(&bench, &barred, "x").await, "whom the operator locked stays locked");
        assert_eq!(events(&bench).await, before);
        assert_eq!(bench.made().await, Vec::<String>::new());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_stays_locked_that_the_fence_locked() {
    locks_and_gives_back(Flavour::MariaDb, "fenced").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_stays_locked_on_mysql() {
    locks_and_gives_back(Flavour::MySql, "fenced").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fence_that_is_cut_off_anywhere_is_given_back() {
    let bench = Bench::shop(Flavour::MariaDb, "fencecut").await;
    let (before, manifest) = (events(&bench).await, bench.manifest().await);
    let mut cuts = 0;
    loop {
        bench.cut_after(Some(cuts));
        let first = bench.driver.fence(&bench.changing("r1-fence")).await;
        assert!(first.is_ok() || is_cut(&first), "{first:?}");
        bench.cut_after(Some(cuts));
        let second = bench.driver.unfence(&bench.changing("r1-unfence")).await;
        assert!(second.is_ok() || is_cut(&second), "{second:?}");
        bench.cut_after(None);
        bench.driver.fence(&bench.changing("r2-fence")).await.expect("fenced");
        bench.driver.unfence(&bench.changing("r2-unfence")).await.expect("unfenced");
        assert!(!is_locked(&bench, "app_fencecut", "app").await, "after {cuts} statements");
        assert_eq!((events(&bench).await, bench.manifest().await), (before.clone(), manifest.clone()));
        if first.is_ok() && second.is_ok() {
            break;
        }
        cuts += 1;
    }
    assert!(cuts > 5, "{cuts} statements are fewer than a fence has");
}

#[tokio::test(flavor = "multi_thread")]
async fn events_of_a_restore_under_the_fence_run_again_with_its_end() {
    let bench = Bench::shop(Flavour::MariaDb, "fencedback").await;
    let (before, manifest) = (events(&bench).await, bench.manifest().await);
    let (artifacts, _) = bench.driver.save(&bench.changing("r1-backup"), None).await.expect("saved");
    bench.migrate().await;
    bench.driver.fence(&bench.changing("r1-fence")).await.expect("fenced");
    bench.driver.put_back(&bench.changing("r1-restore"), &artifacts).await.expect("put back");
    assert_eq!(bench.manifest().await, manifest);
    assert!(!events(&bench).await.contains("ENABLED"));
    bench.driver.unfence(&bench.changing("r1-unfence")).await.expect("unfenced");
    assert_eq!((events(&bench).await, bench.manifest().await), (before, manifest));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_step_is_ended() {
    let bench = Bench::new(Flavour::MariaDb, "ended").await;
    let located = bench.driver.granted().expect("granted").located(&Site::Live).await.expect("located");
    let (ours, others) = (bench.way(&located, "r1-backup"), bench.way(&located, "r2-backup"));
    let mut session = Session::open(&ours).await.expect("a connection");
    let mut other = Session::open(&others).await.expect("a connection");
    let (_lent, mut wire) = Tapped::open(&ours).await.expect("a connection").take().await.expect("taken over");
    let effect = Effect {
        step: "r1-backup".into(),
        attempt: 1,
        number: 0,
        verb: "mysql.save".into(),
        arguments: String::new(),
        handle: "ended".into(),
        repeatable: true,
    };
    for _ in 0..2 {
        assert_eq!(bench.driver.fence_and_probe(&effect).await, Verdict::NotDone);
        assert!(session.text("SELECT 1").await.is_err(), "the step's connection is ended");
        assert_eq!(other.text("SELECT 1").await.as_deref(), Ok("1"), "another step's goes on");
    }
    assert!(wire.query("SELECT 1").and_then(|()| wire.row().map(drop)).is_err(), "one that was taken over, too");
}

async fn shows_every_write(flavour: Flavour, database: &str, by_rows: bool) {
    let bench = Bench::new(flavour, database).await;
    bench
        .root(&[
            "CREATE TABLE customers (id INT PRIMARY KEY, name VARCHAR(40))",
            "INSERT INTO customers VALUES (1, 'Ann'), (2, 'Bob')",
            "CREATE TABLE log (what VARCHAR(90)) ENGINE=MyISAM",
        ])
        .await;
    let fence = bench.changing("r1-fence");
    let first = bench.driver.fence(&fence).await.expect("fenced");
    let said = fence.activity.tail().join("\n");
    assert_eq!(said.contains("every row is read for the mark"), by_rows, "{said}");
    assert_eq!(first.contains("last write 20"), !by_rows, "{first}");
    let mark = async || bench.driver.mark(&bench.reading()).await.expect("a mark");
    assert_eq!(mark().await, first);

    let mut session = bench.session(ADMIN, "root").await;
    for statement in
        ["START TRANSACTION", "UPDATE customers SET name = 'Nobody'", "ROLLBACK", "ANALYZE TABLE customers"]
    {
        session.rows(statement).await.expect(statement);
    }
    assert_eq!(bench.driver.freeze(&bench.changing("r1-freeze")).await, Ok(true));
    assert_eq!(mark().await, first, "nothing was written");

    let mut before = first;
    for statement in [
        "UPDATE customers SET name = CONCAT(name, '!') ORDER BY id LIMIT 1",
        "INSERT INTO log VALUES ('late')",
        "CREATE TABLE more (id INT PRIMARY KEY) ENGINE=InnoDB",
        "INSERT INTO more VALUES (1)",
        "TRUNCATE TABLE more",
    ] {
        session.set(statement).await.expect(statement);
        let after = mark().await;
        assert_ne!(after, before, "{statement}");
        before = after;
    }
    bench.driver.unfence(&bench.changing("r1-unfence")).await.expect("unfenced");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mark_shows_every_write() {
    shows_every_write(Flavour::MariaDb, "mark-ed", false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mark_shows_every_write_on_mysql() {
    shows_every_write(Flavour::MySql, "mark-ed", false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mark_is_of_all_rows_where_the_server_does_not_tell_more() {
    shows_every_write(Flavour::MariaDb, "märkte", true).await;
}

/// A step may have so many connections at once, and those that ended are noticed late.
#[tokio::test(flavor = "multi_thread")]
async fn a_connection_waits_for_another_to_end() {
    let bench = Bench::new(Flavour::MariaDb, "waits").await;
    let located = bench.driver.granted().expect("granted").located(&Site::Live).await.expect("there");
    let way = bench.way(&located, "r1-waits");
    let mut all = Vec::new();
    for _ in 0..LOCKS {
        all.push(Session::open(&way).await.expect("a connection"));
    }
    let ends = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        all.pop();
    };
    let (opened, ()) = tokio::join!(Session::open(&way), ends);
    assert!(opened.is_ok(), "{:?}", opened.err());
}
