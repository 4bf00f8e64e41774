//! Upgrades that succeed.

use crate::{done, run_to};
use upgraded_tests::{Daemon, Graph, Install, kind, steps};

/// With a drill, as it is without a word in the file.
#[test]
fn a_good_upgrade_is_drilled_and_takes_the_steps_of_its_plan() {
    let graph = Graph::new(&Install { version: "1.0.0", policy: String::new(), ..Install::default() });
    let old = graph.data();
    let mut daemon = Daemon::start(&graph).settled();
    let plan = daemon.told(&["plan", &graph.name, "--to", "1.1.0"]);
    let notes = plan["hops"][0]["notes"].to_string();
    assert!(notes.contains("1.1.0: Who decided; the migration backfills"), "the release notes are shown: {notes}");
    assert_eq!(plan["hops"][0]["undo"], serde_json::json!(["restore-data"]), "the notes name a migration");

    let run = run_to(&mut daemon, "1.1.0", "committed");
    // The plan lists both final backups; the database freezes, so it is the late one that is taken.
    let mut taken = steps(&plan);
    taken.retain(|step| !step.contains("backup-final"));
    assert_eq!(done(&run), taken, "what was done is what was shown");
    for step in
        ["h0-stage-main", "backup-ahead-main", "drill-main", "freeze-main", "h0-apply-main-0", "backup-late-main"]
    {
        assert!(taken.iter().any(|taken| taken == step), "`{step}` is part of it: {taken:?}");
    }
    graph.is_whole("1.1.0", None);

    let new = graph.data();
    let added: Vec<&str> = new.lines().filter(|line| !old.contains(line)).collect();
    assert!(added.iter().any(|line| line.contains("column events decided_by text")), "{added:#?}");
    assert!(
        graph.sql("SELECT count(*) FROM events WHERE decided_by = 'operator'") != "0",
        "the migration has backfilled"
    );
    let (kept, frozen) = (graph.kept_steps(), graph.copies());
    assert_eq!((kept.len(), frozen.len()), (1, 1), "the frozen copy is kept by policy: {kept:?}, {frozen:?}");
    // What the copy holds is what was there before, as a person would look at it.
    graph.server_sql(&format!("ALTER DATABASE {} ALLOW_CONNECTIONS true CONNECTION LIMIT -1", frozen[0]));
    let rows = "SELECT count(*), max(digest) FROM events";
    assert_eq!(graph.cluster.sql(&frozen[0], rows), graph.sql(rows));
    assert_eq!(graph.cluster.sql(&frozen[0], "SELECT count(*) FROM schema_migrations"), "1");
    graph.server_sql(&format!("ALTER DATABASE {} ALLOW_CONNECTIONS false", frozen[0]));
    daemon.stop();
}

#[test]
fn an_upgrade_of_code_alone_leaves_the_data_as_it_was() {
    let graph = Graph::new(&Install::default());
    let (before, database) = (graph.data(), graph.database_id());
    let mut daemon = Daemon::start(&graph).settled();
    let plan = daemon.told(&["plan", &graph.name, "--to", "1.2.0"]);
    assert_eq!(
        plan["hops"][0]["undo"],
        serde_json::json!(["code-only", "rebuild: rebuild-projections", "restore-data"])
    );
    run_to(&mut daemon, "1.2.0", "committed");
    graph.is_whole("1.2.0", Some(&before));
    assert_eq!(graph.database_id(), database);

    // Other code of projections, which projects anew when it starts.
    run_to(&mut daemon, "1.4.0", "committed");
    graph.is_whole("1.4.0", None);
    assert_eq!(graph.sql("SELECT code FROM projection_state"), "2");
}

/// "move the source checkout to the target release or git SHA"
#[test]
fn an_upgrade_to_a_commit_that_has_no_tag() {
    let graph = Graph::new(&Install::default());
    let release = graph.path("repository/beam/release.toml");
    std::fs::write(&release, "version = \"1.4.1-candidate\"\n[projections]\ncode = 2\n").expect("the candidate");
    let committed = graph
        .git()
        .args(["-c", "user.name=Somebody", "-c", "user.email=somebody@example.invalid"])
        .args(["commit", "--quiet", "--all", "--message", "A candidate"])
        .status();
    assert!(committed.expect("git runs").success());
    let commit = graph.commit("main");
    let mut daemon = Daemon::start(&graph).settled();
    let plan = daemon.told(&["plan", &graph.name, "--to", &commit]);
    assert_eq!(plan["hops"][0]["undo"], serde_json::json!(["restore-data"]), "no notes lead to it");
    run_to(&mut daemon, &commit, "committed");
    assert_eq!(graph.version_for_users(), "1.4.1-candidate");
    graph.is_tidy(&commit);

    // It is what the file says, so that nothing begins when the file is looked at again.
    let check = daemon.told(&["check", &graph.name]);
    assert_eq!((&check["from"], &check["to"]), (&commit.as_str().into(), &commit.as_str().into()), "{check:#}");
    graph.edit(|text| format!("{text}# saved again\n"));
    daemon.look();
    let now = daemon.wait("it has looked", |now| now["installed"] == commit.as_str() && kind(now) == "idle");
    assert_eq!(daemon.runs(), 1, "{now:#}");
}

/// A commit that has a name would be known by its name afterwards, and never be what the file says.
#[test]
fn a_commit_that_has_a_tag_and_a_part_of_a_commit_are_refused_with_what_to_write() {
    let graph = Graph::new(&Install::default());
    let mut daemon = Daemon::start(&graph).settled();
    let tagged = graph.commit("1.2.0");
    let part = graph.commit("main")[..12].to_owned();
    for (version, what) in [(&tagged, "1.2.0"), (&part, "1.4.0")] {
        graph.edit_version(version);
        let now = daemon.wait("it is refused", |now| now["wanted"] == version.as_str() && kind(now) == "error");
        let message = now["state"]["message"].as_str().unwrap_or_default();
        assert!(message.contains(&format!("write `{what}`")), "{message}");
    }
    assert_eq!(daemon.runs(), 0);
    graph.is_whole("1.1.0", None);
}
