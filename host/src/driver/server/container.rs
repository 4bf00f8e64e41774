//! Runs a tool of the server's own image.

use super::{Around, TOOL_LABEL};
use crate::driver::engine::Container;
use std::path::Path;
use tokio::process::Command;

/// A tool runs in a fresh container of the server's image, in a network from which the server's container is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InContainer {
    /// `docker run …` with where the engine is.
    argv: Vec<String>,
    environment: Vec<(String, String)>,
    image: String,
}

impl InContainer {
    /// `folder`: of the machine, for the tool to read.
    pub fn new(around: &Around, container: &Container, folder: Option<&Path>) -> Self {
        // Not `--rm`: podman forgets how a container ended that it removes by itself. `Server::clear` removes it.
        // What it says goes to us alone: the engine would keep a whole dump as its log.
        let mut argv: Vec<String> = ["run", "--pull=never", "--user=0:0", "--log-driver=none"].map(String::from).into();
        argv.push(format!("--network={}", around.network_of(container)));
        argv.extend(folder.map(|folder| format!("--volume={0}:{0}:ro", folder.display())));
        Self { argv, environment: around.client_environment(), image: container.image_id.clone() }
    }

    /// `handed_on`: the variables of the client that the tool sees, by name: a value on the client's command line would
    /// be for everybody to see.
    pub fn command(&self, program: &Path, mark: &str, handed_on: &[&str]) -> Command {
        let mut command = Command::new("docker");
        command.env_clear().envs(self.environment.iter().map(|(name, value)| (name, value)));
        command.args(&self.argv).arg(format!("--label={TOOL_LABEL}={mark}"));
        command.args(handed_on.iter().map(|name| format!("--env={name}")));
        command.arg(format!("--entrypoint={}", program.display())).arg(&self.image);
        command
    }
}
