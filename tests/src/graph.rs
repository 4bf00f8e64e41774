//! A [`Machine`] with `decisiongraph` on it, whose data lies in a real PostgreSQL server; the server is shared by the
//! machines of a test program, the database and its roles are not.

mod data;
mod reset;

use crate::Machine;
use crate::machine::{succeed, write};
use scratch_postgres::{Cluster, SUPERUSER};
use std::fs;
use std::ops::Deref;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::sync::Arc;

const TOKEN: &str = "reader-of-the-house";
const ADMIN_TOKEN: &str = "admin-of-the-house";
const KEY_BASE: &str = "a-key-base-of-sixty-four-bytes-that-nobody-can-guess-in-a-lifetime";

/// Whom the daemon connects as.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The database's owner, who may create databases: what the example says.
    Owner,
    /// The owner without that right.
    OwnerAlone,
    Superuser,
}

/// What a machine begins with.
#[derive(Clone)]
pub struct Install {
    /// The release that runs.
    pub version: &'static str,
    /// Lines for `[policy]`.
    pub policy: String,
    pub role: Role,
}

impl Default for Install {
    fn default() -> Self {
        Self { version: "1.1.0", policy: "drill = \"off\"\n".into(), role: Role::Owner }
    }
}

pub struct Graph {
    machine: Machine,
    pub cluster: Arc<Cluster>,
    pub database: String,
    install: Install,
}

impl Deref for Graph {
    type Target = Machine;
    fn deref(&self) -> &Machine {
        &self.machine
    }
}

impl Graph {
    /// The release is laid out, its database holds events, and it runs behind its gate.
    pub fn new(install: &Install) -> Self {
        let machine = Machine::new("decisiongraph");
        let database = format!("graph_{}", machine.number);
        let graph = Self { machine, cluster: Cluster::shared(), database, install: install.clone() };
        graph.lay_vault();
        succeed(Command::new(&graph.programs.mix).arg("dg.repository").arg(graph.path("repository")));
        graph.make_database();
        for (name, value) in [
            ("token", TOKEN),
            ("admin-token", ADMIN_TOKEN),
            ("key-base", KEY_BASE),
            ("database-url", &graph.database_url()),
        ] {
            let file = graph.path("etc").join(format!("decisiongraph-{name}"));
            write(&file, value);
            fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).expect("the secret is ours alone");
        }
        graph.lay_out(install.version);
        for task in [&["deps.get"][..], &["compile"], &["ecto.migrate"], &["dg.seed", "40"]] {
            graph.mix(task);
        }
        graph.dress();
        graph.start();
        write(&graph.deployment_file(), &graph.deployment());
        graph.lay_vault();
        graph.take_compiled_plugins();
        graph
    }

    /// That it was installed with.
    pub fn version(&self) -> &str {
        self.install.version
    }

    pub fn role(&self) -> String {
        format!("{}_app", self.database)
    }

    fn make_database(&self) {
        let (database, role) = (&self.database, self.role());
        let right = if self.install.role == Role::Owner { "CREATEDB" } else { "NOCREATEDB" };
        self.server_sql(&format!(
            "CREATE ROLE {role} LOGIN {right} PASSWORD 'secret-of-{role}'; CREATE ROLE {database}_reader"
        ));
        self.server_sql(&format!("CREATE DATABASE {database} OWNER {role}"));
    }

    /// What an operator has made of the database besides what the product did.
    fn dress(&self) {
        let (database, role) = (&self.database, self.role());
        self.server_sql(&format!(
            "REVOKE CONNECT ON DATABASE {database} FROM PUBLIC; \
             GRANT CONNECT ON DATABASE {database} TO {database}_reader; \
             ALTER DATABASE {database} SET statement_timeout TO '5min'; \
             ALTER ROLE {role} IN DATABASE {database} SET work_mem TO '8MB'; \
             ALTER DATABASE {database} CONNECTION LIMIT 40; COMMENT ON DATABASE {database} IS 'the graph''s own'"
        ));
        self.as_app(&format!("GRANT SELECT ON events, workflows TO {database}_reader"))
            .expect("the tables are the app's");
    }

    fn database_url(&self) -> String {
        let (role, folder, port) = (self.role(), self.cluster.folder().display(), self.cluster.port());
        format!("postgres:///{}?host={folder}&port={port}&user={role}&password=secret-of-{role}", self.database)
    }

    /// The example's own file, with the places of this machine.
    fn deployment(&self) -> String {
        let mix = self.programs.mix.display().to_string();
        let user = if self.install.role == Role::Superuser { SUPERUSER.to_owned() } else { self.role() };
        let server = format!("host = \"{}\"\nport = {}", self.cluster.folder().display(), self.cluster.port());
        let mut text = include_str!("../../examples/decisiongraph/deployment.toml").to_owned();
        for (example, ours) in [
            ("https://git.example.com/decisiongraph.git", self.path("repository").display().to_string()),
            ("\"mix\"", format!("\"{mix}\"")),
            ("mix deps.get && mix compile", format!("{mix} deps.get && {mix} compile")),
            ("/opt/decisiongraph", self.home().display().to_string()),
            ("/etc/upgraded/secrets", self.path("etc").display().to_string()),
            ("127.0.0.1", self.address.clone()),
            ("version = \"1.0.0\"", format!("version = \"{}\"", self.install.version)),
            ("host = \"/var/run/postgresql\"", server),
            ("user = \"decisiongraph\"", format!("user = \"{user}\"")),
            ("database = \"decisiongraph\"", format!("database = \"{}\"", self.database)),
            ("window = [\"Sat 02:00-06:00 Europe/Berlin\"]\napprove = \"breaking\"\n", self.install.policy.clone()),
        ] {
            assert!(text.contains(example), "the example says `{example}`");
            text = text.replace(example, &ours);
        }
        text
    }

    /// A task in the active release, with the environment of the deployment's file.
    pub fn mix(&self, task: &[&str]) -> String {
        succeed(
            Command::new(&self.programs.mix)
                .args(task)
                .current_dir(self.current().join("beam"))
                .env("DATABASE_URL", self.database_url())
                .env("DG_RUN", self.home().join("run"))
                .env("DG_ADDRESS", &self.address)
                .env("PORT", "4000")
                .env("GATE_PORT", "8000")
                .env("DG_API_TOKEN", TOKEN)
                .env("DG_ADMIN_TOKEN", ADMIN_TOKEN),
        )
    }

    /// As an operator does it by hand.
    pub fn start(&self) {
        self.mix(&["dg.service", "start", "runtime"]);
        self.mix(&["dg.service", "start", "gate"]);
    }

    pub fn stop(&self) {
        self.mix(&["dg.service", "stop", "gate"]);
        self.mix(&["dg.service", "stop", "runtime"]);
    }

    /// What answers behind the gate.
    pub fn version_for_users(&self) -> String {
        self.version_at(&self.url("/api/healthz"))
    }

    /// Behind the gate.
    fn url(&self, path: &str) -> String {
        format!("http://{}:8000{path}", self.address)
    }

    /// A user writes one event through the gate.
    pub fn append(&self, workflow: &str) {
        let event = format!("{{\"workflow\":\"{workflow}\",\"state\":\"decided\"}}");
        assert_eq!(self.status("/api/v1/events", TOKEN, Some(&event)), "201", "a user writes\n{}", self.log());
    }

    fn status(&self, path: &str, token: &str, body: Option<&str>) -> String {
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--output", "/dev/null", "--write-out", "%{http_code}", "--max-time", "20"]);
        curl.args(["--header", &format!("authorization: Bearer {token}")]);
        if let Some(body) = body {
            curl.args(["--header", "content-type: application/json", "--data", body]);
        }
        succeed(curl.arg(self.url(path)))
    }

    /// Users are let in by this version and find what they should; nobody is fenced out; of runs nothing is left but
    /// the copies that policy keeps. The data is compared where it is said what it should be.
    pub fn is_whole(&self, version: &str, data: Option<&str>) {
        assert_eq!(self.version_for_users(), version, "the version behind the gate\n{}", self.log());
        assert_eq!(self.status("/api/v1/projections/health", TOKEN, None), "200", "projections\n{}", self.log());
        let replay = self.status("/api/v1/admin/replays", ADMIN_TOKEN, Some("{\"dry_run\":true}"));
        assert_eq!(replay, "202", "a replay is admitted\n{}", self.log());
        if let Some(data) = data {
            assert_eq!(self.data(), data, "the data of {version}\n{}", self.log());
        }
        self.as_app("BEGIN; UPDATE projection_state SET code = code; ROLLBACK").expect("the database can be written");
        self.is_left_alone();
        self.is_tidy(version);
    }

    /// As the product's own role.
    pub fn as_app(&self, sql: &str) -> Result<String, String> {
        self.cluster.try_sql(&self.role(), &self.database, sql)
    }

    pub fn sql(&self, sql: &str) -> String {
        self.cluster.sql(&self.database, sql)
    }

    pub fn server_sql(&self, sql: &str) -> String {
        self.cluster.sql("postgres", sql)
    }
}

impl Drop for Graph {
    /// The runtime first: the server may go with this machine.
    fn drop(&mut self) {
        self.machine.end_processes();
    }
}
