//! One installation of the product that the runs are measured with: DecisionGraph with its database, as its operator set it
//! up, in a folder that is removed at the end.

use super::database::{OWNER, Server, run};
use crate::demo::Programs;
use anyhow::{Context, Result, bail};
use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

pub const FIRST: &str = "1.0.0";
pub const NEXT: &str = "1.1.0";
const PATIENCE: Duration = Duration::from_secs(30);
static NUMBER: AtomicU32 = AtomicU32::new(1);

pub struct Site<'a> {
    pub server: &'a Server,
    pub database: String,
    programs: &'a Programs,
    folder: PathBuf,
    ports: (u16, u16),
}

impl<'a> Site<'a> {
    /// Release 1.0.0 runs on a copy of the database `from`.
    pub fn new(server: &'a Server, programs: &'a Programs, from: &str, parent: &Path) -> Result<Self> {
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let (folder, database) = (parent.join(format!("s{number}")), format!("graph_{number}"));
        server.copy(from, &database)?;
        let site = Self { server, database, programs, folder, ports: (free_port()?, free_port()?) };
        for folder in ["graph/run", "deployments", "state", "vault", "etc"] {
            fs::create_dir_all(site.folder.join(folder))?;
        }
        site.secret("database-url", &server.url(&site.database))?;
        for name in ["token", "admin-token", "key-base"] {
            site.secret(name, name)?;
        }
        site.lay_out()?;
        site.mix("current/beam").args(["dg.service", "start", "runtime"]).status()?;
        site.mix("").args(["dg.service", "start", "gate"]).status()?;
        site.wait_until_it_serves()?;
        fs::write(site.settings_file(), site.settings())?;
        fs::write(site.deployment_file(), site.deployment())?;
        Ok(site)
    }

    /// What an operator has done once, by hand, when the product was installed.
    fn lay_out(&self) -> Result<()> {
        let repository = &self.server.repository;
        let revision = format!("v{FIRST}^{{commit}}");
        let commit = run(Command::new("git").arg("-C").arg(repository).args(["rev-parse", &revision]))?;
        let release = self.home().join("releases").join(commit.trim());
        fs::create_dir_all(&release)?;
        let archive = self.folder.join("release.tar");
        run(Command::new("git").arg("-C").arg(repository).args(["archive", "--output"]).arg(&archive).arg(&revision))?;
        run(Command::new("tar").arg("-xf").arg(&archive).arg("-C").arg(&release))?;
        symlink(release.strip_prefix(self.home())?, self.home().join("current"))?;
        run(self.mix("current/beam").arg("compile")).map(drop)
    }

    fn settings(&self) -> String {
        let (folder, plugins) = (self.folder.display(), self.programs.components.display());
        format!(
            "deployments = \"{folder}/deployments\"\nplugins = \"{plugins}\"\nstate = \"{folder}/state\"\n\
             vault = \"{folder}/vault\"\nvault-key = \"{folder}/etc/vault.key\"\nsocket = \"{folder}/sock\"\n"
        )
    }

    /// The example's own file, with the places of this machine; no drill, no window, nobody to ask.
    fn deployment(&self) -> String {
        let example = include_str!("../../../examples/decisiongraph/deployment.toml");
        let mix = self.programs.mix.display().to_string();
        let (before, _) = example.split_once("[policy]").unwrap_or((example, ""));
        let server = &self.server.cluster;
        let text = before
            .replace("\"mix\"", &format!("\"{mix}\""))
            .replace("&& mix", &format!("&& {mix}"))
            .replace("https://git.example.com/decisiongraph.git", &self.server.repository.display().to_string())
            .replace("/opt/decisiongraph", &self.home().display().to_string())
            .replace("/etc/upgraded/secrets/decisiongraph-", &format!("{}/etc/", self.folder.display()))
            .replace("127.0.0.1:4000", &format!("127.0.0.1:{}", self.ports.0))
            .replace("\"4000\"", &format!("\"{}\"", self.ports.0))
            .replace("\"8000\"", &format!("\"{}\"", self.ports.1))
            .replace("\"/var/run/postgresql\"", &format!("\"{}\"\nport = {}", server.folder().display(), server.port()))
            .replace("user = \"decisiongraph\"", &format!("user = \"{OWNER}\""))
            .replace("database = \"decisiongraph\"", &format!("database = \"{}\"", self.database))
            .replace("plugin = \"postgres\"", &format!("plugin = \"postgres\"\nunrelated = {:?}", self.others()));
        format!("{text}[policy]\napprove = \"never\"\ndrill = \"off\"\ndisposable = [\"path:run\"]\n")
    }

    /// Databases of the same owner.
    fn others(&self) -> Vec<String> {
        let all = self.server.sql("postgres", "SELECT datname FROM pg_database WHERE NOT datistemplate");
        let all = all.unwrap_or_default();
        all.lines().filter(|name| *name != self.database && *name != "postgres").map(str::to_owned).collect()
    }

    fn secret(&self, name: &str, text: &str) -> Result<()> {
        let file = self.folder.join("etc").join(name);
        fs::write(&file, text)?;
        Ok(fs::set_permissions(file, fs::Permissions::from_mode(0o600))?)
    }

    /// A task of the product, as its operator starts it.
    pub fn mix(&self, folder: &str) -> Command {
        let mut mix = Command::new(&self.programs.mix);
        mix.current_dir(self.home().join(folder));
        for (name, value) in self.environment() {
            mix.env(name, value);
        }
        mix
    }

    /// What the product and the script are told.
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        vec![
            ("DATABASE_URL", self.server.url(&self.database)),
            ("PORT", self.ports.0.to_string()),
            ("GATE_PORT", self.ports.1.to_string()),
            ("DG_RUN", self.home().join("run").display().to_string()),
            ("DG_API_TOKEN", "token".into()),
            ("DG_ADMIN_TOKEN", "admin-token".into()),
            ("MIX_ENV", "prod".into()),
        ]
    }

    fn wait_until_it_serves(&self) -> Result<()> {
        let began = Instant::now();
        let gate = SocketAddr::from(([127, 0, 0, 1], self.ports.1));
        let runtime = SocketAddr::from(([127, 0, 0, 1], self.ports.0));
        while [gate, runtime].iter().any(|address| TcpStream::connect(address).is_err()) {
            if began.elapsed() > PATIENCE {
                bail!("the product does not serve; `{}` may say why", self.home().join("run/runtime.log").display());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// The one thing that an operator does.
    pub fn edit_version(&self) -> Result<()> {
        let text = fs::read_to_string(self.deployment_file())?;
        let edited = text.replacen(&format!("version = \"{FIRST}\""), &format!("version = \"{NEXT}\""), 1);
        let beside = self.deployment_file().with_extension("toml~");
        fs::write(&beside, edited)?;
        fs::rename(&beside, self.deployment_file()).context("the deployment's file")
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
    pub fn home(&self) -> PathBuf {
        self.folder.join("graph")
    }
    pub fn settings_file(&self) -> PathBuf {
        self.folder.join("upgraded.toml")
    }
    pub fn deployment_file(&self) -> PathBuf {
        self.folder.join("deployments/graph.toml")
    }
    pub fn socket(&self) -> PathBuf {
        self.folder.join("sock")
    }
}

impl Drop for Site<'_> {
    /// Whatever happened; there is nobody left to tell.
    fn drop(&mut self) {
        for service in ["gate", "runtime"] {
            let _ = self.mix("").args(["dg.service", "stop", service]).status();
        }
        let _ = self.server.drop(&self.database);
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}
