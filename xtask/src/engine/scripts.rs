//! Work on packages, done by shell scripts; and which state of them something was made by.

use anyhow::{Context, Result, bail};
use scratch_docker::Own;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::PathBuf;
use std::process::{Command, Stdio};

const APT: &str = include_str!("apt.sh");

pub struct Script {
    name: &'static str,
    text: &'static str,
}

pub const UNPACK: Script = Script { name: "unpack.sh", text: include_str!("unpack.sh") };
/// The same, of programs whose libraries lie beside them.
pub const UNPACK_LINKED: Script =
    Script { name: "unpack.sh", text: concat!(include_str!("unpack.sh"), include_str!("link.sh")) };
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

/// Packages that were unpacked into a folder.
impl Script {
    pub fn has_made(&self, own: &Own, suite: &str, folder: &str, packages: &[&str]) -> bool {
        let made = fs::read_to_string(stamp(own, folder));
        made.is_ok_and(|made| made == self.recipe(&[&[suite], packages].concat()))
    }

    pub fn note_made(&self, own: &Own, suite: &str, folder: &str, packages: &[&str]) -> Result<()> {
        Ok(fs::write(stamp(own, folder), self.recipe(&[&[suite], packages].concat()))?)
    }
}

fn stamp(own: &Own, folder: &str) -> PathBuf {
    own.folder().join(format!("{folder}.unpacked"))
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
