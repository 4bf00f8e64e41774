//! Behind `services` and `control`: systemd units, or start, stop and status commands.

use crate::context::StepContext;
use crate::model::*;
use crate::plan::event::{Effect, Verdict};

pub struct Services {}

#[allow(unused_variables, reason = "signatures first")]
impl Services {
    pub async fn list(&self, cx: &StepContext) -> Result<Vec<ServiceState>, VerbError> {
        todo!()
    }
    pub async fn wait_healthy(
        &self, cx: &StepContext, names: &[ServiceRef], idle_ms: u64,
    ) -> Result<Vec<ServiceState>, VerbError> {
        todo!()
    }
    pub async fn follow(&self, cx: &StepContext, watch: &Watch) -> Result<String, VerbError> {
        todo!()
    }
    pub async fn start(&self, cx: &StepContext, names: &[ServiceRef]) -> Result<(), VerbError> {
        todo!()
    }
    pub async fn stop(&self, cx: &StepContext, names: &[ServiceRef]) -> Result<(), VerbError> {
        todo!()
    }
    pub async fn fence_and_probe(&self, effect: &Effect) -> Verdict {
        todo!()
    }
}
