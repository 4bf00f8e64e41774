//! `sqlite`: databases that the operator named. Granted one by one, by the binding's `paths`.

use super::bindings::{sqlite::Host, types::Error};
use super::guest::Guest;

impl Host for Guest {
    async fn list(&mut self) -> Result<Vec<String>, Error> {
        let granted = self.granted.some_path("sqlite.list");
        self.verb(granted, |cx, drivers| Box::pin(drivers.sqlite.list(cx))).await
    }

    async fn check(&mut self, path: String, step: Option<String>) -> Result<Vec<String>, Error> {
        let granted = self.granted.path("sqlite.check", &path);
        self.verb(granted, move |cx, drivers| {
            Box::pin(async move { drivers.sqlite.check(cx, &path, step.as_deref()).await })
        })
        .await
    }

    async fn fence(&mut self, path: String) -> Result<String, Error> {
        let granted = self.granted.path("sqlite.fence", &path);
        self.verb(granted, move |cx, drivers| Box::pin(async move { drivers.sqlite.fence(cx, &path).await })).await
    }

    async fn unfence(&mut self, path: String) -> Result<(), Error> {
        let granted = self.granted.path("sqlite.unfence", &path);
        self.verb(granted, move |cx, drivers| Box::pin(async move { drivers.sqlite.unfence(cx, &path).await })).await
    }

    async fn manifest(&mut self, path: String, step: Option<String>) -> Result<String, Error> {
        let granted = self.granted.path("sqlite.manifest", &path);
        self.verb(granted, move |cx, drivers| {
            Box::pin(async move { drivers.sqlite.manifest(cx, &path, step.as_deref()).await })
        })
        .await
    }

    async fn mark(&mut self, path: String) -> Result<String, Error> {
        let granted = self.granted.path("sqlite.mark", &path);
        self.verb(granted, move |cx, drivers| Box::pin(async move { drivers.sqlite.mark(cx, &path).await })).await
    }

    async fn save(&mut self, path: String, step: Option<String>) -> Result<(String, String), Error> {
        let granted = self.granted.path("sqlite.save", &path);
        self.verb(granted, move |cx, drivers| {
            Box::pin(async move { drivers.sqlite.save(cx, &path, step.as_deref()).await })
        })
        .await
    }

    async fn put_back(&mut self, path: String, artifact: String) -> Result<(), Error> {
        let granted =
            self.granted.path("sqlite.put-back", &path).and(self.granted.artifact("sqlite.put-back", &artifact));
        self.verb(granted, move |cx, drivers| {
            Box::pin(async move { drivers.sqlite.put_back(cx, &path, &artifact).await })
        })
        .await
    }

    async fn freeze(&mut self, path: String) -> Result<(), Error> {
        let granted = self.granted.path("sqlite.freeze", &path);
        self.verb(granted, move |cx, drivers| Box::pin(async move { drivers.sqlite.freeze(cx, &path).await })).await
    }

    async fn swap(&mut self, path: String, step: String) -> Result<(), Error> {
        let granted = self.granted.path("sqlite.swap", &path);
        self.verb(granted, move |cx, drivers| Box::pin(async move { drivers.sqlite.swap(cx, &path, &step).await }))
            .await
    }

    async fn discard(&mut self, path: String, step: String) -> Result<(), Error> {
        let granted = self.granted.path("sqlite.discard", &path);
        self.verb(granted, move |cx, drivers| Box::pin(async move { drivers.sqlite.discard(cx, &path, &step).await }))
            .await
    }
}
