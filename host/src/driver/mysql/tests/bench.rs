//! A real server in a container of a Compose project, and one database of it for each test.

use super::super::session::{Flavour, Session, Way, name};
use super::super::*;
use crate::activity::Activity;
use crate::config::{ComposeConfig, EngineConfig, SecretSource, ServerConfig};
use crate::context::Site;
use crate::driver::compose::{Compose, Parts};
use crate::driver::engine::Engine;
use crate::driver::process::Processes;
use crate::driver::project::Project;
use crate::driver::testing::{Recorder, machine};
use crate::effect::Effects;
use crate::model::{Binding, Role, ServiceRef};
use scratch_docker::Engine as Docker;
use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::{Arc, Mutex, Weak};
use std::time::Instant;
use tempfile::TempDir;

/// An account of the server's own, by its name: no fence locks it.
pub const ADMIN: &str = "mysql.tests";
pub const PASSWORD: &str = "s'cret \"of\" \\ours";
/// What `docs/OPERATING.md` asks for, beside the rights in the databases themselves.
const RIGHTS: [(Flavour, &str); 2] = [
    (Flavour::MariaDb, "CREATE USER, PROCESS, RELOAD, CONNECTION ADMIN, SET USER"),
    (
        Flavour::MySql,
        "CREATE USER, PROCESS, RELOAD, CONNECTION_ADMIN, SET_ANY_DEFINER, SYSTEM_USER, SHOW_ROUTINE, \
         SYSTEM_VARIABLES_ADMIN, SUPER",
    ),
];

/// Removed with the last test that uses it.
pub struct Machine {
    folder: TempDir,
    /// The server's, in memory.
    data: TempDir,
    project: Arc<Compose>,
    ready: tokio::sync::OnceCell<()>,
    _containers: scratch_docker::Project,
}

impl Machine {
    pub async fn shared(flavour: Flavour) -> Arc<Self> {
        static SHARED: Mutex<[Weak<Machine>; 2]> = Mutex::new([Weak::new(), Weak::new()]);
        let machine = {
            let mut shared = SHARED.lock().expect("no panic holds this lock");
            let slot = &mut shared[flavour as usize];
            slot.upgrade().unwrap_or_else(|| {
                let machine = Arc::new(Self::start(flavour));
                *slot = Arc::downgrade(&machine);
                machine
            })
        };
        machine.ready.get_or_init(|| machine.wait()).await;
        machine
    }

    fn start(flavour: Flavour) -> Self {
        let docker = Docker::shared();
        let image = match flavour {
            Flavour::MariaDb => docker.base("mariadb:10.11"),
            Flavour::MySql => docker.base("mysql:9"),
        };
        let folder = tempfile::tempdir().expect("a folder");
        let data = tempfile::tempdir_in("/dev/shm").expect("a folder in memory");
        let services = format!(
            "services:\n  db:\n    image: {image}\n    environment:\n      MYSQL_ROOT_PASSWORD: root\n    \
             volumes: [\"{}:/var/lib/mysql\"]\n",
            data.path().display()
        );
        std::fs::write(folder.path().join("compose.yaml"), services).expect("written");
        let containers = docker.project("upgraded-mysql");
        let up = containers.compose().args(["up", "--detach", "--quiet-pull"]).current_dir(folder.path()).output();
        let up = up.expect("it starts");
        assert!(up.status.success(), "{}", String::from_utf8_lossy(&up.stderr));
        let state = folder.path().join("state");
        std::fs::create_dir(&state).expect("a folder");
        let machine = machine(&state);
        let engine = EngineConfig { socket: docker.socket().to_owned(), client: None };
        let project = Compose::new(Parts {
            platform: "main".into(),
            deployment: "shop".into(),
            engine: Arc::new(Engine::new(engine)),
            directory: folder.path().to_owned(),
            config: ComposeConfig { project: Some(containers.name().into()), ..ComposeConfig::default() },
            project: Arc::new(Project::new(Some(folder.path().to_owned()))),
            processes: Arc::new(Processes::new(BTreeMap::new(), None, Duration::from_secs(60), machine.clone())),
            machine,
            double: None,
            idle: Duration::from_secs(60),
        });
        Self { folder, data, project: Arc::new(project), ready: Default::default(), _containers: containers }
    }

    /// The database's folder and those of the databases that the driver made, each with its files.
    pub fn folders(&self, database: &str) -> Vec<(String, Vec<String>)> {
        let names = |path: &Path| -> Vec<String> {
            let entries = std::fs::read_dir(path).expect("a folder of the server's").flatten();
            entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
        };
        let mut all = names(self.data.path());
        all.retain(|name| name == database || name.starts_with(&format!("{database}_up_")));
        all.into_iter().map(|name| (name.clone(), names(&self.data.path().join(name)))).collect()
    }

    /// The live server's.
    pub async fn container(&self) -> String {
        self.project.container_of("db").await.expect("asked").expect("it is there").id
    }

    async fn wait(&self) {
        let began = Instant::now();
        let driver = self.driver("root", "root", "mysql", self.folder.path());
        loop {
            let found = async {
                let located = driver.granted()?.located(&Site::Live).await?;
                let mut session = Session::connect(&driver.way(&located, "wait")).await?;
                // All tests' tables.
                session.set("SET GLOBAL table_definition_cache = 10000").await?;
                session.set(&format!("CREATE USER '{ADMIN}'@'%' IDENTIFIED BY 'root'")).await?;
                session.set(&format!("GRANT ALL ON *.* TO '{ADMIN}'@'%' WITH GRANT OPTION")).await
            };
            match found.await {
                Ok(_) => return,
                Err(error) if began.elapsed() > Duration::from_secs(90) => panic!("no server: {error}"),
                Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
            }
        }
    }

    fn driver(&self, user: &str, password: &str, database: &str, folder: &Path) -> Mysql {
        let secret = folder.join(format!("password-{user}"));
        std::fs::write(&secret, password).expect("written");
        std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o600)).expect("set");
        let config = ServerConfig {
            service: Some(ServiceRef { platform: "main".into(), name: "db".into() }),
            host: String::new(),
            port: 3306,
            user: user.into(),
            password: Some(SecretSource::File(secret)),
            database: database.into(),
            maintenance: "mysql".into(),
            tools: None,
        };
        let projects = BTreeMap::from([("main".to_owned(), self.project.clone())]);
        let key = folder.join("key");
        if !key.exists() {
            Vault::make_key(&key).expect("a key");
        }
        let vault = Vault::open(&folder.join("vault"), &key).expect("a vault");
        Mysql::new(
            Some(Server::of(config, &projects, &Default::default(), &BTreeMap::new())),
            vault,
            Duration::from_secs(60),
        )
    }
}

pub struct Bench {
    pub machine: Arc<Machine>,
    pub folder: TempDir,
    pub database: String,
    pub account: String,
    pub driver: Mysql,
    pub journal: Arc<Recorder>,
}

impl Bench {
    /// An account of its own that has the documented rights on a database of its own.
    pub async fn new(flavour: Flavour, database: &str) -> Self {
        let machine = Machine::shared(flavour).await;
        let folder = tempfile::tempdir().expect("a folder");
        let account = format!("up_{database}");
        let driver = machine.driver(&account, PASSWORD, database, folder.path());
        let bench = Self {
            machine,
            folder,
            database: database.into(),
            account,
            driver,
            journal: Arc::new(Recorder::default()),
        };
        let who = format!("'{}'@'%'", bench.account);
        let literal = quoted(PASSWORD);
        let (_, global) = RIGHTS.into_iter().find(|(of, _)| *of == flavour).expect("each has some");
        let escaped = database.replace('_', "\\_");
        let mut statements = vec![
            format!("CREATE DATABASE {}", name(database)),
            format!("CREATE USER {who} IDENTIFIED BY {literal}"),
            format!("GRANT {global} ON *.* TO {who}"),
            format!("GRANT SELECT ON mysql.* TO {who}"),
        ];
        for pattern in [&escaped, &format!("{escaped}\\_up\\_%"), "upgraded\\_drill\\_%"] {
            statements.push(format!("GRANT ALL ON {}.* TO {who} WITH GRANT OPTION", name(pattern)));
        }
        bench.root(&statements.iter().map(String::as_str).collect::<Vec<_>>()).await;
        bench
    }

    pub fn as_user(&self, user: &str, password: &str, database: &str) -> Mysql {
        self.machine.driver(user, password, database, self.folder.path())
    }

    /// Statements of the server's administrator, in this test's database.
    pub async fn root(&self, statements: &[&str]) {
        let mut session = self.session(ADMIN, "root").await;
        for statement in statements {
            session.set(statement).await.unwrap_or_else(|error| panic!("`{statement}`: {error}"));
        }
    }

    pub async fn ask(&self, question: &str) -> String {
        self.session(ADMIN, "root").await.text(question).await.unwrap_or_else(|error| panic!("`{question}`: {error}"))
    }

    /// A connection with this test's database as the default one, where it is there.
    pub async fn session(&self, user: &str, password: &str) -> Session {
        self.try_session(user, password).await.expect("a connection")
    }

    pub async fn try_session(&self, user: &str, password: &str) -> Result<Session, VerbError> {
        let driver = self.machine.driver(user, password, &self.database, self.folder.path());
        let located = driver.granted()?.located(&Site::Live).await?;
        let mut session = Session::connect(&driver.way(&located, "a test's own")).await?;
        let _ = session.set(&format!("USE {}", name(&self.database))).await;
        Ok(session)
    }

    pub fn way(&self, located: &Located, step: &str) -> Way {
        self.driver.way(located, step)
    }

    pub fn changing(&self, step: &str) -> StepContext {
        self.context(step, Site::Live, Effects::new(self.journal.clone(), step, 1, Vec::new()))
    }

    pub fn drill(&self, step: &str) -> StepContext {
        let name = crate::driver::scratch_name(&Path::new(&self.database).join(step));
        let site = Site::Drill { root: self.folder.path().join("drill"), name, server: None };
        self.context(step, site, Effects::new(self.journal.clone(), step, 1, Vec::new()))
    }

    pub fn in_double(&self, step: &str, container: &str) -> StepContext {
        let (root, name) = (self.folder.path().join("drill"), self.database.clone());
        let site = Site::Drill { root, name, server: Some(container.into()) };
        self.context(step, site, Effects::new(self.journal.clone(), step, 1, Vec::new()))
    }

    pub fn reading(&self) -> StepContext {
        self.context("look-1", Site::Live, Effects::reading())
    }

    fn context(&self, step: &str, site: Site, effects: Effects) -> StepContext {
        StepContext {
            deployment: "shop".into(),
            binding: Binding { name: "main".into(), role: Role::Datastore, plugin: "mysql".into() },
            bindings: Vec::new(),
            run: "1".into(),
            step: step.into(),
            attempt: 1,
            site,
            effects,
            activity: Activity::silent(),
        }
    }

    pub async fn manifest(&self) -> String {
        self.driver.manifest(&self.reading(), None).await.expect("a manifest")
    }

    /// The databases that the driver made, and not the bound one.
    pub async fn made(&self) -> Vec<String> {
        let drill = Names::new(&crate::driver::scratch_name(&Path::new(&self.database).join("r1-drill")));
        let own = Names::new(&self.database);
        let all = self.session(ADMIN, "root").await.list("SELECT SCHEMA_NAME FROM information_schema.SCHEMATA").await;
        let is_made = |name: &String| drill.owns(name) || (own.owns(name) && *name != self.database);
        all.expect("listed").into_iter().filter(is_made).collect()
    }

    pub fn cut_after(&self, statements: Option<u32>) {
        *self.driver.cut.left.lock().expect("no panic holds this lock") = statements;
    }
}

pub fn is_cut<T>(outcome: &Result<T, VerbError>) -> bool {
    outcome.as_ref().is_err_and(|error| error.to_string().contains("the test cuts here"))
}
