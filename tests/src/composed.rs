//! A [`Machine`] on which a product is a Compose project of its own, on the real engine of the tests, with its images in
//! the registry there and its index of releases served beside it.

use crate::Machine;
use crate::machine::{succeed, write};
pub use scratch_docker::products::free_port;
use scratch_docker::products::{common_places, with_places, write_secret};
use scratch_docker::{Engine, ImageConfig, Project, Shelf};
use std::ops::Deref;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

pub struct Composed {
    machine: Machine,
    engine: Engine,
    pub project: Project,
    pub shelf: Shelf,
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
        let shelf = done(Shelf::new(Engine::shared(), &program));
        Self { machine, engine: engine.clone(), project: engine.project(product), shelf, index, releases }
    }

    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// From now on the daemon is started through this.
    pub fn enter(&mut self, through: Vec<String>) {
        self.machine.through = through;
    }

    /// Of the project's folder.
    pub fn file(&self, name: &str) -> PathBuf {
        self.home().join(name)
    }

    /// That nobody but the daemon reads.
    pub fn secret(&self, name: &str, value: &str) {
        done(write_secret(&self.path("etc"), name, value));
    }

    /// An example's deployment file with this machine's places instead of its own.
    pub fn deploy(&self, example: &str, places: &[(&str, String)]) {
        let own = common_places(&self.engine, &self.path("etc"));
        self.deploy_text(&with_places(example, &[places, &own].concat()));
    }

    pub fn deploy_text(&self, text: &str) {
        write(&self.deployment_file(), text);
        self.take_compiled_plugins();
    }

    pub fn registry(&self) -> &str {
        self.shelf.registry()
    }
    pub fn publish_image(&self, name: &str, config: &ImageConfig) {
        done(self.shelf.publish(name, config));
    }
    pub fn mirror(&self, name: &str) {
        self.mirror_as(name, name);
    }
    pub fn mirror_as(&self, base: &str, name: &str) {
        done(self.shelf.mirror_as(base, name));
    }

    /// `docker compose` as the operator would call it, in the project's folder.
    pub fn compose(&self, arguments: &[&str]) -> String {
        let mut compose = self.engine.compose();
        compose.args(["--progress", "quiet"]).args(arguments).current_dir(self.home());
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

pub fn done<T>(outcome: Result<T, String>) -> T {
    outcome.unwrap_or_else(|why| panic!("{why}"))
}
