//! The seam to what runs a platform's services, where that isn't the host's own processes.

use super::OpenFile;
use crate::context::StepContext;
use crate::model::{ServiceRef, ServiceState, VerbError, Watch};
use async_trait::async_trait;
use std::time::Duration;

/// Behind `services` and `control` for one platform. Every service that is named is one of that platform's, and whether
/// it may be changed was asked before; what changes anything is journaled by the orchestrator itself, under the verb's
/// name and [`super::handle`].
#[async_trait]
pub trait Orchestrator: Send + Sync {
    async fn list(&self) -> Result<Vec<ServiceState>, VerbError>;
    async fn wait_healthy(
        &self, cx: &StepContext, name: &ServiceRef, idle: Duration,
    ) -> Result<ServiceState, VerbError>;
    async fn follow(&self, cx: &StepContext, watch: &Watch, idle: Duration) -> Result<String, VerbError>;
    async fn start(&self, cx: &StepContext, names: &[ServiceRef]) -> Result<(), VerbError>;
    async fn roll(&self, cx: &StepContext, names: &[ServiceRef], idle: Duration) -> Result<(), VerbError>;
    async fn stop(&self, cx: &StepContext, names: &[ServiceRef]) -> Result<(), VerbError>;
    /// For a start, roll or stop that a crash left without an end: ends what a gone daemon left at work, and says
    /// whether everything is as was wanted.
    async fn fence_control(&self, step: &str, names: &[&str], running: bool) -> bool;
    /// What its services may write to. The data of those in `apart` is accounted for otherwise.
    async fn open_for_writing(&self, apart: &[String]) -> Result<Vec<OpenFile>, VerbError>;
}
