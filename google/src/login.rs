//! Who we are at Google's: a service account's key, what the machine's user logged in as, or the machine itself.

use crate::{Error, Result};
use google_cloud_auth::credentials::{AccessTokenCredentials, Builder, mds, service_account, user_account};

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
}

fn of_key(text: &str) -> Result<AccessTokenCredentials> {
    // The text is a secret: no error repeats it.
    let key: serde_json::Value = serde_json::from_str(text).map_err(|_| {
        Error::Invalid("the credentials are no JSON; the key file of a service account would be".into())
    })?;
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
