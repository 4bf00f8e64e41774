//! Starting and stopping services. Both say what is wanted and converge.

use super::{Compose, Declaration, of_service};
use crate::context::StepContext;
use crate::driver::engine::{Container, State};
use crate::driver::process::io_error;
use crate::driver::services::{Hold, handle};
use crate::model::{ServiceRef, VerbError};
use bollard::models::{RestartPolicy, RestartPolicyNameEnum};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

/// What a hold keeps: why, and what the restart policy of each container was.
#[derive(Serialize, Deserialize, Default)]
struct Kept {
    why: String,
    policies: BTreeMap<String, RestartPolicy>,
}

impl Compose {
    /// Makes the services' containers what the files say, starts them, and lets the engine start them again. Touches no
    /// other, and never pulls.
    pub async fn start(&self, cx: &StepContext, names: &[ServiceRef]) -> Result<(), VerbError> {
        self.changeable(cx, "control.start")?;
        let services: Vec<String> = names.iter().map(|name| name.name.clone()).collect();
        let declaration = self.declaration().await?;
        self.known(&declaration, &services)?;
        let watched = cx.activity.watch(self.idle, self.make(cx, &declaration, names));
        cx.effects.perform("control.start", &names, &handle(names), true, watched).await
    }

    pub(super) async fn make(
        &self, cx: &StepContext, declaration: &Declaration, names: &[ServiceRef],
    ) -> Result<(), VerbError> {
        let containers = self.engine.containers(&declaration.name).await?;
        cx.activity.alive_for(end_within(&containers, names), self.up_what_differs(cx, declaration, names)).await?;
        let containers = self.engine.containers(&declaration.name).await?;
        for name in names {
            let hold = self.hold(name);
            let kept = kept(&hold)?;
            for container in of_service(&containers, &name.name) {
                if let Some(policy) = kept.policies.get(&container.id).filter(|p| **p != container.restart_policy) {
                    self.engine.set_restart_policy(&container.id, policy).await?;
                }
            }
            hold.release().map_err(io_error("release a service"))?;
        }
        Ok(())
    }

    /// `docker compose up` of these services alone, with `options` more.
    pub(super) async fn up(
        &self, cx: &StepContext, project: &str, options: &[&str], services: &[String],
    ) -> Result<(), VerbError> {
        let mut argv = self.argv(None).await?;
        argv.extend(["up", "--detach", "--no-deps", "--no-build", "--pull", "never"].map(String::from));
        argv.extend(options.iter().map(|option| (*option).to_owned()));
        argv.extend(services.iter().cloned());
        // One that depends on another's health waits for it.
        let start = async { self.command(cx, &argv, &format!("start {}", services.join(", "))).await };
        self.engine.while_checking(project, start).await
    }

    /// Takes away what would start them again, and stops them. Where the engine can't take it away, the container itself
    /// goes: a machine that boots would start it on data that is being worked on.
    pub async fn stop(&self, cx: &StepContext, names: &[ServiceRef]) -> Result<(), VerbError> {
        self.changeable(cx, "control.stop")?;
        let why = format!("stopped by the step `{}`; `upgradectl status {}` says why", cx.step, cx.deployment);
        let work = async {
            let declaration = self.declaration().await?;
            let containers = self.engine.containers(&declaration.name).await?;
            let mut all = Vec::new();
            for name in names {
                // A service that the files have no more may still have containers.
                let own = of_service(&containers, &name.name);
                if own.is_empty() {
                    self.known(&declaration, std::slice::from_ref(&name.name))?;
                }
                let hold = self.hold(name);
                let mut kept = kept(&hold)?;
                kept.why.clone_from(&why);
                for container in &own {
                    // A second stop finds what the first made of it.
                    kept.policies.entry(container.id.clone()).or_insert_with(|| container.restart_policy.clone());
                }
                let text = serde_json::to_string(&kept).map_err(|error| VerbError::other("io", error.to_string()))?;
                hold.set(&text).map_err(io_error("hold a service"))?;
                all.extend(own.into_iter().map(|container| (name, container)));
            }
            let hold = async |(name, container): &(&ServiceRef, &Container)| {
                let is_held = self.engine.set_restart_policy(&container.id, &never()).await?;
                let comes_up = !is_held && container.restart_policy.name == Some(RestartPolicyNameEnum::ALWAYS);
                if comes_up && super::roll::has_anonymous_volume(container) {
                    return Err(cannot_be_held(name, container));
                }
                cx.activity.touch();
                Ok((container.id.clone(), container.stops_within, comes_up))
            };
            let held = futures::future::try_join_all(all.iter().map(hold)).await?;
            // Each takes its grace period, all of them the longest.
            let end = async |(id, within, comes_up): &(String, Duration, bool)| {
                cx.activity.alive_for(*within, self.engine.stop(id)).await?;
                // Started again, it is made anew from the same files and the same image.
                if *comes_up { self.engine.remove(id).await } else { Ok(()) }
            };
            futures::future::try_join_all(held.iter().map(end)).await.map(drop)
        };
        let watched = cx.activity.watch(self.idle, work);
        cx.effects.perform("control.stop", &names, &handle(names), true, watched).await
    }

    /// Ends a client that a gone daemon left at work; whether everything is as the effect wanted.
    pub async fn fence_control(&self, step: &str, names: &[&str], running: bool) -> bool {
        self.processes.end_step(&self.deployment, step).await;
        // A start may have found a container that the files no longer describe: it is asked for again.
        if running {
            return false;
        }
        let Ok(declaration) = self.declaration().await else { return false };
        let Ok(containers) = self.engine.containers(&declaration.name).await else { return false };
        names.iter().all(|name| {
            let held = self.hold(&ServiceRef { platform: self.platform.clone(), name: (*name).to_owned() }).is_set();
            let still = |container: &&Container| !matches!(container.state, State::Created | State::Exited);
            held && !of_service(&containers, name).iter().any(still)
        })
    }

    pub(super) fn hold(&self, name: &ServiceRef) -> Hold {
        Hold::new(&self.machine.state, &self.deployment, name)
    }
}

/// Those that are made anew end before, and one of them may wait for another.
fn end_within(containers: &[Container], names: &[ServiceRef]) -> Duration {
    let own = names.iter().flat_map(|name| of_service(containers, &name.name));
    own.filter(|container| container.state == State::Running).map(|container| container.stops_within).sum()
}

fn kept(hold: &Hold) -> Result<Kept, VerbError> {
    let text = crate::driver::durable::read(hold.path()).map_err(io_error("read a service's hold"))?;
    Ok(text.and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default())
}

fn cannot_be_held(name: &ServiceRef, container: &Container) -> VerbError {
    VerbError::Invalid(format!(
        "the service `{name}` has `restart: always`, which this engine can't take away from `{}`, and a volume without a \
         name, which would be lost with the container: podman 5.1 or later, `restart: unless-stopped`, or a name for the \
         volume would be right",
        container.name
    ))
}

fn never() -> RestartPolicy {
    RestartPolicy { name: Some(RestartPolicyNameEnum::NO), maximum_retry_count: Some(0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_runs_takes_time_to_end() {
        let container = |service: &str, status: &str| {
            let answer = format!(
                r#"{{"Id":"1","State":{{"Status":"{status}"}},"Config":{{"StopTimeout":60,
                    "Labels":{{"com.docker.compose.service":"{service}"}}}}}}"#
            );
            Container::read(answer.as_bytes()).unwrap()
        };
        let containers = [container("web", "running"), container("web", "exited"), container("db", "running")];
        let web = ServiceRef { platform: "main".into(), name: "web".into() };
        assert_eq!(end_within(&containers, std::slice::from_ref(&web)), containers[0].stops_within);
        assert!(containers[0].stops_within >= Duration::from_secs(60));
        assert_eq!(end_within(&containers[1..], &[web]), Duration::ZERO);
    }
}
