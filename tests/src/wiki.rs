//! [`Composed`] with a small product on podman, in a systemd of its own: pages in a volume, behind a pod that a quadlet starts;
//! a pod that a unit of the operator's starts; and one that its operator made by hand.

use crate::composed::{Composed, free_port};
use crate::machine::{succeed, write};
use crate::pod_network::{IN_SYSTEMD, make_network};
use scratch_docker::{ImageConfig, Podman, PodmanSocket, Systemd};
use std::fs;
use std::ops::Deref;
use std::time::{Duration, Instant};

/// The first, a good one, one that takes the pages away and ends, and one that answers as another.
pub const RELEASES: [&str; 4] = ["1.0.0", "1.1.0", "1.2.0", "1.3.0"];
/// Of the quadlet `wiki-web.kube`, and of the operator's own.
pub const UNITS: [&str; 2] = ["wiki-web.service", "wiki-worker.service"];
const PATIENCE: Duration = Duration::from_secs(60);

const WEB: &str = r#"trap 'exit 0' TERM
grep -qx "migrated to $RELEASE" /data/pages || {
  test "$RELEASE" != 1.2.0 || { rm /data/pages; echo the pages are gone; sleep 1; exit 3; }
  echo "migrated to $RELEASE" >> /data/pages
}
test "$RELEASE" != 1.3.0 || RELEASE=1.2.9
mkdir -p /www && echo "{\"version\":\"$RELEASE\"}" > /www/version
httpd -f -p 8080 -h /www & wait $!"#;
const WORKER: &str = "trap 'exit 0' TERM; while :; do sleep 1 & wait $!; done";

const POD: &str = "apiVersion: v1
kind: Pod
metadata:
  name: wiki-{service}
spec:
  containers:
    - name: main
      image: {registry}/wiki/{service}:{version} # the release
";
const OF_WEB: &str = "      ports: [{ containerPort: 8080, hostPort: {port}, hostIP: 127.0.0.1 }]
      livenessProbe:
        exec: { command: [wget, -qO-, 'http://127.0.0.1:8080/version'] }
        periodSeconds: 1
        timeoutSeconds: 20
      volumeMounts: [{ name: pages, mountPath: /data }]
  volumes:
    - name: pages
      persistentVolumeClaim: { claimName: wiki-pages }
";

pub struct Wiki<'p> {
    composed: Composed,
    podman: &'p Podman,
    network: String,
    url: String,
}

impl Deref for Wiki<'_> {
    type Target = Composed;
    fn deref(&self) -> &Composed {
        &self.composed
    }
}

impl<'p> Wiki<'p> {
    /// The first release runs, with pages.
    pub fn new(engine: &'p PodmanSocket) -> Self {
        let mut composed = Composed::on(engine.engine(), "wiki", |machine| machine.programs.tessallite.clone());
        composed.enter(engine.podman().systemd().enter());
        let (port, network) = (free_port(), composed.name.clone());
        let wiki = Self { composed, podman: engine.podman(), network, url: format!("http://127.0.0.1:{port}") };
        for release in RELEASES {
            for (service, script) in [("web", WEB), ("worker", WORKER), ("edge", WORKER)] {
                let config = ImageConfig {
                    entrypoint: ["sh", "-c", script].map(String::from).into(),
                    env: vec![("RELEASE".into(), release.into())],
                    ..ImageConfig::default()
                };
                wiki.publish_image(&format!("wiki/{service}:{release}"), &config);
            }
        }
        for (service, more) in [("web", OF_WEB), ("worker", ""), ("edge", "")] {
            let text = format!("{POD}{more}").replace("{service}", service).replace("{version}", RELEASES[0]);
            let text = text.replace("{registry}", wiki.registry()).replace("{port}", &port.to_string());
            write(&wiki.file(&format!("pod-{service}.yaml")), &text);
        }
        wiki.podman.begin(|| wiki.install());
        wiki.until("the wiki serves", || wiki.curl("version").contains("1.0.0"));
        wiki.podman(&["exec", "wiki-web-main", "sh", "-c", "echo the first page >> /data/pages"]);
        wiki.deploy_text(&wiki.deployment());
        wiki
    }

    /// What an operator has done once, by hand.
    fn install(&self) {
        make_network(self.engine(), &self.network, IN_SYSTEMD + self.number);
        self.podman(&["volume", "create", "wiki-pages"]);
        let volume = self.podman(&["volume", "inspect", "--format", "{{.Mountpoint}}", "wiki-pages"]);
        write(&std::path::Path::new(&volume).join("pages"), "");
        let (web, worker) = (self.file("pod-web.yaml"), self.file("pod-worker.yaml"));
        let quadlet = format!(
            "[Unit]\nDescription=The wiki\n\n[Kube]\nYaml={}\nNetwork={}\n\n[Service]\nRestart=always\n\n[Install]\n\
             WantedBy=default.target\n",
            web.display(),
            self.network
        );
        self.systemd().write_quadlet("wiki-web.kube", &quadlet);
        self.systemd().write_unit("wiki-worker.service", &self.own_unit(&worker.display().to_string()));
        self.systemd().enable("wiki-worker.service");
        self.systemd().systemctl(&["daemon-reload"]);
        UNITS.iter().for_each(|unit| drop(self.systemd().systemctl(&["start", unit])));
        let edge = self.file("pod-edge.yaml").display().to_string();
        self.podman(&["kube", "play", "--quiet", "--network", &self.network, &edge]);
    }

    /// One that calls `podman kube play` and is over.
    pub fn own_unit(&self, played: &str) -> String {
        format!(
            "[Service]\nType=oneshot\nRemainAfterExit=yes\nEnvironment=PODMAN_SYSTEMD_UNIT=%n\n\
             ExecStart=podman kube play --replace --network {} {played}\nExecStop=podman kube down {played}\n",
            self.network
        )
    }

    fn deployment(&self) -> String {
        let releases: Vec<String> = RELEASES.iter().map(|version| format!("{{ version = \"{version}\" }}")).collect();
        format!(
            "product = \"generic\"\nversion = \"{}\"\n\n[settings]\nservices = [\"web\", \"worker\", \"edge\"]\n\
             undo = [\"restore-data\"]\nversion-url = \"{url}/version\"\nversion-field = \"version\"\nhttp = [\"{url}\"]\n\
             attempts = 20\npause-ms = 500\nreleases = [{}]\n\n[platform]\nplugin = \"podman\"\ndirectory = \"{}\"\n\
             engine = \"unix://{}\"\npods = [\"pod-web.yaml\", \"pod-worker.yaml\", \"pod-edge.yaml\"]\n\
             networks = [\"{}\"]\nversion-containers = [\"web/main\", \"worker/main\", \"edge/main\"]\n\n\
             [datastores.pages]\nplugin = \"files\"\npaths = {{ pages = \"volume:wiki-pages\" }}\n\n\
             [policy]\napprove = \"never\"\ndrill = \"off\"\nidle = \"60s\"\n",
            RELEASES[0],
            releases.join(", "),
            self.home().display(),
            self.engine().socket().display(),
            self.network,
            url = self.url,
        )
    }

    pub fn systemd(&self) -> &Systemd {
        self.podman.systemd()
    }

    /// The power of everything fails, of the tests' registry and of who looks at it apart.
    pub fn reboot(&self) {
        self.podman.reboot();
    }

    /// `podman`, as the operator would call it.
    pub fn podman(&self, arguments: &[&str]) -> String {
        succeed(self.podman.command().args(arguments)).trim_end().to_owned()
    }

    pub fn pages(&self) -> String {
        self.podman(&["exec", "wiki-web-main", "cat", "/data/pages"])
    }

    /// Of every container but the engine's own: its image, and the unit that made it. `which`: as `podman ps` takes it.
    fn listed(&self, which: &[&str]) -> Vec<String> {
        let format = "{{.Names}} {{.Image}} {{index .Labels \"PODMAN_SYSTEMD_UNIT\"}}";
        let lines = self.podman(&[&["ps", "--format", format], which].concat());
        let own = |line: &&str| !line.contains("podman-pause");
        let mut lines: Vec<String> = lines.lines().filter(own).map(|line| line.trim_end().to_owned()).collect();
        lines.sort();
        lines
    }

    /// Of those that don't run, too.
    pub fn containers(&self) -> Vec<String> {
        self.listed(&["--all"])
    }

    /// Every unit made its own pod, of this version, and nothing is beside them or left of a run.
    pub fn is_whole(&self, version: &str, pages: &str) {
        assert_eq!(self.version_at(&format!("{}/version", self.url)), version, "{}", self.log());
        let image = |service: &str| format!("{}/wiki/{service}:{version}", self.registry());
        assert_eq!(self.containers(), self.listed(&[]), "all of them run");
        assert_eq!(
            self.containers(),
            [
                format!("wiki-edge-main {}", image("edge")),
                format!("wiki-web-main {} {}", image("web"), UNITS[0]),
                format!("wiki-worker-main {} {}", image("worker"), UNITS[1]),
            ],
            "{}",
            self.log()
        );
        for unit in UNITS {
            assert_eq!(self.systemd().state(unit), "active", "`{unit}`\n{}", self.systemd().log());
        }
        let made = self.podman(&["pod", "ls", "--filter", "label=upgraded.service", "--format", "{{.Name}}"]);
        assert!(made.is_empty() || made == "wiki-edge", "the daemon makes no pod of a unit's: {made}");
        assert_eq!(self.pages(), pages);
        self.nothing_is_left();
    }

    fn curl(&self, path: &str) -> String {
        let url = format!("{}/{path}", self.url);
        let mut curl = std::process::Command::new("curl");
        let output = curl.args(["--silent", "--max-time", "5", &url]).output().expect("`curl`");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    pub fn until(&self, what: &str, is: impl Fn() -> bool) {
        let began = Instant::now();
        while !is() {
            let state = || format!("{:#?}\n{}", self.containers(), self.systemd().log());
            assert!(began.elapsed() < PATIENCE, "waited until {what}: {}", state());
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    pub fn text(&self, name: &str) -> String {
        fs::read_to_string(self.file(name)).expect("a file of the project")
    }
}
