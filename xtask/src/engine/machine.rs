//! What an engine of our own needs of the machine: Debian's package tools, and root or `sudo`.

use crate::setup;
use anyhow::{Context, Result, bail};
use scratch_docker::{GIVEN_ENGINE, GIVEN_REGISTRY, Own};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// Does it here where we are root, else the same `cargo xtask engine …` through `sudo`.
pub fn as_root(own: &Own, arguments: &[&str], here: impl FnOnce() -> Result<()>) -> Result<()> {
    require_debian()?;
    if setup::is_root() {
        return here();
    }
    if setup::find("sudo").is_none() {
        bail!("a Docker engine needs root, and `sudo` is not on this machine; {}", instead());
    }
    // Root would make the folders above it root's own.
    fs::create_dir_all(own.folder()).with_context(|| format!("`{}`", own.folder().display()))?;
    let mut sudo = Command::new("sudo");
    sudo.arg("--non-interactive").arg(assignment("UPGRADED_ENGINE_DIR", &own.folder().display().to_string()));
    for name in [GIVEN_ENGINE, GIVEN_REGISTRY, "DOCKER_CONFIG"] {
        sudo.args(std::env::var(name).ok().map(|value| assignment(name, &value)));
    }
    sudo.arg(std::env::current_exe().context("our own program")?).arg("engine").args(arguments);
    match sudo.stdin(Stdio::null()).status().context("`sudo`")? {
        status if status.success() => Ok(()),
        _ => bail!("`sudo cargo xtask engine {}` failed; {}", arguments.join(" "), instead()),
    }
}

fn assignment(name: &str, value: &str) -> String {
    format!("{name}={value}")
}

fn require_debian() -> Result<()> {
    let mut missing: Vec<&str> =
        ["apt-get", "dpkg", "bash"].into_iter().filter(|program| setup::find(program).is_none()).collect();
    if !Path::new(KEYRING).is_file() {
        missing.push(KEYRING);
    }
    if missing.is_empty() {
        return Ok(());
    }
    bail!(
        "a Docker engine of our own comes from Debian's packages, and here is no {}; {}",
        missing.join(", "),
        instead()
    )
}

fn instead() -> String {
    format!("`{GIVEN_ENGINE}=unix:///path/of/docker.sock {GIVEN_REGISTRY}=host:port` name an engine to use instead")
}

/// Programs of administrators are not in everybody's path.
pub fn administration(program: &str) -> Option<PathBuf> {
    let known = ["/usr/sbin", "/sbin"].map(|folder| Path::new(folder).join(program));
    setup::find(program).or_else(|| known.into_iter().find(|file| file.is_file()))
}
