//! The driver against a real server.

use super::*;
use crate::activity::{Activity, Sign};
use crate::config::SecretSource;
use crate::context::Site;
use crate::effect::{Effects, Ledger, LedgerError};
use crate::plan::event::Event;
use scratch_postgres::{Cluster, SUPERUSER};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::{Arc, Mutex};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

/// Every event that the driver journals.
#[derive(Default)]
struct Journal(Mutex<Vec<Event>>);

impl Ledger for Journal {
    fn record(&self, event: Event) -> Result<(), LedgerError> {
        self.0.lock().expect("no panic holds it").push(event);
        Ok(())
    }
}

/// One database of the shared server, its driver, and what is journaled.
struct Bench {
    cluster: Arc<Cluster>,
    folder: TempDir,
    database: String,
    driver: Postgres,
    journal: Arc<Journal>,
    signs: Arc<Mutex<Vec<Sign>>>,
    cancellation: CancellationToken,
}

impl Bench {
    fn new(database: &str) -> Self {
        Self::with(database, |_| {})
    }
    fn with(database: &str, change: impl FnOnce(&mut ServerConfig)) -> Self {
        let cluster = Cluster::shared();
        cluster.sql("postgres", &format!("CREATE DATABASE {database}"));
        let folder = tempfile::tempdir().expect("a folder");
        let key = folder.path().join("key");
        Vault::make_key(&key).expect("a key");
        let vault = Vault::open(&folder.path().join("vault"), &key).expect("a vault");
        let mut server = ServerConfig {
            service: None,
            host: cluster.folder().display().to_string(),
            port: cluster.port(),
            user: SUPERUSER.into(),
            password: None,
            database: database.into(),
            maintenance: "postgres".into(),
            tools: None,
        };
        change(&mut server);
        let driver =
            Postgres::new(Some(Server::at(server)), vault, folder.path().join("scratch"), Duration::from_secs(60));
        Self {
            cluster,
            folder,
            database: database.into(),
            driver,
            journal: Arc::default(),
            signs: Arc::default(),
            cancellation: CancellationToken::new(),
        }
    }
    fn context(&self, step: &str, effects: Effects) -> StepContext {
        let signs = self.signs.clone();
        let sink = Arc::new(move |sign| signs.lock().expect("no panic holds it").push(sign));
        StepContext {
            deployment: "shop".into(),
            binding: Binding { name: "main".into(), role: Role::Datastore, plugin: "postgres".into() },
            bindings: Vec::new(),
            run: "1".into(),
            step: step.into(),
            attempt: 1,
            site: Site::Live,
            effects,
            activity: Activity::new(self.cancellation.clone(), sink),
        }
    }
    fn changing(&self, step: &str) -> StepContext {
        self.context(step, Effects::new(self.journal.clone(), step, 1, Vec::new()))
    }
    fn reading(&self) -> StepContext {
        self.context("look-1", Effects::reading())
    }
    fn sql(&self, sql: &str) -> String {
        self.cluster.sql(&self.database, sql)
    }
    fn journaled(&self) -> Vec<String> {
        let events = self.journal.0.lock().expect("no panic holds it");
        let effects = events.iter().filter_map(|event| match event {
            Event::Effect(effect) => Some(effect.verb.clone()),
            _ => None,
        });
        effects.collect()
    }
    /// How many backends of a step there are.
    fn backends(&self, step: &str) -> String {
        let mark = self.driver.mark(step);
        let sql = format!("SELECT count(*) FROM pg_stat_activity WHERE application_name = '{mark}'");
        self.cluster.sql("postgres", &sql)
    }
    async fn backends_become(&self, step: &str, count: &str) {
        for _ in 0..600 {
            if self.backends(step) == count {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("{} backends of `{step}`, not {count}", self.backends(step));
    }
}

fn text(rows: Rows) -> Vec<String> {
    rows.into_iter()
        .map(|row| row.into_iter().map(|cell| cell.unwrap_or("-".into())).collect::<Vec<_>>().join("|"))
        .collect()
}

#[tokio::test]
async fn a_phase_that_only_reads_can_not_change() {
    let bench = Bench::new("reads");
    bench.sql("CREATE TABLE t AS SELECT 1 AS x; CREATE SEQUENCE s; SELECT lo_create(7)");
    let cx = bench.reading();
    let session = bench.driver.connect(&cx, Some("reads")).await.expect("connected");
    assert_eq!(text(session.query(&cx, "SELECT x, NULL FROM public.t -- all").await.expect("rows")), ["1|-"]);

    for sql in
        ["INSERT INTO public.t VALUES (2)", "DROP DATABASE reads", "SET default_transaction_read_only = off", "BEGIN"]
    {
        let refused = session.query(&cx, sql).await.expect_err(sql);
        assert!(matches!(refused, VerbError::Denied(_)), "{sql}: {refused}");
    }
    for sql in [
        "SELECT nextval('public.s')",
        "WITH x AS (DELETE FROM public.t RETURNING x) SELECT * FROM x",
        "EXPLAIN ANALYZE DELETE FROM public.t",
        "SELECT set_config('transaction_read_only', 'off', true)",
        "SELECT 1 -- \r; DELETE FROM public.t",
    ] {
        session.query(&cx, sql).await.expect_err(sql);
    }
    // Some servers let this one write in a read-only transaction.
    let _ = session.query(&cx, "SELECT lo_unlink(7)").await;
    // Whatever a statement sets for later ones, the next transaction is read-only again.
    let _ = session.query(&cx, "SELECT set_config('default_transaction_read_only', 'off', false)").await;
    session
        .query(&cx, "WITH x AS (DELETE FROM public.t RETURNING x) SELECT * FROM x")
        .await
        .expect_err("still reads only");
    assert!(matches!(session.execute(&cx, "DELETE FROM public.t").await, Err(VerbError::Denied(_))));
    assert!(session.query(&cx, "SELECT 1; DELETE FROM public.t").await.is_err());
    assert_eq!(
        bench.sql("SELECT count(*) || ' ' || (SELECT last_value FROM s) FROM t, pg_largeobject_metadata"),
        "1 1"
    );
    assert!(bench.journaled().is_empty());
}

#[tokio::test]
async fn a_snapshot_lasts_for_several_statements() {
    let bench = Bench::new("snapshots");
    bench.sql("CREATE TABLE t AS SELECT 1 AS x");
    let cx = bench.reading();
    let session = bench.driver.connect(&cx, Some("snapshots")).await.expect("connected");
    session.query(&cx, "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY").await.expect("begun");
    assert_eq!(text(session.query(&cx, "SELECT count(*) FROM public.t").await.expect("rows")), ["1"]);
    assert_eq!(session.query(&cx, "SELECT pg_export_snapshot()").await.expect("rows").len(), 1);
    bench.sql("INSERT INTO t VALUES (2)");
    assert_eq!(text(session.query(&cx, "SELECT count(*) FROM public.t").await.expect("rows")), ["1"]);
    session.query(&cx, "COMMIT").await.expect("ended");
    assert_eq!(text(session.query(&cx, "SELECT count(*) FROM public.t").await.expect("rows")), ["2"]);
    // An error ends the transaction, and the session goes on.
    session.query(&cx, "BEGIN READ ONLY").await.expect("begun");
    session.query(&cx, "SELECT 1 / 0").await.expect_err("fails");
    assert_eq!(text(session.query(&cx, "SELECT count(*) FROM public.t").await.expect("rows")), ["2"]);
    let long = session.query(&cx, "SELECT repeat('x', 1000) FROM generate_series(1, 100000)").await;
    assert!(long.expect_err("too long").to_string().contains("64 MiB"));
    assert_eq!(text(session.query(&cx, "SELECT count(*) FROM public.t").await.expect("rows")), ["2"]);
}

#[tokio::test]
async fn changes_are_journaled_and_stay_within_the_binding() {
    let bench = Bench::new("changes");
    let cx = bench.changing("r1-x");
    let session = bench.driver.connect(&cx, Some("changes")).await.expect("connected");
    session.execute(&cx, "CREATE TABLE public.t (x int); INSERT INTO public.t VALUES (1), (2)").await.expect("done");
    assert_eq!(text(session.query(&cx, "INSERT INTO public.t VALUES (3) RETURNING x").await.expect("rows")), ["3"]);
    assert_eq!(session.execute(&cx, "UPDATE public.t SET x = x + 1").await, Ok(3));
    // Several statements are one transaction.
    session.execute(&cx, "DELETE FROM public.t; SELECT 1 / 0").await.expect_err("fails");
    assert_eq!(bench.sql("SELECT count(*) FROM t"), "3");

    let maintenance = bench.driver.connect(&cx, None).await.expect("connected");
    maintenance.execute(&cx, "CREATE DATABASE changes_up_1").await.expect("its own");
    maintenance.execute(&cx, "DROP DATABASE changes_up_1").await.expect("its own");
    for sql in [
        "CREATE DATABASE other",
        "CREATE TABLE public.t (x int)",
        "ALTER DATABASE postgres SET x.y TO 1",
        "COPY t TO PROGRAM 'x'",
    ] {
        let refused = maintenance.execute(&cx, sql).await.expect_err(sql);
        assert!(matches!(refused, VerbError::Denied(_)), "{sql}: {refused}");
    }
    maintenance.execute(&cx, "WITH x AS (SELECT set_config('a.b', 'c', false)) SELECT * FROM x").await.expect("reads");
    for database in ["template1", "other", "change"] {
        assert!(matches!(bench.driver.connect(&cx, Some(database)).await, Err(VerbError::Denied(_))), "{database}");
    }
    assert!(bench.journaled().iter().all(|verb| verb == "postgres.execute"));
    assert_eq!(bench.backends("r1-x"), "2");
    drop((session, maintenance));
    bench.backends_become("r1-x", "0").await;
}

#[tokio::test]
async fn a_drill_reaches_its_own_databases_alone() {
    let bench = Bench::new("drilled");
    let name = scratch_name(bench.folder.path());
    let mut cx = bench.changing("r1-drill");
    cx.site = Site::Drill { root: bench.folder.path().into(), name: name.clone(), server: None };
    let maintenance = bench.driver.connect(&cx, None).await.expect("connected");
    for sql in ["ALTER DATABASE drilled ALLOW_CONNECTIONS false", "DROP DATABASE drilled"] {
        assert!(matches!(maintenance.execute(&cx, sql).await, Err(VerbError::Denied(_))), "{sql}");
    }
    assert!(matches!(bench.driver.connect(&cx, Some("drilled")).await, Err(VerbError::Denied(_))));
    maintenance.execute(&cx, &format!("CREATE DATABASE {name}")).await.expect("its own");
    maintenance.execute(&cx, &format!("CREATE DATABASE {}1_m", derived_prefix(&name))).await.expect("its own");
    let _connected = bench.driver.connect(&cx, Some(&name)).await.expect("connected");

    bench.driver.discard_scratch(&cx, &name).await.expect("dropped");
    bench.driver.discard_scratch(&cx, &name).await.expect("converges");
    assert!(matches!(bench.driver.discard_scratch(&cx, "drilled").await, Err(VerbError::Denied(_))));
    let left = bench
        .cluster
        .sql("postgres", "SELECT string_agg(datname, ',') FROM pg_database WHERE datname LIKE 'upgraded_drill%'");
    assert_eq!(left, "");
    assert_eq!(bench.sql("SELECT 1"), "1");
}

#[tokio::test]
async fn a_cancelled_statement_ends_on_the_server() {
    let bench = Bench::new("cancelled");
    let cx = bench.changing("r1-sleep");
    let session = bench.driver.connect(&cx, Some("cancelled")).await.expect("connected");
    let stop = async {
        let asleep = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(999)%' AND state = 'active' AND pid <> pg_backend_pid()";
        while bench.cluster.sql("postgres", asleep) == "0" {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        bench.cancellation.cancel();
    };
    let (answer, ()) = tokio::join!(session.query(&cx, "SELECT pg_sleep(999)"), stop);
    assert_eq!(answer, Err(VerbError::Cancelled));
    drop(session);
    bench.backends_become("r1-sleep", "0").await;
    bench.driver.close().await;
}

#[tokio::test]
async fn a_password_goes_over_tcp_and_into_no_message() {
    let password = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(password.path(), "t0p-secret\n").expect("written");
    std::fs::set_permissions(password.path(), std::fs::Permissions::from_mode(0o600)).expect("set");
    let source = SecretSource::File(password.path().into());
    let bench = Bench::with("passwords", |server| {
        (server.host, server.user, server.password) = ("127.0.0.1".into(), "teller".into(), Some(source));
    });
    bench.sql("CREATE ROLE teller LOGIN PASSWORD 't0p-secret'; ALTER DATABASE passwords OWNER TO teller; CREATE TABLE t (x int); ALTER TABLE t OWNER TO teller");
    let cx = bench.changing("r1-save");
    bench.driver.connect(&cx, None).await.expect("connected");
    bench.driver.dump(&cx, "passwords", None).await.expect("saved");
    std::fs::write(password.path(), "wr0ng").expect("written");
    let refused = bench.driver.connect(&cx, None).await.err().expect("refused").to_string();
    assert!(refused.contains("authentication failed"), "{refused}");
    let tool = bench.driver.dump(&cx, "passwords", None).await.expect_err("refused").to_string();
    for message in [refused, tool] {
        assert!(!message.contains("secret") && !message.contains("wr0ng"), "{message}");
    }
}

#[tokio::test]
async fn a_server_elsewhere_and_missing_tools_are_refused_with_what_would_be_right() {
    let bench = Bench::with("elsewhere", |server| server.host = "db.example.org".into());
    let refused = bench.driver.connect(&bench.reading(), None).await.err().expect("refused").to_string();
    assert!(refused.contains("not on this machine"), "{refused}");

    let empty = tempfile::tempdir().expect("a folder");
    let tools = Some(empty.path().to_owned());
    let bench = Bench::with("toolless", |server| server.tools = tools);
    let refused = bench.driver.versions(&bench.reading()).await.expect_err("refused").to_string();
    assert!(refused.contains("`postgresql-client-"), "{refused}");

    let bench = Bench::new("tools");
    let versions = bench.driver.versions(&bench.reading()).await.expect("found");
    assert!(versions.pg_dump >= versions.server && versions.pg_restore >= versions.server);
}

#[tokio::test]
async fn a_database_comes_back_with_owners_and_settings() {
    let bench = Bench::new("saved");
    bench.sql("CREATE ROLE saver; CREATE TABLE t AS SELECT g, repeat('x', 100) FROM generate_series(1, 50000) g; \
        ALTER TABLE t OWNER TO saver; CREATE INDEX ON t (g); ALTER DATABASE saved SET search_path TO '$user', 'public', 'a b'; \
        ALTER DATABASE saved SET \"x.secret\" TO 'it''s'; ALTER ROLE saver IN DATABASE saved SET work_mem TO '8MB'");
    let cx = bench.changing("r1-backup");
    let key = bench.driver.dump(&cx, "saved", None).await.expect("saved");
    assert_eq!(key, "shop/r1-backup/main/saved.dump");
    bench.cluster.sql("postgres", "CREATE DATABASE saved_up_1");
    let cx = bench.changing("r1-restore");
    bench.driver.restore(&cx, "saved_up_1", &key).await.expect("restored");
    let described = "SELECT count(*), (SELECT relowner::regrole FROM pg_class WHERE relname = 't') FROM t";
    assert_eq!(bench.cluster.sql("saved_up_1", described), bench.sql(described));
    let settings = |database: &str| {
        bench.cluster.sql(
            "postgres",
            &format!(
                "SELECT setrole::regrole, setconfig FROM pg_db_role_setting s \
            JOIN pg_database d ON d.oid = setdatabase WHERE datname = '{database}' ORDER BY 1"
            ),
        )
    };
    assert_eq!(settings("saved_up_1"), settings("saved"));
    assert_eq!(files(&bench.folder.path().join("scratch")), 0);
    let shown = format!("{:?}", bench.signs.lock().expect("no panic holds it"));
    assert!(shown.contains("processing data for table") && !shown.contains("it's"), "{shown}");
    assert_eq!(bench.journaled(), ["postgres.dump", "postgres.restore"]);

    // A second restore into what is not empty fails with the tool's own words.
    let failed = bench.driver.restore(&cx, "saved_up_1", &key).await.expect_err("not empty").to_string();
    assert!(failed.contains("already exists"), "{failed}");
    bench.driver.restore(&cx, "saved_up_1", "shop/none").await.expect_err("no artifact");
    assert!(matches!(bench.driver.restore(&cx, "postgres", &key).await, Err(VerbError::Denied(_))));
}

#[tokio::test]
async fn an_archive_of_a_tool_that_failed_is_no_artifact() {
    let bench = Bench::new("halved");
    bench.sql("CREATE TABLE t AS SELECT repeat(md5(g::text), 30) AS x FROM generate_series(1, 20000) g");
    let cx = bench.changing("r1-backup");
    let failed = bench.driver.dump(&cx, "halved", Some("00000003-0000001B-1")).await.expect_err("no such snapshot");
    assert!(failed.to_string().contains("snapshot"), "{failed}");
    assert!(bench.driver.dump(&cx, "halved", Some("'; x")).await.is_err());

    // The tool dies in the midst: what came before is no backup.
    bench.sql("CREATE FUNCTION slow(x text) RETURNS text LANGUAGE sql AS 'SELECT x'");
    let kill = async {
        for _ in 0..2000 {
            bench.cluster.sql(
                "postgres",
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                WHERE application_name LIKE 'upgraded/%/r1-backup' AND query LIKE 'COPY%'",
            );
            tokio::time::sleep(Duration::from_millis(1)).await;
            if bench
                .journal
                .0
                .lock()
                .expect("no panic holds it")
                .iter()
                .filter(|e| matches!(e, Event::EffectEnded { .. }))
                .count()
                > 1
            {
                return;
            }
        }
    };
    let (saved, ()) = tokio::join!(bench.driver.dump(&cx, "halved", None), kill);
    let kept = bench.driver.vault.list("shop/").expect("listed");
    match saved {
        Ok(key) => assert_eq!(kept.iter().map(|artifact| artifact.key.as_str()).collect::<Vec<_>>(), [key.as_str()]),
        Err(_) => assert!(kept.is_empty(), "{kept:?}"),
    }
}

#[tokio::test]
async fn what_an_interrupted_step_left_running_is_ended() {
    let bench = Bench::new("interrupted");
    let cx = bench.changing("r1-lost");
    let session = bench.driver.connect(&cx, Some("interrupted")).await.expect("connected");
    let other = bench.changing("r1-other");
    let bystander = bench.driver.connect(&other, Some("interrupted")).await.expect("connected");
    let vault = bench.driver.vault.clone();
    let server = Some(Server::at(bench.driver.server().expect("granted").clone()));
    let another_daemon = Postgres::new(server, vault, bench.folder.path().join("another"), Duration::from_secs(60));
    let namesake = another_daemon.connect(&cx, Some("interrupted")).await.expect("connected");
    let effect = Effect {
        step: "r1-lost".into(),
        attempt: 1,
        number: 0,
        verb: "postgres.execute".into(),
        arguments: String::new(),
        handle: "interrupted".into(),
        repeatable: true,
    };
    std::fs::create_dir_all(bench.folder.path().join("scratch")).expect("made");
    std::fs::write(bench.folder.path().join("scratch/postgres.r1-lost.x"), "half").expect("written");
    std::fs::write(bench.folder.path().join("scratch/postgres.r1-lost2.x"), "another's").expect("written");
    let server = bench.driver.server().expect("granted");
    let program = bench.cluster.programs().join("pg_dump");
    let found = Tools {
        pg_dump: program.clone(),
        pg_restore: program.clone(),
        dump_version: 15,
        restore_version: 15,
        container: None,
    };
    let mark = bench.driver.mark("r1-lost");
    let mut tool = tools::command(&found, &program, server, "interrupted", &mark).expect("built");
    // It waits for the lock until somebody ends it.
    let blocker = bench.cluster.psql(SUPERUSER, "interrupted").args(["-c", "CREATE TABLE t (x int)"]).status();
    assert!(blocker.is_ok_and(|status| status.success()));
    bystander.execute(&other, "BEGIN; LOCK TABLE public.t IN ACCESS EXCLUSIVE MODE").await.expect("locked");
    let mut running = tool.stdout(std::process::Stdio::null()).spawn().expect("started");
    bench.backends_become("r1-lost", "2").await;

    assert_eq!(bench.driver.fence_and_probe(&effect).await, Verdict::NotDone);
    assert_eq!(bench.driver.fence_and_probe(&effect).await, Verdict::NotDone);
    assert_eq!(bench.backends("r1-lost"), "0");
    assert!(!running.wait().await.expect("reaped").success());
    assert!(session.query(&cx, "SELECT 1").await.is_err());
    assert_eq!(text(bystander.query(&other, "SELECT 1").await.expect("untouched")), ["1"]);
    assert_eq!(text(namesake.query(&cx, "SELECT 1").await.expect("another daemon's run of the same number")), ["1"]);
    assert_eq!(files(&bench.folder.path().join("scratch")), 1);
}

fn files(folder: &Path) -> usize {
    std::fs::read_dir(folder).map_or(0, |entries| entries.count())
}
