//! A real PostgreSQL server in a temporary folder, stopped and removed when dropped. For tests alone: it panics with what
//! is missing.
//!
//! It listens on a Unix socket in its folder and on a port of 127.0.0.1, or of another address, trusts every local role on
//! the socket, and asks for passwords over TCP.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::{Arc, Mutex, Weak};
use tempfile::TempDir;

pub struct Cluster {
    folder: TempDir,
    programs: PathBuf,
    address: &'static str,
    port: u16,
    options: &'static str,
}

/// The server's superuser.
pub const SUPERUSER: &str = "postgres";

/// For tests: their data outlives no power cut.
const FAST: &str = "-c fsync=off -c wal_level=logical -c max_prepared_transactions=5 -c max_wal_size=4GB";

impl Cluster {
    /// The test binary's one, made by whoever asks first and stopped after whoever is last. Databases and roles are the
    /// whole server's: tests name theirs apart.
    pub fn shared() -> Arc<Self> {
        static SHARED: Mutex<Weak<Cluster>> = Mutex::new(Weak::new());
        let mut shared = SHARED.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(cluster) = shared.upgrade() {
            return cluster;
        }
        let cluster = Arc::new(Self::start());
        *shared = Arc::downgrade(&cluster);
        cluster
    }

    /// One of the test's own.
    pub fn start() -> Self {
        Self::start_with(FAST)
    }

    /// With other settings of the server, as its command line takes them.
    pub fn start_with(options: &'static str) -> Self {
        Self::make("127.0.0.1", free_port(), options)
    }

    /// At an address of this machine, for example `127.0.0.2`.
    pub fn start_at(address: &'static str, port: u16) -> Self {
        Self::make(address, port, FAST)
    }

    fn make(address: &'static str, port: u16, options: &'static str) -> Self {
        let folder = tempfile::Builder::new().prefix("pg-").tempdir().expect("a temporary folder");
        let cluster = Self { programs: programs(), address, port, folder, options };
        if is_root() {
            succeed(Command::new("chown").arg(SUPERUSER).arg(cluster.folder.path()));
        }
        let data = cluster.data();
        succeed(
            cluster
                .tool("initdb")
                .args(["--no-sync", "--encoding=UTF8", "--locale=C.UTF-8", "--auth-local=trust"])
                .args([
                    "--auth-host=scram-sha-256",
                    &format!("--username={SUPERUSER}"),
                    &format!("--pgdata={}", data.display()),
                ]),
        );
        cluster.launch();
        cluster
    }

    /// Also the socket's folder.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }
    pub fn port(&self) -> u16 {
        self.port
    }
    /// Of this server's version: `psql`, `pg_dump` and the others.
    pub fn programs(&self) -> &Path {
        &self.programs
    }

    /// Rows of what `sql` returns, columns divided by `|`; panics with the server's words.
    pub fn sql(&self, database: &str, sql: &str) -> String {
        self.try_sql(SUPERUSER, database, sql).unwrap_or_else(|error| panic!("{sql}: {error}"))
    }

    /// The same as any role, over the socket.
    pub fn try_sql(&self, role: &str, database: &str, sql: &str) -> Result<String, String> {
        let output = self.psql(role, database).args(["-c", sql]).output().expect("psql runs");
        match output.status.success() {
            true => Ok(String::from_utf8_lossy(&output.stdout).trim_end().to_owned()),
            false => Err(String::from_utf8_lossy(&output.stderr).trim_end().to_owned()),
        }
    }

    /// A `psql` to add to.
    pub fn psql(&self, role: &str, database: &str) -> Command {
        let mut psql = Command::new(self.programs.join("psql"));
        psql.args(["-XqAt", "-v", "ON_ERROR_STOP=1", "-h"]).arg(self.folder()).args(["-p", &self.port.to_string()]);
        psql.args(["-U", role, "-d", database]).env("PGAPPNAME", "test").stdin(Stdio::null());
        psql
    }

    /// As a power cut: nothing is written that is not written yet.
    pub fn crash(&self) {
        self.stop("immediate");
        self.launch();
    }
    pub fn restart(&self) {
        self.stop("fast");
        self.launch();
    }

    fn launch(&self) {
        let folder = self.folder().display();
        let options = format!("-k {folder} -p {} -c listen_addresses={} {}", self.port, self.address, self.options);
        let log = self.folder().join("log");
        let mut start = self.tool("pg_ctl");
        start.args(["start", "--wait", "--silent", "-o", &options]).arg("-D").arg(self.data()).arg("-l").arg(&log);
        let output = start.output().expect("pg_ctl runs");
        if !output.status.success() {
            panic!("the server did not start: {}", std::fs::read_to_string(log).unwrap_or_default());
        }
    }

    fn stop(&self, mode: &str) {
        succeed(self.tool("pg_ctl").args(["stop", "--wait", "--silent", "-m", mode, "-D"]).arg(self.data()));
    }

    fn data(&self) -> PathBuf {
        self.folder().join("data")
    }

    /// The server won't run as root.
    fn tool(&self, name: &str) -> Command {
        let program = self.programs.join(name);
        let mut command = match is_root() {
            true => {
                let mut command = Command::new("runuser");
                command.args(["-u", SUPERUSER, "--"]).arg(program);
                command
            }
            false => Command::new(program),
        };
        command.current_dir("/").stdin(Stdio::null());
        command
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let mut stop = self.tool("pg_ctl");
        let _ = stop.args(["stop", "--wait", "--silent", "-m", "immediate", "-D"]).arg(self.data()).output();
    }
}

/// The newest server's.
fn programs() -> PathBuf {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut found: Vec<(u32, PathBuf)> = versions
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path().join("bin"))))
        .filter(|(_, programs)| programs.join("initdb").exists())
        .collect();
    found.sort();
    match found.pop() {
        Some((_, programs)) => programs,
        None => panic!("PostgreSQL's server is not on this machine; Debian's package `postgresql` has it"),
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("it is bound").port()
}

fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0)
}

fn succeed(command: &mut Command) {
    let Output { status, stderr, .. } = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(status.success(), "{command:?}: {}", String::from_utf8_lossy(&stderr));
}
