//! What is refused before anything is touched: the old version serves throughout.

use crate::{done, failure, run_to};
use std::fs;
use std::os::unix::fs::{MetadataExt, chown};
use std::path::Path;
use upgraded_tests::{Daemon, Graph, Install, Role, kind, outcome};

/// What the deployment says of the refusal; nothing was begun.
fn refusal(graph: &Graph, daemon: &mut Daemon, version: &str) -> String {
    graph.edit_version(version);
    let now = daemon.wait("it is refused", |now| now["wanted"] == version && kind(now) == "error");
    assert_eq!(daemon.runs(), 0, "{now:#}");
    now["state"]["message"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn a_downgrade_is_refused_with_the_rule() {
    let graph = Graph::new(&Install::default());
    let before = graph.data();
    let mut daemon = Daemon::start(&graph).settled();
    let why = refusal(&graph, &mut daemon, "1.0.0");
    assert!(why.contains("`1.0.0` is older than `1.1.0`: a downgrade is a restore of the backup"), "{why}");
    graph.is_whole("1.1.0", Some(&before));
}

#[test]
fn a_release_that_does_not_compile_is_refused_while_the_old_one_serves() {
    let graph = Graph::new(&Install::default());
    let (before, database, versions) = (graph.data(), graph.database_id(), std::cell::RefCell::new(Vec::new()));
    let mut daemon = Daemon::start(&graph).settled();
    graph.edit_version("1.8.0");
    let now = daemon.wait("the run ends", |now| {
        versions.borrow_mut().push(graph.version_for_users());
        now["last_run"]["to"] == "1.8.0" && !now["last_run"]["outcome"].is_null() && kind(now) != "running"
    });
    assert_eq!(outcome(&now), "refused", "{now:#}");
    let run = daemon.told(&["show", "1"]);
    let (step, why) = failure(&run);
    assert_eq!(step, "h0-stage-main");
    assert!(why.contains("could not compile decisiongraph 1.8.0"), "what the build said: {why}");
    assert_eq!(done(&run), ["h0-stage-main"], "nothing else was begun");
    assert!(versions.borrow().iter().all(|version| version == "1.1.0"), "the old version serves throughout");
    graph.is_whole("1.1.0", Some(&before));
    assert_eq!(graph.database_id(), database);
    assert_eq!(graph.copies(), Vec::<String>::new());

    run_to(&mut daemon, "1.2.0", "committed");
    graph.is_whole("1.2.0", Some(&before));
}

/// Without it nothing can be restored beside the live database, whatever was frozen or saved.
#[test]
fn a_role_that_may_not_create_databases_is_refused_and_told_what_it_needs() {
    let graph = Graph::new(&Install { role: Role::OwnerAlone, ..Install::default() });
    let before = graph.data();
    let mut daemon = Daemon::start(&graph).settled();
    let why = refusal(&graph, &mut daemon, "1.2.0");
    assert!(why.contains("may not create databases (`CREATEDB`)"), "{why}");
    assert!(why.contains("`ALTER ROLE … CREATEDB`"), "the hint: {why}");
    graph.is_whole("1.1.0", Some(&before));

    graph.server_sql(&format!("ALTER ROLE {} CREATEDB", graph.role()));
    daemon.told(&["retry", &graph.name]);
    let now = daemon.end_of_run_to("1.2.0");
    assert_eq!(outcome(&now), "committed", "{now:#}");
    graph.is_whole("1.2.0", Some(&before));
}

/// The file makes the database three terabytes larger without taking any room.
#[test]
fn a_server_without_room_for_the_copies_is_refused() {
    let graph = Graph::new(&Install::default());
    let data = graph.server_sql("SHOW data_directory");
    let huge = Path::new(&data).join(format!("base/{}/huge", graph.database_id()));
    let file = fs::File::create(&huge).expect("a file in the server's folder");
    file.set_len(3 << 40).expect("a sparse file");
    chown(&huge, owner_of(&data), None).expect("the server's own");
    let mut daemon = Daemon::start(&graph).settled();
    let why = refusal(&graph, &mut daemon, "1.2.0");
    assert!(why.contains("MiB may be needed") && why.contains("the file system of"), "{why}");
    assert!(why.contains(&format!("`{data}`")), "the server's folder is named: {why}");
    assert_eq!(graph.version_for_users(), "1.1.0");

    fs::remove_file(&huge).expect("it was there");
    daemon.told(&["retry", &graph.name]);
    let now = daemon.end_of_run_to("1.2.0");
    assert_eq!(outcome(&now), "committed", "{now:#}");
    graph.is_whole("1.2.0", None);
}

fn owner_of(path: &str) -> Option<u32> {
    fs::metadata(path).ok().map(|folder| folder.uid())
}

/// A `pg_dump` that is older than the server refuses it, so nothing could be saved.
#[test]
fn client_tools_that_are_older_than_the_server_are_refused() {
    let graph = Graph::new(&Install::default());
    let server: u32 =
        graph.server_sql("SELECT current_setting('server_version_num')::int / 10000").parse().expect("15");
    let tools = graph.path("etc/tools");
    fs::create_dir(&tools).expect("a folder");
    for tool in ["pg_dump", "pg_restore"] {
        make_older(&graph.cluster.programs().join(tool), &tools.join(tool), server);
    }
    let mut daemon = Daemon::start(&graph).settled();
    let table = "[datastores.main.server]";
    graph.edit(|text| text.replace(table, &format!("{table}\ntools = \"{}\"", tools.display())));
    let why = refusal(&graph, &mut daemon, "1.2.0");
    let missing = format!("`pg_dump` and `pg_restore` of version {server} or newer are not in `{}`", tools.display());
    assert!(why.contains(&format!("{missing} (there is {})", server - 1)), "{why}");
    graph.is_whole("1.1.0", None);
}

/// The program itself, but that it says to be of the version before.
fn make_older(program: &Path, copy: &Path, version: u32) {
    fs::copy(program, copy).expect("a copy of the tool");
    let mut bytes = fs::read(copy).expect("the tool");
    let (own, older) = (format!("(PostgreSQL) {version}"), format!("(PostgreSQL) {}", version - 1));
    assert_eq!(own.len(), older.len());
    let places: Vec<usize> =
        (0..bytes.len() - own.len()).filter(|at| bytes[*at..].starts_with(own.as_bytes())).collect();
    assert!(!places.is_empty(), "`{}` says its version somewhere", program.display());
    for at in places {
        bytes[at..at + older.len()].copy_from_slice(older.as_bytes());
    }
    fs::write(copy, bytes).expect("a copy of the tool");
}
