//! Databases as archives: `pg_dump` straight into the vault, and `pg_restore` out of it.
//!
//! The bytes go from the tool's standard output into the vault without touching a disk; an archive of a tool that failed
//! never becomes an artifact. Restoring in parallel needs a file that can be sought in, which lies in the scratch folder,
//! for the daemon alone, while the tool reads it.

use super::tools::{self, Tools};
use crate::activity::Activity;
use crate::config::ServerConfig;
use crate::context::StepContext;
use crate::driver::durable;
use crate::driver::engine::Engine;
use crate::driver::server::TOOL_LABEL;
use crate::driver::server::child::Running;
use crate::driver::server::stream::{self, COPY_BYTES, Progress, plain};
use crate::model::VerbError;
use crate::vault::Vault;
use std::fs::{self, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use tokio_util::task::TaskTracker;

/// Left free on the file system of the scratch folder.
const SPARE_BYTES: u64 = 64 << 20;

/// What a restore's backends are told: nothing is promised before the flip, whose own commit makes all of it durable.
pub const RESTORE_OPTIONS: &str = "-c synchronous_commit=off -c maintenance_work_mem=128MB";

pub struct Archives<'a> {
    pub server: &'a ServerConfig,
    pub vault: &'a Vault,
    pub scratch: &'a Path,
    /// Of the tools' container.
    pub engine: Option<&'a Engine>,
    pub tasks: &'a TaskTracker,
    pub tools: &'a Tools,
    pub mark: String,
}

/// `<deployment>/<step>/<binding>/<database>.dump`
pub fn key(cx: &StepContext, database: &str) -> String {
    format!("{}/{}/{}/{}.dump", cx.deployment, cx.step, cx.binding.name, plain(database))
}

impl Archives<'_> {
    /// The artifact's key, once tool and vault are both done.
    pub async fn dump(&self, cx: &StepContext, database: &str, snapshot: Option<&str>) -> Result<String, VerbError> {
        let mut command = tools::command(self.tools, &self.tools.pg_dump, self.server, database, &self.mark)?;
        // The vault compresses, on all cores; `pg_dump` would on one.
        command.args(["--format=custom", "--compress=0", "--no-password"]).stdout(Stdio::piped());
        if let Some(snapshot) = snapshot {
            command.arg(format!("--snapshot={snapshot}"));
        }
        let running = Running::start(command)?;
        self.to_its_end(stream::save(running, &cx.activity, self.vault, key(cx, database), self.tasks)).await
    }

    /// Into an existing, empty database; the archive's file, for what else is in it.
    pub async fn restore(&self, cx: &StepContext, database: &str, artifact: &str) -> Result<Materialised, VerbError> {
        let file = self.materialise(cx, artifact).await?;
        let mut command = tools::command(self.tools, &self.tools.pg_restore, self.server, database, &self.mark)?;
        let jobs = std::thread::available_parallelism().map_or(1, usize::from);
        command
            .args(["--exit-on-error", "--no-password", "--verbose"])
            .arg(format!("--jobs={jobs}"))
            .arg(format!("--dbname={}", connection_string(database)))
            .arg(file.path())
            .env("PGOPTIONS", RESTORE_OPTIONS)
            .stdout(Stdio::null());
        let mut running = Running::start(command)?;
        self.to_its_end(running.finish(&cx.activity, true)).await?;
        Ok(file)
    }

    /// What the archive says about the database as a whole, as SQL for a person's `psql`.
    pub async fn database_sql(&self, cx: &StepContext, file: &Materialised) -> Result<String, VerbError> {
        let mut command = tools::command(self.tools, &self.tools.pg_restore, self.server, "", &self.mark)?;
        // An empty list leaves the entries of the database itself.
        command.args(["--create", "--use-list=/dev/null", "--file=-"]).arg(file.path()).stdout(Stdio::piped());
        let mut running = Running::start(command)?;
        let mut stdout = running.stdout().ok_or_else(|| VerbError::other("tool", "`pg_restore` has no output"))?;
        let mut text = Vec::new();
        let read = async {
            let read = tokio::io::AsyncReadExt::read_to_end(&mut stdout, &mut text);
            read.await.map_err(|error| VerbError::other("tool", error.to_string()))?;
            running.finish(&cx.activity, false).await
        };
        self.to_its_end(read).await?;
        String::from_utf8(text).map_err(|_| VerbError::other("tool", "the archive's database settings are not UTF-8"))
    }

    async fn to_its_end<T>(&self, tool: impl Future<Output = Result<T, VerbError>>) -> Result<T, VerbError> {
        match self.engine {
            Some(engine) => engine.while_looking_at(&format!("{TOOL_LABEL}={}", self.mark), tool).await,
            None => tool.await,
        }
    }

    async fn materialise(&self, cx: &StepContext, artifact: &str) -> Result<Materialised, VerbError> {
        let (vault, key) = (self.vault.clone(), artifact.to_owned());
        let file = Materialised { path: scratch_file(self.scratch, &cx.step, artifact) };
        let (folder, path) = (self.scratch.to_owned(), file.path.clone());
        let activity = cx.activity.clone();
        let work = self.tasks.spawn_blocking(move || write_out(&vault, &key, &folder, &path, &activity));
        work.await.map_err(|error| VerbError::other("vault", format!("reading broke: {error}")))??;
        if let Some(engine) = self.engine {
            engine.give(file.path()).await?;
        }
        Ok(file)
    }
}

/// The archive as a file; removed when dropped.
pub struct Materialised {
    path: PathBuf,
}

impl Materialised {
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Materialised {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

/// Removes the files that a crash left of a step.
pub fn sweep(scratch: &Path, step: &str) {
    let Ok(entries) = fs::read_dir(scratch) else { return };
    let prefix = file_prefix(step);
    for entry in entries.flatten() {
        if entry.file_name().to_str().is_some_and(|name| name.starts_with(&prefix)) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

fn scratch_file(scratch: &Path, step: &str, artifact: &str) -> PathBuf {
    scratch.join(format!("{}{}", file_prefix(step), plain(artifact)))
}

fn file_prefix(step: &str) -> String {
    format!("postgres.{}.", plain(step))
}

fn write_out(vault: &Vault, artifact: &str, folder: &Path, path: &Path, activity: &Activity) -> Result<(), VerbError> {
    let failed = |error: io::Error| VerbError::other("scratch", format!("`{}`: {error}", path.display()));
    let size = vault.find(artifact).map_err(|error| VerbError::NotFound(error.to_string()))?.size_bytes;
    durable::make_passage(folder).map_err(failed)?;
    let space = rustix::fs::statvfs(folder).map_err(|error| failed(error.into()))?;
    let free = space.f_bavail.saturating_mul(space.f_frsize);
    if free < size.saturating_add(SPARE_BYTES) {
        return Err(VerbError::other(
            "space",
            format!("`{}` has {free} bytes free, and the archive `{artifact}` needs {size}", folder.display()),
        ));
    }
    let mut bytes = vault.open_artifact(artifact).map_err(|error| VerbError::other("vault", error.to_string()))?;
    let _ = fs::remove_file(path);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(failed)?;
    let mut progress = Progress::new(activity, Some(size), "read from the vault");
    let mut buffer = vec![0; COPY_BYTES];
    loop {
        if activity.cancelled() {
            let _ = fs::remove_file(path);
            return Err(VerbError::Cancelled);
        }
        match bytes.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(count) => {
                file.write_all(&buffer[..count]).map_err(failed)?;
                progress.add(count as u64);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(VerbError::other("vault", format!("`{artifact}`: {error}"))),
        }
    }
}

/// Names may hold what a connection string reads as its own.
fn connection_string(database: &str) -> String {
    format!("dbname='{}'", database.replace('\\', "\\\\").replace('\'', "\\'"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_within_their_quotes() {
        assert_eq!(connection_string(r"a'b\c=d"), r"dbname='a\'b\\c=d'");
        assert_eq!(plain("shop/r1-backup/main/a b.dump"), "shop_r1-backup_main_a_b.dump");
    }
}
