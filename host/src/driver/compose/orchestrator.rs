//! A Compose project as what runs a platform's services.

use super::Compose;
use crate::context::StepContext;
use crate::driver::services::{OpenFile, Orchestrator};
use crate::model::{ServiceRef, ServiceState, VerbError, Watch};
use async_trait::async_trait;
use std::time::Duration;

#[async_trait]
impl Orchestrator for Compose {
    async fn list(&self) -> Result<Vec<ServiceState>, VerbError> {
        self.list().await
    }
    async fn wait_healthy(
        &self, cx: &StepContext, name: &ServiceRef, idle: Duration,
    ) -> Result<ServiceState, VerbError> {
        self.wait_healthy(cx, name, idle).await
    }
    async fn follow(&self, cx: &StepContext, watch: &Watch, idle: Duration) -> Result<String, VerbError> {
        self.follow(cx, watch, idle).await
    }
    async fn start(&self, cx: &StepContext, names: &[ServiceRef]) -> Result<(), VerbError> {
        self.start(cx, names).await
    }
    async fn roll(&self, cx: &StepContext, names: &[ServiceRef], idle: Duration) -> Result<(), VerbError> {
        self.roll(cx, names, idle).await
    }
    async fn stop(&self, cx: &StepContext, names: &[ServiceRef]) -> Result<(), VerbError> {
        self.stop(cx, names).await
    }
    async fn fence_control(&self, step: &str, names: &[&str], running: bool) -> bool {
        self.fence_control(step, names, running).await
    }
    async fn open_for_writing(&self, apart: &[String]) -> Result<Vec<OpenFile>, VerbError> {
        self.open_for_writing(apart).await
    }
}
