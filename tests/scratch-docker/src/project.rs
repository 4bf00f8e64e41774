//! The name of one Compose project, and the end of everything that carries it.

use crate::Engine;
use std::process::{Command, Output};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::SystemTime;

/// Removes the project's containers, networks and volumes when dropped, and nothing of any other.
#[derive(Debug)]
pub struct Project {
    engine: Engine,
    name: String,
}

impl Project {
    pub(crate) fn new(engine: &Engine, prefix: &str) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_');
        let valid = prefix.starts_with(|c: char| c.is_ascii_lowercase()) && prefix.chars().all(fits);
        assert!(valid, "`{prefix}` can't begin a project's name: `a-z0-9_-`, with a letter first");
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("the clock is past 1970").as_millis();
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        Self { engine: engine.clone(), name: format!("{prefix}-{now:x}-{}-{number}", std::process::id()) }
    }

    pub fn name(&self) -> &str {
        &self.name
    }
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// `docker compose` for this project, to add to.
    pub fn compose(&self) -> Command {
        let mut compose = self.engine.compose();
        compose.args(["--project-name", &self.name, "--progress", "plain"]);
        compose
    }

    /// Ids of what carries the project's label: of `container`, `network` or `volume`.
    pub fn things(&self, kind: &str) -> Vec<String> {
        let output = self.list(kind).unwrap_or_else(|why| panic!("{why}"));
        output.split_whitespace().map(str::to_owned).collect()
    }

    fn list(&self, kind: &str) -> Result<String, String> {
        let label = format!("label=com.docker.compose.project={}", self.name);
        let all: &[&str] = if kind == "container" { &["--all", "--no-trunc"] } else { &[] };
        run(self.engine.docker().args([kind, "ls", "--quiet", "--filter", &label]).args(all))
    }

    /// What is there of it now; done again when it is dropped.
    pub fn remove(&self) -> Result<(), String> {
        for (kind, options) in
            [("container", &["--force", "--volumes"][..]), ("network", &[]), ("volume", &["--force"])]
        {
            let listed = self.list(kind)?;
            if !listed.trim().is_empty() {
                run(self.engine.docker().args([kind, "rm"]).args(options).args(listed.split_whitespace()))?;
            }
        }
        Ok(())
    }
}

impl Drop for Project {
    fn drop(&mut self) {
        // A test that fails already says why; one that passes has to leave nothing, but on an engine that goes with it.
        if let Err(why) = self.remove() {
            match std::thread::panicking() || self.engine.socket() != Engine::shared().socket() {
                true => eprintln!("the project `{}` is left: {why}", self.name),
                false => panic!("the project `{}` is left: {why}", self.name),
            }
        }
    }
}

fn run(docker: &mut Command) -> Result<String, String> {
    let Output { status, stdout, stderr } = docker.output().map_err(|error| format!("`docker`: {error}"))?;
    match status.success() {
        true => Ok(String::from_utf8_lossy(&stdout).into_owned()),
        false => Err(String::from_utf8_lossy(&stderr).trim_end().to_owned()),
    }
}
