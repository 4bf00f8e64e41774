//! Each release does what its notes say, on a real PostgreSQL, started as an operator starts it.

use scratch_postgres::Cluster;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// One installation: a database, a checkout, a runtime.
struct Install {
    cluster: Arc<Cluster>,
    folder: TempDir,
    database: String,
    /// Of its own, so that nobody takes its port.
    address: String,
}

const PORT: u16 = 4000;
const PATIENCE: Duration = Duration::from_secs(60);

impl Install {
    fn new(database: &str) -> Self {
        let cluster = Cluster::shared();
        cluster.sql("postgres", &format!("CREATE DATABASE {database}"));
        let folder = tempfile::tempdir().expect("a folder");
        decisiongraph::repository::make(&folder.path().join("repository")).expect("made");
        Self { cluster, folder, database: database.into(), address: own_address() }
    }
    fn checkout(&self, version: &str) -> &Self {
        let mut git = Command::new("git");
        git.arg("-C").arg(self.folder.path().join("repository")).env("GIT_CONFIG_GLOBAL", "/dev/null");
        assert!(git.args(["checkout", "--quiet", &format!("v{version}")]).status().expect("git").success());
        self
    }
    fn beam(&self) -> PathBuf {
        self.folder.path().join("repository/beam")
    }
    fn mix(&self, arguments: &[&str]) -> Output {
        mix(&self.beam(), arguments)
            .env(
                "DATABASE_URL",
                format!(
                    "postgres:///{}?host={}&port={}&user=postgres",
                    self.database,
                    self.cluster.folder().display(),
                    self.cluster.port()
                ),
            )
            .env("DG_ADDRESS", &self.address)
            .env("PORT", PORT.to_string())
            .env("DG_API_TOKEN", "reader")
            .env("DG_ADMIN_TOKEN", "admin")
            .env("DG_RUN", self.folder.path().join("run"))
            .output()
            .expect("mix runs")
    }
    fn done(&self, arguments: &[&str]) -> String {
        let output = self.mix(arguments);
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
    fn start(&self) {
        self.done(&["dg.service", "start", "runtime"]);
        self.until("it serves", || self.status("GET", "/api/healthz", None) == 200);
    }
    fn until(&self, what: &str, done: impl Fn() -> bool) {
        let began = Instant::now();
        while !done() {
            let log = || std::fs::read_to_string(self.folder.path().join("run/runtime.log")).unwrap_or_default();
            assert!(began.elapsed() < PATIENCE, "waited until {what}: {}", log());
            std::thread::sleep(Duration::from_millis(50));
        }
    }
    fn stop(&self) {
        self.done(&["dg.service", "stop", "runtime"]);
    }
    fn status(&self, method: &str, path: &str, token: Option<&str>) -> u16 {
        let body = if method == "POST" { r#"{"dry_run":true}"# } else { "" };
        let authorization = token.map(|token| format!("authorization: Bearer {token}\r\n")).unwrap_or_default();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/json\r\n\
             content-length: {}\r\n{authorization}\r\n{body}",
            body.len()
        );
        let Ok(mut stream) = TcpStream::connect((self.address.as_str(), PORT)) else { return 0 };
        let mut answer = String::new();
        let _ = stream.write_all(request.as_bytes()).and_then(|()| stream.read_to_string(&mut answer));
        answer.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0)
    }
    fn checks(&self) -> [u16; 4] {
        [
            self.status("GET", "/api/healthz", None),
            self.status("GET", "/api/v1/projections/health", Some("reader")),
            self.status("GET", "/console", None),
            self.status("POST", "/api/v1/admin/replays", Some("admin")),
        ]
    }
    fn events(&self) -> String {
        self.cluster.sql(&self.database, "SELECT count(*) FROM events")
    }
}

impl Drop for Install {
    fn drop(&mut self) {
        let _ = self.mix(&["dg.service", "stop", "runtime"]);
    }
}

/// All of 127.0.0.0/8 is this machine.
fn own_address() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    let pid = std::process::id();
    format!("127.{}.{}.{}", pid / 254 % 254 + 1, pid % 254 + 1, NEXT.fetch_add(1, Ordering::Relaxed))
}

fn mix(folder: &Path, arguments: &[&str]) -> Command {
    let mut mix = Command::new(env!("CARGO_BIN_EXE_mix"));
    mix.current_dir(folder).args(arguments);
    mix
}

const GOOD: [u16; 4] = [200, 200, 200, 202];

#[test]
fn the_published_way_up_and_the_wrong_turns() {
    let install = Install::new("published");
    install.checkout("1.0.0");
    install.done(&["deps.get"]);
    install.done(&["compile"]);
    assert!(install.done(&["ecto.migrate"]).contains("1 migrations done"));
    install.done(&["dg.seed", "200"]);
    install.start();
    assert_eq!(install.checks(), GOOD);
    assert_eq!(install.status("GET", "/api/v1/projections/health", None), 401);
    assert_eq!(install.status("POST", "/api/v1/admin/replays", Some("reader")), 401);
    install.stop();

    let migrated = install.checkout("1.1.0").done(&["ecto.migrate"]);
    assert!(migrated.contains("backfilled 10/10"), "{migrated}");
    assert!(install.done(&["ecto.migrate"]).contains("already up"));
    install.start();
    assert_eq!(install.checks(), GOOD);
    install.stop();

    // Healthy, and wrong: the older code alone doesn't help, a rebuild does.
    install.checkout("1.3.0").start();
    assert_eq!(install.checks(), [200, 503, 200, 202]);
    install.stop();
    install.checkout("1.1.0").start();
    assert_eq!(install.checks(), [200, 503, 200, 202]);
    install.done(&["dg.projections.rebuild"]);
    assert_eq!(install.checks(), GOOD);
    install.stop();

    install.checkout("1.4.0").start();
    assert_eq!(install.checks(), GOOD);
    install.stop();
    assert_eq!(install.events(), "200");

    // The log itself is another: a rebuild does not bring it back.
    install.checkout("1.10.0").start();
    assert_eq!(install.checks(), [200, 503, 200, 409]);
    install.stop();
    install.checkout("1.1.0").start();
    install.done(&["dg.projections.rebuild"]);
    assert_eq!(install.checks(), [200, 200, 200, 409]);
    install.stop();
}

#[test]
fn releases_that_fail_do_so_as_their_notes_say() {
    let install = Install::new("failing");
    install.checkout("1.1.0").done(&["ecto.migrate"]);
    install.done(&["dg.seed", "100"]);

    let failed = install.checkout("1.5.0").mix(&["ecto.migrate"]);
    assert!(!failed.status.success());
    let there = "SELECT to_regclass('labels') IS NOT NULL, count(*) FROM schema_migrations";
    assert_eq!(install.cluster.sql("failing", there), "t|3");

    assert!(!install.checkout("1.8.0").mix(&["compile"]).status.success());
    // It is started, and crashes.
    install.checkout("1.6.0").done(&["dg.service", "start", "runtime"]);
    install.until("it has ended", || install.mix(&["dg.service", "status", "runtime"]).status.code() == Some(3));

    install.checkout("1.7.0").done(&["ecto.migrate"]);
    assert_eq!(install.events(), "67");
    install.start();
    assert_eq!(install.status("POST", "/api/v1/admin/replays", Some("admin")), 409);
}

#[test]
fn the_same_repository_every_time() {
    let folder = tempfile::tempdir().expect("a folder");
    let commits: Vec<String> = ["a", "b"]
        .map(|name| {
            let path = folder.path().join(name);
            decisiongraph::repository::make(&path).expect("made");
            let tags = Command::new("git").arg("-C").arg(path).args(["show-ref", "--tags"]).output().expect("git");
            String::from_utf8(tags.stdout).expect("text")
        })
        .into();
    assert_eq!(commits[0], commits[1]);
    assert_eq!(commits[0].lines().count(), decisiongraph::repository::versions().count());
}
