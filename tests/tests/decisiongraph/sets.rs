//! Several datastores of one deployment go back as a set.

use crate::{done, failure, place, run_to};
use upgraded_tests::{Daemon, Graph, Install};

const ROWS: &str = "SELECT count(*), md5(string_agg(t::text, ',' ORDER BY t::text)) FROM entries t";

#[test]
fn two_databases_go_back_to_one_quiesce() {
    let graph = Graph::new(&Install::default());
    let second = format!("{}_audit", graph.database);
    let role = graph.role();
    graph.server_sql(&format!("CREATE DATABASE {second} OWNER {role}"));
    graph.cluster.try_sql(&role, &second, "CREATE TABLE entries AS SELECT generate_series(1, 100) AS n").expect("made");
    let psql = graph.cluster.programs().join("psql");
    let (folder, port) = (graph.cluster.folder().display(), graph.cluster.port());
    let change = format!("{} -h {folder} -p {port} -U {role} -d {second} -c 'DELETE FROM entries'", psql.display());
    graph.edit(|text| {
        let mix = format!("argv = [\"{}\", \"ecto.migrate\"]", graph.programs.mix.display());
        assert!(text.contains(&mix), "{text}");
        let both = format!("argv = [\"sh\", \"-c\", \"{change} && {} ecto.migrate\"]", graph.programs.mix.display());
        let server = format!("host = \"{folder}\"\nport = {port}\nuser = \"{role}\"\n");
        let store = format!(
            "unrelated = [\"{second}\"]\n\n[datastores.audit]\nplugin = \"postgres\"\nunrelated = [\"{}\"]\n\
             [datastores.audit.server]\n{server}database = \"{second}\"\n\n[datastores.main.server]",
            graph.database
        );
        text.replace(&mix, &both).replace("\n[datastores.main.server]", &store)
    });
    let (before, audit) = (graph.data(), graph.cluster.sql(&second, ROWS));

    let mut daemon = Daemon::start(&graph).settled();
    let run = run_to(&mut daemon, "1.7.0", "rolled-back");
    assert_eq!(failure(&run).0, "h0-verify");
    let steps = done(&run);
    let place = |step: &str| place(&steps, step);
    assert!(place("fence-audit") < place("freeze-main"), "both are fenced before one is frozen: {steps:?}");
    assert!(place("b0-restore-audit") < place("b0-restore-main"), "in reverse: {steps:?}");
    assert!(
        place("b0-restore-main") < place("b0-unfence-back-audit"),
        "nobody writes to the one before the other: {steps:?}"
    );
    graph.is_whole("1.1.0", Some(&before));
    assert_eq!(graph.cluster.sql(&second, ROWS), audit);
}
