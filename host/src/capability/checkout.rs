//! `checkout`: releases from the deployment's git repository. Granted by the platform's `repository` and `directory`.

use super::bindings::checkout::{Host, Tracked};
use super::bindings::types::Error;
use super::guest::Guest;
use crate::model;

impl Host for Guest {
    async fn releases(&mut self) -> Result<Vec<(String, String)>, Error> {
        let granted = self.granted.repository("checkout.releases");
        self.verb(granted, |cx, drivers| Box::pin(drivers.git.releases(cx))).await
    }

    async fn fetch(&mut self, revision: String) -> Result<String, Error> {
        let granted = self.granted.repository("checkout.fetch");
        self.verb(granted, move |cx, drivers| Box::pin(async move { drivers.git.fetch(cx, &revision).await })).await
    }

    async fn read(&mut self, commit: String, path: String) -> Result<Vec<u8>, Error> {
        let granted = self.granted.repository("checkout.read");
        self.verb(granted, move |cx, drivers| Box::pin(async move { drivers.git.read(cx, &commit, &path).await })).await
    }

    async fn files(&mut self, commit: String, under: String) -> Result<Vec<Tracked>, Error> {
        let granted = self.granted.repository("checkout.files");
        let tracked = |it: model::Tracked| Tracked { path: it.path, executable: it.executable };
        self.verb(granted, move |cx, drivers| Box::pin(async move { drivers.git.files(cx, &commit, &under).await }))
            .await
            .map(|files| files.into_iter().map(tracked).collect())
    }

    async fn prepare(&mut self, commit: String, build: Option<String>) -> Result<(), Error> {
        let granted = match &build {
            Some(name) => self.granted.command("checkout.prepare", name),
            None => Ok(()),
        };
        let granted = self.granted.repository("checkout.prepare").and(granted);
        self.verb(granted, move |cx, drivers| {
            Box::pin(async move { drivers.git.prepare(cx, &commit, build.as_deref()).await })
        })
        .await
    }

    async fn activate(&mut self, commit: String) -> Result<(), Error> {
        let granted = self.granted.repository("checkout.activate");
        self.verb(granted, move |cx, drivers| Box::pin(async move { drivers.git.activate(cx, &commit).await })).await
    }

    async fn active(&mut self) -> Result<Option<(String, Option<String>)>, Error> {
        let granted = self.granted.repository("checkout.active");
        self.verb(granted, |cx, drivers| Box::pin(drivers.git.active(cx))).await
    }
}
