//! A machine in a folder: the product with its data, its repository, the deployment's file, the daemon's settings. It has
//! a loopback address of its own, so that sites don't take each other's ports.

use crate::Programs;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use tempfile::TempDir;

/// What a site begins with.
#[derive(Clone)]
pub struct Setup {
    /// The release that runs.
    pub version: &'static str,
    pub uploads: u32,
    /// Lines for `[policy]`.
    pub policy: String,
}

impl Default for Setup {
    fn default() -> Self {
        Self { version: "1.0.0", uploads: 4, policy: "approve = \"breaking\"\ndrill = \"off\"\n".into() }
    }
}

static NEXT: AtomicU32 = AtomicU32::new(1);

pub struct Site {
    pub programs: Programs,
    /// The deployment's. No two sites share it: services carry it as their mark.
    pub name: String,
    folder: TempDir,
    address: String,
}

impl Site {
    /// The release is laid out, holds data and runs.
    pub fn new(setup: &Setup) -> Self {
        // Short, because a socket's path may not be long.
        let folder = tempfile::Builder::new().prefix("upgraded-").tempdir().expect("a folder for the site");
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("notes-{}-{number}", std::process::id());
        let site = Self { programs: Programs::find(), name, folder, address: own_address(number) };
        for folder in ["notes", "deployments", "state", "vault", "etc"] {
            fs::create_dir(site.path(folder)).expect("a folder of the site");
        }
        let product = format!(
            "title = \"Notes of the house\"\n\n[web]\nlisten = \"{0}:8081\"\n\n[front]\nlisten = \"{0}:8080\"\n",
            site.address
        );
        write(&site.product_file(), &product);
        succeed(Command::new(&site.programs.notes).arg("make-repository").arg(site.path("repository")));
        site.lay_out(setup.version);
        site.notes(&["migrate"]);
        site.notes(&["fill", "--notes", "40", "--uploads", &setup.uploads.to_string(), "--upload-bytes", "3000"]);
        site.notes(&["start", "web"]);
        site.notes(&["start", "front"]);
        write(&site.settings_file(), &site.settings());
        write(&site.deployment_file(), &site.deployment(setup));
        site.take_compiled_plugins();
        site
    }

    /// What an operator has done once, by hand, when the product was installed.
    fn lay_out(&self, version: &str) {
        let release = format!("releases/{}", self.commit(version));
        let (folder, archive) = (self.home().join(&release), self.path("release.tar"));
        fs::create_dir_all(&folder).expect("the release's folder");
        let revision = format!("v{version}^{{commit}}");
        succeed(self.git().args(["archive", "--output"]).arg(&archive).arg(revision));
        succeed(Command::new("tar").arg("-xf").arg(&archive).arg("-C").arg(&folder));
        symlink(&release, self.home().join("current")).expect("the link to the release");
    }

    fn settings(&self) -> String {
        let (folder, plugins) = (self.folder.path().display(), self.programs.components.display());
        format!(
            "deployments = \"{folder}/deployments\"\nplugins = \"{plugins}\"\nstate = \"{folder}/state\"\n\
             vault = \"{folder}/vault\"\nvault-key = \"{folder}/etc/vault.key\"\nsocket = \"{folder}/socket\"\n"
        )
    }

    /// The example's own file, with the places of this machine.
    fn deployment(&self, setup: &Setup) -> String {
        let example = include_str!("../../examples/notes/deployment.toml")
            .replace("https://git.example.com/notes.git", &self.path("repository").display().to_string())
            .replace("/usr/local/bin/notes", &self.programs.notes.display().to_string())
            .replace("/opt/notes", &self.home().display().to_string())
            .replace("127.0.0.1", &self.address)
            .replace("version = \"1.0.0\"", &format!("version = \"{}\"", setup.version));
        let approve = "approve = \"breaking\"\n";
        assert!(example.contains(approve), "the example's policy is what a setup replaces");
        example.replace(approve, &setup.policy)
    }

    /// Compiling plugins takes seconds, so that what was compiled for one site serves the others and the next tests.
    fn take_compiled_plugins(&self) {
        static WARM: Mutex<bool> = Mutex::new(false);
        let kept = self.programs.components.with_file_name("end-to-end");
        let mut warm = WARM.lock().expect("warming up succeeded");
        if kept.join("plugins").is_dir() {
            copy(&kept.join("plugins"), &self.path("state"));
        }
        if *warm {
            return;
        }
        crate::Daemon::start(self).settled().stop();
        let beside = tempfile::tempdir_in(self.programs.components.join("..")).expect("a folder beside the components");
        copy(&self.path("state/plugins"), beside.path());
        let _ = fs::remove_dir_all(&kept);
        fs::rename(beside.path(), &kept).expect("the compiled plugins are kept");
        fs::remove_dir_all(self.path("state")).expect("the state of warming up");
        fs::create_dir(self.path("state")).expect("the state folder");
        copy(&kept.join("plugins"), &self.path("state"));
        *warm = true;
    }

    /// The one thing that an operator does. Everything else in the file stays as it is.
    pub fn edit_version(&self, version: &str) {
        self.edit(|text| {
            let begin = text.find("\nversion = \"").expect("a version line") + "\nversion = \"".len();
            let end = begin + text[begin..].find('"').expect("the version ends");
            format!("{}{version}{}", &text[..begin], &text[end..])
        });
    }

    pub fn edit(&self, change: impl Fn(&str) -> String) {
        let file = self.deployment_file();
        let text = fs::read_to_string(&file).expect("the deployment's file");
        write_by_rename(&file, &change(&text));
    }

    /// Another deployment's file beside the site's own.
    pub fn add_deployment(&self, name: &str, text: &str) {
        write_by_rename(&self.path("deployments").join(format!("{name}.toml")), text);
    }

    /// Digests of every row and every upload, a line each.
    pub fn checksums(&self) -> String {
        self.notes(&["checksum"])
    }

    /// What answers behind the public address.
    pub fn version_for_users(&self) -> String {
        let url = format!("http://{}:8080/health", self.address);
        let answer =
            succeed(Command::new("curl").args(["--silent", "--show-error", "--fail", "--max-time", "20", &url]));
        let health: serde_json::Value = serde_json::from_str(&answer).expect("the product's health");
        health["version"].as_str().expect("a version").to_owned()
    }

    /// Users are let in, read everything as it was written, by this version; its files are in place; it can be written
    /// to; nothing holds its services down. The data is compared where it is said what it should be.
    pub fn is_whole(&self, version: &str, checksums: Option<&str>) {
        assert_eq!(self.version_for_users(), version, "the version behind the gate\n{}", self.log());
        self.notes(&["smoke", "--address", &format!("{}:8080", self.address)]);
        let current = fs::read_link(self.home().join("current")).expect("the link to the release");
        assert!(current.ends_with(self.commit(version)), "`current` leads to `{}`", current.display());
        if let Some(checksums) = checksums {
            assert_eq!(self.checksums(), checksums, "the data of {version}\n{}", self.log());
        }
        self.can_be_written();
        assert_eq!(files_beneath(&self.path("state/hold")), Vec::<PathBuf>::new(), "services are held down");
        assert_eq!(files_beneath(&self.path("state/scratch")), Vec::<PathBuf>::new(), "a drill was left");
        assert_eq!(self.jobs(), Vec::<String>::new(), "commands of a run still run");
    }

    /// A change that is taken back at once.
    fn can_be_written(&self) {
        let connection = rusqlite::Connection::open(self.home().join("data/notes.db")).expect("the database");
        connection.busy_timeout(std::time::Duration::from_secs(10)).expect("a timeout");
        connection
            .execute_batch("BEGIN IMMEDIATE; UPDATE counters SET value = value + 1; ROLLBACK;")
            .expect("the database is not fenced");
        let upload = self.home().join("data/uploads/.probe");
        fs::write(&upload, "x").and_then(|()| fs::remove_file(&upload)).expect("the uploads are not fenced");
    }

    fn jobs(&self) -> Vec<String> {
        let own = self.path("state/jobs").display().to_string();
        self.processes().into_iter().map(|(_, line)| line).filter(|line| line.contains(&own)).collect()
    }

    /// Their numbers and command lines, of all that name this site's folder.
    pub fn processes(&self) -> Vec<(u32, String)> {
        let folder = self.folder.path().display().to_string();
        let entries = fs::read_dir("/proc").expect("the processes").flatten();
        entries
            .filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok())
            .filter(|pid| *pid != std::process::id())
            .filter_map(|pid| {
                let line = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
                Some((pid, String::from_utf8_lossy(&line).replace('\0', " ")))
            })
            .filter(|(_, line)| line.contains(&folder))
            .collect()
    }

    /// Of the site's newest run, read from the journal itself.
    pub fn records(&self) -> u32 {
        let journal = rusqlite::Connection::open(self.path("state/journal.db")).expect("the journal");
        let count = "SELECT count(*) FROM records WHERE run = (SELECT max(run) FROM runs)";
        journal.query_row(count, [], |row| row.get(0)).expect("the journal's records")
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
    pub fn home(&self) -> PathBuf {
        self.path("notes")
    }
    pub fn settings_file(&self) -> PathBuf {
        self.path("upgraded.toml")
    }
    pub fn deployment_file(&self) -> PathBuf {
        self.path("deployments").join(format!("{}.toml", self.name))
    }
    pub fn socket(&self) -> PathBuf {
        self.path("socket")
    }
    pub fn log_file(&self) -> PathBuf {
        self.path("upgraded.log")
    }
    pub fn log(&self) -> String {
        let log = fs::read_to_string(self.log_file()).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(30)..].join("\n")
    }
    fn product_file(&self) -> PathBuf {
        self.path("notes/notes.toml")
    }

    fn commit(&self, version: &str) -> String {
        let revision = format!("v{version}^{{commit}}");
        succeed(self.git().args(["rev-parse", &revision])).trim().to_owned()
    }

    fn git(&self) -> Command {
        let mut git = Command::new("git");
        git.arg("-C").arg(self.path("repository"));
        git
    }

    pub fn notes(&self, arguments: &[&str]) -> String {
        succeed(Command::new(&self.programs.notes).arg("--config").arg(self.product_file()).args(arguments))
    }
}

impl Drop for Site {
    /// Only what was started out of this folder, one by one.
    fn drop(&mut self) {
        for (pid, _) in self.processes() {
            let _ = Command::new("kill").args(["-KILL", &pid.to_string()]).stderr(Stdio::null()).status();
        }
    }
}

/// All of 127.0.0.0/8 is this machine.
fn own_address(number: u32) -> String {
    let pid = std::process::id();
    format!("127.{}.{}.{}", pid / 254 % 254 + 1, pid % 254 + 1, number % 254 + 1)
}

fn succeed(command: &mut Command) -> String {
    let output: Output = command.stdin(Stdio::null()).output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr).trim());
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn copy(from: &Path, to: &Path) {
    succeed(Command::new("cp").arg("-a").arg(from).arg(to));
}

fn write(file: &Path, text: &str) {
    fs::write(file, text).unwrap_or_else(|error| panic!("`{}`: {error}", file.display()));
}

/// As editors do it.
fn write_by_rename(file: &Path, text: &str) {
    let beside = file.with_extension("toml~");
    write(&beside, text);
    fs::rename(&beside, file).unwrap_or_else(|error| panic!("`{}`: {error}", file.display()));
}

fn files_beneath(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    entries
        .flatten()
        .flat_map(|entry| if entry.path().is_dir() { files_beneath(&entry.path()) } else { vec![entry.path()] })
        .collect()
}
