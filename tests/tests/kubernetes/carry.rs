//! A release that brings other major versions of the databases' servers, for which the published way is other images' tags:
//! with `helm upgrade` alone, PostgreSQL never starts.

use crate::run_to;
use std::fs;
use std::path::PathBuf;
use upgraded_tests::{Cluster, Daemon, LedgerRelease, beside, last_run, outcome};

/// Where the data lies can't be told: refused. Then it is rehearsed. A bad release with another PostgreSQL and another MariaDB
/// comes, by a daemon that is killed while the first is made; a good one; and back by hand, after users were let in.
#[test]
fn other_servers_get_the_data_and_give_it_back() {
    let ledger = LedgerRelease::new(Cluster::shared(false));
    ledger.has_a_place_for_rehearsals();
    let (read, kept_in, revisions) = (ledger.read(), ledger.database_folders(), ledger.revisions());
    let is_beside = || kept_in.iter().flat_map(|folder| beside(folder)).collect::<Vec<PathBuf>>();
    assert_eq!(read, "15|9MB|the first 10.11|77");
    let mut daemon = Daemon::start(&ledger).settled();
    ledger.loses_the_right_to_claims();
    let (answer, code) = daemon.upgradectl(&["plan", &ledger.name, "--to", "1.6.0"]);
    let why = answer.to_string();
    let says =
        ["another major version, and its data could not be carried over", "claim `data-ledger-db-0`", "ClusterRole"];
    assert!(code != Some(0) && says.iter().all(|part| why.contains(part)), "{answer:#}");
    assert_eq!(ledger.revisions(), revisions);
    ledger.has_the_right_to_claims();

    daemon.rehearsed("1.6.0");
    assert_eq!((ledger.read(), is_beside(), ledger.revisions()), (read.clone(), Vec::new(), revisions));
    assert_eq!(ledger.left_of_rehearsals(), "");

    let mut daemon = daemon.killed_while_carrying(&kept_in[0], "1.5.0");
    let now = daemon.end_of_run_to("1.5.0");
    assert_eq!(outcome(&now), "rolled-back", "{now:#}\n{}", ledger.log());
    let run = daemon.told(&["show", &last_run(&now).to_string()]);
    assert_eq!(run["failure"]["step"], "h0-verify", "the data was carried before: {run:#}");
    ledger.is_whole("1.4.0");
    assert_eq!((ledger.read(), is_beside()), (read.clone(), Vec::new()));

    run_to(&mut daemon, "1.6.0", "committed");
    ledger.is_whole("1.6.0");
    assert_eq!((ledger.read(), is_beside()), (read.replacen("15", "17", 1), Vec::new()));
    assert_eq!(ledger.makes(), [2, 2], "the upgrades found the servers as they would have them");

    ledger.sql("INSERT INTO notes VALUES ('written since')");
    let before = last_run(&daemon.now());
    daemon.told(&["rollback", &ledger.name, "--yes"]);
    let now = daemon.end_of_run_after(before);
    assert_eq!(outcome(&now), "rolled-back", "{now:#}\n{}", ledger.log());
    ledger.is_whole("1.4.0");
    assert_eq!(ledger.read(), read);
    let kept = is_beside();
    let [kept] = &kept[..] else { panic!("what was written since is kept: {kept:?}") };
    assert_eq!(fs::read_to_string(kept.join("PG_VERSION")).expect("a server's data").trim(), "17");
}
