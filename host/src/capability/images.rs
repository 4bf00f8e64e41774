//! `images`: those of the platform's container engine. Granted by `engine` in the platform's table.

use super::bindings::images::{Host, Image, Registered};
use super::bindings::types::Error;
use super::guest::Guest;
use crate::driver::engine::images;

impl Host for Guest {
    async fn platform(&mut self) -> Result<String, Error> {
        let granted = self.granted.engine("images.platform");
        self.verb(granted, |cx, drivers| Box::pin(drivers.images.platform(cx))).await
    }

    async fn find(&mut self, reference: String) -> Result<Option<Image>, Error> {
        let granted = self.granted.engine("images.find");
        let found = self
            .verb(granted, move |cx, drivers| Box::pin(async move { drivers.images.find(cx, &reference).await }))
            .await?;
        Ok(found.map(Image::from))
    }

    async fn look_up(&mut self, reference: String) -> Result<Registered, Error> {
        let granted = self.granted.engine("images.look-up");
        let found = self
            .verb(granted, move |cx, drivers| Box::pin(async move { drivers.images.look_up(cx, &reference).await }))
            .await?;
        let images::Registered { digest, platforms } = found;
        Ok(Registered { digest, platforms })
    }

    async fn pull(&mut self, reference: String) -> Result<Image, Error> {
        let granted = self.granted.engine("images.pull");
        let pulled = self
            .verb(granted, move |cx, drivers| Box::pin(async move { drivers.images.pull(cx, &reference).await }))
            .await?;
        Ok(pulled.into())
    }

    async fn hold(&mut self, id: String) -> Result<(), Error> {
        let granted = self.granted.engine("images.hold");
        self.verb(granted, move |cx, drivers| Box::pin(async move { drivers.images.hold(cx, &id).await })).await
    }

    async fn point(&mut self, reference: String, id: String) -> Result<(), Error> {
        let granted = self.granted.engine("images.point");
        self.verb(granted, move |cx, drivers| Box::pin(async move { drivers.images.point(cx, &reference, &id).await }))
            .await
    }
}

impl From<images::Image> for Image {
    fn from(image: images::Image) -> Self {
        let images::Image { reference, id, digest, platform } = image;
        Self { reference, id, digest, platform }
    }
}
