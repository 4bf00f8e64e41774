//! Prepares a machine for the tests. Installs only what is missing, and only through the machine's own package manager.

use anyhow::{Result, bail};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

struct Need {
    /// What a person calls it.
    what: &'static str,
    /// Debian's package.
    package: &'static str,
    is_there: fn() -> bool,
}

const NEEDS: &[Need] = &[
    Need { what: "a C compiler", package: "gcc", is_there: || in_path("cc") },
    Need { what: "git", package: "git", is_there: || in_path("git") },
    Need { what: "curl", package: "curl", is_there: || in_path("curl") },
    Need { what: "restic", package: "restic", is_there: || in_path("restic") },
    Need { what: "a PostgreSQL server with its tools", package: "postgresql", is_there: postgres_server },
];

pub fn run() -> Result<()> {
    let missing = missing();
    if missing.is_empty() {
        eprintln!("everything is there: {}", list(NEEDS.iter().map(|need| need.what)));
        return Ok(());
    }
    let packages: Vec<&str> = missing.iter().map(|need| need.package).collect();
    if in_path("apt-get") {
        install(&packages);
    }
    let missing = self::missing();
    if missing.is_empty() {
        return Ok(());
    }
    bail!(
        "missing: {}; on Debian: `sudo apt-get install {}`",
        list(missing.iter().map(|need| need.what)),
        packages.join(" ")
    )
}

fn missing() -> Vec<&'static Need> {
    NEEDS.iter().filter(|need| !(need.is_there)()).collect()
}

/// Whether it worked shows by looking again.
fn install(packages: &[&str]) {
    eprintln!("installing {}", packages.join(", "));
    apt(&["update", "--quiet"]);
    apt(&[&["install", "--yes", "--quiet", "--no-install-recommends"], packages].concat());
}

fn apt(arguments: &[&str]) {
    let is_root = Command::new("id").arg("-u").output().is_ok_and(|output| output.stdout == b"0\n");
    let mut command = if is_root {
        Command::new("apt-get")
    } else {
        let mut sudo = Command::new("sudo");
        sudo.args(["--non-interactive", "--preserve-env=DEBIAN_FRONTEND", "apt-get"]);
        sudo
    };
    let status = command.args(arguments).env("DEBIAN_FRONTEND", "noninteractive").stdin(Stdio::null()).status();
    match status {
        Ok(status) if status.success() => {}
        Ok(status) => eprintln!("`apt-get {}` ended with {status}", arguments[0]),
        Err(error) => eprintln!("`apt-get {}` did not start: {error}", arguments[0]),
    }
}

fn in_path(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

/// Debian keeps `initdb` beside the server, outside the path.
fn postgres_server() -> bool {
    in_path("initdb") || folders(Path::new("/usr/lib/postgresql")).iter().any(|v| v.join("bin/initdb").is_file())
}

fn folders(parent: &Path) -> Vec<PathBuf> {
    std::fs::read_dir(parent).map(|entries| entries.flatten().map(|entry| entry.path()).collect()).unwrap_or_default()
}

fn list<'a>(names: impl Iterator<Item = &'a str>) -> String {
    names.collect::<Vec<_>>().join(", ")
}
