//! The whole of what the plugin does, on a real server.

mod bench;
mod crashes;
mod fencing;
mod restoring;

use crate::preflight;
use crate::server::{Connection, Server};
use bench::Bench;
use scratch_postgres::Cluster;
use std::sync::Arc;
use std::time::Duration;
use upgraded_sdk::{Finding, Severity};

/// A schema with one of everything that could be lost.
const RICH: &str = "
    CREATE SCHEMA ledger;
    CREATE TYPE ledger.mood AS ENUM ('good', 'bad');
    CREATE TABLE ledger.entry (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, at timestamptz DEFAULT now(), mood ledger.mood,
        amount numeric(12,2) CHECK (amount > 0), status varchar CHECK (status IN ('new', 'old')), doc jsonb, raw bytea, f float8,
        double numeric GENERATED ALWAYS AS (amount * 2) STORED, took interval, money money);
    INSERT INTO ledger.entry (mood, amount, status, doc, raw, f, took, money) SELECT 'good', g, 'new', jsonb_build_object('n', g),
        decode(md5(g::text), 'hex'), random(), make_interval(hours => g), g::money FROM generate_series(1, 3000) g;
    CREATE INDEX entry_doc ON ledger.entry USING gin (doc);
    CREATE TABLE ledger.part (k int, v text) PARTITION BY RANGE (k);
    CREATE TABLE ledger.part_1 PARTITION OF ledger.part FOR VALUES FROM (0) TO (100);
    CREATE TABLE ledger.part_2 PARTITION OF ledger.part FOR VALUES FROM (100) TO (200);
    INSERT INTO ledger.part SELECT g, 'v' || g FROM generate_series(0, 199) g;
    CREATE TABLE \"Odd \"\"name\"\"; t\" (\"a|b\" text);
    INSERT INTO \"Odd \"\"name\"\"; t\" VALUES (NULL), (''), (E'tab\\there'), (E'line\\nthere');
    CREATE TABLE dropped_column (a int, b int, c int); ALTER TABLE dropped_column DROP COLUMN b; INSERT INTO dropped_column VALUES (1, 2);
    CREATE SEQUENCE tally START 5; SELECT nextval('tally');
    CREATE SEQUENCE untouched START 9;
    CREATE VIEW ledger.seen AS SELECT id, mood FROM ledger.entry;
    CREATE MATERIALIZED VIEW ledger.summed AS SELECT mood, sum(amount) FROM ledger.entry GROUP BY mood;
    CREATE MATERIALIZED VIEW ledger.unfilled AS SELECT 1 AS x WITH NO DATA;
    CREATE FUNCTION ledger.touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
    CREATE TRIGGER touched BEFORE UPDATE ON ledger.entry FOR EACH ROW EXECUTE FUNCTION ledger.touch();
    ALTER TABLE ledger.entry ENABLE ROW LEVEL SECURITY; CREATE POLICY everybody ON ledger.entry USING (true);
    CREATE DOMAIN ledger.positive AS int CHECK (VALUE > 0);
    CREATE UNLOGGED TABLE hot (x int); INSERT INTO hot VALUES (1);
    GRANT SELECT ON ledger.entry TO pg_monitor; GRANT UPDATE (status) ON ledger.entry TO pg_monitor;
    ALTER DEFAULT PRIVILEGES IN SCHEMA ledger GRANT SELECT ON TABLES TO pg_monitor;
    SELECT lo_from_bytea(4711, 'large');
    CREATE EXTENSION hstore; CREATE TABLE with_hstore (h hstore); INSERT INTO with_hstore VALUES ('a=>1');
";

/// What stands at the database itself, settings that only a superuser may give included.
fn dress(bench: &Bench) {
    let (database, app) = (&bench.database, bench.app());
    bench.server_sql(&format!(
        "ALTER DATABASE {database} SET search_path TO '$user', 'ledger', 'a b', 'public'; \
         ALTER ROLE {app} IN DATABASE {database} SET work_mem TO '9MB'; \
         REVOKE CONNECT ON DATABASE {database} FROM PUBLIC; \
         GRANT CONNECT ON DATABASE {database} TO pg_monitor WITH GRANT OPTION; \
         ALTER DATABASE {database} CONNECTION LIMIT 50; \
         COMMENT ON DATABASE {database} IS 'the shop''s {{\"books\"}}'"
    ));
}

/// Of the database as a whole, as the catalogs have it.
fn dressing(bench: &Bench, database: &str) -> String {
    bench.server_sql(&format!(
        "SELECT pg_get_userbyid(datdba), (SELECT array_agg(a ORDER BY a::text) FROM unnest(datacl) a), datconnlimit, datallowconn, shobj_description(oid, 'pg_database'), \
         (SELECT string_agg(concat_ws(' ', setrole::regrole, setconfig), ';' ORDER BY setrole) FROM pg_db_role_setting WHERE setdatabase = d.oid) \
         FROM pg_database d WHERE datname = '{database}'"
    ))
}

fn rich(bench: &Bench) {
    bench.as_app(RICH).expect("made by the application");
}

fn preflight(bench: &Bench, unrelated: &[String]) -> Vec<Finding> {
    preflight::run(&bench.host("look-1"), &bench.names("look-1"), unrelated).expect("findings")
}

fn ids(findings: &[Finding], severity: Severity) -> Vec<&str> {
    findings.iter().filter(|finding| finding.severity == severity).map(|finding| finding.id.as_str()).collect()
}

#[test]
fn preflight_has_nothing_against_a_superuser_or_an_owner_who_creates() {
    for bench in [Bench::new("fine"), Bench::owned("fine_owned")] {
        rich(&bench);
        // Its schema stays behind, and is the bootstrap superuser's.
        bench.as_app("CREATE TEMPORARY TABLE passing (x int)").expect("made by the application");
        let findings = preflight(&bench, &[]);
        assert_eq!(ids(&findings, Severity::Blocker), Vec::<&str>::new(), "{findings:?}");
        assert_eq!(ids(&findings, Severity::Info), ["fence"]);
        assert!(ids(&findings, Severity::Warning).contains(&"unlogged-tables"));
    }
}

#[test]
fn preflight_finds_what_would_fail_later() {
    let bench = Bench::owned("troubled");
    bench.server_sql("CREATE ROLE troubled_other");
    bench.server_sql("CREATE DATABASE troubled_neighbour OWNER troubled_app");
    bench.server_sql("CREATE DATABASE troubled_named OWNER troubled_app");
    bench.sql(
        "CREATE TABLE theirs (x int); ALTER TABLE theirs OWNER TO troubled_other; CREATE EXTENSION file_fdw; \
        ALTER DATABASE troubled SET \"app.secret\" TO 'x'; ALTER DATABASE troubled SET log_statement TO 'none'",
    );
    let findings = preflight(&bench, &["troubled_named".into()]);
    let blockers = ids(&findings, Severity::Blocker);
    assert_eq!(
        blockers,
        ["settings", "unbound-database-troubled_neighbour", "extension-untrusted", "owners", "unreadable-tables"],
        "{findings:?}"
    );
    bench.server_sql("ALTER ROLE troubled_app NOCREATEDB");
    let findings = preflight(&bench, &[]);
    assert!(ids(&findings, Severity::Blocker).contains(&"fence"), "{findings:?}");
    let none = preflight::run(&bench.host("look-2"), &crate::names::Names::new("troubled_nowhere", "look-2"), &[]);
    assert_eq!(ids(&none.expect("findings"), Severity::Blocker), ["database"]);
}

#[test]
fn preflight_says_where_no_frozen_copy_can_be() {
    let bench = Bench::on(Arc::new(Cluster::start()), "slotted", "postgres");
    bench.sql("SELECT pg_create_logical_replication_slot('s', 'test_decoding')");
    let findings = preflight(&bench, &[]);
    assert_eq!(ids(&findings, Severity::Blocker), Vec::<&str>::new(), "{findings:?}");
    let warnings = ids(&findings, Severity::Warning);
    assert!(warnings.contains(&"fence") && warnings.contains(&"replication"), "{findings:?}");
}

#[test]
fn a_session_that_waits_is_not_ended() {
    let bench = Bench::owned("patient");
    bench.server_sql("ALTER ROLE patient_app SET idle_session_timeout TO '1s'");
    let connection = bench.host("r1-look").connect(None).expect("connected");
    std::thread::sleep(Duration::from_millis(1500));
    assert_eq!(connection.value("SELECT 1"), Ok("1".into()));
}
