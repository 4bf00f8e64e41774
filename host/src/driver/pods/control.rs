//! Starting and stopping services. Both say what is wanted and converge.

use super::{Checks, Declaration, Pods, SERVICE_LABEL, Standing};
use crate::context::StepContext;
use crate::driver::engine::{PodSeen, State};
use crate::driver::process::io_error;
use crate::driver::services::{Hold, handle};
use crate::model::{ServiceRef, VerbError};
use futures::future::try_join_all;
use std::time::Duration;

/// An engine that still does what a daemon which is gone asked it for may be in the way.
const TRIES: u32 = 3;
const AGAIN_AFTER: Duration = Duration::from_millis(500);

impl Pods {
    /// Makes the services' pods what the files say, and starts them. Touches no other, and never pulls.
    pub(super) async fn start_services(
        &self, cx: &StepContext, names: &[ServiceRef], verb: &str,
    ) -> Result<(), VerbError> {
        self.changeable(cx, verb)?;
        let declaration = self.declaration(false).await?;
        for name in names {
            declaration.service(self, &name.name)?;
        }
        let work = async {
            let units = self.units().await?;
            self.engine.keep_bridge_addresses(declaration.networks()).await?;
            for name in names {
                match units.get(&name.name) {
                    Some(unit) => self.start_by(cx, &declaration, name, unit).await?,
                    None => {
                        self.make(cx, &declaration, &name.name).await?;
                        self.hold(name).release().map_err(io_error("release a service"))?;
                    }
                }
            }
            Ok(())
        };
        let watched = cx.activity.watch(self.idle, work);
        cx.effects.perform(verb, &names, &handle(names), true, watched).await
    }

    async fn make(&self, cx: &StepContext, declaration: &Declaration, name: &str) -> Result<(), VerbError> {
        let service = declaration.service(self, name)?;
        for pod in &service.file.pods {
            let mut tries = 0;
            loop {
                let standing = self.of_service(declaration, name, Checks::Leave).await?;
                let standing = standing.into_iter().find(|standing| standing.pod == pod.name);
                cx.activity.touch();
                match standing {
                    Some(standing) if standing.other.is_none() && runs(&standing) => break,
                    Some(standing) if standing.other.is_none() && tries == 0 => {
                        // One whose container ended says so when it is waited for.
                        self.engine.start_pod(&pod.name).await?;
                        break;
                    }
                    Some(_) => self.end(cx, std::slice::from_ref(&pod.name)).await?,
                    None => {}
                }
                let claims = self.volumes(cx, &service.file.claims).await?;
                let documents = declaration.documents(service, pod, &claims);
                match self.engine.play(&documents, &declaration.networks_of(pod)).await {
                    Ok(()) => break,
                    Err(error) if tries < TRIES && is_in_the_way(&error) => tries += 1,
                    Err(error) => return Err(told(&pod.name, error)),
                }
                tokio::time::sleep(AGAIN_AFTER).await;
            }
            // The first pod of a network brings its bridge.
            self.engine.keep_bridge_addresses(declaration.networks()).await?;
            cx.activity.touch();
        }
        Ok(())
    }

    /// Stops the services' pods and removes them: nothing that boots starts what isn't there, and a unit that would make them
    /// anew is held.
    pub(super) async fn stop_services(&self, cx: &StepContext, names: &[ServiceRef]) -> Result<(), VerbError> {
        self.changeable(cx, "control.stop")?;
        let why = format!("stopped by the step `{}`; `upgradectl status {}` says why", cx.step, cx.deployment);
        let work = async {
            let (declaration, units) = (self.declaration(false).await?, self.units().await?);
            self.engine.keep_bridge_addresses(declaration.networks()).await?;
            let mut ended = Vec::new();
            for name in names {
                ended.extend(self.pods_of(&declaration, name).await?);
                self.hold(name).set(&why).map_err(io_error("hold a service"))?;
            }
            let of_units: Vec<(&ServiceRef, &String)> =
                names.iter().filter_map(|name| Some((name, units.get(&name.name)?))).collect();
            for (name, unit) in &of_units {
                self.machine.systemd.respect(unit, &self.hold(name)).await?;
            }
            // Each takes its grace period, all of them the longest.
            let stops = of_units.iter().map(|(name, unit)| self.stop_unit(cx, &declaration, name, unit));
            try_join_all(stops).await?;
            for (_, unit) in &of_units {
                ended.extend(self.pods_by(unit).await?);
            }
            self.end(cx, &ended).await
        };
        let watched = cx.activity.watch(self.idle, work);
        cx.effects.perform("control.stop", &names, &handle(names), true, watched).await
    }

    /// Whether everything is as the effect wanted.
    pub(super) async fn is_controlled(&self, names: &[&str], running: bool) -> bool {
        // A start may have found a pod that the files no longer describe: it is asked for again.
        if running {
            return false;
        }
        let Ok(declaration) = self.declaration(false).await else { return false };
        for name in names {
            let name = ServiceRef { platform: self.platform.clone(), name: (*name).to_owned() };
            let gone = self.pods_of(&declaration, &name).await.is_ok_and(|pods| pods.is_empty());
            if !gone || !self.hold(&name).is_set() {
                return false;
            }
        }
        // Whether a unit heard of its hold, only asking it again says.
        self.units().await.is_ok_and(|units| !names.iter().any(|name| units.contains_key(*name)))
    }

    pub(super) async fn end(&self, cx: &StepContext, pods: &[String]) -> Result<(), VerbError> {
        let end = async |pod: &String| {
            let Some(seen) = self.engine.pod(pod).await? else { return Ok(()) };
            cx.activity.alive_for(self.ends_within(&seen).await?, self.engine.stop_pod(pod)).await?;
            self.engine.remove_pod(pod).await
        };
        try_join_all(pods.iter().map(end)).await.map(drop)
    }

    /// One of its containers may wait for another.
    pub(super) async fn ends_within(&self, pod: &PodSeen) -> Result<Duration, VerbError> {
        let members = self.engine.of_ids(&pod.containers).await?;
        Ok(members.iter().map(|container| container.stops_within).sum())
    }

    /// Those that are there: of its file, and those that we made for it and that its file no longer has.
    pub(super) async fn pods_of(&self, declaration: &Declaration, name: &ServiceRef) -> Result<Vec<String>, VerbError> {
        let mut pods = Vec::new();
        for stray in self.strays(declaration).await? {
            if stray.labels.get(SERVICE_LABEL) == Some(&name.name) {
                pods.push(stray.name);
            }
        }
        match declaration.service(self, &name.name) {
            Ok(service) => {
                for pod in &service.file.pods {
                    if let Some(seen) = self.engine.pod(&pod.name).await? {
                        self.is_ours(&seen)?;
                        pods.push(seen.name);
                    }
                }
            }
            // A service that the files have no more may still have pods.
            Err(error) if pods.is_empty() => return Err(error),
            Err(_) => {}
        }
        Ok(pods)
    }

    pub(super) fn hold(&self, name: &ServiceRef) -> Hold {
        Hold::new(&self.machine.state, &self.deployment, name)
    }
}

pub(super) fn runs(standing: &Standing) -> bool {
    standing.containers.iter().all(|container| container.state == State::Running || container.is_done())
}

/// Of a name that is taken, though nothing of it was there a moment ago.
fn is_in_the_way(error: &VerbError) -> bool {
    let said = error.to_string();
    ["already exists", "already in use", "is being removed"].iter().any(|words| said.contains(words))
}

fn told(pod: &str, error: VerbError) -> VerbError {
    match error {
        VerbError::Other(failure) => {
            VerbError::other("pod", format!("the pod `{pod}` can't be made: {}", failure.message))
        }
        other => other,
    }
}
