//! An ordinary user of this machine, and Docker as such a user runs it.
//!
//! The machine's own accounts stay as they are: whatever the user starts has a view of `/etc` of its own, in which there is
//! one more, with numbers that nobody else has.

use crate::{Engine, Own, PODMAN, ROOTLESS, ping};
use serde_json::json;
use std::ffi::OsStr;
use std::fs::{self, File, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(60);
/// Numbers of users within containers.
const INNER: u32 = 65536;
/// Above whatever a machine's own tools give.
const FIRST: u32 = 1_000_000_000;
const SLOTS: u32 = 40_000;
const ETC: [&str; 4] = ["passwd", "group", "subuid", "subgid"];
/// The machine at the far end of the user's network.
const MACHINE: &str = "10.0.2.2";

/// What it started ends with it.
pub struct Account {
    own: Own,
    folder: PathBuf,
    user: u32,
}

impl Account {
    /// Its home and everything else of it lies in `folder`, whose path is short: it has sockets.
    pub fn new(folder: &Path) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let own = Own::of_this_user().unwrap_or_else(|why| panic!("{why}"));
        let program = own.folder().join(ROOTLESS).join("usr/bin/rootlesskit");
        assert!(program.is_file(), "`{}` is missing: `cargo xtask engine up` makes it", program.display());
        let slot = (std::process::id() * 4 + NEXT.fetch_add(1, Ordering::Relaxed)) % SLOTS;
        let account = Self { own, folder: folder.to_owned(), user: FIRST + slot * (INNER + 1) };
        fs::set_permissions(folder, Permissions::from_mode(0o711)).expect("its folder");
        for name in ["etc", "etc.work", "programs"] {
            fs::create_dir(account.at(name)).expect("a folder of the account");
        }
        for path in [account.home(), account.runtime()] {
            fs::create_dir(&path).expect("a folder of the account");
            fs::set_permissions(&path, Permissions::from_mode(0o700)).expect("a folder of the account");
            account.give(&path);
        }
        account.lay_etc();
        account
    }

    fn lay_etc(&self) {
        let (user, inner, home) = (self.user, self.user + 1, self.home());
        for name in ETC {
            let line = match name {
                "passwd" => format!("rootless:x:{user}:{user}::{}:/bin/sh\n", home.display()),
                "group" => format!("rootless:x:{user}:\n"),
                _ => format!("rootless:{inner}:{INNER}\n"),
            };
            let text = fs::read_to_string(Path::new("/etc").join(name)).unwrap_or_default();
            fs::write(self.at("etc").join(name), text + &line).expect("an account's line");
        }
    }

    /// `program`, started by the user, with what its shell would set.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        // A device for networks, which other machines leave to everybody.
        let script = "mount -t overlay overlay -o \"lowerdir=/etc,upperdir=$1/etc,workdir=$1/etc.work\" /etc\n\
            [ -e \"$1/tun\" ] || mknod -m 666 \"$1/tun\" c 10 200\nmount --bind \"$1/tun\" /dev/net/tun\n\
            mount --bind \"$2\" \"$1/programs\"\n\
            [ -e \"$1/etc/ld.so.cache\" ] || { printf 'include /etc/ld.so.conf\\n%s\\n' \"$3\" > /etc/ld.so.programs; \
            ldconfig -X -f /etc/ld.so.programs; }\ncd \"$HOME\"\nshift 3\n\
            exec setpriv --reuid=rootless --regid=rootless --init-groups \"$@\"";
        let mut command = Command::new("unshare");
        command.args(["--mount", "--propagation", "slave", "sh", "-ec", script, "sh"]);
        // What they start in their turn does not get their environment.
        command.arg(&self.folder).arg(self.own.folder()).arg(self.libraries()).arg(program);
        let beneath = ["engine/usr/bin", "engine/usr/sbin", "base/usr/sbin", "rootless/usr/bin"];
        let path: String = beneath.map(|folder| format!("{}:", self.programs().join(folder).display())).concat();
        command.env("PATH", format!("{path}{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default()));
        command.env("HOME", self.home()).env("XDG_RUNTIME_DIR", self.runtime());
        for of_the_machine in ["DOCKER_HOST", "DOCKER_CONFIG", "CONTAINER_HOST", "REGISTRY_AUTH_FILE"] {
            command.env_remove(of_the_machine);
        }
        command.stdin(Stdio::null());
        command
    }

    /// Beside the programs, of whatever machine: a line each.
    fn libraries(&self) -> String {
        let folders = [ROOTLESS, PODMAN].map(|programs| {
            let beneath = Path::new(programs).join("usr/lib");
            let entries = fs::read_dir(self.own.folder().join(&beneath)).into_iter().flatten().flatten();
            let mut names = entries.map(|entry| entry.file_name());
            let name = names.find(|name| name.to_string_lossy().contains("-linux-gnu")).unwrap_or_default();
            self.programs().join(beneath).join(name).display().to_string()
        });
        folders.join("\n")
    }

    /// Where the user finds what the project's own engine has.
    pub fn programs(&self) -> PathBuf {
        self.at("programs")
    }

    pub fn home(&self) -> PathBuf {
        self.at("home")
    }

    /// As `/run/user/1000`.
    pub fn runtime(&self) -> PathBuf {
        self.at("user")
    }

    /// Makes the user the owner.
    pub fn give(&self, path: &Path) {
        chown(path, Some(self.user), Some(self.user)).unwrap_or_else(|error| panic!("`{}`: {error}", path.display()));
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Of this user, or of one in a container of this user.
    fn processes(&self) -> Vec<String> {
        let own = self.user..=self.user + INNER;
        let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
        let processes = processes.filter(|one| {
            // One that ended waits for who looks after it.
            let runs =
                || fs::read_to_string(one.path().join("status")).is_ok_and(|status| !status.contains("State:\tZ"));
            one.metadata().is_ok_and(|found| own.contains(&found.uid())) && runs()
        });
        processes.filter_map(|one| one.file_name().into_string().ok()).collect()
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        let began = Instant::now();
        loop {
            let left = self.processes();
            if left.is_empty() || began.elapsed() > PATIENCE {
                return;
            }
            let _ = Command::new("kill").arg("-KILL").args(&left).stderr(Stdio::null()).status();
            thread::sleep(Duration::from_millis(50));
        }
    }
}

/// Docker of today, as `dockerd-rootless.sh` starts it.
pub struct RootlessDocker {
    engine: Engine,
    child: Child,
    account: Account,
}

impl RootlessDocker {
    /// Returns when it answers.
    pub fn start(folder: &Path) -> Self {
        let account = Account::new(folder);
        let registry = Engine::shared().registry().to_owned();
        let settings = account.home().join(".config/docker/daemon.json");
        fs::create_dir_all(settings.parent().expect("a folder")).expect("the engine's folder");
        let text = json!({ "init-path": account.programs().join("engine/usr/bin/tini-static"), "shutdown-timeout": 5 });
        fs::write(&settings, text.to_string()).expect("the engine's settings");
        // Its data lies there, too.
        account.give(&account.home().join(".config"));
        let log = File::create(folder.join("dockerd.log")).expect("the engine's log");
        let mut docker =
            account.command(account.programs().join("engine/usr/share/docker.io/contrib/dockerd-rootless.sh"));
        // The tests' registry is a port of this machine.
        docker.env("DOCKERD_ROOTLESS_ROOTLESSKIT_DISABLE_HOST_LOOPBACK", "false");
        docker.process_group(0).stdout(log.try_clone().expect("the engine's log")).stderr(log);
        let mut child = docker.spawn().unwrap_or_else(|error| panic!("`unshare`: {error}"));
        let socket = account.runtime().join("docker.sock");
        wait_for(&mut child, &socket, &folder.join("dockerd.log"));
        let engine = Engine { socket, registry, own: Some(account.own.clone()) };
        let docker = Self { engine, child, account };
        docker.lead_to_registry();
        docker
    }

    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// 127.0.0.1 is the engine's own, in a network of its own.
    fn lead_to_registry(&self) {
        let Some(("127.0.0.1", port)) = self.engine.registry.rsplit_once(':') else { return };
        let child = self.account.runtime().join("dockerd-rootless/child_pid");
        let network = format!("--net=/proc/{}/ns/net", fs::read_to_string(child).expect("its process").trim());
        let script = "echo 1 > /proc/sys/net/ipv4/conf/all/route_localnet\n\
            iptables -t nat -A OUTPUT -d 127.0.0.1 -p tcp --dport \"$1\" -j DNAT --to-destination \"$2:$1\"\n\
            iptables -t nat -A POSTROUTING -d \"$2\" -j MASQUERADE";
        let mut lead = Command::new("nsenter");
        lead.arg(network).args(["sh", "-ec", script, "sh", port, MACHINE]);
        lead.env("PATH", format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default()));
        assert!(lead.status().is_ok_and(|ended| ended.success()), "no way from the engine to the registry");
    }
}

impl Drop for RootlessDocker {
    fn drop(&mut self) {
        self.engine.remove_containers();
        let _ = Command::new("kill").arg(self.child.id().to_string()).status();
        let _ = self.child.wait();
    }
}

/// Until an engine answers there.
pub fn wait_for(child: &mut Child, socket: &Path, log: &Path) {
    let began = Instant::now();
    while !ping(socket) {
        let ended = child.try_wait().is_ok_and(|status| status.is_some());
        let said = fs::read_to_string(log).unwrap_or_default();
        assert!(!ended && began.elapsed() < PATIENCE, "an engine does not come up:\n{said}");
        thread::sleep(Duration::from_millis(50));
    }
}
