//! What somebody does to a site beside its deployment's file: the daemon's settings, plugins, mounts.

use crate::{Daemon, Machine};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(240);

impl Machine {
    /// A line more in the daemon's settings.
    pub fn set(&self, line: &str) {
        let file = self.settings_file();
        let text = fs::read_to_string(&file).expect("the settings");
        fs::write(&file, format!("{text}{line}\n")).expect("the settings");
    }

    /// From now on the plugins lie in a folder of the site's own, which this is.
    pub fn own_plugins(&self) -> PathBuf {
        let own = self.path("plugins");
        fs::create_dir(&own).expect("a folder for plugins");
        for entry in fs::read_dir(&self.programs.components).expect("the components").flatten() {
            if entry.path().extension().is_some_and(|extension| extension == "wasm") {
                fs::copy(entry.path(), own.join(entry.file_name())).expect("a plugin's copy");
            }
        }
        let line = |folder: &Path| format!("plugins = \"{}\"\n", folder.display());
        let text = fs::read_to_string(self.settings_file()).expect("the settings");
        let text = text.replace(&line(&self.programs.components), &line(&own));
        fs::write(self.settings_file(), text).expect("the settings");
        own
    }
}

impl Daemon<'_> {
    /// `upgradectl` as a person calls it: for more.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.site.programs.upgradectl);
        command.arg("--socket").arg(self.site.socket()).arg("--config").arg(self.site.settings_file());
        command.args(arguments).stdin(Stdio::null());
        command
    }

    /// Like `wait`, where being stuck is no surprise.
    pub fn wait_though_stuck(&self, what: &str, until: impl Fn(&Value) -> bool) -> Value {
        let began = Instant::now();
        loop {
            let now = self.now();
            if until(&now) {
                return now;
            }
            assert!(began.elapsed() < PATIENCE, "waited until {what}: {now:#}\n{}", self.site.log());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// What a person reads, from both streams.
    pub fn shown(&self, arguments: &[&str]) -> String {
        let output = self.command(arguments).output().expect("`upgradectl` starts");
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
    }
}

/// Exchanges a text in a component for another of the same length: its parts are preceded by their lengths.
pub fn exchange(component: &[u8], from: &str, to: &str) -> Vec<u8> {
    assert_eq!(from.len(), to.len());
    let mut bytes = component.to_vec();
    let places: Vec<usize> =
        (0..bytes.len() - from.len()).filter(|at| bytes[*at..].starts_with(from.as_bytes())).collect();
    assert!(!places.is_empty(), "the component holds no `{from}`");
    for at in places {
        bytes[at..at + to.len()].copy_from_slice(to.as_bytes());
    }
    bytes
}

/// A small file system in memory over a folder; gone with the test.
pub struct SmallDisk(PathBuf);

impl SmallDisk {
    /// What is in the folder is copied into it. Needs the right to mount: a test that can't have a full disk fails.
    pub fn over(folder: &Path, kib: u64) -> Self {
        let aside = folder.with_extension("aside");
        fs::rename(folder, &aside).expect("the folder is put aside");
        fs::create_dir(folder).expect("the folder");
        mount(&["-t", "tmpfs", "-o", &format!("size={kib}k,mode=700"), "tmpfs"], folder);
        let disk = Self(folder.to_owned());
        let copied = Command::new("cp").arg("-a").arg(aside.join(".")).arg(folder).status();
        assert!(copied.expect("`cp`").success(), "the folder fits on the small disk");
        disk
    }

    pub fn remount(&self, options: &str) {
        mount(&["-o", &format!("remount,{options}")], &self.0);
    }

    /// Until there is not a byte left.
    pub fn fill(&self) {
        let filler = fs::File::create(self.0.join("filler")).expect("a file that fills the disk");
        let zeros = vec![0; 1 << 16];
        let mut bytes = 1 << 16;
        while bytes > 0 {
            match std::io::Write::write(&mut &filler, &zeros[..bytes]) {
                Ok(written) if written > 0 => {}
                _ => bytes /= 2,
            }
        }
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: what still runs from it goes on until it ends.
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).stderr(Stdio::null()).status();
    }
}

fn mount(options: &[&str], folder: &Path) {
    let output = Command::new("mount").args(options).arg(folder).output().expect("`mount`");
    let why = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "this test mounts a small disk, which root may: {}", why.trim());
}
