//! A [`Machine`] whose product is a release in a namespace of its own, on the real [`Cluster`]: installed by the real `helm`
//! out of a repository of charts. Beside it is a release of somebody else's.

use crate::composed::done;
use crate::machine::{succeed, write};
use crate::{Cluster, Machine};
use scratch_docker::products::{free_port, with_places, write_secret};
use scratch_docker::{Engine, Shelf};
use serde_json::Value;
use std::fs;
use std::ops::Deref;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

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
/// Of nobody's release, in the namespace of rehearsals.
const STRANGER: &str = "not-ours";
/// Seconds that users who were just let in try again.
const MOMENTS: &str = "15";

pub struct Released {
    machine: Machine,
    pub cluster: Cluster,
    pub namespace: String,
    pub shelf: Shelf,
    /// The product's name, its chart's and its release's.
    product: &'static str,
    /// Of every release.
    chart: PathBuf,
    /// The repository.
    charts: PathBuf,
    /// Of the node: where the operator asks, and where users come in.
    ports: (u32, u32),
    /// `http://…`, where users come in.
    pub gateway: String,
    /// Of 127.0.0.1: the index of releases, and the repository of charts.
    served: (u16, u16),
    servers: Vec<Child>,
}

impl Deref for Released {
    type Target = Machine;
    fn deref(&self) -> &Machine {
        &self.machine
    }
}

impl Released {
    /// Of an example.
    pub fn new(cluster: Cluster, product: &'static str, program: impl Fn(&Machine) -> PathBuf) -> Self {
        let chart = format!("{}/../examples/{product}/chart", env!("CARGO_MANIFEST_DIR"));
        Self::of_chart(cluster, product, chart.into(), program)
    }

    /// Nothing is installed yet, and no chart is published. `program`: the product's, which serves its index too.
    pub fn of_chart(
        cluster: Cluster, product: &'static str, chart: PathBuf, program: impl Fn(&Machine) -> PathBuf,
    ) -> Self {
        let mut machine = Machine::new(product);
        machine.environment = Engine::shared().environment();
        machine.lay_vault();
        let program = program(&machine);
        let shelf = done(Shelf::new(Engine::shared(), &program));
        let (namespace, charts) = (machine.name.clone(), machine.path("charts"));
        let served = (free_port(), free_port());
        fs::create_dir(&charts).expect("a folder of charts");
        let (listen, port, folder) =
            (format!("127.0.0.1:{}", served.0), served.1.to_string(), charts.display().to_string());
        let repository = ["-m", "http.server", "--bind", "127.0.0.1", "--directory", &folder, &port];
        let servers = vec![
            server(Command::new(&program).args(["releases", "--listen", &listen])),
            server(Command::new("python3").args(repository)),
        ];
        let ports = node_ports(machine.number);
        let gateway = format!("http://{}:{}", cluster.node(), ports.1);
        Self { machine, cluster, namespace, shelf, product, chart, charts, ports, gateway, served, servers }
    }

    /// The chart of a release, in the repository.
    pub fn publish_chart(&self, version: &str) {
        let folder = self.charts.display().to_string();
        let chart = self.chart.display().to_string();
        let as_version = ["--version", version, "--app-version", version, "--destination", &folder];
        self.cluster.helm(&[&["package", &chart][..], &as_version].concat());
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
            true => format!("chart = \"{charts}/{}\"\nplain-http = true\n", self.product),
            false => format!("{line}\n"),
        });
        write(&self.deployment_file(), &lines.collect::<String>());
    }

    /// `server`: what the values call the workload that the operator asks.
    pub fn values_for(&self, server: &str, version: &str) -> String {
        let ((asked, gateway), registry) = (self.ports, self.shelf.registry());
        format!(
            "# Ours.\nregistry: {registry}\nimage:\n  tag: \"{version}\"   # this one runs\n{server}: {{nodePort: {asked}}}\n\
             gateway: {{nodePort: {gateway}}}\n"
        )
    }

    /// The release of a chart that was published, with the daemon's account and the secret of the product's name; and what
    /// lies beside it.
    pub fn install(&self, version: &str, values: &str, rbac: &str, secrets: &[(&str, &str)]) {
        let (cluster, namespace, product) = (&self.cluster, &self.namespace, self.product);
        write(&self.values_file(), values);
        cluster.kubectl(&["create", "namespace", namespace]);
        cluster.apply(&self.path("etc"), namespace, rbac);
        let literals: Vec<String> =
            secrets.iter().map(|(key, value)| format!("--from-literal={key}={value}")).collect();
        let create = ["--namespace", namespace, "create", "secret", "generic", product];
        cluster.kubectl(&create.into_iter().chain(literals.iter().map(String::as_str)).collect::<Vec<_>>());
        let values = self.values_file().display().to_string();
        let chart = self.charts.join(format!("{product}-{version}.tgz")).display().to_string();
        // A hook may come after what it is waited for by: `--wait` would wait for ever.
        cluster.helm(&["install", product, &chart, "--namespace", namespace, "--values", &values, "--timeout", "8m"]);
        let neighbour = self.path("neighbour");
        fs::create_dir_all(neighbour.join("templates")).expect("the folder of a chart");
        write(&neighbour.join("Chart.yaml"), "apiVersion: v2\nname: neighbour\nversion: 1.0.0\n");
        let busybox = Engine::shared().base("busybox:1");
        write(&neighbour.join("templates/all.yaml"), &NEIGHBOUR.replace("BUSYBOX", &busybox));
        cluster.helm(&["install", "neighbour", &neighbour.display().to_string(), "--namespace", namespace]);
    }

    /// As its operator would.
    pub fn upgrade_by_hand(&self, version: &str) {
        let (namespace, product) = (&self.namespace, self.product);
        let chart = self.charts.join(format!("{product}-{version}.tgz")).display().to_string();
        let (values, tag) = (self.values_file().display().to_string(), format!("image.tag={version}"));
        let upgrade = ["upgrade", product, &chart, "--namespace", namespace, "--values", &values, "--set", &tag];
        self.cluster.helm(&[&upgrade[..], &["--wait"]].concat());
    }

    /// Every Deployment of the namespace.
    pub fn stands(&self) {
        let rollout = ["rollout", "status", "deployment", "--timeout", "5m"];
        self.cluster.kubectl(&[&["--namespace", &self.namespace][..], &rollout].concat());
    }

    /// The example's deployment file with this machine's places instead of its own.
    pub fn deploy(&self, example: &str, policy: (&str, &str)) {
        let (product, (index, repository)) = (self.product, self.served);
        let (bound, ours) = (format!("namespace = \"{product}\""), (&self.namespace, self.cluster.helm.display()));
        let home = format!("/opt/{product}");
        let places = [
            ("http://127.0.0.1:8000", format!("http://{}:{}", self.cluster.node(), self.ports.0)),
            ("https://releases.example.com", format!("http://127.0.0.1:{index}")),
            ("https://charts.example.com", format!("http://127.0.0.1:{repository}")),
            (home.as_str(), self.home().display().to_string()),
            ("/etc/upgraded/secrets", self.path("etc").display().to_string()),
            ("/etc/upgraded/kubeconfig", self.account("upgraded").display().to_string()),
            (bound.as_str(), format!("namespace = \"{}\"\nhelm = \"{}\"", ours.0, ours.1)),
            (policy.0, policy.1.to_owned()),
        ];
        write(&self.deployment_file(), &with_places(example, &places));
        self.take_compiled_plugins();
    }

    /// From now on the daemon is as in a pod of the namespace: with its service account's files, and no kubeconfig.
    pub fn moves_into_the_cluster(&mut self) {
        let account: Value = serde_json::from_str(
            &fs::read_to_string(self.path("etc/kubeconfig-upgraded")).expect("the account's kubeconfig"),
        )
        .expect("a kubeconfig");
        let text = |pointer: &str| account.pointer(pointer).and_then(Value::as_str).expect("the kubeconfig says it");
        let (host, port) =
            text("/clusters/0/cluster/server").trim_start_matches("https://").split_once(':').expect("a port");
        let authority = ["get", "configmap", "kube-root-ca.crt", "--output", "jsonpath={.data.ca\\.crt}"];
        let authority = self.cluster.kubectl(&[&["--namespace", &self.namespace][..], &authority].concat());
        let folder = self.path("serviceaccount");
        fs::create_dir_all(&folder).expect("a folder");
        let files = [("token", text("/users/0/user/token")), ("ca.crt", &authority), ("namespace", &self.namespace)];
        for (name, text) in files {
            write(&folder.join(name), text);
        }
        let environment = [("KUBERNETES_SERVICE_HOST", host), ("KUBERNETES_SERVICE_PORT", port)];
        let environment = environment.map(|(name, value)| (name, value.to_owned()));
        // Where the cluster would put them, seen by this daemon alone.
        let enter = "set -e; to=/run/secrets/kubernetes.io/serviceaccount; mount -t tmpfs tmpfs /run; mkdir -p $to; \
                     cp \"$0\"/* $to; exec \"$@\"";
        let through = ["unshare", "--mount", "sh", "-c", enter, &folder.display().to_string()].map(str::to_owned);
        let file = fs::read_to_string(self.deployment_file()).expect("the deployment");
        let without: String =
            file.lines().filter(|line| !line.starts_with("kubeconfig")).map(|line| format!("{line}\n")).collect();
        assert_ne!(file.trim_end(), without.trim_end(), "the deployment named a kubeconfig");
        write(&self.deployment_file(), &without);
        fs::remove_file(self.path("etc/kubeconfig-upgraded")).expect("nobody needs it any more");
        self.machine.environment.extend(environment);
        self.machine.through = through.to_vec();
    }

    /// A namespace, in which the daemon may do nothing.
    pub fn names_a_place_for_rehearsals(&self) {
        let (own, place) = (&self.namespace, self.rehearsals());
        self.cluster.kubectl(&["create", "namespace", &place]);
        let line = format!("namespace = \"{own}\"\n");
        self.edit(|text| text.replace(&line, &format!("{line}rehearsal-namespace = \"{place}\"\n")));
    }

    /// A namespace in which somebody has put one thing, with the daemon's rights there, and its line in the deployment.
    pub fn has_a_place_for_rehearsals(&self) {
        self.names_a_place_for_rehearsals();
        self.has_rights_for_rehearsals();
    }

    pub fn has_rights_for_rehearsals(&self) {
        let (own, place) = (&self.namespace, self.rehearsals());
        let rights = include_str!("../../examples/rbac-rehearsal.yaml");
        self.cluster.apply(
            &self.path("etc"),
            &place,
            &rights.replace("namespace: shop}", &format!("namespace: {own}}}")),
        );
        self.cluster.kubectl(&["--namespace", &place, "create", "configmap", STRANGER]);
    }

    fn rehearsals(&self) -> String {
        format!("{}-rehearsals", self.namespace)
    }

    /// Of doubles; what somebody else has there is still there.
    pub fn left_of_rehearsals(&self) -> String {
        let kinds =
            "deployments,statefulsets,jobs,pods,services,configmaps,secrets,persistentvolumeclaims,networkpolicies";
        let find = ["--namespace", &self.rehearsals(), "get", kinds, "--output", "name"];
        let found = self.cluster.kubectl(&find);
        let mut lines: Vec<&str> = found.lines().filter(|line| !line.ends_with("/kube-root-ca.crt")).collect();
        let stranger = lines.iter().position(|line| *line == format!("configmap/{STRANGER}"));
        lines.remove(stranger.expect("what somebody else has there"));
        lines.join("\n")
    }

    /// What the release consists of, as the cluster counts its changes.
    pub fn objects(&self) -> String {
        let path =
            "jsonpath={range .items[*]}{.kind} {.metadata.name} {.metadata.uid} {.metadata.generation}{\"\\n\"}{end}";
        let kinds = "deployments,statefulsets,pods,services,configmaps,secrets,persistentvolumeclaims,networkpolicies";
        self.cluster.kubectl(&["--namespace", &self.namespace, "get", kinds, "--output", path])
    }

    /// The lines of `[platform.kubernetes]`.
    pub fn binding(&self) -> String {
        let (kubeconfig, helm) = (self.account("upgraded"), self.cluster.helm.display());
        let (namespace, product, repository) = (&self.namespace, self.product, self.served.1);
        format!(
            "kubeconfig = \"{}\"\nhelm = \"{helm}\"\nnamespace = \"{namespace}\"\nrelease = \"{product}\"\n\
             chart = \"{product}\"\nrepository = \"http://127.0.0.1:{repository}\"\n",
            kubeconfig.display()
        )
    }

    /// That nobody but the daemon reads.
    pub fn secret(&self, name: &str, value: &str) {
        done(write_secret(&self.path("etc"), name, value));
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

    /// Number, status and version of each revision, oldest first.
    pub fn revisions(&self) -> Vec<String> {
        let text = self.cluster.helm(&["history", self.product, "--namespace", &self.namespace, "--output", "json"]);
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

    /// Of drills: pods, and their policies.
    pub fn doubles(&self) -> String {
        let label = ["--selector", "upgraded.dev/double"];
        let find = ["--namespace", &self.namespace, "get", "pods,networkpolicies", "--output", "name"];
        self.cluster.kubectl(&[&find[..], &label].concat()).trim().to_owned()
    }

    /// As [`Self::revisions`] would say it, but sooner: Helm reads each revision whole.
    pub fn is_pending(&self) -> bool {
        let selector = format!("owner=helm,name={},status=pending-upgrade", self.product);
        let find = ["--namespace", &self.namespace, "get", "secrets", "--output", "name", "--selector", &selector];
        !self.cluster.kubectl(&find).trim().is_empty()
    }

    /// Everything of the release beside ours, as the cluster counts its changes.
    pub fn neighbour(&self) -> String {
        let path = "jsonpath={range .items[?(@.metadata.annotations.meta\\.helm\\.sh/release-name==\"neighbour\")]}{.kind} {.metadata.name} {.metadata.uid} {.metadata.generation} {.spec.replicas} {.spec.suspend}{\"\\n\"}{end}";
        self.cluster.kubectl(&["--namespace", &self.namespace, "get", "deployments,cronjobs", "--output", path])
    }

    pub fn values_file(&self) -> PathBuf {
        self.home().join("values.yaml")
    }
    pub fn values(&self) -> String {
        fs::read_to_string(self.values_file()).expect("the values")
    }

    /// Users are let in by this version, which `path` tells them; nothing is held, and the release is as the chart says.
    pub fn is_at(&self, version: &str, path: &str) {
        let url = format!("{}{path}", self.gateway);
        // The node's proxy hears of a pod a moment after it is ready, and on a busy machine not at once.
        let knocks = ["--silent", "--fail", "--output", "/dev/null", "--retry", MOMENTS, "--retry-delay", "1"];
        let _ = Command::new("curl").args(knocks).args(["--retry-all-errors", "--max-time", "20", &url]).status();
        let version_for_users = self.version_at(&url);
        assert_eq!(version_for_users, version, "the version behind the gate\n{}", self.log());
        let own = "jsonpath={range .items[*]}{.metadata.name} {.spec.replicas} {.metadata.annotations.upgraded\\.dev/replicas}{\"\\n\"}{end}";
        let scaled = ["get", "deployments,statefulsets", "--output", own];
        let scaled = self.cluster.kubectl(&[&["--namespace", &self.namespace][..], &scaled].concat());
        for line in scaled.lines().filter(|line| line.starts_with(self.product)) {
            let replicas = line.split(' ').nth(1).and_then(|number| number.parse::<u32>().ok()).unwrap_or_default();
            assert!(replicas > 0 && line.trim_end().split(' ').count() == 2, "`{line}` is held\n{}", self.log());
        }
        let newest = self.revisions().pop().expect("a revision");
        let of_version = newest.ends_with(&format!("{}-{version}", self.product));
        assert!(newest.contains(" deployed ") && of_version, "{:#?}\n{}", self.revisions(), self.log());
        let says = format!("tag: \"{version}\"   # this one runs");
        assert!(self.values().contains(&says), "{}", self.values());
        self.nothing_is_left();
    }

    /// What a provisioner made for the namespace's claims, by claim: folders of the node.
    pub fn folders_of_claims(&self) -> Vec<(String, PathBuf)> {
        let path = "jsonpath={range .items[*]}{.spec.claimRef.namespace} {.spec.claimRef.name} {.spec.hostPath.path}{\"\\n\"}{end}";
        let mut all = self.cluster.command("kubectl", &["get", "persistentvolumes", "--output", path]);
        let text = all.stderr(Stdio::null()).output().map(|output| output.stdout).unwrap_or_default();
        let of = |line: &str| {
            let mut words = line.split(' ');
            let own = words.next()? == self.namespace;
            own.then_some((words.next()?.to_owned(), PathBuf::from(words.next()?)))
        };
        String::from_utf8_lossy(&text).lines().filter_map(of).collect()
    }

    /// What the command prints in a pod of the release.
    pub fn inside(&self, pod: &str, command: &str) -> String {
        self.cluster.kubectl(&["--namespace", &self.namespace, "exec", pod, "--", "sh", "-c", command])
    }

    /// Digests of everything in a folder of this machine.
    pub fn files_in(folder: &Path) -> String {
        let find = ["-type", "f", "-exec", "sha256sum", "{}", "+"];
        let text = succeed(Command::new("find").arg(folder).args(find));
        let mut lines: Vec<&str> = text.lines().collect();
        lines.sort_unstable();
        lines.join("\n")
    }

    fn remove_copies(folder: &Path) {
        let name = format!("{}.upgraded-", folder.file_name().unwrap_or_default().to_string_lossy());
        let beside =
            folder.parent().into_iter().flat_map(|parent| fs::read_dir(parent).into_iter().flatten().flatten());
        for copy in beside.filter(|entry| entry.file_name().to_string_lossy().starts_with(&name)) {
            let _ = fs::remove_dir_all(copy.path()).or_else(|_| fs::remove_file(copy.path()));
        }
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

impl Drop for Released {
    fn drop(&mut self) {
        for server in &mut self.servers {
            let _ = server.kill();
            let _ = server.wait();
        }
        for (_, folder) in self.folders_of_claims() {
            Self::remove_copies(&folder);
        }
        let claims = format!("{}-claims", self.namespace);
        let wide = ["delete", "clusterrole,clusterrolebinding", &claims, "--ignore-not-found", "--wait=false"];
        let place = self.rehearsals();
        let namespaces = ["delete", "namespace", &self.namespace, &place, "--ignore-not-found", "--wait=false"];
        for delete in [&namespaces[..], &wide] {
            let mut delete = self.cluster.command("kubectl", delete);
            let _ = delete.stdout(Stdio::null()).stderr(Stdio::null()).status();
        }
    }
}
