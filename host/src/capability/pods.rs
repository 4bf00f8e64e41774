//! `pods`: the deployment's pods. Granted by `pods`, `engine` and `directory` in the platform's table.

use super::bindings::pods::{
    Container, Declared, DeclaredContainer, DeclaredPod, Host, Mount, MountKind, Pod, State as Is,
};
use super::bindings::types::Error;
use super::guest::Guest;
use crate::driver::Drivers;
use crate::driver::engine::{self, Health, State};
use crate::driver::pods::{Pods, Service, Standing};
use crate::model::VerbError;
use pod_files::Source;

fn pods(drivers: &Drivers) -> Result<&Pods, VerbError> {
    drivers.pods.as_deref().ok_or_else(|| VerbError::Denied("no `pods` are granted to this platform".into()))
}

impl Host for Guest {
    async fn services(&mut self, planned: bool) -> Result<Vec<Declared>, Error> {
        let granted = self.granted.pods("pods.services");
        let services = self
            .verb(granted, move |cx, drivers| Box::pin(async move { pods(drivers)?.declared(cx, planned).await }))
            .await?;
        Ok(services.into_iter().map(Declared::from).collect())
    }

    async fn standing(&mut self) -> Result<Vec<Pod>, Error> {
        let granted = self.granted.pods("pods.standing");
        let standing =
            self.verb(granted, |cx, drivers| Box::pin(async move { pods(drivers)?.standing(cx).await })).await?;
        Ok(standing.into_iter().map(Pod::from).collect())
    }

    async fn volumes(&mut self, names: Vec<String>) -> Result<Vec<String>, Error> {
        let granted = self.granted.pods("pods.volumes");
        self.verb(granted, move |cx, drivers| Box::pin(async move { pods(drivers)?.volumes(cx, &names).await })).await
    }

    async fn remove(&mut self, volumes: Vec<String>) -> Result<(), Error> {
        let granted = self.granted.pods("pods.remove");
        self.verb(granted, move |cx, drivers| Box::pin(async move { pods(drivers)?.remove(cx, &volumes).await })).await
    }
}

impl From<Service> for Declared {
    fn from(Service { name, file }: Service) -> Self {
        let pods = file.pods.into_iter().map(|pod| DeclaredPod {
            name: pod.name,
            containers: pod.containers.into_iter().map(DeclaredContainer::from).collect(),
        });
        Self { service: name, file: file.name, pods: pods.collect() }
    }
}

impl From<pod_files::Container> for DeclaredContainer {
    fn from(container: pod_files::Container) -> Self {
        let mounts = container.mounts.into_iter().map(|mount| {
            let (kind, source) = match mount.source {
                Source::Volume(name) => (MountKind::Volume, name),
                Source::Path(path) => (MountKind::Path, path),
                Source::Empty => (MountKind::Empty, String::new()),
                Source::Settings(name) => (MountKind::Settings, name),
            };
            Mount { kind, source, target: mount.target, read_only: mount.read_only }
        });
        let mounts = mounts.collect();
        let pod_files::Container { name, image, init, checked, .. } = container;
        Self { name, image, init, checked, mounts }
    }
}

impl From<Standing> for Pod {
    fn from(standing: Standing) -> Self {
        let containers = standing.containers.iter().map(|one| container(standing.short(one), one)).collect();
        let Standing { service, pod, other, containers: _ } = standing;
        Self { service, name: pod, other, containers }
    }
}

fn container(name: &str, seen: &engine::Container) -> Container {
    Container {
        name: name.to_owned(),
        id: seen.id.clone(),
        image: seen.image.clone(),
        image_id: seen.image_id.clone(),
        state: match seen.state {
            State::Running => Is::Running,
            State::Restarting => Is::Restarting,
            State::Created | State::Paused => Is::Waiting,
            State::Exited if seen.is_done() => Is::Done,
            State::Exited => Is::Ended,
        },
        exit_code: i32::try_from(seen.exit_code).unwrap_or(-1),
        healthy: seen.health.map(|health| health == Health::Healthy),
    }
}
