//! Starting and stopping services of Cloud Run, and whether they stand.

use super::heard;
use super::region::{Region, live};
use crate::context::StepContext;
use crate::driver::services::{OpenFile, Orchestrator};
use crate::model::{ServiceRef, ServiceState, VerbError, Watch};
use async_trait::async_trait;
use futures::future::try_join_all;
use std::time::Duration;
use upgraded_google::Service;

#[async_trait]
impl Orchestrator for Region {
    async fn list(&self) -> Result<Vec<ServiceState>, VerbError> {
        let client = self.client().await?;
        let looks = self.config.services.iter().map(|(name, own)| async move {
            let seen = client.service(own).await?;
            Ok::<_, VerbError>(self.state(name, &seen))
        });
        try_join_all(looks).await
    }

    /// Nothing is under way, users are let in, and it is not stopped.
    async fn wait_healthy(
        &self, cx: &StepContext, name: &ServiceRef, idle: Duration,
    ) -> Result<ServiceState, VerbError> {
        let (own, client, heard) = (self.own(&name.name)?, self.client().await?, heard(cx));
        let seen = cx.activity.watch(idle, async { Ok(client.wait(own, &heard).await?) }).await?;
        if seen.stopped {
            return Err(VerbError::Conflict(format!("the service `{name}` is stopped, and was not started")));
        }
        Ok(self.state(&name.name, &seen))
    }

    async fn follow(&self, _: &StepContext, watch: &Watch, _: Duration) -> Result<String, VerbError> {
        let message = format!("the log of `{}` can't be followed: logs of Cloud Run are not read", watch.service);
        Err(VerbError::Invalid(message))
    }

    async fn start(&self, cx: &StepContext, names: &[ServiceRef]) -> Result<(), VerbError> {
        self.all(cx, "control.start", names, true).await
    }

    /// A revision replaces another without an end of the old one before: there is nothing more to it.
    async fn roll(&self, cx: &StepContext, names: &[ServiceRef], _: Duration) -> Result<(), VerbError> {
        self.all(cx, "control.roll", names, true).await
    }

    async fn stop(&self, cx: &StepContext, names: &[ServiceRef]) -> Result<(), VerbError> {
        live(cx, "control.stop")?;
        self.end_all_jobs(cx).await?;
        self.all(cx, "control.stop", names, false).await
    }

    async fn fence_control(&self, _: &str, names: &[&str], running: bool) -> bool {
        let Ok(client) = self.client().await else { return false };
        for name in names {
            let Ok(own) = self.own(name) else { return false };
            let seen = client.service(own).await;
            if !seen.is_ok_and(|seen| seen.stopped != running && !seen.changing && seen.why.is_none()) {
                return false;
            }
        }
        true
    }

    /// What runs there writes to no disk of this machine.
    async fn open_for_writing(&self, _: &[String]) -> Result<Vec<OpenFile>, VerbError> {
        Ok(Vec::new())
    }
}

impl Region {
    /// Those that are stopped together end at once.
    async fn all(&self, cx: &StepContext, verb: &str, names: &[ServiceRef], running: bool) -> Result<(), VerbError> {
        live(cx, verb)?;
        let (client, heard) = (self.client().await?, heard(cx));
        let owns = names.iter().map(|name| self.own(&name.name)).collect::<Result<Vec<_>, _>>()?;
        let heard = &heard;
        let each = owns.into_iter().map(|own| async move {
            match running {
                true => client.start(own, heard).await,
                false => client.stop(own, heard).await,
            }
        });
        let work = async {
            try_join_all(each).await?;
            Ok(())
        };
        let handle = names.iter().map(ServiceRef::to_string).collect::<Vec<_>>().join(",");
        cx.effects.perform(verb, &names, &handle, true, cx.activity.watch(self.idle, work)).await
    }

    fn state(&self, name: &str, seen: &Service) -> ServiceState {
        let serving: Vec<String> = seen.serving().into_iter().map(|(revision, _)| revision).collect();
        ServiceState {
            name: ServiceRef { platform: self.platform.clone(), name: name.to_owned() },
            version: Some(serving.join(" ")),
            digest: seen.image.split_once('@').map(|(_, digest)| digest.to_owned()),
            replicas: 1,
            running: u32::from(!seen.stopped),
            healthy: Some(seen.why.is_none() && !seen.stopped),
        }
    }
}
