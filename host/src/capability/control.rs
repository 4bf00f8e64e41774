//! `control`: starting, rolling and stopping services. Granted by `services` in the platform's table.

use super::bindings::control::Host;
use super::bindings::types::{Error, ServiceRef};
use super::guest::Guest;
use super::services::service_refs;

impl Host for Guest {
    async fn start(&mut self, names: Vec<ServiceRef>) -> Result<(), Error> {
        let granted = self.granted.services("control.start");
        let names = service_refs(names);
        self.verb(granted, move |cx, drivers| Box::pin(async move { drivers.services.start(cx, &names).await })).await
    }

    async fn roll(&mut self, names: Vec<ServiceRef>, idle_ms: u64) -> Result<(), Error> {
        let granted = self.granted.services("control.roll");
        let names = service_refs(names);
        self.verb_for(granted, idle_ms, move |cx, drivers| {
            Box::pin(async move { drivers.services.roll(cx, &names, idle_ms).await })
        })
        .await
    }

    async fn stop(&mut self, names: Vec<ServiceRef>) -> Result<(), Error> {
        let granted = self.granted.services("control.stop");
        let names = service_refs(names);
        self.verb(granted, move |cx, drivers| Box::pin(async move { drivers.services.stop(cx, &names).await })).await
    }
}
