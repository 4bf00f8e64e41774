//! Replacing a service replica by replica: a new container stands beside the old ones before one of them ends, so that
//! never fewer serve than the files want.
//!
//! Nothing is remembered: which containers are of the old configuration is asked anew before each is taken.

use super::look::{Awaited, Healthy};
use super::{Compose, Declaration, of_service};
use crate::activity::Level;
use crate::context::StepContext;
use crate::driver::engine::{Container, State};
use crate::model::{ServiceRef, VerbError};
use std::time::Duration;

/// The effect of a service that is away for a while.
pub const REPLACE: &str = "control.replace";
/// So long a container that stands is given until whoever asks for the service's names has found it, before one that served
/// until then ends. A proxy commonly keeps an answer for a second.
const FOUND_AFTER: Duration = Duration::from_secs(2);
/// Letters of a volume's name that nobody gave.
const ANONYMOUS_NAME: usize = 64;

impl Compose {
    /// As `start`, but with those that serve on until those that follow them are healthy. A service that can't be two at
    /// once is started instead.
    pub async fn roll(&self, cx: &StepContext, names: &[ServiceRef], idle: Duration) -> Result<(), VerbError> {
        self.changeable(cx, "control.roll")?;
        let services: Vec<String> = names.iter().map(|name| name.name.clone()).collect();
        let declaration = self.declaration().await?;
        self.known(&declaration, &services)?;
        let stale = self.stale(&declaration, names).await?;
        let (stale, rest): (Vec<_>, Vec<_>) = names.iter().cloned().partition(|name| stale.contains(name));
        for name in &stale {
            if let Some(why) = self.alone(&declaration, name).await? {
                cx.activity.line(Level::Info, format!("`{name}` can't run twice and is replaced: {why}"));
                self.replace(cx, &declaration, name).await?;
                self.wait_healthy(cx, name, idle).await?;
                continue;
            }
            let work = self.replace_each(cx, &declaration, name, idle);
            cx.effects.perform("control.roll", &[name], &name.to_string(), true, work).await?;
        }
        if !rest.is_empty() {
            self.start(cx, &rest).await?;
        }
        for name in &rest {
            self.wait_healthy(cx, name, idle).await?;
        }
        Ok(())
    }

    /// Those with a container that is not what the files say.
    async fn stale(&self, declaration: &Declaration, names: &[ServiceRef]) -> Result<Vec<ServiceRef>, VerbError> {
        let containers = self.engine.containers(&declaration.name).await?;
        let own = |name: &ServiceRef| of_service(&containers, &name.name);
        let numbers: Vec<_> = names.iter().map(|name| (name.name.as_str(), own(name).len())).collect();
        let replaced = self.replaced(&numbers).await?;
        let is_stale = |name: &&ServiceRef| own(name).iter().any(|container| replaced.contains(&container.name));
        Ok(names.iter().filter(is_stale).cloned().collect())
    }

    async fn replace(&self, cx: &StepContext, declaration: &Declaration, name: &ServiceRef) -> Result<(), VerbError> {
        let names = std::slice::from_ref(name);
        let watched = cx.activity.watch(self.idle, self.make(cx, declaration, names));
        cx.effects.perform(REPLACE, &names, &name.to_string(), true, watched).await
    }

    /// Why a second container can't run beside those that there are.
    async fn alone(&self, declaration: &Declaration, name: &ServiceRef) -> Result<Option<String>, VerbError> {
        let declared = declaration.services.iter().find(|service| service.name == name.name);
        if let Some(why) = declared.and_then(|service| service.single.clone()) {
            return Ok(Some(why));
        }
        let containers = self.engine.containers(&declaration.name).await?;
        let own = of_service(&containers, &name.name);
        Ok(own.into_iter().any(has_anonymous_volume).then(|| "it keeps data in a volume without a name".into()))
    }

    async fn replace_each(
        &self, cx: &StepContext, declaration: &Declaration, name: &ServiceRef, idle: Duration,
    ) -> Result<(), VerbError> {
        let replicas = declaration.services.iter().find(|s| s.name == name.name).map_or(1, |s| s.replicas) as usize;
        loop {
            let containers = self.engine.containers(&declaration.name).await?;
            let own = of_service(&containers, &name.name);
            let replaced = self.replaced(&[(&name.name, own.len())]).await?;
            let (old, new): (Vec<&Container>, Vec<&Container>) =
                own.into_iter().partition(|container| replaced.contains(&container.name));
            if old.is_empty() {
                break;
            }
            // One that does not run serves nobody.
            if let Some(ended) = old.iter().find(|container| container.state != State::Running) {
                self.engine.remove(&ended.id).await?;
                continue;
            }
            let wanted = new.len() < replicas && old.len() + new.len() <= replicas;
            if wanted || new.iter().any(|container| container.state == State::Created) {
                let scale = format!("{}={}", name.name, (replicas + 1).max(old.len() + new.len()));
                self.up(cx, &declaration.name, &["--no-recreate", "--scale", &scale], std::slice::from_ref(&name.name))
                    .await?;
            }
            let is_new = |container: &Container| !old.iter().any(|old| old.id == container.id);
            let one = Awaited { least: 1, counts: is_new, healthy: Healthy::ByTheEngine };
            if let Err(error) = self.wait_for(cx, declaration, name, &one, idle).await {
                self.remove_lame(declaration, name, is_new).await;
                return Err(error);
            }
            tokio::time::sleep(FOUND_AFTER).await;
            cx.activity.line(Level::Info, format!("`{name}`: `{}` ends, the next one stands", old[0].name));
            let stop = cx.activity.alive_for(old[0].stops_within, self.engine.stop(&old[0].id));
            cx.activity.watch(self.idle, stop).await?;
            self.engine.remove(&old[0].id).await?;
            cx.activity.touch();
        }
        cx.activity.watch(self.idle, self.make(cx, declaration, std::slice::from_ref(name))).await?;
        let all = Awaited::all(replicas, Healthy::ByTheEngine);
        self.wait_for(cx, declaration, name, &all, idle).await.map(drop)
    }

    /// What is new and does not stand answers nobody, and the old ones serve on. What can't be removed now is found by
    /// whoever comes next.
    async fn remove_lame(&self, declaration: &Declaration, name: &ServiceRef, is_new: impl Fn(&Container) -> bool) {
        let Ok(containers) = self.engine.containers(&declaration.name).await else { return };
        for lame in of_service(&containers, &name.name).into_iter().filter(|c| is_new(c) && !super::look::stands(c)) {
            let _ = self.engine.remove(&lame.id).await;
        }
    }
}

/// Its successor by `docker compose up` would get it, a container beside it does not.
pub(super) fn has_anonymous_volume(container: &Container) -> bool {
    let hexadecimal = |name: &String| name.len() == ANONYMOUS_NAME && name.bytes().all(|byte| byte.is_ascii_hexdigit());
    container.mounts.iter().any(|mount| mount.writable && mount.volume.as_ref().is_some_and(hexadecimal))
}
