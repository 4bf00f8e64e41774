//! A release that brings another major version of the database's server, for which the published way is another image's
//! tag: with `helm upgrade` alone the new server never starts.

use crate::run_to;
use std::fs;
use std::path::PathBuf;
use upgraded_tests::{Cluster, Daemon, NotesRelease, beside, last_run, outcome};

/// Where the data lies can't be told: refused. Then a release that never comes up, by a daemon that is killed while the new
/// server is made; a good one; and back by hand, after users were let in.
#[test]
fn another_postgresql_gets_the_data_and_gives_it_back() {
    let notes = NotesRelease::new(Cluster::shared(false));
    let (read, kept_in, revisions) = (notes.read(), notes.database_folder(), notes.revisions());
    assert_eq!(read, "15|9MB|the first");
    let daemon = Daemon::start(&notes).settled();
    notes.loses_the_right_to_claims();
    let (answer, code) = daemon.upgradectl(&["plan", &notes.name, "--to", "1.6.0"]);
    let why = answer.to_string();
    let says =
        ["another major version, and its data could not be carried over", "claim `data-notes-db-0`", "ClusterRole"];
    assert!(code != Some(0) && says.iter().all(|part| why.contains(part)), "{answer:#}");
    assert_eq!(notes.revisions(), revisions);
    notes.has_the_right_to_claims();

    let mut daemon = daemon.killed_while_carrying(&kept_in, "1.5.0");
    let now = daemon.end_of_run_to("1.5.0");
    assert_eq!(outcome(&now), "rolled-back", "{now:#}\n{}", notes.log());
    let run = daemon.told(&["show", &last_run(&now).to_string()]);
    assert_eq!(run["failure"]["step"], "h0-apply-main-0", "the data was carried before: {run:#}");
    notes.is_whole("1.4.0");
    assert_eq!((notes.read(), beside(&kept_in)), (read.clone(), Vec::<PathBuf>::new()));

    run_to(&mut daemon, "1.6.0", "committed");
    notes.is_whole("1.6.0");
    assert_eq!((notes.read(), beside(&kept_in)), (read.replacen("15", "17", 1), Vec::<PathBuf>::new()));

    notes.sql("INSERT INTO notes VALUES ('written since')");
    let before = last_run(&daemon.now());
    daemon.told(&["rollback", &notes.name, "--yes"]);
    let now = daemon.end_of_run_after(before);
    assert_eq!(outcome(&now), "rolled-back", "{now:#}\n{}", notes.log());
    notes.is_whole("1.4.0");
    assert_eq!(notes.read(), read);
    let kept = beside(&kept_in);
    let [kept] = &kept[..] else { panic!("what was written since is kept: {kept:?}") };
    assert_eq!(fs::read_to_string(kept.join("PG_VERSION")).expect("a server's data").trim(), "17");
}
