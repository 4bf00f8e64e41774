//! The demo's own machine in a folder: the product with its data, its repository, the deployment's file, the daemon's
//! settings. Nothing outside the folder is written.

use super::{Programs, paint};
use anyhow::{Context, Result, bail};
use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const FIRST: &str = "1.0.0";

/// Whose knowledge of the product the deployment uses.
#[derive(Clone, Copy)]
pub enum Product {
    Vendor,
    Generic,
}

/// What there is to lose.
pub struct Load {
    pub notes: u64,
    pub uploads: u64,
    pub upload_bytes: u64,
}

pub struct Site {
    folder: PathBuf,
    notes: PathBuf,
    front: SocketAddr,
}

impl Site {
    /// Release 1.0.0 is laid out, holds data and runs.
    pub fn make(programs: &Programs, product: Product, load: &Load) -> Result<Self> {
        let folder = own_folder()?;
        let (web, front) = (free_address()?, free_address()?);
        let site = Self { folder, notes: programs.notes.clone(), front };
        for folder in ["notes", "deployments", "state", "vault", "etc"] {
            fs::create_dir_all(site.folder.join(folder))?;
        }
        let settings =
            format!("title = \"Notes of the house\"\n\n[web]\nlisten = \"{web}\"\n\n[front]\nlisten = \"{front}\"\n");
        fs::write(site.product_file(), settings)?;
        // Before anything runs: what is written later beneath a running product's folder may be the product's.
        fs::write(site.home().join("releases.toml"), include_str!("../../../examples/notes/releases.toml"))?;
        site.run(Command::new(&site.notes).arg("make-repository").arg(site.repository()))?;
        site.lay_out(FIRST)?;
        site.notes(&["migrate"])?;
        let [notes, uploads, bytes] = [load.notes, load.uploads, load.upload_bytes].map(|number| number.to_string());
        site.notes(&["fill", "--notes", &notes, "--uploads", &uploads, "--upload-bytes", &bytes])?;
        site.notes(&["start", "web"])?;
        site.notes(&["start", "front"])?;
        fs::write(site.settings_file(), site.settings(programs))?;
        fs::write(site.deployment_file(), site.deployment(product, web))?;
        Ok(site)
    }

    /// What an operator has done once, by hand, when the product was installed.
    fn lay_out(&self, version: &str) -> Result<()> {
        let repository = self.repository();
        let revision = format!("v{version}^{{commit}}");
        let commit = self.run(Command::new("git").arg("-C").arg(&repository).args(["rev-parse", &revision]))?;
        let release = format!("releases/{}", commit.trim());
        let folder = self.home().join(&release);
        fs::create_dir_all(&folder)?;
        let archive = self.folder.join("release.tar");
        self.run(
            Command::new("git").arg("-C").arg(&repository).args(["archive", "--output"]).arg(&archive).arg(&revision),
        )?;
        self.run(Command::new("tar").arg("-xf").arg(&archive).arg("-C").arg(&folder))?;
        fs::remove_file(archive)?;
        symlink(&release, self.home().join("current"))?;
        Ok(())
    }

    fn settings(&self, programs: &Programs) -> String {
        let (folder, plugins) = (self.folder.display(), programs.components.display());
        format!(
            "deployments = \"{folder}/deployments\"\nplugins = \"{plugins}\"\nstate = \"{folder}/state\"\n\
             vault = \"{folder}/vault\"\nvault-key = \"{folder}/etc/vault.key\"\nsocket = \"{folder}/upgraded.sock\"\n"
        )
    }

    /// The example's own file, with the places of this machine.
    fn deployment(&self, product: Product, web: SocketAddr) -> String {
        let example = match product {
            Product::Vendor => include_str!("../../../examples/notes/deployment.toml"),
            Product::Generic => include_str!("../../../examples/notes/deployment-generic.toml"),
        };
        example
            .replace("https://git.example.com/notes.git", &self.repository().display().to_string())
            .replace("/usr/local/bin/notes", &self.notes.display().to_string())
            .replace("/opt/notes", &self.home().display().to_string())
            .replace("127.0.0.1:8081", &web.to_string())
            .replace("127.0.0.1:8080", &self.front.to_string())
    }

    /// The one thing that an operator does. Everything else in the file stays as it is.
    pub fn edit_version(&self, version: &str) -> Result<()> {
        let old = self.edit_version_quietly(version)?;
        paint::act(&format!("{}: version = \"{old}\" → \"{version}\"", self.deployment_file().display()));
        Ok(())
    }

    /// The version that stood there.
    pub fn edit_version_quietly(&self, version: &str) -> Result<String> {
        let file = self.deployment_file();
        let text = fs::read_to_string(&file)?;
        let line = text.find("\nversion = \"").context("the file has a version line")?;
        let begin = line + "\nversion = \"".len();
        let end = begin + text[begin..].find('"').context("the version ends")?;
        write_by_rename(&file, &format!("{}{version}{}", &text[..begin], &text[end..]))?;
        Ok(text[begin..end].to_owned())
    }

    /// Saves the file with another comment, as somebody might who hopes that it helps.
    pub fn save_again(&self) -> Result<()> {
        let file = self.deployment_file();
        paint::act(&format!("{}: saved again, with the same version", file.display()));
        write_by_rename(&file, &format!("{}# saved again\n", fs::read_to_string(&file)?))
    }

    /// Digests of every row and every upload, a line each.
    pub fn checksums(&self) -> Result<String> {
        self.notes(&["checksum"])
    }
    /// What a user sees, through the gate.
    pub fn look_through_the_gate(&self) -> Result<()> {
        let front = self.front.to_string();
        self.notes(&["smoke", "--address", &front]).map(drop)
    }

    /// Ends the product's services; whatever still runs out of this folder is named.
    pub fn stop(&self) -> Result<Vec<String>> {
        self.notes(&["stop", "front"])?;
        self.notes(&["stop", "web"])?;
        Ok(processes_that_name(&self.folder))
    }

    /// Removes everything, for whoever wants to look at nothing.
    pub fn discard(self) -> Result<()> {
        self.stop()?;
        fs::remove_dir_all(&self.folder).with_context(|| format!("`{}`", self.folder.display()))
    }

    pub fn print_beginning(&self, load: &Load) {
        paint::say(&format!("Everything lies in {}", self.folder.display()));
        paint::say(&format!(
            "notes {FIRST} runs with {} notes and {} uploads; users come in at http://{}",
            load.notes, load.uploads, self.front
        ));
    }

    pub fn print_where(&self, programs: &Programs) {
        let notes = format!("{} --config {}", self.notes.display(), self.product_file().display());
        let (upgraded, upgradectl) = (programs.upgraded.display(), programs.upgradectl.display());
        paint::title("Where everything lies, and how to go on by hand");
        for (what, path) in [
            ("the product", self.home()),
            ("its releases", self.repository()),
            ("the deployment's file", self.deployment_file()),
            ("journal and jobs", self.folder.join("state")),
            ("backups (restic)", self.folder.join("vault")),
            ("the daemon's log", self.daemon_log()),
        ] {
            paint::say(&format!("{what:>22}  {}", path.display()));
        }
        paint::say(&format!(
            "\n  {notes} start web\n  {notes} start front\n  {upgraded} --config {} &\n  {upgradectl} --socket {} watch\n  \
             $EDITOR {}    # version = \"1.3.0\" is a good one, 1.5.0 and 1.7.0 are not\n  rm -r {}    # when you are done",
            self.settings_file().display(),
            self.socket().display(),
            self.deployment_file().display(),
            self.folder.display(),
        ));
    }

    pub fn settings_file(&self) -> PathBuf {
        self.folder.join("upgraded.toml")
    }
    pub fn deployment_file(&self) -> PathBuf {
        self.folder.join("deployments/notes.toml")
    }
    pub fn daemon_log(&self) -> PathBuf {
        self.folder.join("upgraded.log")
    }
    pub fn socket(&self) -> PathBuf {
        self.folder.join("upgraded.sock")
    }
    fn home(&self) -> PathBuf {
        self.folder.join("notes")
    }
    fn product_file(&self) -> PathBuf {
        self.home().join("notes.toml")
    }
    fn repository(&self) -> PathBuf {
        self.folder.join("repository")
    }

    fn notes(&self, arguments: &[&str]) -> Result<String> {
        let mut notes = Command::new(&self.notes);
        // What it starts is seen to belong to this deployment: it works beneath its folder.
        notes.current_dir(self.home()).arg("--config").arg(self.product_file()).args(arguments);
        self.run(&mut notes)
    }

    fn run(&self, command: &mut Command) -> Result<String> {
        let output = command.stdin(Stdio::null()).output().with_context(|| format!("{command:?}"))?;
        if !output.status.success() {
            bail!("{command:?}: {}", String::from_utf8_lossy(&output.stderr).trim());
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }
}

impl Drop for Site {
    /// Also when it was never finished. Stopping what is stopped is nothing, and there is nobody left to tell.
    fn drop(&mut self) {
        let _ = self.stop();
    }
}

/// Short, because a socket's path may not be long.
fn own_folder() -> Result<PathBuf> {
    let parent = std::env::temp_dir();
    for number in 1..1000 {
        let folder = parent.join(format!("upgraded-demo-{number}"));
        match fs::create_dir(&folder) {
            Ok(()) => return folder.canonicalize().context("the demo's folder"),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error).with_context(|| format!("`{}`", folder.display())),
        }
    }
    bail!("`{}` is full of earlier demos", parent.display())
}

fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

/// As editors do it.
fn write_by_rename(file: &Path, text: &str) -> Result<()> {
    let beside = file.with_extension("toml~");
    fs::write(&beside, text).with_context(|| format!("`{}`", beside.display()))?;
    fs::rename(&beside, file).with_context(|| format!("`{}`", file.display()))
}

/// By their command lines; those that ended and were not yet waited for have none.
fn processes_that_name(folder: &Path) -> Vec<String> {
    let folder = folder.display().to_string();
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let own = std::process::id().to_string();
    entries
        .flatten()
        .filter(|entry| entry.file_name().to_str().is_some_and(|name| name != own))
        .filter_map(|entry| fs::read(entry.path().join("cmdline")).ok())
        .map(|line| String::from_utf8_lossy(&line).replace('\0', " "))
        .filter(|line| line.contains(&folder))
        .collect()
}
