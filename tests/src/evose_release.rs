//! [`Machine`] whose product is a release in a namespace of its own, on the real [`Cluster`]: `evose`, installed by the real
//! `helm` out of a repository of charts, with its data in pods. Beside it is a release of somebody else's.

use crate::composed::done;
use crate::machine::{succeed, write};
use crate::{Cluster, Machine};
use scratch_docker::products::evose::{self, ADMIN, FIRST, ROOT};
use scratch_docker::products::{free_port, with_places, write_secret};
use scratch_docker::{Engine, Shelf};
use serde_json::Value;
use std::fs;
use std::ops::Deref;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

const KNOWLEDGE: &str = "the-knowledge-nobody-knows";
const DEPLOYMENT: &str = include_str!("../../examples/evose/deployment-helm.toml");
const RBAC: &str = include_str!("../../examples/evose/rbac.yaml");
/// Somebody else's release in the same namespace.
const NEIGHBOUR: &str = "
apiVersion: apps/v1
kind: Deployment
metadata: {name: neighbour-api}
spec:
  selector: {matchLabels: {app: neighbour}}
  template:
    metadata: {labels: {app: neighbour}}
    spec:
      terminationGracePeriodSeconds: 1
      containers: [{name: api, image: BUSYBOX, command: [sleep, infinity]}]
---
apiVersion: batch/v1
kind: CronJob
metadata: {name: neighbour-nightly}
spec:
  schedule: 0 3 * * *
  jobTemplate:
    spec:
      template:
        spec:
          restartPolicy: Never
          containers: [{name: nightly, image: BUSYBOX, command: [sleep, '1']}]
";
/// Node ports from 30000 on are the cluster's to give.
const PORTS: u32 = 31000;

/// `evose`, whose release is called so.
pub struct EvoseRelease {
    machine: Machine,
    pub cluster: Cluster,
    pub namespace: String,
    shelf: Shelf,
    charts: PathBuf,
    gateway: String,
    servers: Vec<Child>,
}

impl Deref for EvoseRelease {
    type Target = Machine;
    fn deref(&self) -> &Machine {
        &self.machine
    }
}

impl EvoseRelease {
    /// 1.3.0 runs, and a user has put something into each of its stores. Beside it in the namespace is another release.
    pub fn new(cluster: Cluster, policy: &str) -> Self {
        let mut machine = Machine::new("evose");
        machine.environment = Engine::shared().environment();
        machine.lay_vault();
        let shelf = done(Shelf::new(Engine::shared(), &machine.programs.evose));
        let (namespace, charts) = (machine.name.clone(), machine.path("charts"));
        let (index, repository) = (free_port(), free_port());
        let listen = format!("127.0.0.1:{index}");
        let served = repository.to_string();
        let folder = charts.display().to_string();
        fs::create_dir(&charts).expect("a folder of charts");
        let servers = vec![
            server(Command::new(&machine.programs.evose).args(["releases", "--listen", &listen])),
            server(Command::new("python3").args([
                "-m",
                "http.server",
                "--bind",
                "127.0.0.1",
                "--directory",
                &folder,
                &served,
            ])),
        ];
        let node = cluster.node();
        let (api, gateway) = node_ports(machine.number);
        let gateway_url = format!("http://{node}:{gateway}");
        let release = Self { machine, cluster, namespace, shelf, charts, gateway: gateway_url, servers };
        done(evose::publish_bases(&release.shelf));
        release.publish(FIRST);
        release.install((api, gateway));
        release.post("/api/files/plan.txt", "a plan that nobody may lose");
        release.post("/api/knowledge", "{\"title\":\"a title\",\"body\":\"what is known\"}");
        let places = [
            ("http://127.0.0.1:8000", format!("http://{node}:{api}")),
            ("https://releases.example.com", format!("http://127.0.0.1:{index}")),
            ("https://charts.example.com", format!("http://127.0.0.1:{repository}")),
            ("/opt/evose", release.home().display().to_string()),
            ("/etc/upgraded/secrets", release.path("etc").display().to_string()),
            ("/etc/upgraded/kubeconfig", release.account("upgraded").display().to_string()),
            (
                "namespace = \"evose\"",
                format!("namespace = \"{}\"\nhelm = \"{}\"", release.namespace, release.cluster.helm.display()),
            ),
            ("window = [\"Sat 02:00-06:00 Europe/Berlin\"]\napprove = \"breaking\"\n", policy.to_owned()),
        ];
        write(&release.deployment_file(), &with_places(DEPLOYMENT, &places));
        release.take_compiled_plugins();
        release
    }

    /// The images of a release, and its chart in the repository.
    pub fn publish(&self, version: &str) {
        done(evose::publish(&self.shelf, version));
        let folder = self.charts.display().to_string();
        let chart = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/evose/chart").display().to_string();
        self.cluster.helm(&[
            "package",
            &chart,
            "--version",
            version,
            "--app-version",
            version,
            "--destination",
            &folder,
        ]);
        self.cluster.helm(&["repo", "index", &folder]);
    }

    /// From now on the daemon has its charts from the registry of the images, where those are that were published so far.
    pub fn moves_its_charts_to_the_registry(&self) {
        let charts = format!("oci://{}/charts", self.shelf.registry());
        let packed = fs::read_dir(&self.charts).expect("the charts").flatten().map(|entry| entry.path());
        for chart in packed.filter(|path| path.extension().is_some_and(|extension| extension == "tgz")) {
            self.cluster.helm(&["push", &chart.display().to_string(), &charts, "--plain-http"]);
        }
        let text = fs::read_to_string(self.deployment_file()).expect("the deployment");
        let lines = text.lines().filter(|line| !line.starts_with("repository = "));
        let lines = lines.map(|line| match line.starts_with("chart = ") {
            true => format!("chart = \"{charts}/evose\"\nplain-http = true\n"),
            false => format!("{line}\n"),
        });
        write(&self.deployment_file(), &lines.collect::<String>());
    }

    fn install(&self, (api, gateway): (u32, u32)) {
        let (cluster, namespace) = (&self.cluster, &self.namespace);
        let (home, files) = (self.home(), self.home().join("data/files"));
        fs::create_dir_all(&files).expect("the folder of uploads");
        let text = format!(
            "# Ours.\nregistry: {}\nimage:\n  tag: \"{FIRST}\"   # this one runs\napi: {{nodePort: {api}}}\ngateway: {{nodePort: {gateway}}}\n\
             files:\n  hostPath: {}\nstorage: 1Gi\n",
            self.shelf.registry(),
            files.display()
        );
        write(&home.join("values.yaml"), &text);
        for (name, value) in [("admin", ADMIN), ("mysql-root", ROOT), ("postgres", KNOWLEDGE)] {
            done(write_secret(&self.path("etc"), &format!("evose-{name}"), value));
        }
        cluster.kubectl(&["create", "namespace", namespace]);
        cluster.apply(&self.path("etc"), namespace, RBAC);
        let literal = |key: &str, value: &str| format!("--from-literal={key}={value}");
        let secrets = [
            literal("evose-secret", "signs-what-nobody-else-may-sign"),
            literal("admin-password", ADMIN),
            literal("mysql-root-password", ROOT),
            literal("mysql-password", "the-app-nobody-knows"),
            literal("postgres-password", KNOWLEDGE),
        ];
        let create = ["--namespace", namespace, "create", "secret", "generic", "evose"];
        let arguments: Vec<&str> = create.into_iter().chain(secrets.iter().map(String::as_str)).collect();
        cluster.kubectl(&arguments);
        let values = home.join("values.yaml").display().to_string();
        let chart = self.charts.join(format!("evose-{FIRST}.tgz")).display().to_string();
        // The hook that migrates comes after what it is waited for by: `--wait` would wait for ever.
        cluster.helm(&["install", "evose", &chart, "--namespace", namespace, "--values", &values, "--timeout", "8m"]);
        // What crashed until then would wait a while before it tries again.
        let crashed = ["delete", "pods", "--selector", "app.kubernetes.io/name in (api,worker)", "--wait=false"];
        cluster.kubectl(&[&["--namespace", namespace][..], &crashed].concat());
        for name in ["api", "worker", "gateway"] {
            let deployment = format!("deployment/evose-{name}");
            cluster.kubectl(&["--namespace", namespace, "rollout", "status", &deployment, "--timeout", "5m"]);
        }
        let neighbour = self.path("neighbour");
        fs::create_dir_all(neighbour.join("templates")).expect("the folder of a chart");
        write(&neighbour.join("Chart.yaml"), "apiVersion: v2\nname: neighbour\nversion: 1.0.0\n");
        write(
            &neighbour.join("templates/all.yaml"),
            &NEIGHBOUR.replace("BUSYBOX", &Engine::shared().base("busybox:1")),
        );
        cluster.helm(&["install", "neighbour", &neighbour.display().to_string(), "--namespace", namespace]);
    }

    /// A kubeconfig of a service account of the namespace.
    pub fn account(&self, name: &str) -> PathBuf {
        let (cluster, namespace) = (&self.cluster, &self.namespace);
        let token = cluster.kubectl(&["--namespace", namespace, "create", "token", name, "--duration", "12h"]);
        let shown = cluster.kubectl(&["config", "view", "--raw", "--minify", "--output", "json"]);
        let mut config: Value = serde_json::from_str(&shown).expect("a kubeconfig");
        config["users"][0]["user"] = serde_json::json!({ "token": token.trim() });
        let file = self.path("etc").join(format!("kubeconfig-{name}"));
        write(&file, &config.to_string());
        file
    }

    fn post(&self, path: &str, body: &str) {
        let curl = |more: &[&str]| {
            let mut curl = Command::new("curl");
            curl.args([
                "--silent",
                "--show-error",
                "--fail",
                "--max-time",
                "20",
                "--retry",
                "20",
                "--retry-all-errors",
            ]);
            succeed(curl.args(["--retry-delay", "1", "--header", "content-type: application/json"]).args(more))
        };
        let login = format!("{{\"user\":\"admin\",\"password\":\"{ADMIN}\"}}");
        let session: Value = serde_json::from_str(&curl(&["--data", &login, &format!("{}/api/login", self.gateway)]))
            .expect("a session");
        let token = format!("authorization: Bearer {}", session["token"].as_str().expect("a token"));
        curl(&["--header", &token, "--data", body, &format!("{}{path}", self.gateway)]);
    }

    /// What is in each store, but for the runs, of which a verification makes one.
    pub fn data(&self) -> String {
        let inside = |pod: &str, command: &str| {
            self.cluster.kubectl(&["--namespace", &self.namespace, "exec", pod, "--", "sh", "-c", command])
        };
        let dump = format!(
            "mariadb-dump --user=root --password={ROOT} --skip-comments --routines --events --ignore-table-data=evose.runs evose | \
             sed 's/ AUTO_INCREMENT=[0-9]*//'"
        );
        let mysql = inside("evose-mysql-0", &dump);
        let postgres = inside("evose-postgres-0", "pg_dump --username=postgres evose_kb | grep -v restrict");
        let files = succeed(Command::new("find").arg(self.home().join("data/files")).args([
            "-type",
            "f",
            "-exec",
            "sha256sum",
            "{}",
            "+",
        ]));
        format!("{mysql}\n{postgres}\n{files}")
    }

    /// Number, status and version of each revision, oldest first.
    pub fn revisions(&self) -> Vec<String> {
        let text = self.cluster.helm(&["history", "evose", "--namespace", &self.namespace, "--output", "json"]);
        let all: Value = serde_json::from_str(&text).expect("a history");
        let line = |r: &Value| {
            format!(
                "{} {} {}",
                r["revision"],
                r["status"].as_str().unwrap_or_default(),
                r["chart"].as_str().unwrap_or_default()
            )
        };
        all.as_array().expect("revisions").iter().map(line).collect()
    }

    /// Everything of the release beside ours, as the cluster counts its changes.
    pub fn neighbour(&self) -> String {
        let path = "jsonpath={range .items[?(@.metadata.annotations.meta\\.helm\\.sh/release-name==\"neighbour\")]}{.kind} {.metadata.name} {.metadata.uid} {.metadata.generation} {.spec.replicas} {.spec.suspend}{\"\\n\"}{end}";
        self.cluster.kubectl(&["--namespace", &self.namespace, "get", "deployments,cronjobs", "--output", path])
    }

    pub fn values(&self) -> String {
        fs::read_to_string(self.home().join("values.yaml")).expect("the values")
    }

    /// Users are let in by this version, nothing is held, and the release is as the chart says.
    pub fn is_whole(&self, version: &str, data: Option<&str>) {
        let version_for_users = self.version_at(&format!("{}/health", self.gateway));
        assert_eq!(version_for_users, version, "the version behind the gate\n{}", self.log());
        if let Some(data) = data {
            assert_eq!(self.data(), data, "the data of {version}\n{}", self.log());
        }
        let own = "jsonpath={range .items[*]}{.metadata.name} {.spec.replicas} {.metadata.annotations.upgraded\\.dev/replicas}{\"\\n\"}{end}";
        let scaled = self.cluster.kubectl(&["--namespace", &self.namespace, "get", "deployments", "--output", own]);
        for line in scaled.lines().filter(|line| line.starts_with("evose-")) {
            assert!(line.trim_end().ends_with(" 1"), "`{line}` is held or not back\n{}", self.log());
        }
        let newest = self.revisions().pop().expect("a revision");
        assert!(
            newest.contains(" deployed ") && newest.ends_with(&format!("evose-{version}")),
            "{:#?}\n{}",
            self.revisions(),
            self.log()
        );
        let says = format!("tag: \"{version}\"   # this one runs");
        assert!(self.values().contains(&says), "{}", self.values());
        self.nothing_is_left();
    }
}

/// For each machine two of its own, also where other test programs run.
fn node_ports(number: u32) -> (u32, u32) {
    let first = PORTS + (std::process::id() % 80) * 20 + (number % 10) * 2;
    (first, first + 1)
}

fn server(command: &mut Command) -> Child {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0);
    command.spawn().expect("what is served")
}

impl Drop for EvoseRelease {
    fn drop(&mut self) {
        for server in &mut self.servers {
            let _ = server.kill();
            let _ = server.wait();
        }
        let mut delete = self.cluster.command("kubectl", &["delete", "namespace", &self.namespace, "--wait=false"]);
        let _ = delete.stdout(Stdio::null()).stderr(Stdio::null()).status();
    }
}
