//! A [`Machine`] on which a product is a Compose project of its own, on the real engine of the tests, with its images in
//! the registry there and its index of releases served beside it.

use crate::Machine;
use crate::machine::{succeed, write};
use scratch_docker::{Engine, ImageConfig, Project, program_files, registry_has};
use sha2::{Digest, Sha256};
use std::fs;
use std::net::TcpListener;
use std::ops::Deref;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;

pub struct Composed {
    machine: Machine,
    engine: Engine,
    pub project: Project,
    /// The product's, in every image.
    program: PathBuf,
    /// `http://…` of the vendor's index.
    pub index: String,
    releases: Child,
}

impl Deref for Composed {
    type Target = Machine;
    fn deref(&self) -> &Machine {
        &self.machine
    }
}

impl Composed {
    /// `program`: the name of the product and of its program.
    pub fn new(product: &'static str, program: impl Fn(&Machine) -> PathBuf) -> Self {
        Self::on(Engine::shared(), product, program)
    }

    /// With the project on this engine; images are made on the shared one.
    pub fn on(engine: &Engine, product: &'static str, program: impl Fn(&Machine) -> PathBuf) -> Self {
        let mut machine = Machine::new(product);
        machine.environment = engine.environment();
        machine.lay_vault();
        let (program, index) = (program(&machine), free_port());
        let mut releases = Command::new(&program);
        releases.args(["releases", "--listen", &format!("127.0.0.1:{index}")]);
        releases.stdin(Stdio::null()).stdout(Stdio::null()).process_group(0);
        let releases = releases.spawn().expect("the index of releases is served");
        let index = format!("http://127.0.0.1:{index}");
        Self { machine, engine: engine.clone(), project: engine.project(product), program, index, releases }
    }

    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Of the project's folder.
    pub fn file(&self, name: &str) -> PathBuf {
        self.home().join(name)
    }

    /// That nobody but the daemon reads.
    pub fn secret(&self, name: &str, value: &str) {
        let file = self.path("etc").join(name);
        write(&file, value);
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).expect("the secret is ours alone");
    }

    /// An example's deployment file with this machine's places instead of its own.
    pub fn deploy(&self, example: &str, places: &[(&str, String)]) {
        let engine = format!("engine = \"unix://{}\"", self.engine.socket().display());
        let secrets = self.path("etc").display().to_string();
        let own = [("engine = \"unix:///var/run/docker.sock\"", engine), ("/etc/upgraded/secrets", secrets)];
        let mut text = example.to_owned();
        for (theirs, ours) in places.iter().chain(&own) {
            assert!(text.contains(theirs), "the example says `{theirs}`");
            text = text.replace(theirs, ours);
        }
        write(&self.deployment_file(), &text);
        self.take_compiled_plugins();
    }

    /// Where the images of this very program are: another build's are others.
    pub fn registry(&self) -> String {
        let program = fs::read(&self.program).expect("the product's program");
        let digest = Sha256::digest(&program);
        let short: String = digest[..6].iter().map(|byte| format!("{byte:02x}")).collect();
        format!("{}/b{short}", Engine::shared().registry())
    }

    /// Puts an image into the registry, where it isn't there yet: the program on busybox. It does not stay on the engine,
    /// so that whoever needs it pulls it.
    pub fn publish_image(&self, name: &str, config: &ImageConfig) {
        static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
        let _guard = ONE_AT_A_TIME.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let engine = Engine::shared();
        let known = |reference: &str| {
            let (repository, tag) = reference.rsplit_once(':').expect("a tag");
            let repository = repository.strip_prefix(&format!("{}/", engine.registry())).expect("of our registry");
            registry_has(engine.registry(), repository, tag)
        };
        let common = format!("{}/program:1", self.registry());
        let reference = format!("{}/{name}", self.registry());
        if known(&reference) {
            return;
        }
        if !known(&common) {
            let program = stripped(&self.program, &self.path("stripped"));
            let config = ImageConfig { keep: true, ..ImageConfig::default() };
            engine.image(&common, Some(&engine.base("busybox:1")), &program_files(&program), &config);
        }
        engine.image(&reference, Some(&common), scratch_docker::NO_FILES, config);
    }

    /// A base image of the tests, beside the product's own.
    pub fn mirror(&self, name: &str) {
        let engine = Engine::shared();
        let reference = format!("{}/{name}", self.registry());
        let own = format!("{}/{name}", engine.registry());
        for arguments in [&["pull", "--quiet", &own][..], &["tag", &own, &reference], &["push", "--quiet", &reference]]
        {
            engine.succeed(arguments);
        }
    }

    /// `docker compose` as the operator would call it, in the project's folder.
    pub fn compose(&self, arguments: &[&str]) -> String {
        let mut compose = self.engine.docker();
        compose.args(["compose", "--progress", "quiet"]).args(arguments).current_dir(self.home());
        succeed(&mut compose)
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
            let mut docker = self.engine.docker();
            docker.args([kind, "ls", "--filter", &label, "--format", format]);
            if kind == "container" {
                docker.arg("--all");
            }
            names.extend(succeed(&mut docker).lines().map(|name| format!("{kind} {name}")));
        }
        names.sort();
        names
    }

    /// Of every container, a line each.
    pub fn restart_policies(&self) -> Vec<String> {
        let ids = self.compose(&["ps", "--all", "--quiet"]);
        let mut docker = self.engine.docker();
        let format = "{{index .Config.Labels \"com.docker.compose.service\"}} {{.HostConfig.RestartPolicy.Name}}";
        docker.args(["inspect", "--format", format]).args(ids.split_whitespace());
        let mut lines: Vec<String> = succeed(&mut docker).lines().map(str::to_owned).collect();
        lines.sort();
        lines
    }

    /// What the operator would do by hand changes nothing: every container is what the files say.
    pub fn is_what_the_files_say(&self) {
        let before = self.compose(&["ps", "--all", "--quiet"]);
        self.compose(&["up", "--detach", "--wait", "--pull", "never"]);
        assert_eq!(self.compose(&["ps", "--all", "--quiet"]), before, "`docker compose up` makes other containers");
    }
}

impl Drop for Composed {
    fn drop(&mut self) {
        let _ = self.releases.kill();
        let _ = self.releases.wait();
    }
}

/// Without what only a debugger needs: it is copied into images.
fn stripped(program: &Path, place: &Path) -> PathBuf {
    fs::create_dir_all(place).expect("a folder");
    let out = place.join(program.file_name().expect("a program has a name"));
    succeed(Command::new("strip").arg("-o").arg(&out).arg(program));
    out
}

pub fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("it is bound").port()
}
