//! `services`: looking at the platforms' services. Granted by `services` in a platform's table.

use super::bindings::services::{Host, Service};
use super::bindings::types::{Error, ServiceRef, Watch};
use super::guest::Guest;
use crate::model::{self, ServiceState};

impl Host for Guest {
    async fn list(&mut self) -> Result<Vec<Service>, Error> {
        let granted = self.granted.services("services.list");
        let states = self.verb(granted, |cx, drivers| Box::pin(drivers.services.list(cx))).await?;
        Ok(states.into_iter().map(Service::from).collect())
    }

    async fn wait_healthy(&mut self, names: Vec<ServiceRef>, idle_ms: u64) -> Result<Vec<Service>, Error> {
        let granted = self.granted.services("services.wait-healthy");
        let names = service_refs(names);
        let states = self
            .verb_for(granted, idle_ms, move |cx, drivers| {
                Box::pin(async move { drivers.services.wait_healthy(cx, &names, idle_ms).await })
            })
            .await?;
        Ok(states.into_iter().map(Service::from).collect())
    }

    async fn follow(&mut self, watch: Watch) -> Result<String, Error> {
        let granted = self.granted.services("services.follow");
        let watch = model::Watch::from(watch);
        let idle_ms = watch.idle_ms;
        self.verb_for(granted, idle_ms, move |cx, drivers| {
            Box::pin(async move { drivers.services.follow(cx, &watch).await })
        })
        .await
    }
}

pub(super) fn service_refs(names: Vec<ServiceRef>) -> Vec<model::ServiceRef> {
    names.into_iter().map(model::ServiceRef::from).collect()
}

impl From<ServiceState> for Service {
    fn from(state: ServiceState) -> Self {
        let ServiceState { name, version, digest, replicas, running, healthy } = state;
        Service { name: name.into(), version, digest, replicas, running, healthy }
    }
}

impl From<Watch> for model::Watch {
    fn from(watch: Watch) -> Self {
        let Watch { service, success, failure, progress, idle_ms } = watch;
        Self { service: service.into(), success, failure, progress, idle_ms }
    }
}

impl From<model::Watch> for Watch {
    fn from(watch: model::Watch) -> Self {
        let model::Watch { service, success, failure, progress, idle_ms } = watch;
        Self { service: service.into(), success, failure, progress, idle_ms }
    }
}

impl From<ServiceRef> for model::ServiceRef {
    fn from(service: ServiceRef) -> Self {
        let ServiceRef { platform, name } = service;
        Self { platform, name }
    }
}

impl From<model::ServiceRef> for ServiceRef {
    fn from(service: model::ServiceRef) -> Self {
        let model::ServiceRef { platform, name } = service;
        Self { platform, name }
    }
}
