//! [`Composed`] with `tessallite` on it: six services and PostgreSQL.

use crate::composed::{Composed, done};
use crate::machine::succeed;
use scratch_docker::Engine;
use scratch_docker::products::free_port;
pub use scratch_docker::products::tessallite::SERVICES;
use scratch_docker::products::tessallite::{self, Ports};
use std::ops::Deref;
use std::process::Command;

/// Every row of every table but those that say when something ran, and every column.
pub(crate) const DATA: &str = "SELECT line FROM ( \
    SELECT concat_ws(' ', 'table', c.relname, (xpath('//c/text()', query_to_xml(format( \
        'SELECT count(*) || '' '' || coalesce(md5(string_agg(t::text, E''\\n'' ORDER BY t::text COLLATE \"C\")), ''-'') AS c \
        FROM %s t', c.oid::regclass), false, true, '')))[1]) \
    FROM pg_class c WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace \
        AND relname NOT IN ('heartbeats', 'jobs', 'model_statistics') \
    UNION ALL SELECT concat_ws(' ', 'column', attrelid::regclass, attname, format_type(atttypid, atttypmod)) \
    FROM pg_attribute JOIN pg_class c ON c.oid = attrelid \
    WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace AND attnum > 0 AND NOT attisdropped \
) lines(line) ORDER BY line COLLATE \"C\"";

/// What a machine begins with.
#[derive(Clone)]
pub struct StackInstall {
    /// The release that runs.
    pub version: &'static str,
    /// Lines for `[policy]`.
    pub policy: &'static str,
}

impl Default for StackInstall {
    fn default() -> Self {
        Self { version: "1.4.0", policy: "drill = \"off\"\n" }
    }
}

pub struct Stack {
    composed: Composed,
    /// Where users come in.
    pub gateway: String,
    /// Where the operator asks.
    pub frontend: String,
}

impl Deref for Stack {
    type Target = Composed;
    fn deref(&self) -> &Composed {
        &self.composed
    }
}

impl Stack {
    /// The release's files lie in a folder, its containers run, its models are there.
    pub fn new(install: &StackInstall) -> Self {
        Self::on(Engine::shared(), install)
    }

    pub fn on(engine: &Engine, install: &StackInstall) -> Self {
        let composed = Composed::on(engine, "tessallite", |machine| machine.programs.tessallite.clone());
        let ports = Ports { gateway: free_port(), frontend: free_port() };
        let stack = Self {
            gateway: format!("http://127.0.0.1:{}", ports.gateway),
            frontend: format!("http://127.0.0.1:{}", ports.frontend),
            composed,
        };
        stack.publish(install.version);
        let (home, secrets, project) = (stack.home(), stack.path("etc"), stack.project.name());
        done(tessallite::lay_out(&home, &secrets, project, &stack.shelf, ports, install.version));
        stack.compose(&["up", "--detach", "--wait", "--quiet-pull"]);
        for name in ["orders", "customers"] {
            stack.append(name);
        }
        let StackInstall { version, policy } = install;
        stack.deploy_text(&tessallite::deployment(engine, &home, &secrets, ports, &stack.index, version, policy));
        stack
    }

    pub fn publish(&self, version: &str) {
        done(tessallite::publish(&self.shelf, version));
    }

    pub fn sql(&self, sql: &str) -> String {
        let psql = ["exec", "-T", "postgres", "psql", "-XqAt", "-v", "ON_ERROR_STOP=1", "-U", "tessallite", "-c", sql];
        self.compose(&[&psql[..], &["tessallite"]].concat()).trim_end().to_owned()
    }

    /// Everything that a rollback brings back, a line each.
    pub fn data(&self) -> String {
        self.sql(DATA)
    }

    /// A user writes a model through the gateway.
    pub fn append(&self, name: &str) {
        let body = format!("{{\"name\":\"{name}\",\"rows\":[{{\"key\":\"a\",\"amount\":1}}]}}");
        let url = format!("{}/api/models", self.gateway);
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--show-error", "--fail", "--max-time", "20", "--header"]);
        succeed(curl.args(["content-type: application/json", "--data", &body, &url]));
    }

    pub fn version_for_users(&self) -> String {
        self.version_at(&format!("{}/api/health", self.gateway))
    }

    /// Users are let in by this version, its containers are what the files say, and of runs nothing is left but what
    /// policy keeps.
    pub fn is_whole(&self, version: &str, data: Option<&str>) {
        assert_eq!(self.version_for_users(), version, "the version behind the gate\n{}", self.log());
        for service in SERVICES {
            let image = format!("{service} {}/tessallite/{service}:{version}", self.registry());
            assert!(self.images().contains(&image), "`{image}`: {:#?}", self.images());
        }
        if let Some(data) = data {
            assert_eq!(self.data(), data, "the data of {version}\n{}", self.log());
        }
        let policies = self.restart_policies();
        let is_back = |line: &String| line.ends_with(" unless-stopped") || line.ends_with(" always");
        assert!(policies.iter().all(is_back), "{policies:?}");
        self.is_what_the_files_say();
        self.nothing_is_left();
    }
}
