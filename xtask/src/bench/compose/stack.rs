//! `tessallite` with so many rows in its PostgreSQL, set back to where it began as often as is wanted.

use crate::bench::database::{ROW_BYTES, TABLES, WORDS, table};
use crate::demo::{Composed, Daemon, Machine, Programs, Socket};
use crate::http;
use crate::interrupt::{Interrupt, pause};
use anyhow::{Result, anyhow, bail};
use scratch_docker::Engine;
use scratch_docker::products::free_port;
use scratch_docker::products::tessallite::{self, Ports, SERVICES};
use std::fs;
use std::time::{Duration, Instant};

pub const FIRST: &str = "1.4.0";
pub const NEXT: &str = "1.5.0";
/// What a user asks for.
pub const PATH: &str = "/api/models";
const FILLED: &str = "filled";
/// The operator's own file.
const OVERRIDE: &str = "compose.override.yaml";
/// As most projects have it: the first check is due after one interval, as all others. The product's own file asks Docker
/// for one in each second of the start, which it can since 25.
const SELDOM: &str = "services:\n  frontend:\n    healthcheck: { interval: 10s, start_period: 0s }\n";
const PATIENCE: Duration = Duration::from_secs(120);

pub struct Stack<'a> {
    pub composed: Composed,
    pub ports: Ports,
    programs: &'a Programs,
    engine: &'a Engine,
}

impl<'a> Stack<'a> {
    /// Release [`FIRST`] runs; `more` is another file of the project, with services that are not the product's.
    pub fn make(programs: &'a Programs, engine: &'a Engine, more: Option<&str>) -> Result<Self> {
        let machine = Machine::make("tessallite", programs)?;
        let composed = Composed::new(machine, &programs.tessallite, engine)?;
        let stack = Self { composed, ports: Ports { gateway: free_port(), frontend: free_port() }, programs, engine };
        for version in [FIRST, NEXT] {
            tessallite::publish(&stack.composed.shelf, version).map_err(|why| anyhow!(why))?;
        }
        stack.lay_out()?;
        if let Some(more) = more {
            fs::write(stack.composed.machine.home().join(OVERRIDE), more)?;
        }
        stack.composed.compose(&["up", "--detach", "--wait", "--quiet-pull"])?;
        Ok(stack)
    }

    /// From the next [`Stack::set_back`] on.
    pub fn check_seldom(&self, seldom: bool) -> Result<()> {
        let file = self.composed.machine.home().join(OVERRIDE);
        let done = if seldom { fs::write(file, SELDOM) } else { fs::remove_file(file) };
        Ok(done?)
    }

    fn lay_out(&self) -> Result<()> {
        let Composed { machine, project, shelf, .. } = &self.composed;
        let (home, secrets) = (machine.home(), machine.path("etc"));
        tessallite::lay_out(&home, &secrets, project.name(), shelf, self.ports, FIRST).map_err(|why| anyhow!(why))?;
        let index = self.composed.index();
        let policy = "approve = \"never\"\ndrill = \"ahead\"\n";
        let text = tessallite::deployment(self.engine, &home, &secrets, self.ports, &index, FIRST, policy);
        let unrelated = format!("plugin = \"postgres\"\nunrelated = [\"{FILLED}\"]\n");
        Ok(fs::write(machine.deployment_file(), text.replacen("plugin = \"postgres\"\n", &unrelated, 1))?)
    }

    /// So many megabytes of ordinary rows beside the product's own, kept for every [`Stack::set_back`].
    pub fn fill(&self, megabytes: u64) -> Result<()> {
        let rows = (megabytes << 20) / (TABLES * ROW_BYTES);
        let tables: String = (1..=TABLES).map(|number| table(number, rows)).collect();
        for sql in [WORDS, &tables, "DROP TABLE word, sentence", "VACUUM ANALYZE", "CHECKPOINT"] {
            self.sql("tessallite", sql)?;
        }
        let size = self.sql("tessallite", "SELECT pg_database_size(current_database()) >> 20")?;
        eprintln!("  a database of {} MiB", size.trim());
        self.stop()?;
        self.copy("tessallite", FILLED)
    }

    /// Release [`FIRST`] runs on the data of the beginning, the daemon knows of no run, and the images of [`NEXT`] are not
    /// on the engine.
    pub fn set_back(&self) -> Result<()> {
        self.composed.compose(&["up", "--detach", "--wait", "postgres"])?;
        self.stop()?;
        let made = "SELECT datname FROM pg_database WHERE starts_with(datname, 'tessallite')";
        for name in self.sql("postgres", made)?.lines() {
            self.sql("postgres", &format!("DROP DATABASE \"{name}\" WITH (FORCE)"))?;
        }
        self.copy(FILLED, "tessallite")?;
        self.lay_out()?;
        self.composed.compose(&["up", "--detach", "--wait", "--remove-orphans"])?;
        for service in SERVICES {
            // One that is not there is as it should be.
            let _ = self.engine.try_to(&["image", "rm", &self.image(service, NEXT)]);
        }
        let machine = &self.composed.machine;
        for entry in fs::read_dir(machine.path("state"))?.flatten() {
            // Compiling plugins takes seconds, once for each of their releases.
            match entry.file_name() == "plugins" {
                true => {}
                false if entry.path().is_dir() => fs::remove_dir_all(entry.path())?,
                false => fs::remove_file(entry.path())?,
            }
        }
        fs::remove_dir_all(machine.path("vault"))?;
        Ok(fs::create_dir(machine.path("vault"))?)
    }

    pub fn daemon(&self, interrupt: &Interrupt) -> Result<(Daemon, Socket)> {
        let machine = &self.composed.machine;
        let mut daemon = Daemon::start_with(self.programs, machine, &self.engine.environment())?;
        let socket = Socket::new(machine.socket());
        daemon.wait_until_it_answers(&socket, interrupt)?;
        Ok((daemon, socket))
    }

    /// Users are let in by this version.
    pub fn wait_until_it_serves(&self, version: &str) -> Result<()> {
        let began = Instant::now();
        loop {
            let answer = http::get(self.ports.gateway, "/api/health", Duration::from_secs(2));
            let body = answer.map(|answer| answer.body).unwrap_or_default();
            let health: serde_json::Value = serde_json::from_str(&body).unwrap_or_default();
            if health["status"] == "ok" && health["version"] == version {
                return Ok(());
            }
            if began.elapsed() > PATIENCE {
                bail!("{version} does not serve; it says `{body}`");
            }
            pause();
        }
    }

    /// With its database.
    pub fn stop_all(&self) -> Result<()> {
        self.composed.compose(&["stop"]).map(drop)
    }

    fn stop(&self) -> Result<()> {
        self.composed.compose(&[&["stop"][..], &SERVICES].concat()).map(drop)
    }

    fn copy(&self, from: &str, to: &str) -> Result<()> {
        self.sql("postgres", &format!("CREATE DATABASE {to} TEMPLATE {from} STRATEGY file_copy"))?;
        self.sql("postgres", "CHECKPOINT").map(drop)
    }

    fn sql(&self, database: &str, sql: &str) -> Result<String> {
        let psql = ["exec", "-T", "postgres", "psql", "-XqAt", "-v", "ON_ERROR_STOP=1", "-U", "tessallite"];
        self.composed.compose(&[&psql[..], &["-d", database, "-c", sql]].concat())
    }

    fn image(&self, service: &str, version: &str) -> String {
        format!("{}/tessallite/{service}:{version}", self.composed.shelf.registry())
    }
}

impl Drop for Stack<'_> {
    /// Whatever happened; there is nobody left to tell.
    fn drop(&mut self) {
        let _ = self.composed.end();
        let _ = self.composed.machine.remove();
    }
}
