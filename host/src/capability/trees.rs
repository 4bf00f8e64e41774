//! `trees`: folders and files that the operator named. Granted one by one, by the binding's `paths`.

use super::bindings::{trees::Host, types::Error};
use super::guest::Guest;

impl Host for Guest {
    async fn list(&mut self) -> Result<Vec<String>, Error> {
        let granted = self.granted.some_path("trees.list");
        self.verb(granted, |cx, drivers| Box::pin(drivers.trees.list(cx))).await
    }

    async fn manifest(&mut self, path: String, step: Option<String>) -> Result<String, Error> {
        let granted = self.granted.path("trees.manifest", &path);
        self.verb(granted, move |cx, drivers| {
            Box::pin(async move { drivers.trees.manifest(cx, &path, step.as_deref()).await })
        })
        .await
    }

    async fn mark(&mut self, path: String) -> Result<String, Error> {
        let granted = self.granted.path("trees.mark", &path);
        self.verb(granted, move |cx, drivers| Box::pin(async move { drivers.trees.mark(cx, &path).await })).await
    }

    async fn save(&mut self, path: String, step: Option<String>) -> Result<String, Error> {
        let granted = self.granted.path("trees.save", &path);
        self.verb(granted, move |cx, drivers| {
            Box::pin(async move { drivers.trees.save(cx, &path, step.as_deref()).await })
        })
        .await
    }

    async fn put_back(&mut self, path: String, artifact: String) -> Result<(), Error> {
        let granted =
            self.granted.path("trees.put-back", &path).and(self.granted.artifact("trees.put-back", &artifact));
        self.verb(granted, move |cx, drivers| {
            Box::pin(async move { drivers.trees.put_back(cx, &path, &artifact).await })
        })
        .await
    }

    async fn freeze(&mut self, path: String) -> Result<(), Error> {
        let granted = self.granted.path("trees.freeze", &path);
        self.verb(granted, move |cx, drivers| Box::pin(async move { drivers.trees.freeze(cx, &path).await })).await
    }

    async fn swap(&mut self, path: String, step: String) -> Result<(), Error> {
        let granted = self.granted.path("trees.swap", &path);
        self.verb(granted, move |cx, drivers| Box::pin(async move { drivers.trees.swap(cx, &path, &step).await })).await
    }

    async fn discard(&mut self, path: String, step: String) -> Result<(), Error> {
        let granted = self.granted.path("trees.discard", &path);
        self.verb(granted, move |cx, drivers| Box::pin(async move { drivers.trees.discard(cx, &path, &step).await }))
            .await
    }
}
