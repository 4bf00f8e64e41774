//! Who we are at Google's: a service account's key, what the machine's user logged in as, or the machine itself.

use crate::{Error, Result};
use google_cloud_auth::credentials::idtoken::{self, IDTokenCredentials};
use google_cloud_auth::credentials::{AccessTokenCredentials, Builder, mds, service_account, user_account};
use serde_json::Value;

const SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";

/// Where a token comes from. Its debug form shows no key.
#[derive(Clone, PartialEq, Eq)]
pub enum Login {
    /// The text of a key file.
    Key(String),
    /// What Google calls application-default: `GOOGLE_APPLICATION_CREDENTIALS`, `gcloud auth application-default login`,
    /// or the machine itself.
    Default,
    /// The machine's own service account; none: at the usual address of its metadata server.
    Machine { metadata: Option<String> },
}

impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Key(_) => "Key(***)",
            Self::Default => "Default",
            Self::Machine { .. } => "Machine",
        })
    }
}

impl Login {
    /// Asks nobody yet.
    pub(crate) fn credentials(&self) -> Result<AccessTokenCredentials> {
        let built = match self {
            Self::Key(text) => return of_key(text),
            Self::Default => Builder::default().with_scopes([SCOPE]).build_access_token_credentials(),
            Self::Machine { metadata } => {
                let builder = mds::Builder::default();
                let builder = match metadata {
                    Some(address) => builder.with_endpoint(address),
                    None => builder,
                };
                builder.build_access_token_credentials()
            }
        };
        built.map_err(|error| Error::Denied(format!("there is no login at Google's: {error}")))
    }

    /// Who we are to a service that lets only its invokers in, which is told by another token than Google's API. Asks
    /// nobody yet.
    pub(crate) fn identity(&self, audience: &str) -> Result<IDTokenCredentials> {
        let built = match self {
            Self::Key(text) => idtoken::service_account::Builder::new(audience, read(text)?).build(),
            Self::Default => idtoken::Builder::new(audience).build(),
            Self::Machine { metadata } => {
                let builder = idtoken::mds::Builder::new(audience);
                match metadata {
                    Some(address) => builder.with_endpoint(address).build(),
                    None => builder.build(),
                }
            }
        };
        built.map_err(|_| Error::Denied("this login has no identity for a service; a service account has".into()))
    }
}

/// The text is a secret: no error repeats it.
fn read(text: &str) -> Result<Value> {
    serde_json::from_str(text)
        .map_err(|_| Error::Invalid("the credentials are no JSON; the key file of a service account would be".into()))
}

fn of_key(text: &str) -> Result<AccessTokenCredentials> {
    let key = read(text)?;
    let kind = key["type"].as_str().unwrap_or_default().to_owned();
    let built = match kind.as_str() {
        "service_account" => {
            let scopes = service_account::AccessSpecifier::from_scopes([SCOPE]);
            service_account::Builder::new(key).with_access_specifier(scopes).build_access_token_credentials()
        }
        "authorized_user" => user_account::Builder::new(key).with_scopes([SCOPE]).build_access_token_credentials(),
        other => {
            let message = format!("credentials of the type `{other}` are not known; `service_account` would be right");
            return Err(Error::Invalid(message));
        }
    };
    built.map_err(|_| Error::Invalid(format!("the credentials are not what a key file of the type `{kind}` holds")))
}
