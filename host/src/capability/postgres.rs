//! `postgres`: the server that the operator named. Granted by `server` in the binding's table.

use super::bindings::postgres::{Host, HostSession, MajorVersions};
use super::bindings::types::Error;
use super::guest::Guest;
use crate::driver;
use crate::model::VerbError;
use std::sync::Arc;
use wasmtime::component::Resource;

/// A guest's handle to one connection. A verb that is being done holds it too.
pub struct Session(Arc<driver::postgres::Session>);

impl Host for Guest {
    async fn versions(&mut self) -> Result<MajorVersions, Error> {
        let granted = self.granted.server("postgres.versions");
        let versions = self.verb(granted, |cx, drivers| Box::pin(drivers.postgres.versions(cx))).await?;
        Ok(MajorVersions { server: versions.server, pg_dump: versions.pg_dump, pg_restore: versions.pg_restore })
    }

    async fn connect(&mut self, database: Option<String>) -> Result<Resource<Session>, Error> {
        let granted = self.granted.server("postgres.connect").and(self.session_left());
        let session = self
            .verb(granted, move |cx, drivers| {
                Box::pin(async move { drivers.postgres.connect(cx, database.as_deref()).await })
            })
            .await?;
        let resource = self.table.push(Session(Arc::new(session))).map_err(|_| too_many())?;
        self.sessions_left -= 1;
        Ok(resource)
    }

    async fn dump(&mut self, database: String, snapshot: Option<String>) -> Result<String, Error> {
        let granted = self.granted.server("postgres.dump");
        self.verb(granted, move |cx, drivers| {
            Box::pin(async move { drivers.postgres.dump(cx, &database, snapshot.as_deref()).await })
        })
        .await
    }

    async fn restore(&mut self, database: String, artifact: String) -> Result<(), Error> {
        let granted = self.granted.server("postgres.restore").and(self.granted.artifact("postgres.restore", &artifact));
        self.verb(granted, move |cx, drivers| {
            Box::pin(async move { drivers.postgres.restore(cx, &database, &artifact).await })
        })
        .await
    }
}

impl HostSession for Guest {
    async fn query(&mut self, session: Resource<Session>, sql: String) -> Result<Vec<Vec<Option<String>>>, Error> {
        let session = self.session(&session)?;
        self.verb(Ok(()), move |cx, _| Box::pin(async move { session.query(cx, &sql).await })).await
    }

    async fn execute(&mut self, session: Resource<Session>, sql: String) -> Result<u64, Error> {
        let session = self.session(&session)?;
        self.verb(Ok(()), move |cx, _| Box::pin(async move { session.execute(cx, &sql).await })).await
    }

    async fn drop(&mut self, session: Resource<Session>) -> wasmtime::Result<()> {
        self.table.delete(session)?;
        self.sessions_left += 1;
        Ok(())
    }
}

impl Guest {
    fn session(&self, session: &Resource<Session>) -> Result<Arc<driver::postgres::Session>, Error> {
        let held = self.table.get(session).map_err(|_| Error::Invalid("the session is closed".into()))?;
        Ok(held.0.clone())
    }

    fn session_left(&self) -> Result<(), VerbError> {
        if self.sessions_left == 0 { Err(too_many()) } else { Ok(()) }
    }
}

fn too_many() -> VerbError {
    VerbError::Unavailable("too many sessions are open; drop one first".into())
}
