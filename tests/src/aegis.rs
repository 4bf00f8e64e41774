//! [`Composed`] with `aegis` on it, on podman: five pods that its operator made by hand, PostgreSQL in one of them.

use crate::composed::{Composed, free_port};
use crate::machine::{succeed, write};
use crate::pod_network::{bridge, make_network};
use scratch_docker::{ImageConfig, Podman, PodmanSocket};
use std::fs;
use std::ops::Deref;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;

const PASSWORD: &str = "a-password-that-nobody-may-read";
/// Where the example has PostgreSQL's image from.
const BASE: &str = "registry.example.com/base/";
const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/aegis");
/// In the order in which they are deployed.
const SERVICES: [&str; 5] = ["database", "secrets", "core", "temporal", "seal-gateway"];

pub struct Aegis<'p> {
    composed: Composed,
    podman: &'p Podman,
    network: String,
    pub gateway: String,
}

impl Deref for Aegis<'_> {
    type Target = Composed;
    fn deref(&self) -> &Composed {
        &self.composed
    }
}

impl<'p> Aegis<'p> {
    /// This release runs, beside this version of Temporal, and a user has agents.
    pub fn new(engine: &'p PodmanSocket, version: &str, temporal: &str, policy: &str) -> Self {
        let composed = Composed::on(engine.engine(), "aegis", |machine| machine.programs.aegis.clone());
        let (gateway, runtime) = (free_port(), free_port());
        let network = composed.name.clone();
        let gateway_url = format!("http://127.0.0.1:{gateway}");
        let aegis = Self { gateway: gateway_url, podman: engine.podman(), network, composed };
        aegis.publish(version);
        for version in ["1.21.3", "1.22.4"] {
            aegis.publish_server("temporal", version);
        }
        aegis.publish_server("openbao", "2.0.1");
        for service in SERVICES {
            let file = format!("pod-{service}.yaml");
            let text = fs::read_to_string(format!("{FOLDER}/pods/{file}")).expect("the example's file");
            write(&aegis.file(&file), &text.replace(BASE, &aegis.engine().base("")));
        }
        for script in ["bootstrap-secrets.sh", "validate.sh"] {
            let place = aegis.file(script);
            fs::copy(format!("{FOLDER}/pods/{script}"), &place).expect("the example's script");
            fs::set_permissions(place, fs::Permissions::from_mode(0o755)).expect("a script");
        }
        let registry = aegis.registry();
        let env = format!(
            "# of this machine\nAEGIS_IMAGE_TAG={version}\nAEGIS_REGISTRY={registry}\n\
             TEMPORAL_IMAGE={registry}/temporal:{temporal}\nOPENBAO_IMAGE={registry}/openbao:2.0.1\n\
             POSTGRES_PASSWORD={PASSWORD}\nGATEWAY_PORT={gateway}\nAEGIS_PORT={runtime}\n"
        );
        write(&aegis.file(".env"), &env);
        aegis.secret("aegis-postgres", PASSWORD);
        aegis.podman.begin(|| {
            make_network(aegis.engine(), &aegis.network, aegis.number);
            SERVICES.iter().for_each(|service| aegis.redeploy(service));
        });
        aegis.forget_neighbours();
        aegis.until("the gateway serves", || !aegis.agents().is_empty());
        ["red", "green", "blue"].iter().for_each(|name| aegis.append(name));
        aegis.deploy_text(&aegis.deployment(version, runtime, policy));
        aegis
    }

    /// Else it has the lowest address of what is plugged into it, with the podman of the tests.
    pub fn bridge_was_told_its_address(&self) -> bool {
        self.podman.interface(&bridge(self.number), "addr_assign_type") == "3"
    }

    /// Which the bridge was when the first pods came is another by now, and for a minute they would find no names.
    fn forget_neighbours(&self) {
        for process in self.podman(&["ps", "--format", "{{.Pid}}"]).lines() {
            // One that just ended knows nobody.
            let _ =
                Command::new("nsenter").args(["--target", process, "--net", "ip", "neigh", "flush", "all"]).output();
        }
    }

    fn deployment(&self, version: &str, runtime: u16, policy: &str) -> String {
        let example = fs::read_to_string(format!("{FOLDER}/deployment.toml")).expect("the example");
        let places = [
            ("version = \"0.1.0\"", format!("version = \"{version}\"")),
            ("http://127.0.0.1:8088", format!("http://127.0.0.1:{runtime}")),
            ("https://releases.example.com/aegis/releases.json", format!("{}/releases.json", self.index)),
            ("https://releases.example.com", self.index.clone()),
            ("/opt/aegis", self.home().display().to_string()),
            ("unix:///run/podman/podman.sock", format!("unix://{}", self.engine().socket().display())),
            ("networks = [\"aegis\"]", format!("networks = [\"{}\"]", self.network)),
            ("/etc/upgraded/secrets", self.path("etc").display().to_string()),
            (
                "window = [\"Sat 02:00-06:00 Europe/Berlin\"]\napprove = \"breaking\"\ndrill = \"final\"\n",
                policy.to_owned(),
            ),
        ];
        places.iter().fold(example, |text, (theirs, ours)| {
            assert!(text.contains(theirs), "the example says `{theirs}`");
            text.replace(theirs, ours)
        })
    }

    /// The images of a release.
    pub fn publish(&self, version: &str) {
        for service in ["runtime", "temporal-worker", "seal-gateway"] {
            let config = ImageConfig {
                entrypoint: vec!["aegis".into(), service.into()],
                env: vec![("AEGIS_RELEASE".into(), version.into())],
                ..ImageConfig::default()
            };
            self.publish_image(&format!("aegis-{service}:{version}"), &config);
        }
    }

    fn publish_server(&self, name: &str, version: &str) {
        let entrypoint = vec!["aegis".into(), name.into()];
        self.publish_image(&format!("{name}:{version}"), &ImageConfig { entrypoint, ..ImageConfig::default() });
    }

    /// `make redeploy POD=…`, by hand: `envsubst`, and `podman kube play --replace`.
    pub fn redeploy(&self, service: &str) {
        succeed(&mut self.play(service));
    }

    /// The same, as systemd calls it for a unit.
    pub fn redeploy_by(&self, unit: &str, service: &str) {
        succeed(self.play(service).env("PODMAN_SYSTEMD_UNIT", unit));
    }

    fn play(&self, service: &str) -> Command {
        let read = |name: &str| fs::read_to_string(self.file(name)).expect("a file of the project");
        let env = read(".env");
        let pairs = env.lines().filter_map(|line| line.split_once('='));
        let pod = pairs.fold(read(&format!("pod-{service}.yaml")), |text, (key, value)| {
            text.replace(&format!("${{{key}}}"), value)
        });
        let file = self.path(&format!("played-{service}.yaml"));
        write(&file, &pod);
        let mut play = self.podman.command();
        play.args(["kube", "play", "--quiet", "--replace", "--network", &self.network]).arg(file);
        play
    }

    /// In `.env`.
    pub fn set(&self, key: &str, value: &str) {
        let text = fs::read_to_string(self.file(".env")).expect("`.env`");
        let line = |line: &str| match line.split_once('=') {
            Some((known, _)) if known == key => format!("{key}={value}\n"),
            _ => format!("{line}\n"),
        };
        write(&self.file(".env"), &text.lines().map(line).collect::<String>());
    }

    pub fn env(&self) -> String {
        fs::read_to_string(self.file(".env")).expect("`.env`")
    }

    /// `podman`, as the operator would call it.
    pub fn podman(&self, arguments: &[&str]) -> String {
        succeed(self.podman.command().args(arguments)).trim_end().to_owned()
    }

    fn curl(&self, arguments: &[&str]) -> Option<String> {
        let output = Command::new("curl").args(["--silent", "--fail", "--max-time", "10"]).args(arguments).output();
        let output = output.expect("`curl`");
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// A user does, through the gateway.
    pub fn append(&self, name: &str) {
        let (body, url) = (format!("{{\"name\":\"{name}\"}}"), format!("{}/v1/agents", self.gateway));
        let added = self.curl(&["--header", "content-type: application/json", "--data", &body, &url]);
        assert!(added.is_some(), "an agent is added\n{}", self.log());
    }

    /// As a user sees them; nothing where the gateway does not serve.
    pub fn agents(&self) -> String {
        self.curl(&[&format!("{}/v1/agents", self.gateway)]).unwrap_or_default()
    }

    /// What PostgreSQL has, a line each: columns and agents.
    pub fn data(&self) -> String {
        self.sql(
            "SELECT 'agent ' || t::text FROM agents t UNION ALL \
             SELECT concat_ws(' ', 'column', table_name, column_name) FROM information_schema.columns \
             WHERE table_schema = 'public' ORDER BY 1",
        )
    }

    pub fn sql(&self, sql: &str) -> String {
        self.podman(&["exec", "aegis-database-postgres", "psql", "-XqAt", "-U", "aegis", "-c", sql])
    }

    /// Somebody else's role on the server, with a password and a setting.
    pub fn add_reader(&self) {
        self.sql("CREATE ROLE reader LOGIN PASSWORD 'of-the-reader'");
        self.sql("ALTER ROLE reader SET work_mem = '9MB'; GRANT SELECT ON agents TO reader");
    }

    /// The server's major version, what it set for its reader, and how many agents that one sees.
    pub fn read(&self) -> String {
        let sql = "SELECT current_setting('server_version_num')::int / 10000, current_setting('work_mem'), count(*) \
                   FROM agents";
        let address = "postgres://reader:of-the-reader@127.0.0.1/aegis";
        self.podman(&["exec", "aegis-database-postgres", "psql", "-XqAt", "-c", sql, address])
    }

    /// Where podman keeps the database's files.
    pub fn database_folder(&self) -> PathBuf {
        self.podman(&["volume", "inspect", "--format", "{{.Mountpoint}}", "aegis-postgres-data"]).into()
    }

    /// Every pod's name and containers with their images, those of pods alone.
    pub fn pods(&self) -> Vec<String> {
        let format = "{{.PodName}} {{.Names}} {{.Image}} {{.State}}";
        let lines = self.podman(&["ps", "--all", "--pod", "--format", format]);
        // How long it has been up is no matter.
        let told = |line: &str| match line.split_once(" Up ") {
            Some((what, _)) => format!("{what} running"),
            None => line.to_owned(),
        };
        let mut lines: Vec<String> = lines.lines().filter(|line| !line.contains("-infra ")).map(told).collect();
        lines.sort();
        lines
    }

    pub fn volumes(&self) -> String {
        self.podman(&["volume", "ls", "--quiet", "--filter", "name=aegis"])
    }

    /// Users are let in by this version, its pods are what the files say, and of runs nothing is left.
    pub fn is_whole(&self, version: &str, data: &str) {
        let health = format!("{}/health", self.gateway);
        // While a pod comes, podman's name server reads its files anew, and may not know a name for a moment.
        self.until("the gateway finds the core", || self.curl(&[&health]).is_some());
        assert_eq!(self.version_at(&health), version, "behind the gate\n{}", self.log());
        assert!(self.env().contains(&format!("AEGIS_IMAGE_TAG={version}\n")), "{}", self.env());
        let pods = self.pods();
        for (container, image) in [
            ("aegis-core aegis-core-runtime", "aegis-runtime"),
            ("aegis-temporal aegis-temporal-worker", "aegis-temporal-worker"),
            ("aegis-seal-gateway aegis-seal-gateway-gateway", "aegis-seal-gateway"),
        ] {
            let line = format!("{container} {}/{image}:{version} running", self.registry());
            assert!(pods.contains(&line), "`{line}`: {pods:#?}");
        }
        assert_eq!(self.data(), data, "the data of {version}\n{}", self.log());
        self.nothing_is_left();
    }

    fn until(&self, what: &str, is: impl Fn() -> bool) {
        let began = std::time::Instant::now();
        while !is() {
            assert!(began.elapsed().as_secs() < 120, "waited until {what}: {:#?}", self.pods());
            std::thread::sleep(std::time::Duration::from_millis(100));
        }
    }

    /// A pod of somebody else's; its ID.
    pub fn neighbour(&self) -> String {
        let image = self.engine().base("busybox:1");
        let text = format!(
            "apiVersion: v1\nkind: Pod\nmetadata:\n  name: neighbour\nspec:\n  containers:\n    - name: sleeper\n      \
             image: {image}\n      command: [sleep, \"100000\"]\n"
        );
        let file = self.path("neighbour.yaml");
        write(&file, &text);
        succeed(self.podman.command().args(["kube", "play", "--quiet"]).arg(file));
        self.neighbours_state()
    }

    pub fn neighbours_state(&self) -> String {
        let format = "{{.ID}} {{.Names}} {{.StartedAt}}";
        self.podman(&["ps", "--all", "--filter", "pod=neighbour", "--format", format])
    }
}

impl Drop for Aegis<'_> {
    /// The next one on this podman has the same names.
    fn drop(&mut self) {
        let quiet = |arguments: &[&str]| {
            // What is wrong, the next one says.
            let _ = self.podman.command().args(arguments).output();
        };
        quiet(&["pod", "rm", "--all", "--force", "--time", "0"]);
        quiet(&["volume", "rm", "--all", "--force"]);
        quiet(&["network", "rm", "--force", &self.network]);
    }
}
