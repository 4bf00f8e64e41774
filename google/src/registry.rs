//! What a registry has under an image's name. Nothing is fetched.

use crate::{Error, Place, Result};
use google_cloud_auth::credentials::AccessTokenCredentials;
use reqwest::StatusCode;
use std::time::Duration;

const WITHIN: Duration = Duration::from_secs(20);
const DIGEST: &str = "docker-content-digest";
const MANIFESTS: &str = "application/vnd.oci.image.index.v1+json, application/vnd.docker.distribution.manifest.list.v2+json, \
                         application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json";

/// An image's name, taken apart.
#[derive(Debug, PartialEq, Eq)]
struct Name<'a> {
    host: &'a str,
    repository: &'a str,
    /// A tag, or a digest.
    version: &'a str,
}

impl<'a> Name<'a> {
    fn of(image: &'a str) -> Option<Self> {
        let (host, rest) = image.split_once('/')?;
        let (repository, version) = match rest.split_once('@') {
            Some((repository, digest)) => (repository.split(':').next().unwrap_or(repository), digest),
            None => rest.rsplit_once(':').filter(|(_, tag)| !tag.contains('/'))?,
        };
        let full = [host, repository, version].iter().all(|part| !part.is_empty());
        full.then_some(Self { host, repository, version })
    }
}

/// Pinned: `host/repository@sha256:…`.
pub(crate) async fn digest(place: &Place, tokens: &AccessTokenCredentials, image: &str) -> Result<String> {
    let right = "`host/repository/name:tag` would be right";
    let name = Name::of(image).ok_or_else(|| Error::Invalid(format!("`{image}` is no image; {right}")))?;
    let base = place.endpoint.clone().unwrap_or_else(|| format!("https://{}", name.host));
    let client = reqwest::Client::builder().timeout(WITHIN).redirect(reqwest::redirect::Policy::none()).build();
    let client = client.map_err(|error| Error::Unavailable(format!("a client for registries: {error}")))?;
    let mut request = client.head(format!("{base}/v2/{}/manifests/{}", name.repository, name.version));
    // A token is shown to Google's registries alone.
    if place.endpoint.is_some() || is_googles(name.host) {
        let token =
            tokens.access_token().await.map_err(|error| Error::of("the login at the registry", &error_of(error)))?;
        request = request.bearer_auth(token.token);
    }
    let answer = request.header("accept", MANIFESTS).send().await;
    let answer = answer.map_err(|error| Error::Unavailable(format!("the registry `{}`: {error}", name.host)))?;
    match answer.status() {
        StatusCode::OK => {}
        StatusCode::NOT_FOUND => return Err(Error::NotFound(format!("the registry has no image `{image}`"))),
        status @ (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) => {
            let message = format!("the registry does not show `{image}` ({status})");
            let hint = "the role `roles/artifactregistry.reader` on its repository would let it be read";
            return Err(Error::Denied(message).with(hint));
        }
        status => return Err(Error::Unavailable(format!("the registry answers {status} for `{image}`"))),
    }
    let digest = answer.headers().get(DIGEST).and_then(|value| value.to_str().ok());
    let digest = digest.ok_or_else(|| Error::Unavailable(format!("the registry says no digest of `{image}`")))?;
    Ok(format!("{}/{}@{digest}", name.host, name.repository))
}

fn is_googles(host: &str) -> bool {
    host.ends_with(".pkg.dev") || host == "gcr.io" || host.ends_with(".gcr.io")
}

fn error_of(error: google_cloud_gax::error::CredentialsError) -> google_cloud_gax::error::Error {
    google_cloud_gax::error::Error::authentication(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_taken_apart() {
        let name = |host, repository, version| Some(Name { host, repository, version });
        assert_eq!(Name::of("europe-docker.pkg.dev/a/b/c:1"), name("europe-docker.pkg.dev", "a/b/c", "1"));
        assert_eq!(Name::of("localhost:5000/c:1"), name("localhost:5000", "c", "1"));
        assert_eq!(Name::of("h/c:1@sha256:ab"), name("h", "c", "sha256:ab"));
        for wrong in ["c:1", "h/c", "h/c:", "/c:1"] {
            assert_eq!(Name::of(wrong), None, "{wrong}");
        }
        assert!(is_googles("europe-docker.pkg.dev") && !is_googles("pkg.dev.example.com"));
    }
}
