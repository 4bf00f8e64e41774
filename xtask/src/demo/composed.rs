//! A machine on which a product is a Compose project of its own on a Docker engine, with its images in the registry there
//! and the vendor's index of releases served beside it. Demo and bench lay their products out on it.

use super::Machine;
use anyhow::{Context, Result, anyhow, bail};
use scratch_docker::products::free_port;
use scratch_docker::{Engine, Project, Shelf};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};

/// Dropped, nothing of it runs; the machine's folder stays.
pub struct Composed {
    pub machine: Machine,
    pub project: Project,
    pub shelf: Shelf,
    pub index_port: u16,
    /// None once it was ended.
    releases: Mutex<Option<Child>>,
}

impl Composed {
    /// `program`: the product's, in every image; it serves the index too.
    pub fn new(machine: Machine, program: &Path, engine: &Engine) -> Result<Self> {
        let shelf = Shelf::new(engine, program).map_err(|why| anyhow!(why))?;
        let index_port = free_port();
        let mut releases = Command::new(program);
        releases.args(["releases", "--listen", &format!("127.0.0.1:{index_port}")]).process_group(0);
        let releases = releases.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let releases = releases.with_context(|| format!("`{}`", program.display()))?;
        let project = engine.project(&format!("up-{}", machine.name()));
        Ok(Self { machine, project, shelf, index_port, releases: Mutex::new(Some(releases)) })
    }

    /// Of the vendor's releases.
    pub fn index(&self) -> String {
        format!("http://127.0.0.1:{}", self.index_port)
    }

    /// `docker compose` as the operator would call it, in the project's folder; what it printed.
    pub fn compose(&self, arguments: &[&str]) -> Result<String> {
        let mut compose = self.project.engine().docker();
        compose.args(["compose", "--progress", "quiet"]).args(arguments).current_dir(self.machine.home());
        let output = compose.output().context("`docker compose`")?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            bail!("`docker compose {}`: {}", arguments.join(" "), said.trim_end());
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    pub fn end(&self) -> Result<()> {
        let releases = self.releases.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(mut releases) = releases {
            releases.kill()?;
            releases.wait()?;
        }
        self.project.remove().map_err(|why| anyhow!(why))
    }
}

impl Drop for Composed {
    fn drop(&mut self) {
        // The project sees to itself.
        let _ = self.end();
    }
}
