//! A [`Machine`] whose product is elsewhere: `tessallite` on the double of Cloud Run, each revision a real process, and a
//! real PostgreSQL as the instance of Cloud SQL.

use crate::Machine;
use crate::machine::{succeed, write};
use scratch_docker::products::{free_port, with_places, write_secret};
use scratch_google::{Disk, Google, Image};
use scratch_postgres::{Cluster, SUPERUSER};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io;
use std::ops::Deref;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::{Duration, Instant};

const EXAMPLE: &str = include_str!("../../examples/tessallite/cloud-run.toml");
const REGISTRY: &str = "europe-west1-docker.pkg.dev/acme/tessallite";
const PLACE: &str = "projects/acme/locations/europe-west1/services";
const BACKUPS: &str = "/v1/projects/acme/instances/tessallite/backupRuns";
const PASSWORD: &str = "secret-of-the-instance";
/// What 2.0.0 brings, and starts nowhere without.
const PUBLIC_URL: (&str, &str) = ("TESSALLITE_PUBLIC_URL", "https://models.example.com");
/// Where the server of a drill's instance listens.
const DRILLED: &str = "127.0.0.2";
const PATIENCE: Duration = Duration::from_secs(60);

/// In the order in which they need each other.
pub const CLOUD_SERVICES: [&str; 6] =
    ["model-service", "query-router", "optimizer", "scheduler", "frontend", "gateway"];

pub struct Cloud {
    machine: Machine,
    pub google: Google,
    servers: Arc<Servers>,
    /// Where users come in.
    pub gateway: String,
    pub frontend: String,
    /// What each service's container is told by whoever installed it.
    own: BTreeMap<&'static str, BTreeMap<String, String>>,
    releases: Child,
}

impl Deref for Cloud {
    type Target = Machine;
    fn deref(&self) -> &Machine {
        &self.machine
    }
}

impl Cloud {
    /// The release runs, with two models.
    pub fn new(version: &str, policy: &str) -> Self {
        let machine = Machine::new("tessallite");
        machine.lay_vault();
        let index = free_port();
        let mut releases = Command::new(&machine.programs.tessallite);
        releases.args(["releases", "--listen", &format!("127.0.0.1:{index}")]);
        releases.stdin(Stdio::null()).stdout(Stdio::null()).process_group(0);
        let releases = releases.spawn().expect("the index of releases is served");
        let servers = Arc::new(Servers::start());
        servers.live.sql("postgres", "CREATE DATABASE tessallite OWNER tessallite");
        let google = Google::start("acme");
        google.attach("acme", "tessallite", Arc::new(Database { servers: Arc::downgrade(&servers), drilled: false }));
        let drilled = Arc::downgrade(&servers);
        google.make_disks_by(move |_| Arc::new(Database { servers: drilled.clone(), drilled: true }));
        let (gateway, frontend, own) = (String::new(), String::new(), BTreeMap::new());
        let mut cloud = Self { machine, google, servers, gateway, frontend, own, releases };
        cloud.make_instance();
        cloud.publish(version);
        cloud.install(version);
        for name in ["orders", "customers"] {
            cloud.append(name);
        }
        cloud.deploy(version, policy, index);
        cloud
    }

    /// A release's images, one for each service.
    pub fn publish(&self, version: &str) {
        for service in CLOUD_SERVICES {
            let program = self.programs.tessallite.display().to_string();
            let release = format!("TESSALLITE_RELEASE={version}");
            let command = ["/usr/bin/env".into(), release, program, service.into()];
            self.google.push(&format!("{REGISTRY}/{service}:{version}"), Image::command(command));
        }
    }

    /// From now on this service of the release crashes at start.
    pub fn publish_broken(&self, service: &str, version: &str) {
        self.google.push(&format!("{REGISTRY}/{service}:{version}"), Image::command(["/bin/false"]));
    }

    fn install(&mut self, version: &str) {
        let database = format!("postgres://tessallite:{PASSWORD}@127.0.0.1:{}/tessallite", self.servers.live.port());
        let mut variables = vec![("DATABASE_URL".to_owned(), database), ("ADDRESS".to_owned(), "127.0.0.1".to_owned())];
        variables.push(("TICK_MS".into(), "200".into()));
        for service in CLOUD_SERVICES {
            let own: Vec<(&str, &str)> = variables.iter().map(|(name, value)| (&**name, &**value)).collect();
            let image = format!("{REGISTRY}/{service}:{version}");
            let address = self.google.deploy_with(&full(service), &image, &own);
            variables
                .push((service.replace('-', "_").to_uppercase(), address.trim_start_matches("http://").to_owned()));
            match service {
                "frontend" => self.frontend = address,
                "gateway" => self.gateway = address,
                _ => {}
            }
            self.own.insert(service, self.variables(service));
        }
    }

    fn deploy(&self, version: &str, policy: &str, index: u16) {
        let key = self.google.account("upgraded", "acme").json().to_string();
        let secrets = self.path("etc");
        for (name, value) in [("google.json", &*key), ("tessallite-postgres", PASSWORD)] {
            write_secret(&secrets, name, value).expect("a secret");
        }
        let index = format!("http://127.0.0.1:{index}");
        let endpoint = |line: &str| (format!("{line}\n"), format!("{line}\nendpoint = \"{}\"\n", self.google.url()));
        let (region, instance) = (endpoint("region = \"europe-west1\""), endpoint("instance = \"tessallite\""));
        let text = with_places(
            EXAMPLE,
            &[
                ("version = \"1.4.0\"", format!("version = \"{version}\"")),
                ("/opt/tessallite", self.home().display().to_string()),
                ("https://frontend-abcdefghij-ew.a.run.app", self.frontend.clone()),
                ("https://releases.example.com/tessallite/releases.json", format!("{index}/releases.json")),
                ("https://releases.example.com", index),
                ("/etc/upgraded/secrets", secrets.display().to_string()),
                ("host = \"10.20.0.3\"", format!("host = \"127.0.0.1\"\nport = {}", self.servers.live.port())),
                ("window = [\"Sat 02:00-06:00 Europe/Berlin\"]\napprove = \"breaking\"\n", policy.to_owned()),
            ],
        );
        let text = text.replace(&region.0, &region.1).replace(&instance.0, &instance.1);
        write(&self.deployment_file(), &text);
        self.take_compiled_plugins();
    }

    /// Answers that a client of the API gets.
    fn ask(&self, method: &str, path: &str, body: &str) -> String {
        self.ask_with(&self.google.token(), method, path, body)
    }

    fn ask_with(&self, token: &str, method: &str, path: &str, body: &str) -> String {
        let url = format!("{}{path}", self.google.url());
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--show-error", "--request", method, "--header", "content-type: application/json"]);
        curl.args(["--header", &format!("authorization: Bearer {token}")]);
        if !body.is_empty() {
            curl.args(["--data", body]);
        }
        succeed(curl.arg(url))
    }

    fn make_instance(&self) {
        let wanted = r#"{"name":"tessallite","region":"europe-west1","settings":{"tier":"db-custom-1-3840",
            "ipConfiguration":{"privateNetwork":"projects/acme/global/networks/default"}}}"#;
        self.ask("POST", "/v1/projects/acme/instances", wanted);
        let begun = Instant::now();
        while !self.ask("GET", "/v1/projects/acme/instances/tessallite", "").contains("RUNNABLE") {
            assert!(begun.elapsed() < PATIENCE, "the instance does not run");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Of Cloud SQL, by their names.
    pub fn instances(&self) -> Vec<String> {
        let list = self.ask("GET", "/v1/projects/acme/instances", "");
        let list: Value = serde_json::from_str(&list).expect("a list");
        let names = list["items"].as_array().into_iter().flatten().filter_map(|instance| instance["name"].as_str());
        names.map(str::to_owned).collect()
    }

    /// Of the instance, by their descriptions.
    pub fn backups(&self) -> Vec<String> {
        let all = self.backup_runs();
        all.iter().filter_map(|backup| backup["description"].as_str()).map(str::to_owned).collect()
    }

    /// As somebody may who cleans up: that of this step.
    pub fn delete_backup(&self, step: &str) {
        let of_step = |run: &&Value| run["description"].as_str().is_some_and(|text| text.contains(step));
        let all = self.backup_runs();
        let id = all.iter().find(of_step).and_then(|run| run["id"].as_str()).expect("a backup of the step");
        self.ask("DELETE", &format!("{BACKUPS}/{id}"), "");
        let begun = Instant::now();
        while self.backup_runs().iter().any(|run| of_step(&run)) {
            assert!(begun.elapsed() < PATIENCE, "the backup stays");
        }
    }

    fn backup_runs(&self) -> Vec<Value> {
        let list: Value = serde_json::from_str(&self.ask("GET", BACKUPS, "")).expect("a list");
        list["items"].as_array().cloned().unwrap_or_default()
    }

    pub fn ask_for_drills(&self) {
        let instance = "instance = \"tessallite\"\n";
        self.edit(|text| text.replacen(instance, &format!("{instance}drill = true\n"), 1));
    }

    /// How often the daemon called this method, by the end of its name.
    pub fn calls(&self, method: &str) -> usize {
        let exchanges = self.google.exchanges();
        let ours = exchanges.iter().filter(|exchange| exchange.caller.starts_with("upgraded@"));
        ours.filter(|exchange| exchange.method.ends_with(method)).count()
    }

    /// From now on, a restore into another instance is short of rows.
    pub fn lose_rows_in_drills(&self) {
        self.servers.loses_rows.store(true, Ordering::Relaxed);
    }

    pub fn service(&self, name: &str) -> Value {
        serde_json::from_str(&self.ask("GET", &format!("/v2/{}", full(name)), "")).expect("a service")
    }

    /// As a script would: all traffic of a service to one revision, and its operation waited for.
    pub fn send_traffic(&self, token: &str, name: &str, revision: &str) {
        let target = "TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION";
        let body = json!({ "traffic": [{ "type": target, "revision": revision, "percent": 100 }] });
        let path = format!("/v2/{}?updateMask=traffic", full(name));
        let answer = |text: String| serde_json::from_str::<Value>(&text).expect("an operation");
        let mut operation = answer(self.ask_with(token, "PATCH", &path, &body.to_string()));
        let own = operation["name"].as_str().expect("an operation has a name").to_owned();
        while operation["done"] != true {
            operation = answer(self.ask_with(token, "GET", &format!("/v2/{own}"), ""));
        }
        assert!(operation["error"].is_null(), "{operation:#}");
    }

    pub fn edit_by_somebody_else(&self, name: &str) {
        self.google.edit_by_somebody_else(&full(name));
    }

    /// Percent by revision; those that follow the newest by its name.
    pub fn traffic(&self, name: &str) -> Vec<(String, u64)> {
        let service = self.service(name);
        let latest = service["latestReadyRevision"].as_str().unwrap_or_default().rsplit('/').next().unwrap_or_default();
        let targets = service["traffic"].as_array().into_iter().flatten();
        let share = |target: &Value| {
            let revision = target["revision"].as_str().unwrap_or(latest).to_owned();
            Some((revision, target["percent"].as_u64().filter(|percent| *percent > 0)?))
        };
        targets.filter_map(share).collect()
    }

    /// Of the revision that serves.
    pub fn variables(&self, name: &str) -> BTreeMap<String, String> {
        let (revision, _) = self.traffic(name).pop().expect("a revision serves");
        let made = self.ask("GET", &format!("/v2/{}/revisions/{revision}", full(name)), "");
        let made: Value = serde_json::from_str(&made).expect("a revision");
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let all = made["containers"][0]["env"].as_array().into_iter().flatten();
        all.map(|variable| (text(&variable["name"]), text(&variable["value"]))).collect()
    }

    /// The deployment's own file of variables; none where there is none.
    pub fn env_file(&self) -> Option<String> {
        std::fs::read_to_string(self.home().join(".env")).ok()
    }

    pub fn sql(&self, sql: &str) -> String {
        self.servers.live.sql("tessallite", sql)
    }

    /// Everything that a rollback brings back, a line each.
    pub fn data(&self) -> String {
        self.sql(crate::stack::DATA)
    }

    /// A user writes a model through the gateway.
    pub fn append(&self, name: &str) {
        let body = format!("{{\"name\":\"{name}\",\"rows\":[{{\"key\":\"a\",\"amount\":1}}]}}");
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--show-error", "--fail", "--max-time", "20", "--header"]);
        succeed(curl.args([
            "content-type: application/json",
            "--data",
            &body,
            &format!("{}/api/models", self.gateway),
        ]));
    }

    /// Users are let in by this version, every service is as it was but for its revision, and of runs nothing is left.
    pub fn is_whole(&self, version: &str, data: Option<&str>) {
        assert_eq!(self.version_at(&format!("{}/api/health", self.gateway)), version, "{}", self.log());
        assert_eq!(self.version_at(&format!("{}/healthz", self.gateway)), version, "{}", self.log());
        for name in CLOUD_SERVICES {
            let service = self.service(name);
            assert_eq!(self.traffic(name).len(), 1, "`{name}` has one revision that serves: {service:#}");
            let tags = service["traffic"].as_array().into_iter().flatten().filter(|target| target["tag"].is_string());
            assert_eq!(tags.count(), 0, "`{name}` has no tag: {service:#}");
            assert_eq!(service["scaling"], Value::Null, "`{name}` is scaled as it was");
            let mut told = self.variables(name);
            let url = told.remove(PUBLIC_URL.0);
            assert_eq!(url.as_deref(), (version == "2.0.0").then_some(PUBLIC_URL.1), "`{name}`: {service:#}");
            assert!(self.own[name].iter().all(|(own, value)| told.get(own) == Some(value)), "`{name}`: {told:?}");
            assert!(service["annotations"].as_object().is_none_or(serde_json::Map::is_empty), "{service:#}");
        }
        let file = self.env_file().unwrap_or_default();
        assert_eq!(file.contains(PUBLIC_URL.0), version == "2.0.0", "{file}");
        if let Some(data) = data {
            assert_eq!(self.data(), data, "the data of {version}\n{}", self.log());
        }
        assert_eq!(self.instances(), ["tessallite"], "a drill's instance was left");
        self.nothing_is_left();
        self.google.assert_held_to_the_documents();
    }
}

impl Drop for Cloud {
    fn drop(&mut self) {
        let _ = self.releases.kill();
        let _ = self.releases.wait();
    }
}

fn full(service: &str) -> String {
    format!("{PLACE}/{service}")
}

/// Behind the instances: what users write to, and what drills restore into, which is there once it is needed.
struct Servers {
    live: Cluster,
    drilled: OnceLock<Cluster>,
    loses_rows: AtomicBool,
}

impl Servers {
    fn start() -> Self {
        Self { live: with_role(Cluster::start()), drilled: OnceLock::new(), loses_rows: AtomicBool::new(false) }
    }

    /// At the same port of another address.
    fn drilled(&self) -> &Cluster {
        self.drilled.get_or_init(|| with_role(Cluster::start_at(DRILLED, self.live.port())))
    }
}

/// A backup of Google's has the roles in it.
fn with_role(cluster: Cluster) -> Cluster {
    cluster.sql("postgres", &format!("CREATE ROLE tessallite LOGIN PASSWORD '{PASSWORD}'"));
    cluster
}

/// All that an instance holds is one database.
struct Database {
    /// They end with their test, whoever knows a disk.
    servers: Weak<Servers>,
    drilled: bool,
}

impl Disk for Database {
    fn back_up(&self, to: &Path) -> io::Result<()> {
        std::fs::create_dir_all(to.parent().unwrap_or(to))?;
        self.tool("pg_dump", |tool| tool.args(["--format=custom", "--compress=0", "--file"]).arg(to).arg("tessallite"))
    }

    fn restore(&self, from: &Path) -> io::Result<()> {
        self.sql("postgres", "DROP DATABASE IF EXISTS tessallite WITH (FORCE)")?;
        self.sql("postgres", "CREATE DATABASE tessallite OWNER tessallite")?;
        self.tool("pg_restore", |tool| tool.args(["--exit-on-error", "--dbname=tessallite"]).arg(from))?;
        match self.drilled && self.servers()?.loses_rows.load(Ordering::Relaxed) {
            true => self.sql("tessallite", "TRUNCATE model_rows"),
            false => Ok(()),
        }
    }

    fn address(&self) -> String {
        if self.drilled { DRILLED } else { "127.0.0.1" }.to_owned()
    }

    fn databases(&self) -> Vec<String> {
        vec!["postgres".into(), "tessallite".into()]
    }
}

impl Database {
    fn servers(&self) -> io::Result<Arc<Servers>> {
        self.servers.upgrade().ok_or_else(|| io::Error::other("the servers are gone"))
    }

    fn sql(&self, database: &str, sql: &str) -> io::Result<()> {
        self.at(&*self.servers()?).try_sql(SUPERUSER, database, sql).map(drop).map_err(io::Error::other)
    }

    fn at<'s>(&self, servers: &'s Servers) -> &'s Cluster {
        if self.drilled { servers.drilled() } else { &servers.live }
    }

    fn tool(&self, name: &str, arguments: impl Fn(&mut Command) -> &mut Command) -> io::Result<()> {
        let servers = self.servers()?;
        let cluster = self.at(&servers);
        let mut tool = Command::new(cluster.programs().join(name));
        tool.arg("-h").arg(cluster.folder()).args(["-p", &cluster.port().to_string(), "-U", SUPERUSER]);
        let output = arguments(&mut tool).stdin(Stdio::null()).output()?;
        match output.status.success() {
            true => Ok(()),
            false => Err(io::Error::other(String::from_utf8_lossy(&output.stderr).into_owned())),
        }
    }
}
