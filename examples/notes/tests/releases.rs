//! The product and its releases, without `upgraded`: what an operator would do by hand.

#![allow(clippy::unwrap_used, reason = "a test")]

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tempfile::TempDir;

const PROGRAM: &str = env!("CARGO_BIN_EXE_notes");

struct Site {
    folder: TempDir,
}

impl Site {
    /// Release 1.0.0 with data, stopped.
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        notes::repository::make(&folder.path().join("repository")).unwrap();
        let site = Self { folder };
        site.configure("");
        site.lay_out("1.0.0");
        site.succeed(&["migrate"]);
        site.succeed(&["fill", "--notes", "40", "--uploads", "2"]);
        site
    }
    fn path(&self) -> &Path {
        self.folder.path()
    }
    fn configure(&self, more: &str) {
        // Ports that are free now; nobody else asks for them in the moment until they are taken.
        let free = || TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let (web, front) = (free(), free());
        let text = format!("title = \"t\"\n{more}\n[web]\nlisten = \"{web}\"\n[front]\nlisten = \"{front}\"\n");
        fs::write(self.path().join("notes.toml"), text).unwrap();
    }
    fn lay_out(&self, version: &str) {
        let release: PathBuf = self.path().join("releases").join(version);
        fs::create_dir_all(&release).unwrap();
        let repository = self.path().join("repository");
        let script = format!("git -C {} archive v{version} | tar -x -C {}", repository.display(), release.display());
        assert!(Command::new("sh").args(["-c", &script]).status().unwrap().success());
        let current = self.path().join("current");
        let _ = fs::remove_file(&current);
        symlink(&release, &current).unwrap();
    }
    fn notes(&self, arguments: &[&str]) -> Output {
        let config = self.path().join("notes.toml");
        Command::new(PROGRAM).arg("--config").arg(config).args(arguments).output().unwrap()
    }
    fn succeed(&self, arguments: &[&str]) -> String {
        let output = self.notes(arguments);
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }
    fn fail(&self, arguments: &[&str]) -> String {
        let output = self.notes(arguments);
        assert!(!output.status.success(), "{arguments:?} should have failed");
        String::from_utf8(output.stderr).unwrap()
    }
    /// `start` is back before the product listens.
    fn smoke(&self) -> Output {
        for _ in 0..500 {
            let output = self.notes(&["smoke"]);
            if output.status.success() || !String::from_utf8_lossy(&output.stderr).contains("refused") {
                return output;
            }
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        self.notes(&["smoke"])
    }
    fn log(&self) -> String {
        fs::read_to_string(self.path().join("run/web.log")).unwrap_or_default()
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.notes(&["stop", "web"]);
        self.notes(&["stop", "front"]);
    }
}

#[test]
fn a_good_release_keeps_everything() {
    let site = Site::new();
    site.lay_out("1.1.0");
    assert!(site.succeed(&["migrate"]).contains("[migrate] 3/3 "));
    site.succeed(&["start", "web"]);
    assert!(site.smoke().status.success());
    site.succeed(&["start", "web"]);
    site.succeed(&["status", "web"]);
    site.succeed(&["stop", "web"]);
    site.fail(&["status", "web"]);
    site.succeed(&["stop", "web"]);
}

#[test]
fn a_release_refuses_a_schema_that_is_not_its_own() {
    let site = Site::new();
    site.lay_out("1.1.0");
    assert!(site.fail(&["serve"]).contains("needs 2"));
    site.succeed(&["migrate"]);
    site.lay_out("1.0.0");
    assert!(site.fail(&["serve"]).contains("needs 1"));
    assert!(site.fail(&["migrate"]).contains("knows 1 at most"));
}

#[test]
fn healthy_and_wrong_is_found_by_who_reads_to_the_end() {
    let site = Site::new();
    for version in ["1.1.0", "1.2.0"] {
        site.lay_out(version);
        site.succeed(&["migrate"]);
    }
    site.succeed(&["start", "web"]);
    let smoke = site.smoke();
    assert!(String::from_utf8_lossy(&smoke.stderr).contains("42 things are wrong"), "{smoke:?}");
}

#[test]
fn lost_rows_are_counted() {
    let site = Site::new();
    site.lay_out("1.1.0");
    site.succeed(&["migrate"]);
    site.lay_out("1.8.0");
    site.succeed(&["migrate"]);
    site.succeed(&["start", "web"]);
    let smoke = site.smoke();
    assert!(String::from_utf8_lossy(&smoke.stderr).contains("40 notes were written, 36 are there"), "{smoke:?}");
}

#[test]
fn a_migration_goes_on_where_it_was_cut_off() {
    let site = Site::new();
    site.lay_out("1.1.0");
    site.succeed(&["migrate"]);
    site.lay_out("1.5.0");
    assert!(site.fail(&["migrate"]).contains("statement 5"));
    site.lay_out("1.3.0");
    let said = site.succeed(&["migrate"]);
    assert!(said.starts_with("[migrate] 5/10 ") && said.contains("[migrate] 10/10 "), "{said}");
}

#[test]
fn what_does_not_start_says_why() {
    let site = Site::new();
    site.lay_out("1.6.0");
    site.succeed(&["migrate"]);
    // Whether `start` sees it end is a matter of moments.
    site.notes(&["start", "web"]);
    while site.notes(&["status", "web"]).status.success() {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    assert!(site.log().contains("notes_by_mood"));
    site.lay_out("1.7.0");
    site.succeed(&["start", "web"]);
    site.succeed(&["status", "web"]);
    site.fail(&["smoke"]);
}

#[test]
fn a_breaking_release_needs_its_setting() {
    let site = Site::new();
    site.lay_out("2.0.0");
    site.succeed(&["migrate"]);
    assert!(site.fail(&["serve"]).contains("web.base-url"));
}

#[test]
fn a_full_disk_is_an_error() {
    let site = Site::new();
    site.configure("quota-bytes = 3000000");
    site.lay_out("1.9.0");
    assert!(site.fail(&["migrate"]).contains("No space left on device"));
}

#[test]
fn a_release_may_migrate_while_it_starts() {
    let site = Site::new();
    site.lay_out("1.10.0");
    site.succeed(&["start", "web"]);
    assert!(site.smoke().status.success());
    assert!(site.log().contains("[migrate] done: schema 3"));
}

#[test]
fn the_index_names_every_release() {
    let index: toml::Table = toml::from_str(include_str!("../releases.toml")).unwrap();
    let named = index["releases"].as_array().unwrap().iter().map(|release| release["version"].as_str().unwrap());
    assert!(named.eq(notes::repository::versions()));
}
