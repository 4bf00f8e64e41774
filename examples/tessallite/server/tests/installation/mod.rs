//! All services of one release on one real database, each a process on an address of its own.

use scratch_postgres::Cluster;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};
use tempfile::TempDir;

const SERVICES: [(&str, u16); 6] = [
    ("model-service", 8001),
    ("query-router", 8002),
    ("optimizer", 8003),
    ("scheduler", 8004),
    ("frontend", 3000),
    ("gateway", 8080),
];
pub const FRONTEND: u16 = 3000;
pub const GATEWAY: u16 = 8080;
pub const PATIENCE: Duration = Duration::from_secs(60);

pub struct Installation {
    pub cluster: Arc<Cluster>,
    database: String,
    /// Of its own, so that nobody takes its ports.
    address: String,
    logs: TempDir,
    running: Vec<(&'static str, Child)>,
}

impl Installation {
    pub fn new(database: &str) -> Self {
        let cluster = Cluster::shared();
        cluster.sql("postgres", &format!("CREATE DATABASE {database}"));
        let logs = tempfile::tempdir().expect("a folder");
        Self { cluster, database: database.into(), address: own_address(), logs, running: Vec::new() }
    }

    pub fn sql(&self, sql: &str) -> String {
        self.cluster.sql(&self.database, sql)
    }

    /// All services of a release, until each of them listens.
    pub fn up(&mut self, release: &str) -> &mut Self {
        self.start(release, &[]);
        self.until("the product is healthy", |it| it.get(FRONTEND, "/api/health").0 == 200);
        self.until("users can come in", |it| it.get(GATEWAY, "/healthz").0 == 200);
        self
    }

    pub fn start(&mut self, release: &str, environment: &[(&str, &str)]) {
        self.down();
        for (name, _) in SERVICES {
            let log = File::create(self.logs.path().join(name)).expect("a log");
            let mut command = Command::new(env!("CARGO_BIN_EXE_tessallite"));
            let folder = self.cluster.folder().display();
            let url = format!("postgres:///{}?host={folder}&port={}&user=postgres", self.database, self.cluster.port());
            for (upstream, port) in SERVICES {
                let key = upstream.replace('-', "_").to_uppercase();
                command.env(key, format!("{}:{port}", self.address));
            }
            command.arg(name).env("TESSALLITE_RELEASE", release).env("DATABASE_URL", url).env("TICK_MS", "50");
            command.env("ADDRESS", &self.address).envs(environment.iter().copied());
            command.stderr(log.try_clone().expect("a log")).stdout(log);
            self.running.push((name, command.spawn().expect("it starts")));
        }
    }

    /// As a container's engine does it, with the time that each took.
    pub fn down(&mut self) -> Vec<Duration> {
        let running = std::mem::take(&mut self.running);
        let end = |(_, mut child): (_, Child)| {
            let began = Instant::now();
            if child.try_wait().expect("a child").is_none() {
                let _ = Command::new("kill").arg(child.id().to_string()).status();
            }
            child.wait().expect("it ends");
            began.elapsed()
        };
        running.into_iter().map(end).collect()
    }

    /// The exit code of a service that ends by itself.
    pub fn ended(&mut self, name: &str) -> Option<i32> {
        let began = Instant::now();
        let (_, child) = self.running.iter_mut().find(|(known, _)| *known == name).expect("it was started");
        loop {
            if let Some(status) = child.try_wait().expect("a child") {
                return status.code();
            }
            assert!(began.elapsed() < PATIENCE, "`{name}` still runs");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    pub fn log(&self, name: &str) -> String {
        fs::read_to_string(self.logs.path().join(name)).unwrap_or_default()
    }

    pub fn until(&self, what: &str, done: impl Fn(&Self) -> bool) {
        let began = Instant::now();
        while !done(self) {
            assert!(
                began.elapsed() < PATIENCE,
                "waited until {what}: {:?}, {}",
                self.get(FRONTEND, "/api/health"),
                self.log("model-service")
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    pub fn get(&self, port: u16, path: &str) -> (u16, String) {
        self.ask(port, "GET", path, "")
    }

    pub fn add(&self, name: &str) -> (u16, String) {
        let model = format!(r#"{{"name":"{name}","rows":[{{"key":"a","amount":2}},{{"key":"b","amount":3}}]}}"#);
        self.ask(GATEWAY, "POST", "/api/models", &model)
    }

    fn ask(&self, port: u16, method: &str, path: &str, body: &str) -> (u16, String) {
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/json\r\n\
             content-length: {}\r\n\r\n{body}",
            body.len()
        );
        let Ok(mut stream) = TcpStream::connect((self.address.as_str(), port)) else { return (0, String::new()) };
        let mut answer = String::new();
        let _ = stream.write_all(request.as_bytes()).and_then(|()| stream.read_to_string(&mut answer));
        let status = answer.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0);
        (status, answer.split_once("\r\n\r\n").map(|(_, body)| body.into()).unwrap_or_default())
    }
}

impl Drop for Installation {
    fn drop(&mut self) {
        self.down();
    }
}

/// All of 127.0.0.0/8 is this machine.
fn own_address() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    let pid = std::process::id();
    format!("127.{}.{}.{}", pid / 254 % 254 + 1, pid % 254 + 1, NEXT.fetch_add(1, Ordering::Relaxed))
}
