//! `compose`: the deployment's Compose project. Granted by `engine` and `directory` in the platform's table.

use super::bindings::compose::{Container, ContainerState, Declared, Host, Mount, OneOff};
use super::bindings::process::Exit;
use super::bindings::types::Error;
use super::guest::Guest;
use crate::driver::Drivers;
use crate::driver::compose::{self, Compose, Standing};
use crate::driver::engine::State;
use crate::model::VerbError;

fn project(drivers: &Drivers) -> Result<&Compose, VerbError> {
    drivers.compose.as_deref().ok_or_else(|| VerbError::Denied("no `engine` is granted to this platform".into()))
}

impl Host for Guest {
    async fn services(&mut self, planned: bool) -> Result<Vec<Declared>, Error> {
        let granted = self.granted.engine("compose.services");
        let services = self
            .verb(granted, move |cx, drivers| Box::pin(async move { project(drivers)?.declared(cx, planned).await }))
            .await?;
        Ok(services.into_iter().map(Declared::from).collect())
    }

    async fn containers(&mut self) -> Result<Vec<Container>, Error> {
        let granted = self.granted.engine("compose.containers");
        let standing =
            self.verb(granted, |cx, drivers| Box::pin(async move { project(drivers)?.containers(cx).await })).await?;
        Ok(standing.into_iter().map(Container::from).collect())
    }

    async fn run(&mut self, command: OneOff) -> Result<Exit, Error> {
        let granted = self.granted.engine("compose.run");
        let OneOff { service, argv, repeatable, success, progress, idle_ms } = command;
        let command = compose::OneOff { service, argv, repeatable, success, progress, idle_ms };
        let exit = self
            .verb_for(granted, idle_ms, move |cx, drivers| {
                Box::pin(async move { project(drivers)?.run(cx, &command).await })
            })
            .await?;
        Ok(Exit { code: exit.code, tail: exit.tail, elapsed_ms: exit.elapsed_ms })
    }

    async fn build(&mut self, services: Vec<String>) -> Result<(), Error> {
        let granted = self.granted.engine("compose.build");
        self.verb(granted, move |cx, drivers| Box::pin(async move { project(drivers)?.build(cx, &services).await }))
            .await
    }

    async fn resources(&mut self) -> Result<Vec<String>, Error> {
        let granted = self.granted.engine("compose.resources");
        self.verb(granted, |cx, drivers| Box::pin(async move { project(drivers)?.resources(cx).await })).await
    }

    async fn remove(&mut self, resources: Vec<String>) -> Result<(), Error> {
        let granted = self.granted.engine("compose.remove");
        self.verb(granted, move |cx, drivers| Box::pin(async move { project(drivers)?.remove(cx, &resources).await }))
            .await
    }
}

impl From<compose::Declared> for Declared {
    fn from(service: compose::Declared) -> Self {
        let compose::Declared { name, image, builds, replicas, after, mounts, single, networks: _ } = service;
        let mounts = mounts.into_iter().map(|mount| {
            let compose::DeclaredMount { kind, source, target, read_only } = mount;
            Mount { kind, source, target, read_only }
        });
        Self { name, image, builds, replicas, after, mounts: mounts.collect(), single }
    }
}

impl From<Standing> for Container {
    fn from(Standing { container, current }: Standing) -> Self {
        let done = container.is_done();
        Self {
            service: container.service,
            id: container.id,
            image: container.image,
            image_id: container.image_id,
            state: match container.state {
                State::Running => ContainerState::Running,
                State::Restarting => ContainerState::Restarting,
                State::Created | State::Paused => ContainerState::Waiting,
                State::Exited if done => ContainerState::Done,
                State::Exited => ContainerState::Ended,
            },
            exit_code: i32::try_from(container.exit_code).unwrap_or(-1),
            healthy: container.health.map(|health| health == crate::driver::engine::Health::Healthy),
            current,
        }
    }
}
