//! Work on packages, done by shell scripts; and which state of them something was made by.

use anyhow::{Context, Result, bail};
use scratch_docker::Own;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::process::{Command, Stdio};

const APT: &str = include_str!("apt.sh");

pub struct Script {
    name: &'static str,
    text: &'static str,
}

pub const UNPACK: Script = Script { name: "unpack.sh", text: include_str!("unpack.sh") };
pub const FETCH: Script = Script { name: "fetch.sh", text: include_str!("fetch.sh") };
pub const IMAGE: Script = Script { name: "image.sh", text: include_str!("image.sh") };

impl Script {
    pub fn command(&self, own: &Own) -> Command {
        let mut bash = Command::new("bash");
        bash.args(["-euo", "pipefail", "-c", &format!("{APT}\n{}", self.text), self.name]);
        bash.env("KEEP", own.folder()).env("DEBIAN_FRONTEND", "noninteractive").stdin(Stdio::null());
        bash
    }

    /// Changes with the script and with what it is given.
    pub fn recipe(&self, given: &[&str]) -> String {
        let mut hasher = DefaultHasher::new();
        (APT, self.text, given).hash(&mut hasher);
        format!("{:016x}", hasher.finish())
    }
}

/// Its output appears only where it fails.
pub fn succeed(command: &mut Command, what: &str) -> Result<()> {
    let output = command.output().with_context(|| format!("{what}: it did not start"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = [output.stdout, output.stderr].concat();
    bail!("{what}: {}\n{}", output.status, String::from_utf8_lossy(&said).trim_end())
}
