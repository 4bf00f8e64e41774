//! What a registry says of an image's name: `/v2/REPOSITORY/manifests/TAG`. No image is given away, and no document of
//! Google's describes it.

use crate::core::Core;
use crate::reply::Reply;
use hyper::http::request::Parts;

/// None: it is no request for a registry.
pub(crate) fn answer(core: &Core, head: &Parts) -> Option<Reply> {
    let (repository, version) = head.uri.path().strip_prefix("/v2/")?.split_once("/manifests/")?;
    let authorization = head.headers.get("authorization").and_then(|value| value.to_str().ok());
    if core.login.who(authorization).is_err() {
        return Some(Reply::text(401, "Unauthorized"));
    }
    let found = core.run.images.registered(repository, version);
    Some(match found {
        None => Reply::text(404, "MANIFEST_UNKNOWN"),
        Some((_, false)) => Reply::text(403, "DENIED"),
        Some(_) if !core.login.may("artifactregistry.repositories.downloadArtifacts") => Reply::text(403, "DENIED"),
        Some((digest, true)) => Reply::text(200, "").with("docker-content-digest", digest),
    })
}
