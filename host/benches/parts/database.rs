//! A database saved and brought back by the host's driver and plugin, against what an operator would type. Files and
//! repositories are fresh for each repetition: what was saved before would make the next one cheap.

use crate::call::{environment, policy};
use crate::timed;
use crate::tools::{Restic, Tools, succeed};
use anyhow::{Context, Result};
use clap::Args;
use serde_json::json;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Runtime;
use upgraded::activity::Activity;
use upgraded::config::{BindingConfig, Deployment, Grants, ServerConfig};
use upgraded::context::{Site, StepContext};
use upgraded::driver::Drivers;
use upgraded::driver::postgres::{Postgres, Server};
use upgraded::effect::{Effects, Ledger, LedgerError};
use upgraded::model::{Binding, Origin, Role};
use upgraded::plan::event::Event;
use upgraded::plugin::Plugins;
use upgraded::plugin::roles::Datastore;
use upgraded::vault::Vault;

#[derive(Args)]
pub struct Place {
    #[arg(long)]
    components: PathBuf,
    /// Where dumps and vaults go; they are removed again.
    #[arg(long)]
    folder: PathBuf,
    #[arg(long)]
    programs: PathBuf,
    #[arg(long)]
    host: PathBuf,
    #[arg(long)]
    port: u16,
    /// The one that is saved. Nobody is connected to it.
    #[arg(long)]
    database: String,
    #[arg(long)]
    rounds: usize,
}

const USER: &str = "postgres";
const IDLE: Duration = Duration::from_secs(600);

pub fn run(runtime: &Runtime, place: &Place) -> Result<()> {
    let folder = tempfile::tempdir_in(&place.folder)?;
    let tools =
        Tools { programs: place.programs.clone(), host: place.host.clone(), port: place.port, user: USER.into() };
    let bench = Bench { runtime, place, tools, folder };
    for _ in 0..place.rounds {
        bench.save()?;
    }
    let ready = bench.ready()?;
    for round in 0..place.rounds {
        bench.bring_back(&ready, round == 0)?;
    }
    drop(ready);
    bench.swap()
}

/// The same database as files and as an artifact.
struct Ready {
    custom: PathBuf,
    archive: PathBuf,
    plain: PathBuf,
    driver: Postgres,
    key: String,
    _folder: tempfile::TempDir,
}

struct Bench<'a> {
    runtime: &'a Runtime,
    place: &'a Place,
    tools: Tools,
    folder: tempfile::TempDir,
}

impl Bench<'_> {
    /// Every way once, into something fresh. Each is durable at its end: `pg_dump` syncs its file, restic its packs.
    fn save(&self) -> Result<()> {
        let (tools, database) = (&self.tools, &self.place.database);
        let fresh = self.fresh()?;
        let file = fresh.path().join("dump");
        let driver = self.driver(fresh.path())?;
        timed("save/vault", 1, || self.dump(&driver))?;
        timed("save/custom", 1, || {
            succeed(tools.tool("pg_dump").args(["-Fc", "-d", database.as_str(), "-f"]).arg(&file))
        })?;
        std::fs::remove_file(&file)?;
        timed("save/plain", 1, || succeed(tools.tool("pg_dump").args(["-d", database.as_str(), "-f"]).arg(&file)))?;
        std::fs::remove_file(&file)?;
        let restic = Restic::new(&fresh.path().join("restic"))?;
        timed("save/restic", 1, || tools.dump_into(&restic, database))
    }

    /// Every way once, into a fresh database.
    fn bring_back(&self, ready: &Ready, first: bool) -> Result<()> {
        let into = &format!("{}_up_1", self.place.database);
        let (tools, jobs) = (&self.tools, std::thread::available_parallelism()?);
        tools.empty(into)?;
        timed("restore/vault", 1, || {
            let context = self.context("r1-restore");
            let restored = self.runtime.block_on(ready.driver.restore(&context, into, &ready.key));
            restored.context("restoring out of the vault")
        })?;
        tools.empty(into)?;
        timed("restore/file", 1, || {
            let mut restore = tools.tool("pg_restore");
            restore.args(["--exit-on-error", &format!("--jobs={jobs}"), "-d", into.as_str()]).arg(&ready.archive);
            // The same that the host tells its own.
            succeed(restore.env("PGOPTIONS", upgraded::driver::postgres::RESTORE_OPTIONS))
        })?;
        tools.empty(into)?;
        timed("restore/psql", 1, || {
            let mut psql = tools.tool("psql");
            succeed(psql.args(["-Xq", "-v", "ON_ERROR_STOP=1", "-d", into.as_str(), "-f"]).arg(&ready.plain))
        })?;
        // Nothing is to be reached against it, and it takes longest.
        if first {
            tools.empty(into)?;
            let mut restore = tools.tool("pg_restore");
            restore.args(["-d", into.as_str()]).arg(&ready.custom);
            timed("restore/custom", 1, || succeed(&mut restore))?;
        }
        tools.sql(&format!("DROP DATABASE {into}"))
    }

    /// What every way brings back from.
    fn ready(&self) -> Result<Ready> {
        let (tools, folder) = (&self.tools, self.fresh()?);
        let dump = |name: &str, form: &[&str]| {
            let file = folder.path().join(name);
            succeed(tools.tool("pg_dump").args(form).args(["-d", self.place.database.as_str(), "-f"]).arg(&file))?;
            Ok::<_, anyhow::Error>(file)
        };
        let custom = dump("custom", &["-Fc"])?;
        let archive = dump("archive", &["-Fc", "-Z0"])?;
        let plain = dump("plain", &[])?;
        let driver = self.driver(folder.path())?;
        let key = self.dump(&driver)?;
        Ok(Ready { custom, archive, plain, driver, key, _folder: folder })
    }

    /// The way back's own step: the frozen copy takes the live name. Through the plugin, as a run does it.
    fn swap(&self) -> Result<()> {
        let live = "bench_live";
        let source = &self.place.database;
        self.tools.sql(&format!("CREATE DATABASE {live} TEMPLATE {source} STRATEGY file_copy"))?;
        let fresh = self.fresh()?;
        let store = self.store(fresh.path(), live)?;
        self.runtime.block_on(store.fence(&self.context("r1-fence")))?;
        for round in 0..self.place.rounds {
            let (freeze, restore) = (format!("r{round}-freeze"), format!("r{round}-restore"));
            timed("freeze/copy", 1, || Ok(self.runtime.block_on(store.freeze(&self.context(&freeze)))?))?;
            let origin = Origin::Frozen(freeze);
            timed("restore/frozen", 1, || {
                Ok(self.runtime.block_on(store.restore(&self.context(&restore), &origin))?)
            })?;
            self.runtime.block_on(store.discard(&self.context("r1-discard"), &restore))?;
        }
        self.tools.sql(&format!("ALTER DATABASE {live} ALLOW_CONNECTIONS true"))?;
        self.tools.sql(&format!("DROP DATABASE {live}"))
    }

    fn fresh(&self) -> Result<tempfile::TempDir> {
        Ok(tempfile::tempdir_in(self.folder.path())?)
    }

    fn server(&self, database: &str) -> ServerConfig {
        ServerConfig {
            service: None,
            host: self.place.host.display().to_string(),
            port: self.place.port,
            user: USER.into(),
            password: None,
            database: database.into(),
            maintenance: "postgres".into(),
            tools: Some(self.place.programs.clone()),
        }
    }

    /// With a vault of its own, opened.
    fn driver(&self, folder: &std::path::Path) -> Result<Postgres> {
        let key = folder.join("vault-key");
        Vault::make_key(&key)?;
        let vault = Vault::open(&folder.join("dumps"), &key)?;
        Ok(Postgres::new(Some(Server::at(self.server(&self.place.database))), vault, folder.join("scratch"), IDLE))
    }

    fn dump(&self, driver: &Postgres) -> Result<String> {
        let context = self.context("r1-backup");
        let dumped = driver.dump(&context, &self.place.database, None);
        self.runtime.block_on(dumped).context("saving into the vault")
    }

    /// The plugin, bound to the database of that name.
    fn store(&self, folder: &std::path::Path, database: &str) -> Result<Arc<dyn Datastore>> {
        let server = self.server(database);
        let settings = json!({ "server": { "host": server.host, "port": server.port, "user": server.user, "database": database } });
        let binding = |name: &str, role, plugin: &str| Binding { name: name.into(), role, plugin: plugin.into() };
        let product = BindingConfig {
            binding: binding("product", Role::Product, "decisiongraph"),
            named: "decisiongraph".into(),
            settings: json!({}),
            grants: Grants::default(),
        };
        let store = BindingConfig {
            binding: binding("main", Role::Datastore, "postgres"),
            named: "postgres".into(),
            settings,
            grants: Grants { server: Some(server), ..Grants::default() },
        };
        let deployment = Deployment {
            name: "shop".into(),
            file: folder.join("shop.toml"),
            version: "1.1.0".into(),
            product,
            platforms: Vec::new(),
            datastores: vec![store],
            policy: policy(),
        };
        let environment = environment(folder)?;
        let plugins = Plugins::new(self.place.components.clone(), &folder.join("state"));
        let make = |config: &BindingConfig| Drivers::build(&deployment, config, &environment).into();
        let bound = self.runtime.block_on(plugins.bind(&deployment, make))?;
        Ok(bound.datastores.into_iter().next().context("the datastore is bound")?.1)
    }

    fn context(&self, step: &str) -> StepContext {
        context(step, "postgres")
    }
}

/// Of a datastore's step that a run would take; nobody keeps its journal.
pub fn context(step: &str, plugin: &str) -> StepContext {
    let binding = Binding { name: "main".into(), role: Role::Datastore, plugin: plugin.into() };
    StepContext {
        deployment: "shop".into(),
        bindings: vec![binding.clone()],
        binding,
        run: "1".into(),
        step: step.into(),
        attempt: 1,
        site: Site::Live,
        effects: Effects::new(Arc::new(Nowhere), step, 1, Vec::new()),
        activity: Activity::silent(),
    }
}

struct Nowhere;

impl Ledger for Nowhere {
    fn record(&self, _: Event) -> Result<(), LedgerError> {
        Ok(())
    }
}
