//! The daemon as a child: started, asked, waited for, cut off. Ends with its test.

use crate::socket::ask;
use crate::{Machine, kind, outcome};
use serde_json::Value;
use std::fs::OpenOptions;
use std::io;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// A run takes seconds; a machine that is busy with something else may take its time.
const PATIENCE: Duration = Duration::from_secs(600);
/// A look at a deployment reads its run's whole journal.
const LOOK_EVERY: Duration = Duration::from_millis(100);
const CHEAP_LOOK_EVERY: Duration = Duration::from_millis(20);

pub struct Daemon<'a> {
    pub site: &'a Machine,
    child: Child,
}

impl<'a> Daemon<'a> {
    /// Without waiting for it: it may be meant to die, or to refuse.
    pub fn launch(site: &'a Machine, environment: &[(&str, &str)]) -> Self {
        let log = OpenOptions::new().create(true).append(true).open(site.log_file()).expect("the daemon's log");
        let mut words = site.through.iter().cloned().chain([site.programs.upgraded.display().to_string()]);
        let child = Command::new(words.next().expect("a program"))
            .args(words)
            .arg("--config")
            .arg(site.settings_file())
            .env("UPGRADED_FAILPOINT_FILE", site.cut_file())
            .envs(site.environment.iter().map(|(name, value)| (name, value)))
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("the daemon's log"))
            .stderr(log)
            .process_group(0)
            .spawn()
            .expect("the daemon starts");
        Self { site, child }
    }

    pub fn start(site: &'a Machine) -> Self {
        Self::start_with(site, &[])
    }

    pub fn start_with(site: &'a Machine, environment: &[(&str, &str)]) -> Self {
        let mut daemon = Self::launch(site, environment);
        daemon.until(CHEAP_LOOK_EVERY, "the daemon answers", |daemon| daemon.get("/v1/").is_ok());
        daemon
    }

    /// It knows what is installed, and has nothing to do.
    pub fn settled(self) -> Self {
        let mut daemon = self;
        daemon.wait("the daemon has looked", |now| now["installed"].is_string() && kind(now) == "idle");
        daemon
    }

    /// The same, where the wanted version may be in quarantine.
    pub fn settled_or_quarantined(self) -> Self {
        let mut daemon = self;
        daemon.wait("the daemon has looked", |now| {
            now["installed"].is_string() && matches!(kind(now), "idle" | "quarantined")
        });
        daemon
    }

    pub fn get(&self, path: &str) -> io::Result<Value> {
        ask(&self.site.socket(), "GET", path)
    }
    pub fn post(&self, path: &str) -> Value {
        ask(&self.site.socket(), "POST", path).unwrap_or_else(|error| panic!("POST {path}: {error}"))
    }
    pub fn now(&self) -> Value {
        self.get(&format!("/v1/deployments/{}", self.site.name)).unwrap_or_default()
    }
    pub fn runs(&self) -> usize {
        let runs = self
            .get(&format!("/v1/deployments/{}/runs?limit=1000", self.site.name))
            .expect("the daemon lists its runs");
        runs.as_array().expect("a list of runs").len()
    }
    pub fn look(&self) {
        self.post(&format!("/v1/deployments/{}/look", self.site.name));
    }

    /// What `upgradectl --json` prints, and whether it was content.
    pub fn upgradectl(&self, arguments: &[&str]) -> (Value, Option<i32>) {
        let mut command = Command::new(&self.site.programs.upgradectl);
        command.arg("--socket").arg(self.site.socket()).arg("--json").args(arguments).stdin(Stdio::null());
        let output = command.output().expect("`upgradectl` starts");
        let text = String::from_utf8_lossy(&output.stdout);
        let value = serde_json::from_str(&text)
            .unwrap_or_else(|error| panic!("`upgradectl {}` printed `{text}`: {error}", arguments.join(" ")));
        (value, output.status.code())
    }

    /// What it answers where it does what it is told.
    pub fn told(&self, arguments: &[&str]) -> Value {
        let (value, code) = self.upgradectl(arguments);
        assert_eq!(code, Some(0), "`upgradectl {}`: {value:#}", arguments.join(" "));
        value
    }

    /// Waits for the end of the newest run, which leads to `version`.
    pub fn end_of_run_to(&mut self, version: &str) -> Value {
        self.wait(&format!("the run to {version} ends"), |now| {
            now["last_run"]["to"] == version && has_ended(now) && !matches!(kind(now), "running" | "planning")
        })
    }

    /// Waits for the end of a run that is newer than `run`.
    pub fn end_of_run_after(&mut self, run: u64) -> Value {
        self.wait(&format!("a run after run {run} ends"), |now| {
            now["last_run"]["id"].as_u64() > Some(run) && has_ended(now) && kind(now) != "running"
        })
    }

    /// Begins a rehearsal; its run's number.
    pub fn rehearses(&self, version: &str) -> u64 {
        let begun = self.told(&["rehearse", &self.site.name, "--to", version]);
        begun["run"].as_u64().expect("a run's number")
    }

    /// The upgrade was rehearsed, went well, and was measured.
    pub fn rehearsed(&mut self, version: &str) {
        let run = self.rehearses(version);
        let now = self.end_of_run_after(run - 1);
        assert_eq!(outcome(&now), "rehearsed", "{now:#}\n{}", self.site.log());
        let told = self.told(&["show", &run.to_string()]);
        assert!(told["rehearsed"]["downtime_s"].is_f64(), "{told:#}");
    }

    /// Looks at the deployment until it is as it should be.
    pub fn wait(&mut self, what: &str, mut until: impl FnMut(&Value) -> bool) -> Value {
        let mut now = Value::Null;
        self.until(LOOK_EVERY, what, |daemon| {
            now = daemon.now();
            let done = until(&now);
            assert!(done || kind(&now) != "stuck", "waited until {what}: {:#}\n{}", now["state"], daemon.site.log());
            done
        });
        now
    }

    /// Waits until the cut that it was started with came.
    pub fn dies(mut self) {
        let status = self.exit("the daemon dies");
        assert_eq!(status.signal(), Some(9), "it should have been cut off: {status}\n{}", self.site.log());
    }

    /// Whether the cut came before it was as it should be.
    pub fn dies_unless(&mut self, done: impl Fn(&Value) -> bool) -> bool {
        let began = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("our child") {
                assert_eq!(status.signal(), Some(9), "it should have been cut off: {status}\n{}", self.site.log());
                return true;
            }
            let now = self.now();
            if done(&now) {
                return false;
            }
            assert!(began.elapsed() < PATIENCE, "waited until the daemon dies: {now:#}\n{}", self.site.log());
            std::thread::sleep(LOOK_EVERY);
        }
    }

    pub fn exit(&mut self, what: &str) -> ExitStatus {
        let began = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("our child") {
                return status;
            }
            assert!(began.elapsed() < PATIENCE, "waited until {what}: {:#}\n{}", self.now(), self.site.log());
            std::thread::sleep(CHEAP_LOOK_EVERY);
        }
    }

    /// As a cut of the power would, for the daemon alone.
    pub fn kill(mut self) {
        self.child.kill().expect("our child");
        self.child.wait().expect("our child");
    }

    /// As `systemctl stop` would.
    pub fn stop(mut self) {
        self.terminate();
        let status = self.exit("the daemon stops");
        assert!(status.success(), "the daemon stopped with {status}\n{}", self.site.log());
    }

    fn terminate(&self) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().expect("`kill`").success());
    }

    fn until(&mut self, every: Duration, what: &str, mut done: impl FnMut(&Self) -> bool) {
        let began = Instant::now();
        while !done(self) {
            if let Some(status) = self.child.try_wait().expect("our child") {
                panic!("waited until {what}; the daemon ended with {status}\n{}", self.site.log());
            }
            let state = || format!("{:#}\n{}", self.now(), self.site.log());
            assert!(began.elapsed() < PATIENCE, "waited until {what}: {}", state());
            std::thread::sleep(every);
        }
    }
}

fn has_ended(now: &Value) -> bool {
    !now["last_run"]["outcome"].is_null()
}

impl Drop for Daemon<'_> {
    /// A test that failed leaves nothing behind.
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
