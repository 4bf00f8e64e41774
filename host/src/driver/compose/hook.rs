//! What an operator has done inside a service's container around the copy of its data.

use super::Compose;
use crate::config::CommandConfig;
use crate::context::StepContext;
use crate::driver::engine::State;
use crate::driver::process::NamedCommand;
use crate::model::VerbError;

impl Compose {
    /// Runs to its end in the container of a service that runs; false where none does, so that nobody writes.
    pub async fn inside(
        &self, cx: &StepContext, verb: &str, service: &str, argv: &[String],
    ) -> Result<bool, VerbError> {
        self.changeable(cx, verb)?;
        let container = self.container_of(service).await?.filter(|container| container.state == State::Running);
        let Some(container) = container else { return Ok(false) };
        let mut exec = ["docker", "exec", container.id.as_str()].map(str::to_owned).to_vec();
        exec.extend(argv.iter().cloned());
        let config = CommandConfig {
            argv: exec,
            directory: Some(self.directory.clone()),
            environment: self.environment(),
            user: None,
            arguments: false,
            reads_only: false,
        };
        let name = format!("{service} {}", argv.join(" "));
        let command = NamedCommand {
            name: name.clone(),
            args: Vec::new(),
            repeatable: true,
            success: None,
            progress: None,
            idle_ms: 0,
        };
        let exit = self.processes.run_own(cx, verb, &config, command).await?;
        match exit.code {
            0 => Ok(true),
            code => Err(VerbError::other("hook", format!("`{name}` ended with {code}:\n{}", exit.tail.trim_end()))),
        }
    }
}
