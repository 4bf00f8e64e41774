//! `mysql`: the database that the operator named. Granted by `server` in the binding's table.

use super::bindings::mysql::Host;
use super::bindings::types::Error;
use super::guest::Guest;

impl Host for Guest {
    async fn check(&mut self) -> Result<Vec<String>, Error> {
        let granted = self.granted.server("mysql.check");
        self.verb(granted, |cx, drivers| Box::pin(drivers.mysql.check(cx))).await
    }

    async fn manifest(&mut self, frozen: Option<String>) -> Result<String, Error> {
        let granted = self.granted.server("mysql.manifest");
        self.verb(granted, move |cx, drivers| {
            Box::pin(async move { drivers.mysql.manifest(cx, frozen.as_deref()).await })
        })
        .await
    }

    async fn fence(&mut self) -> Result<String, Error> {
        let granted = self.granted.server("mysql.fence");
        self.verb(granted, |cx, drivers| Box::pin(drivers.mysql.fence(cx))).await
    }

    async fn mark(&mut self) -> Result<String, Error> {
        let granted = self.granted.server("mysql.mark");
        self.verb(granted, |cx, drivers| Box::pin(drivers.mysql.mark(cx))).await
    }

    async fn unfence(&mut self) -> Result<(), Error> {
        let granted = self.granted.server("mysql.unfence");
        self.verb(granted, |cx, drivers| Box::pin(drivers.mysql.unfence(cx))).await
    }

    async fn save(&mut self, frozen: Option<String>) -> Result<(Vec<String>, String), Error> {
        let granted = self.granted.server("mysql.save");
        self.verb(granted, move |cx, drivers| Box::pin(async move { drivers.mysql.save(cx, frozen.as_deref()).await }))
            .await
    }

    async fn put_back(&mut self, artifacts: Vec<String>) -> Result<(), Error> {
        let verb = "mysql.put-back";
        let ours = artifacts.iter().try_for_each(|artifact| self.granted.artifact(verb, artifact));
        let granted = self.granted.server(verb).and(ours);
        self.verb(granted, move |cx, drivers| Box::pin(async move { drivers.mysql.put_back(cx, &artifacts).await }))
            .await
    }

    async fn freeze(&mut self) -> Result<bool, Error> {
        let granted = self.granted.server("mysql.freeze");
        self.verb(granted, |cx, drivers| Box::pin(drivers.mysql.freeze(cx))).await
    }

    async fn swap(&mut self, step: String) -> Result<(), Error> {
        let granted = self.granted.server("mysql.swap");
        self.verb(granted, move |cx, drivers| Box::pin(async move { drivers.mysql.swap(cx, &step).await })).await
    }

    async fn discard(&mut self, step: String) -> Result<(), Error> {
        let granted = self.granted.server("mysql.discard");
        self.verb(granted, move |cx, drivers| Box::pin(async move { drivers.mysql.discard(cx, &step).await })).await
    }
}
