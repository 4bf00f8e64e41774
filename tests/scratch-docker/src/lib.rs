//! A real Docker engine with a registry beside it, for tests: one that the environment names (`UPGRADED_TEST_DOCKER`,
//! `UPGRADED_TEST_REGISTRY`), or the project's own, which `cargo xtask engine up` starts. Nothing here starts or stops an
//! engine. For tests it panics with what is missing; what demo and bench use too says it in a `Result`.

mod account;
mod image;
mod place;
mod podman;
pub mod products;
mod program;
mod project;
mod second;
mod shelf;
mod systemd;

pub use account::{Account, RootlessDocker};
pub use image::{ImageConfig, NO_FILES};
pub use place::{
    GIVEN_ENGINE, GIVEN_REGISTRY, OLD_ENGINE, OWN_REGISTRY, Own, PODMAN, QUADLET, ROOTLESS, ping, ping_registry,
    registry_has,
};
pub use podman::{Podman, PodmanSocket};
pub use program::program_files;
pub use project::Project;
pub use second::Second;
pub use shelf::Shelf;
pub use systemd::Systemd;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

#[derive(Clone, Debug)]
pub struct Engine {
    socket: PathBuf,
    registry: String,
    own: Option<Own>,
}

impl Engine {
    /// All that there are, with the volumes that have no name.
    fn remove_containers(&self) {
        let listed = self.docker().args(["container", "ls", "--all", "--quiet"]).output();
        let ids = listed.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
        if !ids.is_empty() {
            let mut remove = self.docker();
            remove.args(["container", "rm", "--force", "--volumes"]).args(ids.split_whitespace());
            let _ = remove.stdout(Stdio::null()).status();
        }
    }

    /// The one that this machine's tests use. Containers, images and networks are the whole engine's: tests name theirs
    /// apart, see [`Engine::project`].
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Engine> = OnceLock::new();
        SHARED.get_or_init(|| {
            let engine = match Self::given() {
                Ok(Some(engine)) => engine,
                Ok(None) => Self::own(Own::of_this_user().unwrap_or_else(|why| panic!("{why}"))),
                Err(why) => panic!("{why}"),
            };
            let socket = engine.socket.display();
            assert!(
                ping(&engine.socket),
                "no Docker engine answers on `{socket}`; `cargo xtask engine up` starts one, or {GIVEN_ENGINE} and \
                 {GIVEN_REGISTRY} name one"
            );
            engine
        })
    }

    /// The one that the environment names, where it names one.
    pub fn given() -> Result<Option<Self>, String> {
        let read = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        Self::of(read(GIVEN_ENGINE), read(GIVEN_REGISTRY))
    }

    fn of(engine: Option<String>, registry: Option<String>) -> Result<Option<Self>, String> {
        let (engine, registry) = match (engine, registry) {
            (None, None) => return Ok(None),
            (Some(engine), Some(registry)) => (engine, registry),
            (Some(_), None) => return Err(format!("{GIVEN_ENGINE} needs {GIVEN_REGISTRY}=host:port beside it")),
            (None, Some(_)) => return Err(format!("{GIVEN_REGISTRY} needs {GIVEN_ENGINE}=unix:///path beside it")),
        };
        let Some(socket) = engine.strip_prefix("unix://").filter(|path| path.starts_with('/')) else {
            return Err(format!("{GIVEN_ENGINE}={engine}: it has to be `unix:///path/of/a.sock`"));
        };
        let socket = PathBuf::from(socket);
        let own = Own::of_this_user().ok().filter(|own| own.socket() == socket);
        Ok(Some(Self { socket, registry, own }))
    }

    pub fn own(own: Own) -> Self {
        Self { socket: own.socket(), registry: OWN_REGISTRY.to_owned(), own: Some(own) }
    }

    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// `host:port`, also the first part of a reference to an image in it.
    pub fn registry(&self) -> &str {
        &self.registry
    }

    /// Reference of a base image in the registry: `postgres:15`, `mariadb:10.11`, `nginx:1`, `busybox:1`.
    pub fn base(&self, name: &str) -> String {
        format!("{}/base/{name}", self.registry)
    }

    /// The command line, with Compose and buildx, pointed at this engine.
    pub fn docker(&self) -> Command {
        let program = self.own.as_ref().map_or_else(|| PathBuf::from("docker"), |own| own.cli().join("docker"));
        self.client(program)
    }

    /// `docker compose`; the plugin itself where it is known, which `docker` would start twice.
    pub fn compose(&self) -> Command {
        if let Some(own) = &self.own {
            return self.client(own.config().join("cli-plugins/docker-compose"));
        }
        let mut compose = self.docker();
        compose.arg("compose");
        compose
    }

    fn client(&self, program: PathBuf) -> Command {
        let mut client = Command::new(program);
        client.envs(self.environment()).env_remove("DOCKER_CONTEXT").stdin(Stdio::null());
        client
    }

    /// What other programs need to find this engine and its command line.
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        let mut variables = vec![("DOCKER_HOST", format!("unix://{}", self.socket.display()))];
        if let Some(own) = &self.own {
            let path = std::env::var("PATH").unwrap_or_default();
            let cli = own.cli().display().to_string();
            let first = path.split(':').next() == Some(&*cli);
            variables.push(("DOCKER_CONFIG", own.config().display().to_string()));
            variables.push(("PATH", if first { path } else { format!("{cli}:{path}") }));
        }
        variables
    }

    /// A Compose project of a name that nothing else has; `prefix` is of `a-z0-9_-` and begins with a letter.
    pub fn project(&self, prefix: &str) -> Project {
        Project::new(self, prefix)
    }

    /// Its output without the last line break; panics with its words.
    pub fn succeed(&self, arguments: &[&str]) -> String {
        self.try_to(arguments).unwrap_or_else(|why| panic!("{why}"))
    }

    /// The same, or its words.
    pub fn try_to(&self, arguments: &[&str]) -> Result<String, String> {
        self.feed(arguments, &[])
    }

    fn feed(&self, arguments: &[&str], input: &[u8]) -> Result<String, String> {
        let mut docker = self.docker();
        docker.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = docker.spawn().map_err(|error| format!("`docker` did not start: {error}"))?;
        let mut stdin = child.stdin.take().expect("it is piped");
        // One that ends before it has read everything says why below.
        let _ = stdin.write_all(input);
        drop(stdin);
        let output = child.wait_with_output().expect("it was started");
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            return Err(format!("`docker {}`: {}", arguments.join(" "), said.trim_end()));
        }
        Ok(String::from_utf8_lossy(&output.stdout).trim_end().to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(engine: Option<&str>, registry: Option<&str>) -> Result<Option<Engine>, String> {
        Engine::of(engine.map(str::to_owned), registry.map(str::to_owned))
    }

    #[test]
    fn an_engine_is_given_with_its_registry() {
        let engine = given(Some("unix:///run/docker.sock"), Some("127.0.0.1:5000")).unwrap().unwrap();
        assert_eq!(engine.socket(), Path::new("/run/docker.sock"));
        assert_eq!(engine.base("nginx:1"), "127.0.0.1:5000/base/nginx:1");
        assert!(given(None, None).unwrap().is_none());
        assert!(given(Some("unix:///run/docker.sock"), None).unwrap_err().contains("UPGRADED_TEST_REGISTRY"));
        assert!(given(None, Some("127.0.0.1:5000")).unwrap_err().contains("UPGRADED_TEST_DOCKER"));
        assert!(given(Some("tcp://10.0.0.1:2375"), Some("a:1")).unwrap_err().contains("unix:///"));
    }
}
