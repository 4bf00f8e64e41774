//! A machine in a folder: one deployment with its product, the daemon's settings and all that the daemon keeps. Nothing
//! outside the folder is written.

use super::{Programs, paint};
use anyhow::{Context, Result, bail};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

pub struct Machine {
    folder: PathBuf,
    /// The deployment's, and its product's.
    name: &'static str,
}

impl Machine {
    pub fn make(name: &'static str, programs: &Programs) -> Result<Self> {
        let machine = Self { folder: own_folder()?, name };
        for folder in [name, "deployments", "state", "vault", "etc"] {
            fs::create_dir_all(machine.path(folder))?;
        }
        let (folder, plugins) = (machine.folder.display(), programs.components.display());
        let settings = format!(
            "deployments = \"{folder}/deployments\"\nplugins = \"{plugins}\"\nstate = \"{folder}/state\"\n\
             vault = \"{folder}/vault\"\nvault-key = \"{folder}/etc/vault.key\"\nsocket = \"{folder}/upgraded.sock\"\n"
        );
        fs::write(machine.settings_file(), settings)?;
        Ok(machine)
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

    pub fn print_beginning(&self) {
        paint::say(&format!("Everything lies in {}", self.folder.display()));
    }

    /// `more`: of this product alone.
    pub fn print_where(&self, more: &[(&str, PathBuf)]) {
        paint::title("Where everything lies, and how to go on by hand");
        let own = [
            ("the deployment's file", self.deployment_file()),
            ("journal and jobs", self.path("state")),
            ("backups (restic)", self.path("vault")),
            ("the daemon's log", self.daemon_log()),
        ];
        for (what, path) in [("the product", self.home())].iter().chain(more).chain(&own) {
            paint::say(&format!("{what:>22}  {}", path.display()));
        }
    }

    /// `before`: what starts the product again; `after`: what ends it.
    pub fn print_commands(&self, programs: &Programs, before: &[String], versions: &str, after: &[String]) {
        let (upgraded, upgradectl) = (programs.upgraded.display(), programs.upgradectl.display());
        let own = [
            format!("{upgraded} --config {} &", self.settings_file().display()),
            format!("{upgradectl} --socket {} watch", self.socket().display()),
            format!("$EDITOR {}    # {versions}", self.deployment_file().display()),
        ];
        let end = format!("rm -r {}    # when you are done", self.folder.display());
        paint::say("");
        for command in before.iter().chain(&own).chain(after).chain([&end]) {
            paint::say(&format!("  {command}"));
        }
    }

    /// Removes everything.
    pub fn remove(&self) -> Result<()> {
        fs::remove_dir_all(&self.folder).with_context(|| format!("`{}`", self.folder.display()))
    }

    pub fn name(&self) -> &'static str {
        self.name
    }
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
    /// Of the product.
    pub fn home(&self) -> PathBuf {
        self.path(self.name)
    }
    pub fn settings_file(&self) -> PathBuf {
        self.path("upgraded.toml")
    }
    pub fn deployment_file(&self) -> PathBuf {
        self.path("deployments").join(format!("{}.toml", self.name))
    }
    pub fn daemon_log(&self) -> PathBuf {
        self.path("upgraded.log")
    }
    pub fn socket(&self) -> PathBuf {
        self.path("upgraded.sock")
    }

    /// Its output; an error with its words.
    pub fn run(&self, command: &mut Command) -> Result<String> {
        let output = command.stdin(Stdio::null()).output().with_context(|| format!("{command:?}"))?;
        if !output.status.success() {
            bail!("{command:?}: {}", String::from_utf8_lossy(&output.stderr).trim());
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// The command lines that name this folder.
    pub fn processes(&self) -> Vec<String> {
        processes_that_name(&self.folder)
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
