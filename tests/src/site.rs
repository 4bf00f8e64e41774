//! A [`Machine`] with `notes` on it: SQLite and a folder of uploads.

use crate::Machine;
use crate::machine::{succeed, write, write_by_rename};
use std::fs;
use std::ops::Deref;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Mutex;

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

impl Setup {
    /// Each run waits for an approval.
    pub fn asking() -> Self {
        Self { policy: "approve = \"always\"\ndrill = \"off\"\n".into(), ..Self::default() }
    }
}

pub struct Site {
    machine: Machine,
    /// What its operator wrote into `notes.toml`.
    product: Mutex<String>,
}

impl Deref for Site {
    type Target = Machine;
    fn deref(&self) -> &Machine {
        &self.machine
    }
}

impl Site {
    /// The release is laid out, holds data and runs.
    pub fn new(setup: &Setup) -> Self {
        let machine = Machine::new("notes");
        let product = format!(
            "title = \"Notes of the house\"\n\n[web]\nlisten = \"{0}:8081\"\n\n[front]\nlisten = \"{0}:8080\"\n",
            machine.address
        );
        let site = Self { machine, product: Mutex::new(product) };
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
        write(&site.deployment_file(), &site.deployment(setup));
        site.take_compiled_plugins();
        site
    }

    /// The daemon is started from a file of its own from now on; which.
    pub fn own_program(&mut self) -> PathBuf {
        let own = self.path("upgraded");
        succeed(Command::new("cp").arg(&self.programs.upgraded).arg(&own));
        self.machine.programs.upgraded.clone_from(&own);
        own
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

    /// Digests of every row and every upload, a line each.
    pub fn checksums(&self) -> String {
        self.notes(&["checksum"])
    }

    /// What no good release changes is as it was: every upload, and how many notes were ever written. That each note reads
    /// as it was written is what [`Site::is_whole`] asks for.
    pub fn keeps(&self, before: &str) {
        let stays = |line: &&str| {
            let name = line.split('\t').next().unwrap_or_default();
            ["uploads", "rows of uploads", "rows of counters"].contains(&name)
        };
        let (now, before) = (self.checksums(), before);
        assert!(now.lines().filter(stays).eq(before.lines().filter(stays)), "{now}\nwas\n{before}");
    }

    /// What answers behind the public address.
    pub fn version_for_users(&self) -> String {
        self.version_at(&format!("http://{}:8080/health", self.address))
    }

    /// Users are let in, read everything as it was written, by this version; its code and its settings are in place, the
    /// latter as the operator wrote them; it can be written to; nothing holds its services down. The data is compared
    /// where it is said what it should be.
    pub fn is_whole(&self, version: &str, checksums: Option<&str>) {
        assert_eq!(self.version_for_users(), version, "the version behind the gate\n{}", self.log());
        self.notes(&["smoke", "--address", &format!("{}:8080", self.address)]);
        assert_eq!(fs::read_to_string(self.product_file()).expect("`notes.toml`"), self.product(), "`notes.toml`");
        if let Some(checksums) = checksums {
            assert_eq!(self.checksums(), checksums, "the data of {version}\n{}", self.log());
        }
        self.can_be_written();
        self.is_tidy(version);
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

    /// The product's own settings, which are one of the files that a run may edit.
    pub fn edit_product(&self, change: impl Fn(&str) -> String) {
        let text = change(&fs::read_to_string(self.product_file()).expect("`notes.toml`"));
        write_by_rename(&self.product_file(), &text);
        *self.product.lock().expect("nothing panics here") = text;
    }

    pub fn product(&self) -> String {
        self.product.lock().expect("nothing panics here").clone()
    }

    pub fn product_file(&self) -> PathBuf {
        self.home().join("notes.toml")
    }

    pub fn notes(&self, arguments: &[&str]) -> String {
        succeed(Command::new(&self.programs.notes).arg("--config").arg(self.product_file()).args(arguments))
    }
}
