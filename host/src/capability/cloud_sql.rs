//! `cloud-sql`: an instance of Google Cloud SQL. Granted by `google` in the binding's table.

use super::bindings::cloud_sql::{Host, Instance};
use super::bindings::types::Error;
use super::guest::Guest;
use crate::driver::Drivers;
use crate::driver::google::Store;
use crate::model::VerbError;

fn store(drivers: &Drivers) -> Result<&Store, VerbError> {
    drivers.cloud_sql.as_ref().ok_or_else(|| VerbError::Denied("no `google` is granted to this datastore".into()))
}

impl Host for Guest {
    async fn look(&mut self) -> Result<Instance, Error> {
        let granted = self.granted.google("cloud-sql.look");
        let seen = self.verb(granted, |cx, drivers| Box::pin(async move { store(drivers)?.look(cx).await })).await?;
        let upgraded_google::Instance { name, version, tier, region, disk_gb, state, runnable, .. } = seen;
        let (backups_managed, backups_outlive_it) = (seen.backups_managed, seen.backups_outlive_it);
        Ok(Instance { name, version, tier, region, disk_gb, state, runnable, backups_managed, backups_outlive_it })
    }

    async fn databases(&mut self) -> Result<Vec<String>, Error> {
        let granted = self.granted.google("cloud-sql.databases");
        self.verb(granted, |cx, drivers| Box::pin(async move { store(drivers)?.databases(cx).await })).await
    }

    async fn save(&mut self) -> Result<String, Error> {
        let granted = self.granted.google("cloud-sql.save");
        self.verb(granted, |cx, drivers| Box::pin(async move { store(drivers)?.save(cx).await })).await
    }

    async fn put_back(&mut self, artifact: String) -> Result<(), Error> {
        let verb = "cloud-sql.put-back";
        let granted = self.granted.google(verb).and(self.granted.artifact(verb, &artifact));
        self.verb(granted, move |cx, drivers| Box::pin(async move { store(drivers)?.put_back(cx, &artifact).await }))
            .await
    }
}
