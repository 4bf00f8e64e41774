//! [`Composed`] with `evose` on it: MySQL, PostgreSQL, an init container, files.

use crate::composed::{Composed, free_port};
use crate::machine::{succeed, write};
use scratch_docker::ImageConfig;
use std::fs;
use std::ops::Deref;
use std::process::Command;

const ADMIN: &str = "an-admin-nobody-knows";
const ROOT: &str = "the-root-of-mysql-nobody-knows";
const KNOWLEDGE: &str = "the-knowledge-nobody-knows";

pub struct Evose {
    composed: Composed,
    gateway: String,
}

impl Deref for Evose {
    type Target = Composed;
    fn deref(&self) -> &Composed {
        &self.composed
    }
}

impl Evose {
    /// 1.3.0 runs, and a user has put something into each of its stores.
    pub fn new(policy: &str) -> Self {
        let composed = Composed::new("evose", |machine| machine.programs.evose.clone());
        let (gateway, api) = (free_port(), free_port());
        let evose = Self { gateway: format!("http://127.0.0.1:{gateway}"), composed };
        evose.publish("1.3.0");
        write(&evose.file("compose.yaml"), include_str!("../../examples/evose/edition/compose.yaml"));
        fs::create_dir_all(evose.file("gateway")).expect("a folder of the edition");
        fs::create_dir_all(evose.file("data/files")).expect("a folder of the edition");
        write(&evose.file("gateway/evose.conf"), include_str!("../../examples/evose/edition/gateway/evose.conf"));
        let (project, registry) = (evose.project.name(), evose.registry());
        let env = format!(
            "COMPOSE_PROJECT_NAME={project}\nEVOSE_REGISTRY={registry}\nEVOSE_VERSION=1.3.0   # this one runs\n\
             EVOSE_HTTP_PORT={gateway}\nEVOSE_API_PORT={api}\nEVOSE_SECRET=signs-what-nobody-else-may-sign\n\
             EVOSE_ADMIN_PASSWORD={ADMIN}\nEVOSE_MYSQL_PASSWORD=the-app-nobody-knows\nMYSQL_ROOT_PASSWORD={ROOT}\n\
             EVOSE_POSTGRES_PASSWORD={KNOWLEDGE}\n"
        );
        write(&evose.file(".env"), &env);
        for (name, value) in [("admin", ADMIN), ("mysql-root", ROOT), ("postgres", KNOWLEDGE)] {
            evose.secret(&format!("evose-{name}"), value);
        }
        evose.compose(&["up", "--detach", "--wait", "--quiet-pull"]);
        evose.post("/api/files/plan.txt", "a plan that nobody may lose");
        evose.post("/api/knowledge", "{\"title\":\"a title\",\"body\":\"what is known\"}");
        evose.deploy(
            include_str!("../../examples/evose/deployment.toml"),
            &[
                ("http://127.0.0.1:8000", format!("http://127.0.0.1:{api}")),
                ("https://releases.example.com", evose.index.clone()),
                ("/opt/evose", evose.home().display().to_string()),
                ("window = [\"Sat 02:00-06:00 Europe/Berlin\"]\napprove = \"breaking\"\n", policy.to_owned()),
            ],
        );
        evose
    }

    pub fn publish(&self, version: &str) {
        for base in ["mariadb:10.11", "postgres:15", "nginx:1"] {
            self.mirror(&format!("base/{base}"));
        }
        let config = ImageConfig {
            entrypoint: vec!["/usr/local/bin/evose".into()],
            env: vec![("EVOSE_RELEASE".into(), version.into())],
            ..ImageConfig::default()
        };
        self.publish_image(&format!("evose/server:{version}"), &config);
    }

    fn post(&self, path: &str, body: &str) {
        let token =
            succeed(Command::new("curl").args(["--silent", "--show-error", "--fail", "--max-time", "20"]).args([
                "--header",
                "content-type: application/json",
                "--data",
                &format!("{{\"user\":\"admin\",\"password\":\"{ADMIN}\"}}"),
                &format!("{}/api/login", self.gateway),
            ]));
        let token: serde_json::Value = serde_json::from_str(&token).expect("a session");
        let token = token["token"].as_str().expect("a token");
        succeed(Command::new("curl").args(["--silent", "--show-error", "--fail", "--max-time", "20"]).args([
            "--header",
            &format!("authorization: Bearer {token}"),
            "--header",
            "content-type: application/json",
            "--data",
            body,
            &format!("{}{path}", self.gateway),
        ]));
    }

    /// What is in each store, but for the runs, of which a verification makes one.
    pub fn data(&self) -> String {
        let password = format!("--password={ROOT}");
        let dump = [
            "exec",
            "-T",
            "mysql",
            "mariadb-dump",
            "--user=root",
            &password,
            "--skip-comments",
            "--routines",
            "--events",
        ];
        let mysql = self.compose(&[&dump[..], &["--ignore-table-data=evose.runs", "evose"]].concat());
        let mysql: Vec<&str> = mysql.lines().filter(|line| !line.contains("AUTO_INCREMENT=")).collect();
        let dump = ["exec", "-T", "postgres", "pg_dump", "--username=postgres", "evose_kb"];
        let postgres = self.compose(&dump);
        let postgres: Vec<&str> = postgres.lines().filter(|line| !line.contains("restrict")).collect();
        let files = succeed(Command::new("find").arg(self.file("data/files")).args([
            "-type",
            "f",
            "-exec",
            "sha256sum",
            "{}",
            "+",
        ]));
        format!("{}\n{}\n{files}", mysql.join("\n"), postgres.join("\n"))
    }

    pub fn version_for_users(&self) -> String {
        self.version_at(&format!("{}/health", self.gateway))
    }

    pub fn is_whole(&self, version: &str, data: Option<&str>) {
        assert_eq!(self.version_for_users(), version, "the version behind the gate\n{}", self.log());
        if let Some(data) = data {
            assert_eq!(self.data(), data, "the data of {version}\n{}", self.log());
        }
        let policies = self.restart_policies();
        let always = policies.iter().filter(|line| line.ends_with(" always")).count();
        assert_eq!(always, 5, "all but the init container: {policies:?}");
        self.nothing_is_left();
    }
}
