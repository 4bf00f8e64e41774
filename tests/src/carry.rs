//! A database server that makes room for one of another version.

use crate::{Daemon, kind};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

/// What of old servers stands beside a server's data.
pub fn beside(data: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(data.parent().expect("a volume has a folder")).expect("the volume's folder");
    let begins = format!("{}.upgraded-r", data.display());
    let paths = entries.map(|entry| entry.expect("an entry").path());
    paths.filter(|path| path.to_string_lossy().starts_with(&begins)).collect()
}

impl<'a> Daemon<'a> {
    /// It is killed while the new server of this data is made on the way to `version`; the next one.
    pub fn killed_while_carrying(self, data: &Path, version: &str) -> Self {
        let (site, former) = (self.site, self.now()["last_run"]["id"].clone());
        site.edit_version(version);
        while beside(data).is_empty() {
            let now = self.now();
            let has_ended = now["last_run"]["id"] != former && !now["last_run"]["outcome"].is_null();
            assert!(!has_ended && kind(&now) != "error", "{now:#}");
            thread::sleep(Duration::from_millis(20));
        }
        self.kill();
        Daemon::start(site)
    }

    /// The same, and the next one is told to cancel the run.
    pub fn cancelled_while_carrying(self, data: &Path, version: &str) -> (Self, Value) {
        let mut daemon = self.killed_while_carrying(data, version);
        daemon.wait("the run goes on", |now| kind(now) == "running");
        daemon.told(&["cancel", &daemon.site.name]);
        let now = daemon.end_of_run_to(version);
        (daemon, now)
    }
}
