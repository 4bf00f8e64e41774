//! A podman that one test alone has: its own settings, images, volumes, networks and containers. It has no daemon; a
//! socket like Docker's has [`PodmanSocket`].

mod firewall;
mod names;

use crate::account::{Account, wait_for};
use crate::shelf::one_at_a_time;
use crate::{Engine, Own, PODMAN, Systemd, ping};
use firewall::Firewall;
use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(60);
/// Of the addresses that the project's own engine forwards.
const POOL: &str = "10.199.128.0";

/// Everything that it made is gone when it is dropped.
pub struct Podman {
    own: Own,
    registry: String,
    folder: PathBuf,
    _firewall: Firewall,
    /// Who runs it, where it is not root.
    account: Option<Account>,
    /// In which it runs, where it is not this machine.
    systemd: Option<Systemd>,
}

impl Podman {
    /// Lies in `folder`, whose path is short: it has sockets.
    pub fn new(folder: &Path) -> Self {
        Self::of(folder, None)
    }

    /// The same, in a systemd of its own, in which units find it as `/usr/bin/podman`.
    fn with_systemd(folder: &Path) -> Self {
        let mut podman = Self::of(folder, None);
        let systemd = Systemd::new(&podman.own, folder.join("systemd"));
        let command = podman.command();
        // As every service has them, the health checks too, for which podman makes timers.
        let set = command.get_envs().filter_map(|(name, value)| Some((name, value?)));
        let set: Vec<_> =
            set.map(|(name, value)| format!("\"{}={}\"", name.to_string_lossy(), value.to_string_lossy())).collect();
        systemd.set_environment(&set.join(" "));
        systemd.add_program("podman", &format!("exec '{}' \"$@\"\n", podman.program("podman").display()));
        let serve = format!(
            "[Service]\nExecStart=podman system service --time 0 unix://{}\nKillMode=process\n",
            folder.join("podman.sock").display()
        );
        systemd.write_unit("podman-api.service", &serve);
        systemd.enable("podman-api.service");
        systemd.boot();
        podman.systemd = Some(systemd);
        podman
    }

    /// The same, as an ordinary user runs it.
    pub fn rootless(folder: &Path) -> Self {
        Self::of(folder, Some(Account::new(folder)))
    }

    fn of(folder: &Path, account: Option<Account>) -> Self {
        let own = Own::of_this_user().unwrap_or_else(|why| panic!("{why}"));
        let program = own.folder().join(PODMAN).join("usr/bin/podman");
        assert!(program.is_file(), "`{}` is missing: `cargo xtask engine up` makes it", program.display());
        let registry = Engine::shared().registry().to_owned();
        let podman =
            Self { own, registry, folder: folder.to_owned(), account, systemd: None, _firewall: Firewall::enter() };
        for (name, text) in [
            ("containers.conf", podman.containers()),
            ("storage.conf", podman.storage()),
            ("registries.conf", format!("[[registry]]\nlocation = \"{}\"\ninsecure = true\n", podman.registry)),
            // Its place can't be named otherwise.
            ("home/.config/containers/policy.json", r#"{"default":[{"type":"insecureAcceptAnything"}]}"#.into()),
        ] {
            let file = folder.join(name);
            fs::create_dir_all(file.parent().expect("a folder")).expect("a folder of podman's");
            fs::write(file, text).expect("podman's settings");
        }
        fs::create_dir_all(folder.join("tmp")).expect("a folder of podman's");
        podman.give_folders();
        if podman.account.is_none() {
            names::are_served(podman.place().join("usr/lib/podman/aardvark-dns"));
        }
        podman
    }

    /// Ulimits that a machine without the right to raise them has; health checks and logs need no systemd. A name server that is
    /// started again is asked again at once.
    fn containers(&self) -> String {
        let (at, lies) = (|name: &str| self.folder.join(name), |name: &str| self.place().join(name));
        format!(
            "[containers]\ndefault_ulimits = [\"nofile=20000:20000\", \"nproc=30000:30000\"]\nlog_driver = \"k8s-file\"\n\
             dns_options = [\"timeout:1\", \"attempts:10\"]\n\
             init_path = \"{init}\"\n[engine]\ninit_path = \"{init}\"\ncgroup_manager = \"cgroupfs\"\nevents_logger = \"file\"\nruntime = \"runc\"\n\
             conmon_path = [\"{conmon}\"]\nhelper_binaries_dir = [\"{helpers}\", \"{pause}\"]\ntmp_dir = \"{tmp}\"\n\
             [engine.runtimes]\nrunc = [\"{runc}\"]\n[network]\nnetwork_backend = \"netavark\"\n\
             network_config_dir = \"{networks}\"\ndefault_subnet = \"{POOL}/24\"\n\
             default_subnet_pools = [{{ base = \"{POOL}/18\", size = 24 }}]\n",
            init = lies("usr/libexec/podman/catatonit").display(),
            conmon = lies("usr/bin/conmon").display(),
            helpers = lies("usr/lib/podman").display(),
            pause = lies("usr/libexec/podman").display(),
            runc = lies("usr/sbin/runc").display(),
            tmp = at("tmp").display(),
            networks = at("networks").display(),
        )
    }

    fn storage(&self) -> String {
        let folder = self.folder.display();
        format!("[storage]\ndriver = \"overlay\"\ngraphroot = \"{folder}/graph\"\nrunroot = \"{folder}/run\"\n")
    }

    /// To the account: what it writes to.
    fn give_folders(&self) {
        let Some(account) = &self.account else { return };
        for name in ["graph", "run", "networks", "home/.config/containers"] {
            fs::create_dir_all(self.folder.join(name)).expect("a folder of podman's");
        }
        for name in ["tmp", "graph", "run", "networks", "home/.config", "home/.config/containers"] {
            account.give(&self.folder.join(name));
        }
    }

    /// `podman`, which knows nothing of the machine's.
    pub fn command(&self) -> Command {
        let mut command = match &self.account {
            Some(account) => account.command(self.program("podman")),
            None => self.of_root(),
        };
        command.env("TMPDIR", self.folder.join("tmp"));
        for (name, file) in [
            ("CONTAINERS_CONF", "containers.conf"),
            ("CONTAINERS_STORAGE_CONF", "storage.conf"),
            ("CONTAINERS_REGISTRIES_CONF", "registries.conf"),
        ] {
            command.env(name, self.folder.join(file));
        }
        command.current_dir(&self.folder).stdin(Stdio::null());
        command
    }

    fn of_root(&self) -> Command {
        let program = self.program("podman");
        let mut command = match &self.systemd {
            Some(systemd) => systemd.inside(program),
            None => Command::new(program),
        };
        let path = ["usr/bin", "usr/sbin"].map(|name| format!("{}:", self.place().join(name).display())).concat();
        command.env("PATH", format!("{path}{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default()));
        command.env("HOME", self.folder.join("home"));
        for of_the_machine in
            ["XDG_RUNTIME_DIR", "DOCKER_HOST", "DOCKER_CONFIG", "CONTAINER_HOST", "REGISTRY_AUTH_FILE"]
        {
            command.env_remove(of_the_machine);
        }
        command
    }

    /// Does what brings up this podman's first network: of two that look for podman's name server at once, each starts one.
    pub fn begin(&self, networks: impl FnOnce()) {
        let _guard = one_at_a_time("network").unwrap_or_else(|why| panic!("{why}"));
        networks();
    }

    /// That it runs in.
    pub fn systemd(&self) -> &Systemd {
        self.systemd.as_ref().expect("it was started in one")
    }

    /// The power fails for everything in its systemd, and comes back: what is kept in memory alone is gone.
    pub fn reboot(&self) {
        self.systemd().end();
        for name in ["run", "tmp", "podman.sock"] {
            let path = self.folder.join(name);
            let _ = if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
        }
        fs::create_dir_all(self.folder.join("tmp")).expect("a folder of podman's");
        self.systemd().boot();
        self.answers();
    }

    /// Waits for what `podman-api.service` starts.
    fn answers(&self) {
        let (began, socket) = (Instant::now(), self.folder.join("podman.sock"));
        while !ping(&socket) {
            assert!(began.elapsed() < PATIENCE, "podman does not answer:\n{}", self.systemd().log());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Its output without the last line break.
    pub fn says(&self, arguments: &[&str]) -> String {
        let output = self.command().args(arguments).output().unwrap_or_else(|error| panic!("`podman`: {error}"));
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "`podman {}`: {said}", arguments.join(" "));
        String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
    }

    /// What the kernel says of one of its networks' interfaces.
    pub fn interface(&self, name: &str, what: &str) -> String {
        let file = format!("/sys/class/net/{name}/{what}");
        let Some(account) = &self.account else { return read(Path::new(&file)) };
        let names = read(&account.runtime().join("containers/networks/aardvark-dns/aardvark.pid"));
        let mut enter = Command::new("nsenter");
        enter.args(["--target", &names, "--net", "unshare", "--mount", "sh", "-ec"]);
        enter.args(["mount -t sysfs sysfs /sys; cat \"$1\"", "sh", &file]);
        let output = enter.output().unwrap_or_else(|error| panic!("`nsenter`: {error}"));
        assert!(output.status.success(), "`{file}`: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// What the tests' registry has.
    pub fn registry(&self) -> &str {
        &self.registry
    }

    fn place(&self) -> PathBuf {
        let programs = self.account.as_ref().map_or_else(|| self.own.folder().to_owned(), Account::programs);
        programs.join(PODMAN)
    }

    fn program(&self, name: &str) -> PathBuf {
        self.place().join("usr/bin").join(name)
    }

    fn clear(&self, arguments: &[&str]) -> bool {
        let mut command = self.command();
        command.args(arguments).stdout(Stdio::null()).stderr(Stdio::null());
        command.status().is_ok_and(|ended| ended.success())
    }
}

impl Drop for Podman {
    fn drop(&mut self) {
        // One that is in the network of another goes first, and not at the first try.
        let _ = (0..3).any(|_| self.clear(&["rm", "--all", "--force", "--volumes", "--time", "0"]));
        self.clear(&["pod", "rm", "--all", "--force", "--time", "0"]);
        self.clear(&["network", "prune", "--force"]);
        // Who watched a command that was run in a container stays for minutes.
        for watcher in processes_of(&self.folder) {
            let _ = Command::new("kill").args(["-KILL", &watcher]).stderr(Stdio::null()).status();
        }
        for mount in mounts_beneath(&self.folder) {
            let _ = Command::new("umount").arg(mount).stderr(Stdio::null()).status();
        }
    }
}

/// [`Podman`] behind a socket like Docker's.
pub struct PodmanSocket {
    engine: Engine,
    /// None: it is a unit's.
    service: Option<Child>,
    podman: Podman,
}

impl PodmanSocket {
    /// Returns when it answers.
    pub fn start(folder: &Path) -> Self {
        Self::of(Podman::new(folder), folder.join("podman.sock"), folder)
    }

    /// The same, as an ordinary user runs it.
    pub fn rootless(folder: &Path) -> Self {
        let podman = Podman::rootless(folder);
        let runtime = podman.account.as_ref().map(Account::runtime).unwrap_or_default();
        Self::of(podman, runtime.join("podman.sock"), folder)
    }

    /// The same, in a systemd of its own.
    pub fn with_systemd(folder: &Path) -> Self {
        let podman = Podman::with_systemd(folder);
        podman.answers();
        let socket = folder.join("podman.sock");
        let engine = Engine { socket, registry: podman.registry.clone(), own: Some(podman.own.clone()) };
        Self { engine, service: None, podman }
    }

    fn of(podman: Podman, socket: PathBuf, folder: &Path) -> Self {
        let log = File::create(folder.join("podman.log")).expect("podman's log");
        let mut service = podman.command();
        service.args(["system", "service", "--time", "0", &format!("unix://{}", socket.display())]);
        service.process_group(0).stdout(log.try_clone().expect("podman's log")).stderr(log);
        let mut service = service.spawn().unwrap_or_else(|error| panic!("`podman`: {error}"));
        wait_for(&mut service, &socket, &folder.join("podman.log"));
        let engine = Engine { socket, registry: podman.registry.clone(), own: Some(podman.own.clone()) };
        Self { engine, service: Some(service), podman }
    }

    pub fn engine(&self) -> &Engine {
        &self.engine
    }
    pub fn podman(&self) -> &Podman {
        &self.podman
    }
}

impl Drop for PodmanSocket {
    fn drop(&mut self) {
        if let Some(service) = &mut self.service {
            let _ = service.kill();
            let _ = service.wait();
        }
    }
}

fn read(file: &Path) -> String {
    let text = fs::read_to_string(file).unwrap_or_else(|error| panic!("`{}`: {error}", file.display()));
    text.trim().to_owned()
}

/// Numbers of the `conmon`s that name this folder.
fn processes_of(folder: &Path) -> Vec<String> {
    let folder = format!("{}/", folder.display());
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let own = processes.filter(|process| {
        let line = fs::read(process.path().join("cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line);
        line.split('\0').next().is_some_and(|program| program.ends_with("/conmon")) && line.contains(&folder)
    });
    own.filter_map(|process| process.file_name().into_string().ok()).collect()
}

/// Deepest first.
fn mounts_beneath(folder: &Path) -> Vec<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let mounted = mounts.lines().rev().filter_map(|line| line.split(' ').nth(1)).map(PathBuf::from);
    mounted.filter(|mount| mount.starts_with(folder)).collect()
}
