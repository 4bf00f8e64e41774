//! A machine in a folder, whatever product is on it: the product's repository, the deployment's file, the daemon's
//! settings and state. It has a loopback address of its own, so that machines don't take each other's ports.

use crate::Programs;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use tempfile::TempDir;

static NEXT: AtomicU32 = AtomicU32::new(1);

pub struct Machine {
    pub programs: Programs,
    /// The deployment's. No two machines share it: services carry it as their mark.
    pub name: String,
    /// Of this process.
    pub number: u32,
    pub address: String,
    /// Of the daemon, beside its own.
    pub environment: Vec<(&'static str, String)>,
    /// What starts the daemon and becomes it: a program and its arguments.
    pub through: Vec<String>,
    product: &'static str,
    folder: TempDir,
}

impl Machine {
    pub fn new(product: &'static str) -> Self {
        // Short, because a socket's path may not be long.
        let folder = tempfile::Builder::new().prefix("upgraded-").tempdir().expect("a folder for the machine");
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("{product}-{}-{number}", std::process::id());
        // As `/opt` and `/var/lib`, through which everybody may pass.
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o711)).expect("the machine's folder");
        let (programs, address) = (Programs::find(), own_address(number));
        let machine =
            Self { programs, name, number, address, environment: Vec::new(), through: Vec::new(), product, folder };
        for folder in [product, "deployments", "state", "vault", "etc"] {
            fs::create_dir(machine.path(folder)).expect("a folder of the machine");
        }
        write(&machine.settings_file(), &machine.settings());
        machine
    }

    /// The key of a real vault is derived for a third of a second, at every start of a daemon; that of this one costs
    /// nothing.
    pub fn lay_vault(&self) {
        copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/vault"), self.folder.path());
        let packs = (0..=u8::MAX).map(|byte| format!("data/{byte:02x}"));
        for folder in packs.chain(["index", "snapshots", "locks"].map(str::to_owned)) {
            fs::create_dir_all(self.path("vault").join(folder)).expect("a folder of the vault");
        }
        let key = self.path("etc/vault.key");
        write(&key, "the key of every test\n");
        fs::set_permissions(key, fs::Permissions::from_mode(0o600)).expect("the key is ours alone");
    }

    fn settings(&self) -> String {
        let (folder, plugins) = (self.folder.path().display(), self.programs.components.display());
        format!(
            "deployments = \"{folder}/deployments\"\nplugins = \"{plugins}\"\nstate = \"{folder}/state\"\n\
             vault = \"{folder}/vault\"\nvault-key = \"{folder}/etc/vault.key\"\nsocket = \"{folder}/socket\"\n"
        )
    }

    /// What an operator has done once, by hand, when the product was installed; the release's folder.
    pub fn lay_out(&self, version: &str) -> PathBuf {
        let release = format!("releases/{}", self.commit(version));
        let (folder, archive) = (self.home().join(&release), self.path("release.tar"));
        fs::create_dir_all(&folder).expect("the release's folder");
        let revision = format!("v{version}^{{commit}}");
        succeed(self.git().args(["archive", "--output"]).arg(&archive).arg(revision));
        succeed(Command::new("tar").arg("-xf").arg(&archive).arg("-C").arg(&folder));
        self.activate(version);
        folder
    }

    /// The link alone.
    pub fn activate(&self, version: &str) {
        let _ = fs::remove_file(self.current());
        symlink(format!("releases/{}", self.commit(version)), self.current()).expect("the link to the release");
    }

    /// Compiling plugins takes seconds, so that what was compiled for one machine serves the others and the next tests.
    pub fn take_compiled_plugins(&self) {
        static WARM: Mutex<Vec<&str>> = Mutex::new(Vec::new());
        let kept = self.programs.components.with_file_name(format!("end-to-end-{}", self.product));
        let mut warm = WARM.lock().expect("warming up succeeded");
        if kept.join("plugins").is_dir() {
            copy(&kept.join("plugins"), &self.path("state"));
        }
        if warm.contains(&self.product) {
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
        warm.push(self.product);
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

    /// Another deployment's file beside the machine's own.
    pub fn add_deployment(&self, name: &str, text: &str) {
        write_by_rename(&self.path("deployments").join(format!("{name}.toml")), text);
    }

    /// What the product says of itself at this address.
    pub fn version_at(&self, url: &str) -> String {
        let answer = succeed(Command::new("curl").args([
            "--silent",
            "--show-error",
            "--fail-with-body",
            "--max-time",
            "20",
            url,
        ]));
        let health: serde_json::Value = serde_json::from_str(&answer).expect("the product's health");
        health["version"].as_str().expect("a version").to_owned()
    }

    /// Nothing of a run is left but what policy keeps: the version is in place, nothing holds its services down, and no
    /// drill or command lies about.
    pub fn is_tidy(&self, version: &str) {
        let current = fs::read_link(self.current()).expect("the link to the release");
        assert!(current.ends_with(self.commit(version)), "`current` leads to `{}`", current.display());
        self.nothing_is_left();
    }

    /// Of runs, but for what policy keeps.
    pub fn nothing_is_left(&self) {
        assert_eq!(files_beneath(&self.path("state/hold")), Vec::<PathBuf>::new(), "services are held down");
        for folder in ["state/scratch", "state-rootless"] {
            assert_eq!(files_beneath(&self.path(folder)), Vec::<PathBuf>::new(), "a drill or a rehearsal was left");
        }
        assert_eq!(self.jobs(), Vec::<String>::new(), "commands of a run still run");
    }

    fn jobs(&self) -> Vec<String> {
        let own = self.path("state/jobs").display().to_string();
        self.processes().into_iter().map(|(_, line)| line).filter(|line| line.contains(&own)).collect()
    }

    /// Their numbers and command lines, of all that name this machine's folder there or in their environment.
    pub fn processes(&self) -> Vec<(u32, String)> {
        let folder = self.folder.path().display().to_string();
        let text = |pid: u32, file: &str| {
            let bytes = fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default();
            String::from_utf8_lossy(&bytes).replace('\0', " ")
        };
        let ours = |pid: &u32| ["cmdline", "environ"].iter().any(|file| text(*pid, file).contains(&folder));
        pids().filter(ours).map(|pid| (pid, text(pid, "cmdline"))).collect()
    }

    /// Only what was started out of this folder, one by one.
    pub fn end_processes(&self) {
        for (pid, _) in self.processes() {
            let _ = Command::new("kill").args(["-KILL", &pid.to_string()]).stderr(Stdio::null()).status();
        }
    }

    /// Of the newest run, read from the journal itself.
    pub fn records(&self) -> u32 {
        let count = "SELECT count(*) FROM records WHERE run = (SELECT max(run) FROM runs)";
        self.journal().query_row(count, [], |row| row.get(0)).expect("the journal's records")
    }

    pub fn journal(&self) -> rusqlite::Connection {
        rusqlite::Connection::open(self.path("state/journal.db")).expect("the journal")
    }

    /// Of the newest run, in order, read from the journal itself.
    pub fn events(&self) -> Vec<serde_json::Value> {
        let journal = self.journal();
        let bodies = "SELECT body FROM records WHERE run = (SELECT max(run) FROM runs) ORDER BY number";
        let mut query = journal.prepare(bodies).expect("the journal's records");
        let bodies = query.query_map([], |row| row.get::<_, String>(0)).expect("the journal's records");
        bodies.map(|body| serde_json::from_str(&body.expect("a record")).expect("a record is JSON")).collect()
    }

    pub fn count_events(&self, kind: &str) -> usize {
        self.events().iter().filter(|event| event["event"] == kind).count()
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
    pub fn home(&self) -> PathBuf {
        self.path(self.product)
    }
    pub fn current(&self) -> PathBuf {
        self.home().join("current")
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

    /// Of a version's tag, or the commit that it is itself.
    pub fn commit(&self, version: &str) -> String {
        let tag = format!("v{version}^{{commit}}");
        let revision = if version.contains('.') { &tag } else { version };
        succeed(self.git().args(["rev-parse", revision])).trim().to_owned()
    }

    pub fn git(&self) -> Command {
        let mut git = Command::new("git");
        git.env("GIT_CONFIG_GLOBAL", "/dev/null").arg("-C").arg(self.path("repository"));
        git
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        self.end_processes();
    }
}

/// Of everybody but this test.
pub fn pids() -> impl Iterator<Item = u32> {
    let entries = fs::read_dir("/proc").expect("the processes").flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).filter(|pid| *pid != std::process::id())
}

/// All of 127.0.0.0/8 is this machine.
fn own_address(number: u32) -> String {
    let pid = std::process::id();
    format!("127.{}.{}.{}", pid / 254 % 254 + 1, pid % 254 + 1, number % 254 + 1)
}

pub fn succeed(command: &mut Command) -> String {
    let output: Output = command.stdin(Stdio::null()).output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{command:?}: {}\n{said}", String::from_utf8_lossy(&output.stderr).trim());
    said
}

fn copy(from: &Path, to: &Path) {
    succeed(Command::new("cp").arg("-a").arg(from).arg(to));
}

pub fn write(file: &Path, text: &str) {
    fs::write(file, text).unwrap_or_else(|error| panic!("`{}`: {error}", file.display()));
}

/// As editors do it.
pub fn write_by_rename(file: &Path, text: &str) {
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
