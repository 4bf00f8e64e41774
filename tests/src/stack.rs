//! A [`Machine`] with `tessallite` on it: a Compose project of its own on the real engine of the tests, its images in the
//! registry there, its index of releases served beside it.

use crate::machine::{succeed, write};
use crate::Machine;
use scratch_docker::{Engine, ImageConfig, NO_FILES, Project, program_files, registry_has};
use sha2::{Digest, Sha256};
use std::fs;
use std::net::TcpListener;
use std::ops::Deref;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;

const PASSWORD: &str = "a-password-that-nobody-may-read";
pub const SERVICES: [&str; 6] = ["model-service", "query-router", "optimizer", "scheduler", "frontend", "gateway"];

/// Every row of every table but those that say when something ran, and every column.
const DATA: &str = "SELECT line FROM ( \
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
    machine: Machine,
    pub project: Project,
    /// Where users come in.
    pub gateway: String,
    /// Where the operator asks.
    pub frontend: String,
    index: String,
    releases: Child,
    version: &'static str,
}

impl Deref for Stack {
    type Target = Machine;
    fn deref(&self) -> &Machine {
        &self.machine
    }
}

impl Stack {
    /// The release's files lie in a folder, its containers run, its models are there.
    pub fn new(install: &StackInstall) -> Self {
        let engine = Engine::shared();
        let mut machine = Machine::new("tessallite");
        machine.environment = engine.environment();
        let project = engine.project("tessallite");
        let (gateway, frontend, index) = (free_port(), free_port(), free_port());
        let releases = serve_releases(&machine, index);
        let stack = Self {
            project,
            gateway: format!("http://127.0.0.1:{gateway}"),
            frontend: format!("http://127.0.0.1:{frontend}"),
            index: format!("http://127.0.0.1:{index}"),
            releases,
            version: install.version,
            machine,
        };
        stack.publish(install.version);
        let compose = include_str!("../../examples/tessallite/compose.yaml");
        write(&stack.file("compose.yaml"), &compose.replace(":1.4.0", &format!(":{}", install.version)));
        write(
            &stack.file(".env"),
            &format!(
                "# of this machine\nCOMPOSE_PROJECT_NAME={}\nREGISTRY={}\nPOSTGRES_IMAGE={}\nPOSTGRES_PASSWORD={PASSWORD}\n\
                 GATEWAY_PORT={gateway}\nFRONTEND_PORT={frontend}\n",
                stack.project.name(),
                stack.registry(),
                engine.base("postgres:15"),
            ),
        );
        let secret = stack.path("etc/tessallite-postgres");
        write(&secret, PASSWORD);
        fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).expect("the secret is ours alone");
        stack.compose(&["up", "--detach", "--wait", "--quiet-pull"]);
        for name in ["orders", "customers"] {
            stack.append(name);
        }
        stack.lay_vault();
        write(&stack.deployment_file(), &stack.deployment(install.policy));
        stack.take_compiled_plugins();
        stack
    }

    /// The example's own file, with the places of this machine.
    fn deployment(&self, policy: &str) -> String {
        let mut text = include_str!("../../examples/tessallite/deployment.toml").to_owned();
        let engine = format!("engine = \"unix://{}\"", Engine::shared().socket().display());
        for (example, ours) in [
            ("version = \"1.4.0\"", format!("version = \"{}\"", self.version)),
            ("http://127.0.0.1:3000", self.frontend.clone()),
            ("https://releases.example.com/tessallite/releases.json", format!("{}/releases.json", self.index)),
            ("https://releases.example.com", self.index.clone()),
            ("/opt/tessallite", self.home().display().to_string()),
            ("engine = \"unix:///var/run/docker.sock\"", engine),
            ("/etc/upgraded/secrets", self.path("etc").display().to_string()),
            ("window = [\"Sat 02:00-06:00 Europe/Berlin\"]\napprove = \"breaking\"\n", policy.to_owned()),
        ] {
            assert!(text.contains(example), "the example says `{example}`");
            text = text.replace(example, &ours);
        }
        text
    }

    /// Of the project's folder.
    pub fn file(&self, name: &str) -> std::path::PathBuf {
        self.home().join(name)
    }

    /// Puts a release's images into the registry, where they aren't there yet. None stays on the engine, so that whoever
    /// needs one pulls it.
    pub fn publish(&self, version: &str) {
        static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
        let _guard = ONE_AT_A_TIME.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let engine = Engine::shared();
        let program = stripped(&self.programs.tessallite, &self.path("stripped"));
        let common = format!("{}/program:1", self.registry());
        let known = |reference: &str| {
            let (repository, tag) = reference.rsplit_once(':').expect("a tag");
            let repository = repository.strip_prefix(&format!("{}/", engine.registry())).expect("of our registry");
            registry_has(engine.registry(), repository, tag)
        };
        if !known(&common) {
            let config = ImageConfig { keep: true, ..ImageConfig::default() };
            engine.image(&common, Some(&engine.base("busybox:1")), &program_files(&program), &config);
        }
        for service in SERVICES {
            let reference = format!("{}/tessallite/{service}:{version}", self.registry());
            if known(&reference) {
                continue;
            }
            let config = ImageConfig {
                entrypoint: vec!["tessallite".into(), service.into()],
                env: vec![("TESSALLITE_RELEASE".into(), version.into())],
                ..ImageConfig::default()
            };
            engine.image(&reference, Some(&common), NO_FILES, &config);
        }
    }

    /// Of the images of this very program: another build's are others.
    fn registry(&self) -> String {
        let program = fs::read(&self.programs.tessallite).expect("the product's program");
        let digest = Sha256::digest(&program);
        let short: String = digest[..6].iter().map(|byte| format!("{byte:02x}")).collect();
        format!("{}/b{short}", Engine::shared().registry())
    }

    /// `docker compose` as the operator would call it, in the project's folder.
    pub fn compose(&self, arguments: &[&str]) -> String {
        let mut compose = Engine::shared().docker();
        compose.args(["compose", "--progress", "quiet"]).args(arguments).current_dir(self.home());
        succeed(&mut compose)
    }

    pub fn sql(&self, sql: &str) -> String {
        let psql = ["exec", "-T", "postgres", "psql", "-XqAt", "-v", "ON_ERROR_STOP=1", "-U", "tessallite", "-c", sql];
        self.compose(&[&psql[..], &["tessallite"]].concat()).trim_end().to_owned()
    }

    /// Everything that a rollback brings back, a line each.
    pub fn data(&self) -> String {
        self.sql(DATA)
    }

    /// Databases that the daemon made.
    pub fn copies(&self) -> Vec<String> {
        let sql = "SELECT datname FROM pg_database WHERE datname LIKE '%\\_up\\_%' OR datname LIKE 'upgraded\\_drill%'";
        self.sql(sql).lines().map(str::to_owned).collect()
    }

    /// A user writes a model through the gateway.
    pub fn append(&self, name: &str) {
        let body = format!("{{\"name\":\"{name}\",\"rows\":[{{\"key\":\"a\",\"amount\":1}}]}}");
        let url = format!("{}/api/models", self.gateway);
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--show-error", "--fail", "--max-time", "20", "--header"]);
        succeed(curl.args(["content-type: application/json", "--data", &body, &url]));
    }

    /// The image of each service's container, as it was asked for, a line each.
    pub fn images(&self) -> Vec<String> {
        let format = "{{.Service}} {{.Image}}";
        let mut lines: Vec<String> =
            self.compose(&["ps", "--all", "--format", format]).lines().map(str::to_owned).collect();
        lines.sort();
        lines
    }

    /// Volumes, networks and containers of the project, each with its kind.
    pub fn things(&self) -> Vec<String> {
        let mut names = Vec::new();
        let label = format!("label=com.docker.compose.project={}", self.project.name());
        for (kind, format) in [("container", "{{.Names}}"), ("network", "{{.Name}}"), ("volume", "{{.Name}}")] {
            let mut docker = Engine::shared().docker();
            docker.args([kind, "ls", "--filter", &label, "--format", format]);
            if kind == "container" {
                docker.arg("--all");
            }
            names.extend(succeed(&mut docker).lines().map(|name| format!("{kind} {name}")));
        }
        names.sort();
        names
    }

    /// The restart policy of every container, a line each.
    pub fn restart_policies(&self) -> Vec<String> {
        let ids = self.compose(&["ps", "--all", "--quiet"]);
        let mut docker = Engine::shared().docker();
        docker.args(["inspect", "--format", "{{index .Config.Labels \"com.docker.compose.service\"}} {{.HostConfig.RestartPolicy.Name}}"]);
        let mut lines: Vec<String> =
            succeed(docker.args(ids.split_whitespace())).lines().map(str::to_owned).collect();
        lines.sort();
        lines
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
        assert!(policies.iter().all(|line| line.ends_with(" unless-stopped")), "{policies:?}");
        // What the operator would do by hand changes nothing.
        let before = self.compose(&["ps", "--quiet"]);
        self.compose(&["up", "--detach", "--wait", "--pull", "never"]);
        assert_eq!(self.compose(&["ps", "--quiet"]), before, "`docker compose up` makes other containers");
        self.nothing_is_left();
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        let _ = self.releases.kill();
        let _ = self.releases.wait();
    }
}

fn serve_releases(machine: &Machine, port: u16) -> Child {
    let mut command = Command::new(&machine.programs.tessallite);
    command.args(["releases", "--listen", &format!("127.0.0.1:{port}")]);
    command.stdin(Stdio::null()).stdout(Stdio::null()).process_group(0);
    command.spawn().expect("the index of releases is served")
}

/// Without what only a debugger needs: it is copied into images.
fn stripped(program: &Path, place: &Path) -> std::path::PathBuf {
    fs::create_dir_all(place).expect("a folder");
    let out = place.join("tessallite");
    succeed(Command::new("strip").arg("-o").arg(&out).arg(program));
    out
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("it is bound").port()
}
