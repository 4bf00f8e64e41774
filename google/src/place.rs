//! Where: a project, and for tests another server than Google's.

use crate::{Error, Login, Result};
use google_cloud_auth::credentials::{AccessTokenCredentials, Credentials};
use google_cloud_gax::exponential_backoff::{ExponentialBackoff, ExponentialBackoffBuilder};
use std::time::Duration;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    pub project: String,
    pub region: String,
    pub login: Login,
    /// In place of Google's servers and registries: `http://127.0.0.1:8080`.
    pub endpoint: Option<String>,
}

impl Place {
    /// `projects/acme/locations/europe-west1`
    pub(crate) fn parent(&self) -> String {
        format!("projects/{}/locations/{}", self.project, self.region)
    }

    /// For the clients, and for whoever needs the token itself.
    pub(crate) fn login(&self) -> Result<(Credentials, AccessTokenCredentials)> {
        let tokens = self.login.credentials()?;
        Ok((tokens.clone().into(), tokens))
    }
}

/// Between two tries of a client's own, where nothing can have happened.
pub(crate) fn backoff() -> Result<ExponentialBackoff> {
    let builder = ExponentialBackoffBuilder::new().with_initial_delay(Duration::from_millis(50));
    let built = builder.with_maximum_delay(Duration::from_secs(5)).build();
    built.map_err(|error| Error::Invalid(format!("the time between two tries: {error}")))
}
