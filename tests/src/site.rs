//! A machine in a folder: the product with its data, its repository, the deployment's file, the daemon's settings. It has
//! a loopback address of its own, so that sites don't take each other's ports.

use crate::Programs;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
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
    /// Made by the daemon itself at its first start; else one whose key costs nothing to derive.
    pub new_vault: bool,
    /// Lines for `[policy]`.
    pub policy: String,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            version: "1.0.0",
            uploads: 4,
            new_vault: false,
            policy: "approve = \"breaking\"\ndrill = \"off\"\n".into(),
        }
    }
}

static NEXT: AtomicU32 = AtomicU32::new(1);

pub struct Site {
    pub programs: Programs,
    /// The deployment's. No two sites share it: services carry it as their mark.
    pub name: String,
    folder: TempDir,
    pub(crate) address: String,
    /// What its operator wrote into `notes.toml`.
    product: Mutex<String>,
}

impl Site {
    /// The release is laid out, holds data and runs.
    pub fn new(setup: &Setup) -> Self {
        // Short, because a socket's path may not be long.
        let folder = tempfile::Builder::new().prefix("upgraded-").tempdir().expect("a folder for the site");
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("notes-{}-{number}", std::process::id());
        let address = own_address(number);
        let product = format!(
            "title = \"Notes of the house\"\n\n[web]\nlisten = \"{address}:8081\"\n\n[front]\nlisten = \"{address}:8080\"\n"
        );
        let site = Self { programs: Programs::find(), name, folder, address, product: Mutex::new(product) };
        for folder in ["notes", "deployments", "state", "vault", "etc"] {
            fs::create_dir(site.path(folder)).expect("a folder of the site");
        }
        if !setup.new_vault {
            site.lay_vault();
        }
        write(&site.product_file(), &site.product());
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

    /// The key of a real vault is derived for a third of a second, at every start of a daemon.
    fn lay_vault(&self) {
        copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/vault"), self.folder.path());
        let packs = (0..=u8::MAX).map(|byte| format!("data/{byte:02x}"));
        for folder in packs.chain(["index", "snapshots", "locks"].map(str::to_owned)) {
            fs::create_dir_all(self.path("vault").join(folder)).expect("a folder of the vault");
        }
        let key = self.path("etc/vault.key");
        write(&key, "the key of every test\n");
        fs::set_permissions(key, fs::Permissions::from_mode(0o600)).expect("the key is ours alone");
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

    /// The product's own settings, which are one of the files that a run may edit.
    pub fn edit_product(&self, change: impl Fn(&str) -> String) {
        let text = change(&fs::read_to_string(self.product_file()).expect("`notes.toml`"));
        write_by_rename(&self.product_file(), &text);
        *self.product.lock().expect("nothing panics here") = text;
    }

    pub fn product(&self) -> String {
        self.product.lock().expect("nothing panics here").clone()
    }

    /// Another deployment's file beside the site's own.
    pub fn add_deployment(&self, name: &str, text: &str) {
        write_by_rename(&self.path("deployments").join(format!("{name}.toml")), text);
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
    pub fn product_file(&self) -> PathBuf {
        self.path("notes/notes.toml")
    }

    pub fn commit(&self, version: &str) -> String {
        let revision = format!("v{version}^{{commit}}");
        succeed(self.git().args(["rev-parse", &revision])).trim().to_owned()
    }

    pub(crate) fn git(&self) -> Command {
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

pub(crate) fn succeed(command: &mut Command) -> String {
    let output: Output = command.stdin(Stdio::null()).output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr).trim());
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn copy(from: &Path, to: &Path) {
    succeed(Command::new("cp").arg("-a").arg(from).arg(to));
}

pub(crate) fn write(file: &Path, text: &str) {
    fs::write(file, text).unwrap_or_else(|error| panic!("`{}`: {error}", file.display()));
}

/// As editors do it.
pub(crate) fn write_by_rename(file: &Path, text: &str) {
    let beside = file.with_extension("toml~");
    write(&beside, text);
    fs::rename(&beside, file).unwrap_or_else(|error| panic!("`{}`: {error}", file.display()));
}
