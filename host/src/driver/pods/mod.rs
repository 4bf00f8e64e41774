//! Behind `pods`, and behind `services` and `control` for a platform with pods: the files of pods in the deployment's
//! folder, each of them a service, and what podman has of them.
//!
//! A pod is told by its name, which the operator's file gives it; no other pod is touched. One that is stopped is removed,
//! since its restart policy can't be taken away: neither the engine's restart nor the machine's brings it back. Its named
//! volumes stay. What is played is the file with our labels, and with images that are here already. Where a unit of systemd
//! plays the file, it is the unit that is told ([`through`]).

mod alone;
mod control;
mod double;
mod files;
mod look;
mod orchestrator;
mod through;
mod units;

pub use files::{Declaration, Service};
pub use units::{Obstacle, Starter};

use super::Machine;
use super::compose::double::Double;
use super::engine::{Container, Engine, Mount, PodSeen, unless_used};
use super::project::Project;
use crate::config::PodsConfig;
use crate::context::{Site, StepContext};
use crate::model::*;
use crate::plan::event::{Effect, Verdict};
use futures::future::try_join_all;
use pod_files::{Pod, Running, differs};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// On every pod that we made: whose it is, its service, and what it was made from.
const DEPLOYMENT_LABEL: &str = "upgraded.deployment";
const SERVICE_LABEL: &str = "upgraded.service";
const PLAYED_LABEL: &str = "upgraded.played";

pub struct Pods {
    /// The binding.
    platform: String,
    deployment: String,
    engine: Arc<Engine>,
    directory: PathBuf,
    config: PodsConfig,
    project: Arc<Project>,
    machine: Machine,
    idle: Duration,
    /// They are a rehearsal's.
    double: Option<Arc<Double>>,
}

/// What a [`Pods`] is built with.
pub struct Parts {
    pub platform: String,
    pub deployment: String,
    pub engine: Arc<Engine>,
    pub directory: PathBuf,
    pub config: PodsConfig,
    pub project: Arc<Project>,
    pub machine: Machine,
    pub idle: Duration,
    pub double: Option<Arc<Double>>,
}

/// A pod that is there, of a service.
#[derive(Debug, Clone, PartialEq)]
pub struct Standing {
    pub service: String,
    pub pod: String,
    /// Why it isn't what its file says now; none: it is.
    pub other: Option<String>,
    pub containers: Vec<Container>,
}

/// Whether the health checks that are due are run before something is looked at, where nobody else runs them.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Checks {
    Run,
    /// It is not asked whether anything is healthy.
    Leave,
}

impl Standing {
    /// `postgres` of `aegis-database-postgres`.
    pub fn short<'c>(&self, container: &'c Container) -> &'c str {
        let rest = container.name.strip_prefix(&self.pod).and_then(|rest| rest.strip_prefix('-'));
        rest.unwrap_or(&container.name)
    }
}

impl Pods {
    pub fn new(parts: Parts) -> Self {
        let Parts { platform, deployment, engine, directory, config, project, machine, idle, double } = parts;
        Self { platform, deployment, engine, directory, config, project, machine, idle, double }
    }

    pub fn engine(&self) -> &Arc<Engine> {
        &self.engine
    }

    /// What the files say; `planned`: with the edits that are planned laid over them.
    pub async fn declared(&self, cx: &StepContext, planned: bool) -> Result<Vec<Service>, VerbError> {
        let declaration = self.declaration(planned).await?;
        cx.activity.touch();
        Ok(declaration.services)
    }

    /// Every pod of the files, and those that we made and that the files no longer have.
    pub async fn standing(&self, cx: &StepContext) -> Result<Vec<Standing>, VerbError> {
        let declaration = self.declaration(false).await?;
        let services: Vec<&Service> = declaration.services.iter().collect();
        let mut all = self.of_services(&declaration, &services, Checks::Run).await?;
        cx.activity.touch();
        for pod in self.strays(&declaration).await? {
            let service = pod.labels.get(SERVICE_LABEL).cloned().unwrap_or_default();
            let containers = self.engine.looked_at(&pod.containers).await?;
            let other = Some(format!("the pod `{}` is in no file", pod.name));
            all.push(Standing { service, pod: pod.name, other, containers });
        }
        Ok(all)
    }

    /// A container of a service: `database/postgres`, or `database` where its pod has one alone.
    pub async fn container_of(&self, name: &str) -> Result<Option<Container>, VerbError> {
        let declaration = self.declaration(false).await?;
        let (service, pod, container) = declaration.container(self, name)?;
        let wanted = pod.container_name(container);
        let standing = self.of_services(&declaration, &[service], Checks::Leave).await?;
        let mut there = standing.into_iter().filter(|standing| standing.pod == pod.name);
        Ok(there.find_map(|standing| standing.containers.into_iter().find(|container| container.name == wanted)))
    }

    /// By which the files name the images of containers, which are called as in [`Pods::container_of`].
    pub async fn images(&self, cx: &StepContext, planned: bool) -> Result<BTreeMap<String, String>, VerbError> {
        let mut images = BTreeMap::new();
        for Service { name, file } in self.declared(cx, planned).await? {
            let containers: Vec<_> = file.pods.iter().flat_map(Pod::running).collect();
            if let [one] = &containers[..] {
                images.insert(name.clone(), one.image.clone());
            }
            images.extend(containers.iter().map(|one| (format!("{name}/{}", one.name), one.image.clone())));
        }
        Ok(images)
    }

    /// Whether what a container sees there stays when its pod goes.
    pub async fn outlives(&self, name: &str, mount: &Mount) -> Result<bool, VerbError> {
        let declaration = self.declaration(false).await?;
        let (_, _, container) = declaration.container(self, name)?;
        Ok(!look::is_no_data(container, mount) && !mount.volume.as_deref().is_some_and(look::is_anonymous))
    }

    /// Removes pods that we made and that the files no longer have, and of `volumes` those that are there and that no file
    /// names; what something still uses is left. Converges.
    pub async fn remove(&self, cx: &StepContext, volumes: &[String]) -> Result<(), VerbError> {
        self.changeable(cx, "pods.remove")?;
        let work = async {
            let declaration = self.declaration(false).await?;
            for pod in self.strays(&declaration).await? {
                self.engine.stop_pod(&pod.name).await?;
                self.engine.remove_pod(&pod.name).await?;
                cx.activity.touch();
            }
            let named = declaration.volumes();
            for volume in volumes.iter().filter(|volume| !named.contains(volume)) {
                unless_used(cx, &format!("the volume `{volume}`"), self.engine.remove_volume(volume).await)?;
            }
            Ok(())
        };
        cx.effects.perform("pods.remove", &volumes, &volumes.join(","), true, work).await
    }

    /// Of these named volumes, those that are there.
    pub async fn volumes(&self, cx: &StepContext, names: &[String]) -> Result<Vec<String>, VerbError> {
        let mut there = Vec::new();
        for name in names {
            match self.engine.docker().await?.inspect_volume(name).await {
                Ok(_) => there.push(name.clone()),
                Err(error) if super::engine::status(&error) == Some(404) => {}
                Err(error) => return Err(self.engine.failed(&error)),
            }
            cx.activity.touch();
        }
        Ok(there)
    }

    /// Everything here converges.
    pub async fn fence_and_probe(&self, _effect: &Effect) -> Verdict {
        Verdict::Unknown
    }

    /// The pods of one service that are there.
    async fn of_service(
        &self, declaration: &Declaration, name: &str, checks: Checks,
    ) -> Result<Vec<Standing>, VerbError> {
        self.of_services(declaration, &[declaration.service(self, name)?], checks).await
    }

    /// Those of several, in the order of their files.
    async fn of_services(
        &self, declaration: &Declaration, services: &[&Service], checks: Checks,
    ) -> Result<Vec<Standing>, VerbError> {
        let declared = services.iter().flat_map(|service| service.file.pods.iter().map(move |pod| (*service, pod)));
        let seen = declared.map(|(service, pod)| async move {
            let seen = self.engine.pod(&pod.name).await?;
            Ok::<_, VerbError>(seen.map(|seen| (service, pod, seen)))
        });
        let seen: Vec<_> = try_join_all(seen).await?.into_iter().flatten().collect();
        let ids: Vec<String> = seen.iter().flat_map(|(_, _, seen)| seen.containers.clone()).collect();
        let containers = match checks {
            Checks::Run => self.engine.looked_at(&ids).await?,
            Checks::Leave => self.engine.of_ids(&ids).await?,
        };
        let mut all = Vec::new();
        for (service, pod, seen) in seen {
            self.is_ours(&seen)?;
            let own = containers.iter().filter(|container| seen.containers.contains(&container.id));
            let containers: Vec<Container> = own.cloned().collect();
            let made_from = seen.labels.get(PLAYED_LABEL).cloned();
            let other = match made_from.or_else(|| self.noted(&service.name, &pod.name, &seen.id)) {
                Some(digest) if digest != declaration.digest(service, pod) => {
                    Some(format!("the pod `{}` was made from another file than is there now", pod.name))
                }
                _ => differs(pod, &containers.iter().map(running).collect::<Vec<_>>()),
            };
            all.push(Standing { service: service.name.clone(), pod: pod.name.clone(), other, containers });
        }
        Ok(all)
    }

    /// Pods that we made for this deployment's platform and that no file declares.
    async fn strays(&self, declaration: &Declaration) -> Result<Vec<PodSeen>, VerbError> {
        let mut strays = Vec::new();
        for name in self.engine.pods_labelled(&[format!("{DEPLOYMENT_LABEL}={}", self.mark())]).await? {
            if !declaration.pods().any(|pod| pod.name == name) {
                strays.extend(self.engine.pod(&name).await?);
            }
        }
        Ok(strays)
    }

    fn is_ours(&self, seen: &PodSeen) -> Result<(), VerbError> {
        match seen.labels.get(DEPLOYMENT_LABEL).filter(|owner| **owner != self.mark()) {
            Some(owner) => Err(VerbError::Conflict(format!(
                "the pod `{}` is that of `{owner}`, and a file of `{}` declares one of the same name",
                seen.name, self.deployment
            ))),
            None => Ok(()),
        }
    }

    /// Whose a pod is.
    fn mark(&self) -> String {
        // Backups are put into a double under the live deployment's name.
        let owner = self.double.as_ref().map_or(&self.deployment, |double| &double.project);
        format!("{owner}/{}", self.platform)
    }

    fn changeable(&self, cx: &StepContext, verb: &str) -> Result<(), VerbError> {
        cx.effects.may_change(verb)?;
        match cx.site {
            Site::Live => Ok(()),
            Site::Drill { .. } => {
                Err(VerbError::Denied(format!("`{verb}` changes the live site, and this is a drill")))
            }
        }
    }
}

fn running(container: &Container) -> Running {
    let mounts = container.mounts.iter().map(|mount| {
        let source = mount.volume.clone().unwrap_or_else(|| mount.source.display().to_string());
        (mount.target.display().to_string(), source)
    });
    Running {
        name: container.name.clone(),
        image: container.image.clone(),
        environment: container.environment.clone(),
        mounts: mounts.collect(),
    }
}
