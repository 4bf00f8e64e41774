//! `files`: the project's files, for plugins that look and propose. Granted by the platform's `directory`.

use super::bindings::{files::Host, types::Error};
use super::guest::Guest;

impl Host for Guest {
    async fn read(&mut self, path: String) -> Result<Vec<u8>, Error> {
        let granted = self.granted.directory("files.read");
        self.verb(granted, move |cx, drivers| Box::pin(async move { drivers.project.read(cx, &path).await })).await
    }
}
