//! A systemd that one test alone has: process 1 of namespaces of its own over the machine's own files. It has the units that
//! the test gives it and no other, podman's generator of quadlets among its generators, and ends with everything in it.

use crate::{Own, PODMAN, QUADLET};
use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

const BOOT: &str = include_str!("systemd.sh");
const PROGRAM: &str = "/lib/systemd/systemd";
const PATIENCE: Duration = Duration::from_secs(60);

/// What every unit waits for, each reached at once.
const TARGETS: [(&str, &str); 5] = [
    ("sysinit", "DefaultDependencies=no\n"),
    (
        "basic",
        "DefaultDependencies=no\nRequires=sysinit.target cgroups.service\nAfter=sysinit.target cgroups.service\n",
    ),
    ("default", "Requires=basic.target\nAfter=basic.target\n"),
    ("network-online", "DefaultDependencies=no\n"),
    ("shutdown", "DefaultDependencies=no\n"),
];
/// systemd closes the folder of cgroups, and makes folders for kinds that can't be mounted: podman would take them for some.
const CGROUPS: &str = "[Unit]\nDefaultDependencies=no\n[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=sh -c 'mount \
                       -o remount,rw /sys/fs/cgroup; cd /sys/fs/cgroup; [ -e cgroup.procs ] || for kind in *; do [ -e \
                       $$kind/cgroup.procs ] || rm -r $$kind; done'\n";
/// Of Debian's package, as they are.
const SHIPPED: [&str; 2] = ["podman-kube@.service", "podman-restart.service"];

/// Everything in it ends when it is dropped.
pub struct Systemd {
    folder: PathBuf,
    cgroup: String,
    running: Mutex<Option<Running>>,
}

struct Running {
    child: Child,
    /// The number of its process 1 on this machine.
    process: u32,
}

impl Systemd {
    /// Nothing runs yet. Lies in `folder`.
    pub(crate) fn new(own: &Own, folder: PathBuf) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        assert!(Path::new(PROGRAM).is_file(), "`{PROGRAM}` is missing: `cargo xtask setup` installs systemd");
        let generator = own.folder().join(QUADLET).join("usr/libexec/podman/quadlet");
        assert!(generator.is_file(), "`{}` is missing: `cargo xtask engine up` makes it", generator.display());
        let cgroup = format!("upgraded-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let systemd = Self { folder, cgroup, running: Mutex::default() };
        for name in
            ["units/default.target.wants", "etc/containers/systemd", "etc.work", "programs", "outside", "generators"]
        {
            fs::create_dir_all(systemd.folder.join(name)).expect("a folder of systemd's");
        }
        symlink(generator, systemd.folder.join("generators/podman-system-generator")).expect("a generator");
        for (name, lines) in TARGETS {
            systemd.write_unit(&format!("{name}.target"), &format!("[Unit]\n{lines}"));
        }
        systemd.write_unit("cgroups.service", CGROUPS);
        for name in SHIPPED {
            let shipped = own.folder().join(PODMAN).join("lib/systemd/system").join(name);
            fs::copy(&shipped, systemd.unit(name)).unwrap_or_else(|error| panic!("`{}`: {error}", shipped.display()));
        }
        let process = systemd.folder.join("process").display().to_string();
        let outside = systemd.folder.join("outside").display().to_string();
        systemd.write_script(
            "enter",
            &format!(
                "export PATH='{outside}':\"$PATH\"\nexec nsenter --mount=\"/proc/$(cat '{process}')/ns/mnt\" unshare --mount \
                 --propagation slave sh -ec 'mount -t proc proc /proc; exec \"$@\"' sh \"$@\"\n"
            ),
        );
        // It answers nobody whose number it doesn't see.
        systemd.write_script(
            "outside/systemctl",
            &format!("exec nsenter --target \"$(cat '{process}')\" --mount --pid /usr/bin/systemctl \"$@\"\n"),
        );
        systemd
    }

    /// A program that its units find as `/usr/bin/NAME`.
    pub(crate) fn add_program(&self, name: &str, script: &str) {
        self.write_script(&format!("programs/{name}"), script);
    }

    /// Of every unit, as its settings take it.
    pub(crate) fn set_environment(&self, variables: &str) {
        let folder = self.folder.join("etc/systemd/system.conf.d");
        fs::create_dir_all(&folder).expect("systemd's settings");
        fs::write(folder.join("tests.conf"), format!("[Manager]\nDefaultEnvironment={variables}\n")).expect("settings");
    }

    fn write_script(&self, name: &str, script: &str) {
        let file = self.folder.join(name);
        fs::write(&file, format!("#!/bin/sh\n{script}")).expect("a script");
        fs::set_permissions(file, fs::Permissions::from_mode(0o755)).expect("a script");
    }

    /// As an operator writes it into `/etc/systemd/system`.
    pub fn write_unit(&self, name: &str, text: &str) {
        fs::write(self.unit(name), text).unwrap_or_else(|error| panic!("the unit `{name}`: {error}"));
    }

    /// As an operator writes it into `/etc/containers/systemd`.
    pub fn write_quadlet(&self, name: &str, text: &str) {
        let file = Path::new("/etc/containers/systemd").join(name);
        let mut write = self.inside("tee");
        let mut write = write.arg(file).stdin(Stdio::piped()).stdout(Stdio::null()).spawn().expect("`tee`");
        std::io::Write::write_all(&mut write.stdin.take().expect("a pipe"), text.as_bytes()).expect("a quadlet");
        assert!(write.wait().expect("`tee`").success(), "the quadlet `{name}`");
    }

    /// Also where it is not running.
    pub fn enable(&self, unit: &str) {
        let link = self.folder.join("units/default.target.wants").join(unit);
        let _ = fs::remove_file(&link);
        symlink(Path::new("..").join(unit), link).expect("a unit is enabled");
    }

    fn unit(&self, name: &str) -> PathBuf {
        self.folder.join("units").join(name)
    }

    /// Returns when everything that is enabled is started, or failed to.
    pub(crate) fn boot(&self) {
        File::create(self.folder.join("log")).expect("systemd's log");
        let before = File::create(self.folder.join("boot.log")).expect("a log of what comes before it");
        let mut boot = Command::new("sh");
        boot.args(["-c", BOOT, "systemd.sh"]).arg(&self.folder).arg(&self.cgroup);
        boot.stdin(Stdio::null()).stdout(Stdio::null()).stderr(before).process_group(0);
        let mut child = boot.spawn().unwrap_or_else(|error| panic!("`sh`: {error}"));
        let began = Instant::now();
        let process: u32 = loop {
            let parent = child.id();
            let children = fs::read_to_string(format!("/proc/{parent}/task/{parent}/children")).unwrap_or_default();
            if let Some(process) = children.split_whitespace().find_map(|number| number.parse().ok()) {
                break process;
            }
            let ended = child.try_wait().expect("our child");
            assert!(ended.is_none() && began.elapsed() < PATIENCE, "systemd does not boot: {ended:?}");
            std::thread::sleep(Duration::from_millis(20));
        };
        fs::write(self.folder.join("process"), process.to_string()).expect("its number");
        *self.running.lock().expect("no panic holds this lock") = Some(Running { child, process });
        while self.try_systemctl(&["is-active", "default.target"]) != "active" {
            assert!(began.elapsed() < PATIENCE, "systemd does not boot:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// As a cut of the machine's power: whatever runs in it is gone.
    pub(crate) fn end(&self) {
        let Some(mut running) = self.running.lock().expect("no panic holds this lock").take() else { return };
        let _ = Command::new("kill").args(["-KILL", &running.process.to_string()]).status();
        let _ = running.child.wait();
        for hierarchy in fs::read_dir("/sys/fs/cgroup").into_iter().flatten().flatten() {
            remove_cgroups(&hierarchy.path().join(&self.cgroup));
        }
        remove_cgroups(&Path::new("/sys/fs/cgroup").join(&self.cgroup));
    }

    /// What becomes a program that sees its files, and is one of this machine's processes.
    pub fn enter(&self) -> Vec<String> {
        vec![self.folder.join("enter").display().to_string()]
    }

    /// A program among its own processes.
    pub(crate) fn inside(&self, program: impl AsRef<OsStr>) -> Command {
        let running = self.running.lock().expect("no panic holds this lock");
        let process = running.as_ref().expect("it is booted").process.to_string();
        let mut command = Command::new("nsenter");
        command.args(["--target", &process, "--mount", "--pid", "--cgroup"]);
        command.arg(program).stdin(Stdio::null());
        command
    }

    /// Its output without the last line break.
    pub fn systemctl(&self, arguments: &[&str]) -> String {
        let output = self.inside("systemctl").args(arguments).output().unwrap_or_else(|error| panic!("{error}"));
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "`systemctl {}`: {said}\n{}", arguments.join(" "), self.log());
        String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
    }

    /// `active`, `inactive`, `failed` …
    pub fn state(&self, unit: &str) -> String {
        self.try_systemctl(&["is-active", unit])
    }

    fn try_systemctl(&self, arguments: &[&str]) -> String {
        let output = self.inside("systemctl").args(arguments).output().unwrap_or_else(|error| panic!("{error}"));
        String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
    }

    /// The last lines of what it says.
    pub fn log(&self) -> String {
        let read = |name: &str| {
            let log = fs::read(self.folder.join(name)).unwrap_or_default();
            String::from_utf8_lossy(&log).into_owned()
        };
        let log = read("boot.log") + &read("log");
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(30)..].join("\n")
    }
}

impl Drop for Systemd {
    fn drop(&mut self) {
        self.end();
    }
}

/// Deepest first; what just ended leaves its own a moment later.
fn remove_cgroups(cgroup: &Path) {
    for inner in fs::read_dir(cgroup).into_iter().flatten().flatten() {
        if inner.path().is_dir() {
            remove_cgroups(&inner.path());
        }
    }
    let began = Instant::now();
    while cgroup.exists() && fs::remove_dir(cgroup).is_err() && began.elapsed() < Duration::from_secs(5) {
        std::thread::sleep(Duration::from_millis(20));
    }
}
