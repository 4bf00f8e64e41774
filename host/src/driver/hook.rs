//! What an operator has done inside a service's container around the copy of its data.

use super::Drivers;
use super::engine::State;
use super::process::NamedCommand;
use crate::config::{CommandConfig, EnvironmentValue};
use crate::context::{Site, StepContext};
use crate::model::VerbError;
use std::collections::BTreeMap;

impl Drivers {
    /// Runs to its end in the container of a service of this platform that runs; false where none does, so that nobody
    /// writes.
    pub async fn inside(
        &self, cx: &StepContext, verb: &str, service: &str, argv: &[String],
    ) -> Result<bool, VerbError> {
        cx.effects.may_change(verb)?;
        if cx.site != Site::Live {
            return Err(VerbError::Denied(format!("`{verb}` works on the live site, and this is a drill")));
        }
        let around = self.around().ok_or_else(|| VerbError::Invalid(format!("`{service}` runs in no container")))?;
        let container = around.container_of(service).await?.filter(|container| container.state == State::Running);
        let Some(container) = container else { return Ok(false) };
        let mut exec = ["docker", "exec", container.id.as_str()].map(str::to_owned).to_vec();
        exec.extend(argv.iter().cloned());
        let engine = EnvironmentValue::Plain(around.engine().host());
        let config = CommandConfig {
            argv: exec,
            directory: None,
            environment: BTreeMap::from([("DOCKER_HOST".to_owned(), engine)]),
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
        let exit = self.process.run_own(cx, verb, &config, command).await?;
        match exit.code {
            0 => Ok(true),
            code => Err(VerbError::other("hook", format!("`{name}` ended with {code}:\n{}", exit.tail.trim_end()))),
        }
    }
}
