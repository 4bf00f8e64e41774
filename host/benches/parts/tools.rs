//! The tools that people do it with: PostgreSQL's own, and restic.

use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// A server, and the folder of its programs.
pub struct Tools {
    pub programs: PathBuf,
    pub host: PathBuf,
    pub port: u16,
    pub user: String,
}

impl Tools {
    pub fn tool(&self, name: &str) -> Command {
        let mut command = Command::new(self.programs.join(name));
        command.arg("-h").arg(&self.host).args(["-p", &self.port.to_string(), "-U", &self.user]);
        command.stdin(Stdio::null()).stdout(Stdio::null());
        command
    }

    /// In the maintenance database.
    pub fn sql(&self, sql: &str) -> Result<()> {
        succeed(self.tool("psql").args(["-XqAt", "-v", "ON_ERROR_STOP=1", "-d", "postgres", "-c", sql]))
    }

    pub fn empty(&self, database: &str) -> Result<()> {
        self.sql(&format!("DROP DATABASE IF EXISTS {database}"))?;
        self.sql(&format!("CREATE DATABASE {database}"))?;
        // Whoever comes next shall not pay for what was written before.
        self.sql("CHECKPOINT")
    }

    /// `pg_dump | restic backup --stdin`
    pub fn dump_into(&self, restic: &Restic, database: &str) -> Result<()> {
        let mut dump = self.tool("pg_dump");
        let mut dump = dump.args(["-Fc", "-Z0", "-d", database]).stdout(Stdio::piped()).spawn().context("`pg_dump`")?;
        let bytes = dump.stdout.take().context("the output was piped")?;
        let mut backup = restic.command();
        backup.args(["backup", "--quiet", "--stdin", "--stdin-filename", "database.dump"]).stdin(bytes);
        let saved = succeed(&mut backup);
        ended(&mut dump, "pg_dump")?;
        saved
    }
}

/// A repository of its own in a folder.
pub struct Restic {
    folder: PathBuf,
}

impl Restic {
    pub fn new(folder: &Path) -> Result<Self> {
        let restic = Self { folder: folder.to_owned() };
        succeed(restic.command().args(["init", "--quiet"]))?;
        Ok(restic)
    }

    fn command(&self) -> Command {
        let mut command = Command::new("restic");
        command.arg("--no-cache").arg("--repo").arg(&self.folder).env("RESTIC_PASSWORD", "bench");
        command.stdin(Stdio::null()).stdout(Stdio::null());
        command
    }
}

pub fn succeed(command: &mut Command) -> Result<()> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.stderr(Stdio::piped()).output().with_context(|| format!("`{name}`"))?;
    match output.status.success() {
        true => Ok(()),
        false => bail!("`{name}` ended with {}: {}", output.status, String::from_utf8_lossy(&output.stderr).trim()),
    }
}

fn ended(child: &mut Child, name: &str) -> Result<()> {
    let status = child.wait()?;
    if status.success() { Ok(()) } else { bail!("`{name}` ended with {status}") }
}
