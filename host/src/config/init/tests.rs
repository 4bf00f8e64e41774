//! Folders as they are found, and that every proposal is a file that we read.

mod chart;
mod cloud;
mod compose;
mod pods;

use super::*;
use crate::config::{Deployment, SecretCheck};
use crate::model::{Info, Role};
use serde_json::json;
use std::collections::BTreeMap;
use std::os::unix::fs::symlink;
use std::process::Command;

fn catalog() -> BTreeMap<String, Info> {
    let plugin = |name: &str, role, properties: serde_json::Value| {
        let config_schema = json!({ "properties": properties, "additionalProperties": false }).to_string();
        (
            name.to_owned(),
            Info {
                name: name.into(),
                version: "0.1.0".into(),
                role,
                needs: vec![],
                config_schema,
                mysql: name == "mysql",
            },
        )
    };
    let strings = json!({ "type": "array", "items": { "type": "string" } });
    BTreeMap::from([
        plugin(
            "generic",
            Role::Product,
            json!({ "tag": { "type": "string" }, "services": strings, "gate": strings, "acts": { "type": "array" } }),
        ),
        plugin(
            "compose",
            Role::Platform,
            json!({
                "version-key": { "type": "string" }, "version-services": strings,
                "version-text": { "type": "string", "pattern": "\\{version\\}" }
            }),
        ),
        plugin(
            "podman",
            Role::Platform,
            json!({ "version-key": { "type": "string" }, "version-containers": strings, "version-text": { "type": "string" } }),
        ),
        plugin(
            "helm",
            Role::Platform,
            json!({
                "version-key": { "type": "string" }, "version-text": { "type": "string" },
                "chart-version": { "type": "string" }
            }),
        ),
        plugin(
            "cloud-run",
            Role::Platform,
            json!({
                "image": { "type": "string", "pattern": "\\{version\\}" }, "image-of": { "type": "object" },
                "health": { "type": "object" }
            }),
        ),
        plugin("cloud-sql", Role::Datastore, json!({ "server": { "type": "object" } })),
        plugin("mysql", Role::Datastore, json!({ "server": { "type": "object" } })),
        plugin("source", Role::Platform, json!({ "tag": { "type": "string" }, "build": { "type": "string" } })),
        plugin("sqlite", Role::Datastore, json!({ "paths": strings })),
        plugin("files", Role::Datastore, json!({ "paths": { "type": ["array", "object"] } })),
        plugin("postgres", Role::Datastore, json!({ "server": { "type": "object" } })),
    ])
}

fn parse(text: &str) -> Deployment {
    Deployment::parse("shop", Path::new("shop.toml"), text, &catalog(), SecretCheck::NameOnly)
        .unwrap_or_else(|mistakes| panic!("{}\n{text}", mistakes.render(false)))
}

struct Project {
    folder: tempfile::TempDir,
}

impl Project {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }
    fn root(&self) -> PathBuf {
        std::fs::canonicalize(self.folder.path()).unwrap()
    }
    fn with(files: &[(&str, &str)]) -> Self {
        let project = Self::new();
        files.iter().for_each(|(name, text)| project.write(name, text));
        project
    }
    /// A folder of `examples/` as it is, beneath `under`.
    fn example(&self, folder: &str, under: &str) {
        let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples").join(folder);
        for entry in std::fs::read_dir(&from).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            let (path, under) = (from.join(&name), format!("{under}{name}"));
            match std::fs::read_to_string(&path) {
                Ok(text) => self.write(&under, &text),
                Err(_) if path.is_dir() => self.example(&format!("{folder}/{name}"), &format!("{under}/")),
                Err(error) => panic!("{}: {error}", path.display()),
            }
        }
    }
    fn write(&self, path: &str, text: &str) {
        let path = self.root().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    fn sqlite(&self, path: &str) {
        self.write(path, "");
        let connection = rusqlite::Connection::open(self.root().join(path)).unwrap();
        connection.execute_batch("CREATE TABLE t (a)").unwrap();
    }
    fn shell(&self, script: &str) {
        let status = Command::new("sh").args(["-euc", script]).current_dir(self.root()).status().unwrap();
        assert!(status.success(), "{script}");
    }
    fn found(&self) -> Found {
        look(&self.root(), &[&self.root().join("units")]).unwrap()
    }
    fn stack(&self) -> Stack {
        self.found().stack.unwrap()
    }
    fn mistake(&self) -> String {
        look(&self.root(), &[]).unwrap_err().to_string()
    }
    /// The proposal, with the folder's name as everywhere else.
    fn proposal(&self) -> String {
        self.proposed().0
    }
    /// And what is read once somebody wrote what was not found.
    fn proposed(&self) -> (String, Deployment) {
        let text = propose("shop", &self.found());
        let deployment = parse(&filled(&text));
        (text.replace(self.root().to_str().unwrap(), "/opt/shop"), deployment)
    }
}

fn filled(text: &str) -> String {
    let line = |line: &str| match line.strip_prefix("# ").filter(|_| line.contains("   # not found: ")) {
        Some(gap) => format!("{gap}\n"),
        None => format!("{line}\n"),
    };
    text.lines().map(line).collect()
}

/// The datastores' plugins.
fn stores(deployment: &Deployment) -> Vec<&str> {
    deployment.datastores.iter().map(|store| store.binding.plugin.as_str()).collect()
}

const COMMIT: &str = "git -c user.name=a -c user.email=a@example.org -c commit.gpgsign=false";

#[test]
fn an_empty_folder() {
    insta::assert_snapshot!(Project::new().proposal());
}

#[test]
fn a_checkout_with_everything() {
    let project = Project::new();
    project.shell(&format!(
        "git init -q && git remote add origin https://me:hunter2@example.org/shop.git && echo x > a && git add a \
         && {COMMIT} commit -qm a && git tag v1.3.0 && echo y > a && {COMMIT} commit -qam b && {COMMIT} tag -a v1.4.0 -m x && git pack-refs --all \
         && git tag v1"
    ));
    project.sqlite("data/shop.db");
    project.sqlite("storage/queue.sqlite3");
    project.write("data/uploads/a.png", "x");
    project.write("public/media/a.png", "x");
    project.write("src/files/code.rs", "x");
    project.write("node_modules/uploads/x", "x");
    project.write(".env", "# the database\nexport DATABASE_URL=\"postgresql+asyncpg://sh%40op:hunter2@db.internal:5433/shop_live?sslmode=require\"\n");
    project.write("Makefile", "VERSION := 1\n.PHONY: build\nall build: a\n\tcc\ntest:\n");
    project.write("package.json", r#"{ "scripts": { "build": "x", "db:migrate": "y" } }"#);
    project.write("yarn.lock", "");
    let root = project.root().display().to_string();
    project.write("units/shop-web.service", &format!("[Service]\nWorkingDirectory={root}\n"));
    project.write("units/shop-worker.service", &format!("[Service]\nExecStart={root}/bin/worker\n"));
    project.write("units/other.service", &format!("[Service]\n# {root}\nExecStart={root}2/bin\n"));
    let found = project.found();
    assert_eq!(found.units, ["shop-web.service", "shop-worker.service"]);
    assert_eq!(found.repository.as_ref().unwrap().tag.as_deref(), Some("v1.4.0"));
    let text = project.proposal();
    assert!(!text.contains("hunter2"));
    let deployment = parse(&text);
    assert_eq!(deployment.version, "1.4.0");
    let server = deployment.datastores.iter().find_map(|store| store.grants.server.as_ref()).unwrap();
    assert_eq!(
        (server.host.as_str(), server.port, server.user.as_str(), server.database.as_str()),
        ("db.internal", 5433, "sh@op", "shop_live")
    );
    insta::assert_snapshot!(text);
}

#[test]
fn releases_with_a_current_one() {
    let project = Project::new();
    let commit = "0123456789abcdef0123456789abcdef01234567";
    project.write(&format!("releases/{commit}/Makefile"), "migrate:\n\tx\n");
    symlink(format!("releases/{commit}"), project.root().join("current")).unwrap();
    project.write(
        ".upgraded/repository.git/packed-refs",
        &format!("# pack-refs with: peeled fully-peeled sorted\n{commit} refs/tags/2.0.0\n"),
    );
    project.write(
        ".upgraded/repository.git/config",
        "[core]\n\tbare = true\n[remote \"origin\"]\n\turl = git@example.org:shop.git\n",
    );
    project.sqlite("data/shop.db");
    project.write("shared/.env", "PGDATABASE=postgres\n");
    insta::assert_snapshot!(project.proposal());
}

#[test]
fn names_that_need_quotes() {
    let project = Project::new();
    project.sqlite("data/a \"b\" \\ 'é'.db");
    project.write("units/we\"ird.service", &format!("ExecStart={}/x", project.root().display()));
    project.write("units/we\\x2dird.service", &format!("ExecStart={}/x", project.root().display()));
    project.write("units/a.b@c.service", &format!("ExecStart={}/x", project.root().display()));
    project.write("data/uploads/\nx", "");
    let deployment = parse(&propose("shop", &project.found()));
    assert!(deployment.datastores[0].grants.paths.contains_key("data/a \"b\" \\ 'é'.db"));
}

#[test]
fn what_is_no_folder_is_an_error() {
    let project = Project::new();
    project.write("file", "");
    assert!(look(&project.root().join("file"), &[]).is_err());
    assert!(look(&project.root().join("none"), &[]).is_err());
}
