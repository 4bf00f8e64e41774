//! What counts at the end of a story: what users have, and what lies on the disk.

use crate::Site;
use crate::site::succeed;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

impl Site {
    /// Digests of every row and every upload, a line each.
    pub fn checksums(&self) -> String {
        self.notes(&["checksum"])
    }

    /// What no good release changes is as it was: every upload, and how many notes were ever written. That each note reads
    /// as it was written is what [`Site::is_whole`] asks for.
    pub fn keeps(&self, before: &str) {
        let kept = |text: &str| -> Vec<String> {
            let lines =
                text.lines().filter(|line| ["uploads", "rows of uploads", "rows of counters"].contains(&name(line)));
            lines.map(str::to_owned).collect()
        };
        assert_eq!(kept(&self.checksums()), kept(before));
    }

    /// What answers behind the public address.
    pub fn version_for_users(&self) -> String {
        let url = format!("http://{}:8080/health", self.address);
        let answer =
            succeed(Command::new("curl").args(["--silent", "--show-error", "--fail", "--max-time", "20", &url]));
        let health: serde_json::Value = serde_json::from_str(&answer).expect("the product's health");
        health["version"].as_str().expect("a version").to_owned()
    }

    /// Users are let in, read everything as it was written, by this version; its code and its settings are in place, the
    /// latter as the operator wrote them; it can be written to; nothing holds its services down. The data is compared where
    /// it is said what it should be.
    pub fn is_whole(&self, version: &str, checksums: Option<&str>) {
        assert_eq!(self.version_for_users(), version, "the version behind the gate\n{}", self.log());
        self.notes(&["smoke", "--address", &format!("{}:8080", self.address)]);
        let current = fs::read_link(self.home().join("current")).expect("the link to the release");
        assert!(current.ends_with(self.commit(version)), "`current` leads to `{}`", current.display());
        assert_eq!(fs::read_to_string(self.product_file()).expect("`notes.toml`"), self.product(), "`notes.toml`");
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

    /// Of the site's newest run, in order, read from the journal itself.
    pub fn events(&self) -> Vec<serde_json::Value> {
        let journal = rusqlite::Connection::open(self.path("state/journal.db")).expect("the journal");
        let bodies = "SELECT body FROM records WHERE run = (SELECT max(run) FROM runs) ORDER BY number";
        let mut query = journal.prepare(bodies).expect("the journal's records");
        let bodies = query.query_map([], |row| row.get::<_, String>(0)).expect("the journal's records");
        bodies.map(|body| serde_json::from_str(&body.expect("a record")).expect("a record is JSON")).collect()
    }

    pub fn count_events(&self, kind: &str) -> usize {
        self.events().iter().filter(|event| event["event"] == kind).count()
    }
}

fn name(line: &str) -> &str {
    line.split('\t').next().unwrap_or_default()
}

fn files_beneath(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    entries
        .flatten()
        .flat_map(|entry| if entry.path().is_dir() { files_beneath(&entry.path()) } else { vec![entry.path()] })
        .collect()
}
