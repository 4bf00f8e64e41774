//! [`Composed`] with `evose` on it: MySQL, PostgreSQL, an init container, files.

use crate::composed::{Composed, done};
use crate::machine::succeed;
use scratch_docker::Engine;
use scratch_docker::products::evose::{self, ADMIN, FIRST, Ports, ROOT};
use scratch_docker::products::free_port;
use std::ops::Deref;
use std::process::Command;

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
        let ports = Ports { gateway: free_port(), api: free_port() };
        let evose = Self { gateway: format!("http://127.0.0.1:{}", ports.gateway), composed };
        done(evose::publish_bases(&evose.shelf));
        evose.publish(FIRST);
        let (home, secrets) = (evose.home(), evose.path("etc"));
        done(evose::lay_out(&home, &secrets, evose.project.name(), evose.registry(), ports));
        evose.compose(&["up", "--detach", "--wait", "--quiet-pull"]);
        evose.post("/api/files/plan.txt", "a plan that nobody may lose");
        evose.post("/api/knowledge", "{\"title\":\"a title\",\"body\":\"what is known\"}");
        evose.deploy_text(&evose::deployment(Engine::shared(), &home, &secrets, ports, &evose.index, policy));
        evose
    }

    pub fn publish(&self, version: &str) {
        done(evose::publish(&self.shelf, version));
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
        let mysql: Vec<String> = mysql.lines().map(without_counter).collect();
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

    /// An account on each server that no image makes.
    pub fn add_reader(&self) {
        let (password, made) = (format!("--password={ROOT}"), "CREATE USER reader@'%' IDENTIFIED BY 'of-the-reader'");
        let granted = format!("--execute={made}; GRANT SELECT ON evose.* TO reader@'%'");
        self.compose(&["exec", "-T", "mysql", "mariadb", "--user=root", &password, &granted]);
        let made = "CREATE ROLE reader LOGIN PASSWORD 'of-the-reader'";
        let granted = format!("{made}; GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader");
        let psql =
            ["exec", "-T", "postgres", "psql", "--username=postgres", "--quiet", "--command", &granted, "evose_kb"];
        self.compose(&psql);
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

/// Runs are counted, and verification makes some.
fn without_counter(line: &str) -> String {
    match line.split_once(" AUTO_INCREMENT=") {
        Some((before, after)) => format!("{before}{}", after.trim_start_matches(|c: char| c.is_ascii_digit())),
        None => line.to_owned(),
    }
}
