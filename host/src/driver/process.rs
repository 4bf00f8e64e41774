//! Behind `process`: commands that the operator named, run as jobs that outlive the daemon and are found again.

use crate::context::StepContext;
use crate::model::*;
use crate::plan::event::{Effect, Verdict};

pub struct Processes {}

#[allow(unused_variables, reason = "signatures first")]
impl Processes {
    pub async fn list(&self, cx: &StepContext) -> Result<Vec<String>, VerbError> {
        todo!()
    }
    pub async fn run(&self, cx: &StepContext, command: &NamedCommand) -> Result<CommandExit, VerbError> {
        todo!()
    }
    pub async fn fence_and_probe(&self, effect: &Effect) -> Verdict {
        todo!()
    }
}

/// A command of the deployment's file, as a plugin asks for it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct NamedCommand {
    pub name: String,
    pub args: Vec<String>,
    pub repeatable: bool,
    pub success: Option<String>,
    pub progress: Option<String>,
    pub idle_ms: u64,
}
