//! A release that brings another version of the database's server, for which the published way is another image's tag.

use scratch_docker::Engine;
use std::path::PathBuf;
use upgraded_tests::{Daemon, MARIADB, Shop, beside, last_run, outcome};

/// And back: cancelled, by a daemon that was killed while the new server was made; and by hand, after users were let in.
#[test]
fn a_new_major_version_of_postgresql_gets_the_data_and_gives_it_back() {
    let shop = Shop::on(Engine::shared());
    shop.with_majors(&[("1.0.0", "postgres:15"), ("1.1.0", "postgres:17")]);
    let data = shop.data();
    let mut daemon = is_cancelled_and_goes_up(&shop, "15|t");
    assert_eq!(shop.major(), "17|t");
    assert_eq!(shop.sql("SELECT text, author FROM notes"), "the first|nobody\n");
    assert_eq!(beside(&shop.database_folder()), Vec::<PathBuf>::new(), "the old data is gone with the commit");

    shop.sql("INSERT INTO notes VALUES ('written since')");
    let before = last_run(&daemon.now());
    daemon.told(&["rollback", &shop.name, "--yes"]);
    let now = daemon.end_of_run_after(before);
    assert_eq!(outcome(&now), "rolled-back", "{now:#}\n{}", shop.log());
    shop.is_whole("1.0.0");
    assert_eq!((shop.data(), shop.major()), (data, "15|t".into()));
    let kept = beside(&shop.database_folder());
    let [kept] = &kept[..] else { panic!("what was written since is kept: {kept:?}") };
    assert!(std::fs::read_to_string(kept.join("PG_VERSION")).is_ok_and(|major| major.trim() == "17"));
}

/// And back, cancelled. The new server starts from a copy of the old one's data, which the old one reads no more once users
/// were let in.
#[test]
fn a_new_version_of_mariadb_gets_the_data_and_gives_it_back() {
    let shop = Shop::with(Engine::shared(), MARIADB);
    shop.with_majors(&[("1.0.0", "mariadb:10.11"), ("1.1.0", "mariadb:11.8")]);
    let daemon = is_cancelled_and_goes_up(&shop, "10.11|1");
    assert_eq!(shop.major(), "11.8|1");
    assert_eq!(shop.sql("SELECT text, author FROM notes"), "the first\tnobody\n");
    assert_eq!(beside(&shop.database_folder()), Vec::<PathBuf>::new(), "the old data is gone with the commit");

    let (answer, code) = daemon.upgradectl(&["rollback", &shop.name, "--yes"]);
    assert_ne!(code, Some(0), "{answer:#}");
    assert!(answer.to_string().contains("the old one does not read the new one's data"), "{answer:#}");
    shop.is_whole("1.1.0");
}

/// It is rehearsed. Then the daemon is killed while the new server is made, and the operator cancels the run; and it is
/// retried.
fn is_cancelled_and_goes_up<'a>(shop: &'a Shop, major: &str) -> Daemon<'a> {
    let data = shop.data();
    let mut daemon = Daemon::start(shop).settled();
    daemon.rehearsed("1.1.0");
    assert_eq!((shop.data(), shop.major()), (data.clone(), major.into()), "nothing live is another");
    assert_eq!(beside(&shop.database_folder()), Vec::<PathBuf>::new());
    let (mut daemon, now) = daemon.cancelled_while_carrying(&shop.database_folder(), "1.1.0");
    assert_eq!(outcome(&now), "rolled-back", "{now:#}");
    shop.is_whole("1.0.0");
    assert_eq!((shop.data(), shop.major()), (data, major.into()));
    assert_eq!(beside(&shop.database_folder()), Vec::<PathBuf>::new());

    daemon.told(&["retry", &shop.name]);
    let now = daemon.end_of_run_after(last_run(&now));
    assert_eq!(outcome(&now), "committed", "{now:#}\n{}", shop.log());
    shop.is_whole("1.1.0");
    daemon
}
