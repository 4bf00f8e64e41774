//! Files of pods as what runs a platform's services.

use super::Pods;
use crate::context::StepContext;
use crate::driver::compose::REPLACE;
use crate::driver::services::{OpenFile, Orchestrator};
use crate::model::{ServiceRef, ServiceState, VerbError, Watch};
use async_trait::async_trait;
use std::time::Duration;

#[async_trait]
impl Orchestrator for Pods {
    async fn list(&self) -> Result<Vec<ServiceState>, VerbError> {
        self.list_services().await
    }
    async fn wait_healthy(
        &self, cx: &StepContext, name: &ServiceRef, idle: Duration,
    ) -> Result<ServiceState, VerbError> {
        self.wait_for(cx, name, idle).await
    }
    async fn follow(&self, cx: &StepContext, watch: &Watch, idle: Duration) -> Result<String, VerbError> {
        self.follow_log(cx, watch, idle).await
    }
    async fn start(&self, cx: &StepContext, names: &[ServiceRef]) -> Result<(), VerbError> {
        self.start_services(cx, names, "control.start").await
    }
    /// There can't be two pods of one name: each is away for a moment, and the next waits for it.
    async fn roll(&self, cx: &StepContext, names: &[ServiceRef], idle: Duration) -> Result<(), VerbError> {
        for name in names {
            self.start_services(cx, std::slice::from_ref(name), REPLACE).await?;
            self.wait_for(cx, name, idle).await?;
        }
        Ok(())
    }
    async fn stop(&self, cx: &StepContext, names: &[ServiceRef]) -> Result<(), VerbError> {
        self.stop_services(cx, names).await
    }
    async fn fence_control(&self, _step: &str, names: &[&str], running: bool) -> bool {
        self.is_controlled(names, running).await
    }
    async fn open_for_writing(&self, apart: &[String]) -> Result<Vec<OpenFile>, VerbError> {
        self.written_to(apart).await
    }
}
