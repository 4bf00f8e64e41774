//! A MySQL or MariaDB database in a container of a Compose project, saved and brought back by the host's driver, against
//! the dump tool and the client with a file in the server's own container.

use crate::call::{environment, policy};
use crate::database::context;
use crate::timed;
use crate::tools::succeed;
use anyhow::{Context, Result};
use clap::Args;
use serde_json::json;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;
use tokio::runtime::Runtime;
use upgraded::config::{
    BindingConfig, ComposeConfig, Deployment, EngineConfig, Grants, Policy, SecretSource, ServerConfig,
};
use upgraded::context::StepContext;
use upgraded::driver::Drivers;
use upgraded::driver::mysql::Mysql;
use upgraded::model::{Binding, Role, ServiceRef};

#[derive(Args)]
pub struct Place {
    /// Part of what the samples are called, and of the tools' names: `mariadb`, `mysql`.
    #[arg(long)]
    kind: String,
    /// The engine's socket.
    #[arg(long)]
    engine: PathBuf,
    /// The Compose project's folder. Its service `db` is the server.
    #[arg(long)]
    directory: PathBuf,
    /// Where vaults go; they are removed again.
    #[arg(long)]
    folder: PathBuf,
    /// Of `root`.
    #[arg(long)]
    password_file: PathBuf,
    /// The one that is saved. Nobody is connected to it.
    #[arg(long)]
    database: String,
    #[arg(long)]
    rounds: usize,
}

const PLUGIN: &str = "mysql";
const SERVICE: &str = "db";
const FILE: &str = "/tmp/bench.sql";
const IDLE: Duration = Duration::from_secs(600);

pub fn run(runtime: &Runtime, place: &Place) -> Result<()> {
    let bench = Bench { runtime, place };
    for round in 0..place.rounds {
        let folder = tempfile::tempdir_in(&place.folder)?;
        let driver = bench.driver(folder.path())?;
        let artifacts = bench.timed("save/ours", || bench.save(&driver))?;
        bench.timed("save/tool", || bench.dump())?;
        bench.timed("mark/ours", || bench.mark(&driver))?;
        bench.timed("mark/rows", || bench.count(&driver))?;
        let (freeze, swap) = (format!("r{round}-freeze"), format!("r{round}-swap"));
        bench.timed("freeze/ours", || bench.freeze(&driver, &freeze))?;
        bench.timed("swap/ours", || bench.swap(&driver, &swap, &freeze))?;
        runtime.block_on(driver.discard(&bench.context("r1-discard"), &swap)).context("what was live")?;
        let step = format!("r{round}-restore");
        bench.timed("restore/ours", || bench.put_back(&driver, &step, &artifacts))?;
        runtime.block_on(driver.discard(&bench.context("r1-discard"), &step)).context("what was set aside")?;
        bench.client("DROP DATABASE IF EXISTS bench_plain; CREATE DATABASE bench_plain")?;
        bench.timed("restore/tool", || bench.load("bench_plain"))?;
        bench.client("DROP DATABASE bench_plain")?;
    }
    Ok(())
}

struct Bench<'a> {
    runtime: &'a Runtime,
    place: &'a Place,
}

impl Bench<'_> {
    fn timed<T>(&self, part: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
        timed(&format!("{}/{part}", self.place.kind), 1, work)
    }

    fn save(&self, driver: &Mysql) -> Result<Vec<String>> {
        let saved = self.runtime.block_on(driver.save(&self.context("r1-backup"), None));
        Ok(saved.context("saving into the vault")?.0)
    }

    fn mark(&self, driver: &Mysql) -> Result<()> {
        self.runtime.block_on(driver.mark(&self.context("r1-fence"))).context("the mark").map(drop)
    }

    fn count(&self, driver: &Mysql) -> Result<()> {
        self.runtime.block_on(driver.manifest(&self.context("r1-fence"), None)).context("reading every row").map(drop)
    }

    /// The copy is held against what is live in it.
    fn freeze(&self, driver: &Mysql, step: &str) -> Result<()> {
        let frozen = self.runtime.block_on(driver.freeze(&self.context(step))).context("copying beside")?;
        anyhow::ensure!(frozen, "the server could not be copied in moments");
        Ok(())
    }

    fn swap(&self, driver: &Mysql, step: &str, frozen: &str) -> Result<()> {
        self.runtime.block_on(driver.swap(&self.context(step), frozen)).context("putting the copy in place")
    }

    fn put_back(&self, driver: &Mysql, step: &str, artifacts: &[String]) -> Result<()> {
        let restored = self.runtime.block_on(driver.put_back(&self.context(step), artifacts));
        restored.context("restoring out of the vault")
    }

    /// On disk at its end, as the vault's packs are.
    fn dump(&self) -> Result<()> {
        let tool = if self.place.kind == "mysql" { "mysqldump" } else { "mariadb-dump" };
        let options = "--user=root --single-transaction --routines --triggers --events";
        // Else it can only be loaded into a server that has never seen these transactions.
        let options =
            if self.place.kind == "mysql" { format!("{options} --set-gtid-purged=OFF") } else { options.into() };
        self.inside(&format!("{tool} {options} {} > {FILE} && sync {FILE}", self.place.database))
    }

    fn load(&self, database: &str) -> Result<()> {
        self.inside(&format!("{} --user=root {database} < {FILE}", self.place.kind))
    }

    fn client(&self, sql: &str) -> Result<()> {
        self.inside(&format!("{} --user=root --execute '{sql}'", self.place.kind))
    }

    fn inside(&self, script: &str) -> Result<()> {
        let mut docker = Command::new("docker");
        docker.args(["compose", "--progress", "quiet", "exec", "-T", SERVICE, "sh", "-c"]);
        docker.arg(format!("export MYSQL_PWD=$MYSQL_ROOT_PASSWORD; {script}")).current_dir(&self.place.directory);
        succeed(docker.stdin(Stdio::null()).stdout(Stdio::null()))
    }

    /// With a vault of its own, opened.
    fn driver(&self, folder: &Path) -> Result<Mysql> {
        let binding = |name: &str, role, plugin: &str, grants| BindingConfig {
            binding: Binding { name: name.into(), role, plugin: plugin.into() },
            named: plugin.into(),
            settings: json!({}),
            grants,
        };
        let platform = Grants {
            directory: Some(self.place.directory.clone()),
            engine: Some(EngineConfig { socket: self.place.engine.clone(), client: None }),
            compose: ComposeConfig::default(),
            ..Grants::default()
        };
        let server = ServerConfig {
            service: Some(ServiceRef { platform: "main".into(), name: SERVICE.into() }),
            host: String::new(),
            port: 3306,
            user: "root".into(),
            password: Some(SecretSource::File(self.place.password_file.clone())),
            database: self.place.database.clone(),
            maintenance: "mysql".into(),
            tools: None,
        };
        let granted = Grants { server: Some(server), mysql: true, ..Grants::default() };
        let store = binding("main", Role::Datastore, PLUGIN, granted);
        let deployment = Deployment {
            name: "shop".into(),
            file: folder.join("shop.toml"),
            version: "1.0.0".into(),
            product: binding("product", Role::Product, "generic", Grants::default()),
            platforms: vec![binding("main", Role::Platform, "compose", platform)],
            datastores: vec![store.clone()],
            policy: Policy { idle: IDLE, ..policy() },
        };
        Ok(Drivers::build(&deployment, &store, &environment(folder)?).mysql)
    }

    fn context(&self, step: &str) -> StepContext {
        context(step, PLUGIN)
    }
}
