//! All services of a release as processes, on an address of their own.

use serde_json::{Value, json};
use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Output};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

pub const TOKEN: &str = "a-token";
pub const API: u16 = 8000;
pub const DATABASE: u16 = 7474;
const CACHE: u16 = 6379;
const PATIENCE: Duration = Duration::from_secs(40);

pub struct Installation {
    folder: tempfile::TempDir,
    address: String,
    running: Vec<(String, Child)>,
}

impl Installation {
    /// A new graph of a release, served.
    pub fn of(release: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let mut it = Self { folder, address: own_address(), running: Vec::new() };
        it.keep_data();
        it.serve(release);
        it.until("everything is healthy", |it| it.get("/api/health").0 == 200);
        it
    }

    fn keep_data(&mut self) {
        let folder = self.path("data").display().to_string();
        let listen = [format!("{}:{DATABASE}", self.address), format!("{}:{CACHE}", self.address)];
        self.start("", &["database", "--folder", &folder, "--listen", &listen[0]]);
        self.start("", &["cache", "--listen", &listen[1]]);
    }

    /// The server and two workers.
    pub fn serve(&mut self, release: &str) {
        let listen = format!("{}:{API}", self.address);
        self.start(release, &["server", "--listen", &listen]);
        for _ in 0..2 {
            self.start(release, &["task-worker"]);
        }
    }

    /// All but the database and the cache.
    pub fn stop(&mut self) {
        let (stay, go) =
            std::mem::take(&mut self.running).into_iter().partition(|(name, _)| name == "database" || name == "cache");
        self.running = stay;
        go.into_iter().for_each(|(_, child)| end(child));
    }

    /// The database as after a cut of the power.
    pub fn cut(&mut self) {
        self.stop();
        for (_, mut child) in std::mem::take(&mut self.running) {
            child.kill().expect("it runs");
            child.wait().expect("it ends");
        }
        self.keep_data();
    }

    pub fn upgrade(&self, release: &str, environment: &[(&str, &str)]) -> Output {
        self.command(release).arg("upgrade").envs(environment.iter().copied()).output().expect("it runs")
    }

    fn command(&self, release: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_infrahub"));
        command
            .env("INFRAHUB_RELEASE", release)
            .env("INFRAHUB_API_TOKEN", TOKEN)
            .env("INFRAHUB_STORAGE", self.path("storage"));
        command.env("INFRAHUB_DATABASE_ADDRESS", format!("{}:{DATABASE}", self.address));
        command.env("INFRAHUB_CACHE_ADDRESS", format!("{}:{CACHE}", self.address));
        command
    }

    fn start(&mut self, release: &str, arguments: &[&str]) {
        let mut command = self.command(release);
        command.env("HOSTNAME", format!("w{}", self.running.len()));
        let log = File::options().create(true).append(true).open(self.path(arguments[0])).expect("a log");
        command.args(arguments).stderr(log.try_clone().expect("a log")).stdout(log);
        self.running.push((arguments[0].to_owned(), command.spawn().expect("it starts")));
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn log(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    pub fn until(&self, what: &str, done: impl Fn(&Self) -> bool) {
        let began = Instant::now();
        while !done(self) {
            let logs = ["database", "server", "task-worker"].map(|name| self.log(name)).concat();
            assert!(began.elapsed() < PATIENCE, "waited until {what}: {:?}\n{logs}", self.get("/api/health"));
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    pub fn get(&self, path: &str) -> (u16, Value) {
        self.ask(API, "GET", path, &Value::Null)
    }

    pub fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        self.ask(API, "POST", path, body)
    }

    pub fn graphql(&self, query: &str) -> Value {
        self.post("/graphql", &json!({ "query": query })).1
    }

    pub fn export(&self) -> Value {
        self.ask(DATABASE, "GET", "/export", &Value::Null).1
    }

    pub fn ask(&self, port: u16, method: &str, path: &str, body: &Value) -> (u16, Value) {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/json\r\n\
             x-infrahub-key: {TOKEN}\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        let Ok(mut stream) = TcpStream::connect((self.address.as_str(), port)) else { return (0, Value::Null) };
        let mut answer = String::new();
        let _ = stream.write_all(request.as_bytes()).and_then(|()| stream.read_to_string(&mut answer));
        let status = answer.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0);
        let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
        (status, serde_json::from_str(body).unwrap_or_default())
    }
}

impl Drop for Installation {
    fn drop(&mut self) {
        std::mem::take(&mut self.running).into_iter().for_each(|(_, child)| end(child));
    }
}

fn end(mut child: Child) {
    let _ = Command::new("kill").arg(child.id().to_string()).status();
    let _ = child.wait();
}

/// All of 127.0.0.0/8 is this machine.
fn own_address() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    let pid = std::process::id();
    format!("127.{}.{}.{}", pid / 254 % 254 + 1, pid % 254 + 1, NEXT.fetch_add(1, Ordering::Relaxed))
}
