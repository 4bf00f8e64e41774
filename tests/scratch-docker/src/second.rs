//! An engine that one test alone has, so that it may be killed and run out of room, or be an old one: its own socket,
//! data, networks and containers. The registry is that of the project's own engine.

use crate::{Engine, OLD_ENGINE, Own, ping};
use serde_json::{Value, json};
use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(60);
/// Of the addresses that the project's own engine forwards, those that it comes to last.
const POOL: &str = "10.199.192.0/18";

/// Ends with all of its containers when it is dropped.
pub struct Second {
    engine: Engine,
    folder: PathBuf,
    /// Of its programs.
    programs: PathBuf,
    dockerd: Option<Child>,
}

impl Second {
    /// Lies in `folder`, whose path is short: it has sockets. `data` may be a file system of its own. Programs and
    /// containerd are those of the project's own engine.
    pub fn start(folder: &Path) -> Self {
        let own = Own::of_this_user().unwrap_or_else(|why| panic!("{why}"));
        let name = format!("second-{}-{}", std::process::id(), folder.file_name().unwrap_or_default().display());
        let containerd = json!({
            "containerd": own.folder().join("containerd.sock"),
            "containerd-namespace": name,
            "containerd-plugins-namespace": format!("{name}-plugins"),
        });
        Self::of(own, folder, "engine", "tini-static", containerd)
    }

    /// Docker 20.10, with a containerd of its own; images lie where they always lay, by the digest of their configuration.
    pub fn old(folder: &Path) -> Self {
        let own = Own::of_this_user().unwrap_or_else(|why| panic!("{why}"));
        Self::of(own, folder, OLD_ENGINE, "tini", json!({}))
    }

    fn of(own: Own, folder: &Path, programs: &str, init: &str, more: Value) -> Self {
        let at = |name: &str| folder.join(name);
        fs::create_dir_all(at("data")).expect("the folder of the engine's data");
        let programs = own.folder().join(programs);
        let mut settings = json!({
            "hosts": [format!("unix://{}", at("docker.sock").display())],
            "pidfile": at("dockerd.pid"),
            "exec-root": at("run"),
            "data-root": at("data"),
            "init-path": programs.join("usr/bin").join(init),
            "bridge": "none",
            "default-address-pools": [{ "base": POOL, "size": 24 }],
            "iptables": false,
            "ip6tables": false,
            "ip-forward": false,
            "shutdown-timeout": 5,
        });
        let all = settings.as_object_mut().expect("it is one");
        all.extend(more.as_object().cloned().unwrap_or_default());
        fs::write(at("daemon.json"), settings.to_string()).expect("the engine's settings");
        let engine = Engine { socket: at("docker.sock"), registry: Engine::shared().registry.clone(), own: Some(own) };
        let mut second = Self { engine, folder: folder.to_owned(), programs, dockerd: None };
        second.up();
        second
    }

    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// The folder of everything that it keeps.
    pub fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    /// Returns when it answers.
    pub fn up(&mut self) {
        let own = self.engine.own.as_ref().expect("it was made of one");
        let log = File::options().create(true).append(true).open(self.log()).expect("the engine's log");
        // One that was killed left its number.
        let _ = fs::remove_file(self.folder.join("dockerd.pid"));
        let own_folders = ["usr/sbin", "usr/bin"].map(|name| self.programs.join(name));
        let folders = own_folders.into_iter().chain([own.folder().join("base/usr/sbin")]);
        let path = folders.map(|folder| format!("{}:", folder.display())).collect::<String>();
        let mut dockerd = Command::new(self.programs.join("usr/sbin/dockerd"));
        dockerd.arg("--config-file").arg(self.folder.join("daemon.json")).process_group(0).stdin(Stdio::null());
        dockerd.env("PATH", format!("{path}{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default()));
        dockerd.current_dir(&self.folder).stdout(log.try_clone().expect("the engine's log")).stderr(log);
        self.dockerd = Some(dockerd.spawn().unwrap_or_else(|error| panic!("`dockerd`, which root may start: {error}")));
        let began = Instant::now();
        while !ping(self.engine.socket()) {
            let ended =
                self.dockerd.as_mut().is_some_and(|child| child.try_wait().is_ok_and(|status| status.is_some()));
            let log = fs::read_to_string(self.log()).unwrap_or_default();
            assert!(!ended && began.elapsed() < PATIENCE, "a second engine does not come up:\n{log}");
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// As a crash of the engine: its containers go on until it is there again.
    pub fn kill(&mut self) {
        self.signal("-KILL");
    }

    /// As an update of the engine's package: its containers end with it.
    pub fn stop(&mut self) {
        self.signal("-TERM");
    }

    fn signal(&mut self, signal: &str) {
        let Some(mut dockerd) = self.dockerd.take() else { return };
        let sent = Command::new("kill").args([signal, &dockerd.id().to_string()]).status();
        assert!(sent.is_ok_and(|status| status.success()), "`kill {signal}`");
        dockerd.wait().expect("our child");
    }

    fn log(&self) -> PathBuf {
        self.folder.join("dockerd.log")
    }
}

impl Drop for Second {
    fn drop(&mut self) {
        if self.dockerd.is_none() && !thread::panicking() {
            self.up();
        }
        self.engine.remove_containers();
        if let Some(mut dockerd) = self.dockerd.take() {
            let _ = Command::new("kill").arg(dockerd.id().to_string()).status();
            let _ = dockerd.wait();
        }
        // An engine mounts its folder upon itself, and one that is killed leaves that: one for each start.
        while Command::new("umount").arg(self.data()).stderr(Stdio::null()).status().is_ok_and(|ended| ended.success())
        {
        }
    }
}
