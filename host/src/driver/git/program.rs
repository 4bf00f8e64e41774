//! The `git` program, with nothing of the account's own settings, no questions and no hooks. Of the system's settings it has
//! credential helpers, proxies and certificates, where it speaks to a repository and runs nothing of one.

use crate::activity::{Activity, Level};
use crate::driver::durable;
use crate::driver::process::log::LineSplitter;
use crate::driver::process::{MARK_VARIABLE, io_error};
use crate::driver::release::Layout;
use crate::model::VerbError;
use regex::Regex;
use rustix::fs::Mode;
use rustix::process::{Pid, Signal, kill_process_group};
use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::LazyLock;
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::process::{Child, Command};

const POLL: Duration = Duration::from_millis(100);
const OUTPUT_BYTES: u64 = 64 << 20;
/// Of the daemon's own environment, for whoever speaks to a repository.
const WAYS_OUT: [&str; 13] = [
    "HTTPS_PROXY",
    "https_proxy",
    "HTTP_PROXY",
    "http_proxy",
    "ALL_PROXY",
    "all_proxy",
    "NO_PROXY",
    "no_proxy",
    "GIT_SSL_CAINFO",
    "GIT_SSL_CAPATH",
    "GIT_PROXY_SSL_CAINFO",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
];

pub struct Git<'a> {
    pub layout: &'a Layout,
    pub repository: &'a str,
    pub activity: &'a Activity,
    pub mark: String,
}

pub struct Output {
    pub code: Option<i32>,
    pub stdout: Vec<u8>,
    /// The last lines, for a message.
    pub complaint: String,
}

impl Output {
    pub fn success(&self) -> bool {
        self.code == Some(0)
    }
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }
}

/// Held while the mirror is written. A `git` that outlives the daemon holds it too: it has it as its standard input.
pub struct Lock(File);

impl Git<'_> {
    /// Waits for its turn, and clears away what a `git` that was killed left locked.
    pub async fn lock(&self) -> Result<Lock, VerbError> {
        let own = self.layout.own();
        durable::make_folder(&own).map_err(io_error("make the folder `.upgraded`"))?;
        let open = OpenOptions::new().create(true).truncate(false).write(true).read(true).open(own.join("lock"));
        let file = open.map_err(io_error("lock the mirror"))?;
        loop {
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) => tokio::time::sleep(POLL).await,
                Err(TryLockError::Error(error)) => return Err(io_error("lock the mirror")(error)),
            }
        }
        remove_locks(&self.layout.mirror());
        Ok(Lock(file))
    }

    /// An error where it fails.
    pub async fn run(&self, lock: Option<&Lock>, arguments: &[&str]) -> Result<String, VerbError> {
        let output = self.try_run(lock, arguments, &[]).await?;
        if output.success() {
            return Ok(output.text());
        }
        let verb = arguments.first().copied().unwrap_or_default();
        Err(VerbError::Unavailable(format!("`git {verb}` failed: {}", output.complaint)))
    }

    pub async fn try_run(
        &self, lock: Option<&Lock>, arguments: &[&str], environment: &[(&str, &Path)],
    ) -> Result<Output, VerbError> {
        let stdin = match lock {
            Some(lock) => lock.0.try_clone().map_err(io_error("lock the mirror"))?.into(),
            None => Stdio::null(),
        };
        self.run_on(stdin, arguments, environment).await
    }

    /// With a file as its standard input.
    pub async fn feed(&self, input: File, arguments: &[&str]) -> Result<Output, VerbError> {
        self.run_on(input.into(), arguments, &[]).await
    }

    async fn run_on(
        &self, stdin: Stdio, arguments: &[&str], environment: &[(&str, &Path)],
    ) -> Result<Output, VerbError> {
        let mut command = self.command(arguments)?;
        command.envs(environment.iter().copied()).stdin(stdin);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = Command::from(command)
            .spawn()
            .map_err(|error| VerbError::Unavailable(format!("`git` can't be run: {error}")))?;
        let mut group = Group(child);
        let stdout = group.0.stdout.take().ok_or_else(|| VerbError::other("git", "`git` has no output"))?;
        let mut stderr = group.0.stderr.take().ok_or_else(|| VerbError::other("git", "`git` has no output"))?;
        let mut bytes = Vec::new();
        let read = async {
            let mut limited = stdout.take(OUTPUT_BYTES);
            limited.read_to_end(&mut bytes).await
        };
        let listen = async {
            let mut lines = LineSplitter::default();
            let mut said = Vec::new();
            let mut buffer = [0; 4096];
            loop {
                let count = stderr.read(&mut buffer).await?;
                self.activity.touch();
                let new = if count == 0 { lines.finish() } else { lines.push(&buffer[..count]) };
                new.into_iter().for_each(|line| self.hear(line, &mut said));
                if count == 0 {
                    return Ok::<_, std::io::Error>(said);
                }
            }
        };
        let (read, said) = tokio::join!(read, listen);
        read.map_err(io_error("read what `git` says"))?;
        let said = said.map_err(io_error("read what `git` says"))?;
        let status = group.0.wait().await.map_err(io_error("wait for `git`"))?;
        let complaint = said[said.len().saturating_sub(5)..].join("; ");
        Ok(Output { code: status.code(), stdout: bytes, complaint })
    }

    fn hear(&self, line: String, said: &mut Vec<String>) {
        static COUNT: LazyLock<Regex> = LazyLock::new(|| {
            Regex::new(r"^(?:remote: )?(?<what>[A-Z][a-z ]+): +\d+% \((?<done>\d+)/(?<total>\d+)\)")
                .expect("a constant")
        });
        if let Some(found) = COUNT.captures(&line) {
            let number = |name: &str| found[name].parse().unwrap_or(0);
            self.activity.progress(number("done"), Some(number("total")), "", &found["what"]);
        } else if !line.trim().is_empty() && !line.contains("core.fsyncObjectFiles is deprecated") {
            let line = without_account(&line);
            self.activity.line(Level::Debug, line.as_str());
            said.push(line);
        }
    }

    fn command(&self, arguments: &[&str]) -> Result<std::process::Command, VerbError> {
        let mut command = std::process::Command::new("git");
        for setting in [
            "core.hooksPath=/dev/null",
            "core.fsync=all",
            "core.fsyncObjectFiles=true",
            "core.autocrlf=false",
            "protocol.ext.allow=never",
            "gc.auto=0",
            "maintenance.auto=false",
            "advice.detachedHead=false",
            "fetch.recurseSubmodules=false",
        ] {
            command.args(["-c", setting]);
        }
        command.arg("--git-dir").arg(self.layout.mirror()).args(arguments).current_dir("/").env_clear();
        command.envs(crate::driver::process::surroundings(None));
        command.envs([
            ("GIT_TERMINAL_PROMPT", "0"),
            ("GIT_ASKPASS", "/bin/false"),
            ("SSH_ASKPASS", "/bin/false"),
            ("GIT_SSH_COMMAND", "ssh -o BatchMode=yes"),
            ("GIT_NO_REPLACE_OBJECTS", "1"),
            ("LC_ALL", "C"),
            (MARK_VARIABLE, self.mark.as_str()),
        ]);
        command.env("GIT_CONFIG_GLOBAL", self.settings()?);
        match arguments.first() {
            Some(&("fetch" | "ls-remote")) => {
                command.envs(WAYS_OUT.iter().filter_map(|name| Some((name, std::env::var_os(name)?))));
            }
            // Filters that the system's settings name are for its users' files, and not for a vendor's.
            _ => {
                command.env("GIT_CONFIG_NOSYSTEM", "1");
            }
        }
        // SAFETY: two system calls between fork and exec.
        unsafe {
            command.pre_exec(|| {
                rustix::process::setsid()?;
                rustix::process::umask(Mode::WGRP | Mode::WOTH);
                Ok(())
            })
        };
        Ok(command)
    }

    /// The operator named the repository, so whoever owns its folder is trusted; `git` takes that from a file alone.
    fn settings(&self) -> Result<PathBuf, VerbError> {
        let file = self.layout.own().join("gitconfig");
        let folder = Path::new(self.repository);
        let mut text = String::from("[safe]\n");
        for trusted in [self.layout.mirror(), folder.to_owned(), folder.join(".git")] {
            let quoted = trusted.display().to_string().replace('\\', "\\\\").replace('"', "\\\"");
            text.push_str(&format!("\tdirectory = \"{quoted}\"\n"));
        }
        let write = || -> std::io::Result<()> {
            if durable::read(&file)?.as_deref() != Some(text.as_bytes()) {
                durable::make_folder(&self.layout.own())?;
                durable::write(&file, text.as_bytes())?;
            }
            Ok(())
        };
        write().map_err(io_error("write the settings of `git`"))?;
        Ok(file)
    }
}

/// Ends `git` and what it started with it.
struct Group(Child);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(pid) = self.0.id().and_then(|pid| Pid::from_raw(pid.cast_signed())) {
            let _ = kill_process_group(pid, Signal::KILL);
        }
    }
}

/// Only with the lock held: nobody else's are among them.
fn remove_locks(folder: &Path) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
        if is_folder && entry.file_name() != "objects" {
            remove_locks(&path);
        } else if path.extension().is_some_and(|extension| extension == "lock") {
            let _ = std::fs::remove_file(path);
        }
    }
}

/// `https://user:password@host` may stand in what `git` says.
fn without_account(line: &str) -> String {
    static ACCOUNT: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"://[^/@\s]+@").expect("a constant"));
    ACCOUNT.replace_all(line, "://***@").into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_systems_settings_are_for_what_speaks_to_a_repository() {
        let folder = tempfile::tempdir().expect("a folder");
        let layout = Layout::new(folder.path());
        let activity = Activity::silent();
        let git = Git { layout: &layout, repository: "/nowhere", activity: &activity, mark: "m".into() };
        let is_without = |arguments: &[&str]| {
            let command = git.command(arguments).expect("built");
            command.get_envs().any(|(name, value)| name == "GIT_CONFIG_NOSYSTEM" && value.is_some())
        };
        assert!(!is_without(&["fetch", "--", "/nowhere"]) && !is_without(&["ls-remote"]));
        assert!(is_without(&["checkout-index", "--all"]) && is_without(&["cat-file"]));
    }
}
