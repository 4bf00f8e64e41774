//! What `cargo xtask demo` shows: `notes` with its data, its repository and its processes, on a [`Machine`].

use super::{Machine, Programs, Shown, Story, paint};
use anyhow::{Context, Result};
use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::ops::Deref;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::Command;

const STORY: Story =
    Story { first: "1.0.0", upgrade: "An upgrade with a migration", good: "1.1.0", wrong: "1.2.0", older: "1.0.0" };

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
    machine: Machine,
    notes: PathBuf,
    front: SocketAddr,
}

impl Deref for Site {
    type Target = Machine;
    fn deref(&self) -> &Machine {
        &self.machine
    }
}

impl Site {
    /// Release 1.0.0 is laid out, holds data and runs.
    pub fn make(programs: &Programs, product: Product, load: &Load) -> Result<Self> {
        let machine = Machine::make("notes", programs)?;
        let (web, front) = (free_address()?, free_address()?);
        let site = Self { machine, notes: programs.notes.clone(), front };
        let settings =
            format!("title = \"Notes of the house\"\n\n[web]\nlisten = \"{web}\"\n\n[front]\nlisten = \"{front}\"\n");
        fs::write(site.product_file(), settings)?;
        // Before anything runs: what is written later beneath a running product's folder may be the product's.
        fs::write(site.home().join("releases.toml"), include_str!("../../../examples/notes/releases.toml"))?;
        site.run(Command::new(&site.notes).arg("make-repository").arg(site.repository()))?;
        site.lay_out(STORY.first)?;
        site.notes(&["migrate"])?;
        let [notes, uploads, bytes] = [load.notes, load.uploads, load.upload_bytes].map(|number| number.to_string());
        site.notes(&["fill", "--notes", &notes, "--uploads", &uploads, "--upload-bytes", &bytes])?;
        site.notes(&["start", "web"])?;
        site.notes(&["start", "front"])?;
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
        let archive = self.path("release.tar");
        self.run(
            Command::new("git").arg("-C").arg(&repository).args(["archive", "--output"]).arg(&archive).arg(&revision),
        )?;
        self.run(Command::new("tar").arg("-xf").arg(&archive).arg("-C").arg(&folder))?;
        fs::remove_file(archive)?;
        symlink(&release, self.home().join("current"))?;
        Ok(())
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

    /// Ends the product's services; whatever still runs out of this folder is named.
    pub fn stop(&self) -> Result<Vec<String>> {
        self.notes(&["stop", "front"])?;
        self.notes(&["stop", "web"])?;
        Ok(self.processes())
    }

    /// Removes everything, for whoever wants to look at nothing.
    pub fn discard(self) -> Result<()> {
        self.stop()?;
        self.machine.remove()
    }

    pub fn print_beginning(&self, load: &Load) {
        self.machine.print_beginning();
        let first = STORY.first;
        paint::say(&format!(
            "notes {first} runs with {} notes and {} uploads; users come in at http://{}",
            load.notes, load.uploads, self.front
        ));
    }

    fn product_file(&self) -> PathBuf {
        self.home().join("notes.toml")
    }
    fn repository(&self) -> PathBuf {
        self.path("repository")
    }

    fn notes(&self, arguments: &[&str]) -> Result<String> {
        let mut notes = Command::new(&self.notes);
        // What it starts is seen to belong to this deployment: it works beneath its folder.
        notes.current_dir(self.home()).arg("--config").arg(self.product_file()).args(arguments);
        self.run(&mut notes)
    }
}

impl Shown for Site {
    fn machine(&self) -> &Machine {
        &self.machine
    }
    fn story(&self) -> &'static Story {
        &STORY
    }
    fn checksums(&self) -> Result<String> {
        self.notes(&["checksum"])
    }
    fn look_through_the_gate(&self, _: &str) -> Result<()> {
        let front = self.front.to_string();
        self.notes(&["smoke", "--address", &front]).map(drop)
    }
    fn stop(&self) -> Result<Vec<String>> {
        Self::stop(self)
    }

    fn print_where(&self, programs: &Programs) {
        self.machine.print_where(&[("its releases", self.repository())]);
        let notes = format!("{} --config {}", self.notes.display(), self.product_file().display());
        self.machine.print_commands(
            programs,
            &[format!("{notes} start web"), format!("{notes} start front")],
            "version = \"1.3.0\" is a good one, 1.5.0 and 1.7.0 are not",
            &[],
        );
    }
}

impl Drop for Site {
    /// Also when it was never finished. Stopping what is stopped is nothing, and there is nobody left to tell.
    fn drop(&mut self) {
        let _ = self.stop();
    }
}

fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0").context("a free port")?.local_addr()?)
}
