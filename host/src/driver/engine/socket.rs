//! Questions to the engine's socket itself: those that the API's client has no call for, and those to which podman answers
//! in words that it doesn't know.

use super::{ANSWER_SECONDS, Engine};
use crate::model::VerbError;
use bollard::ClientVersion;
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use std::time::Duration;
use tokio::net::UnixStream;
use tokio_util::task::AbortOnDropHandle;

const ERROR: u16 = 500;

impl Engine {
    /// What a GET is answered with: the status and the body. `path` is of plain letters.
    pub(super) async fn get(&self, path: &str, query: &[(&str, &str)]) -> Result<(u16, Bytes), VerbError> {
        self.ask(Method::GET, path, query, Bytes::new(), Duration::from_secs(ANSWER_SECONDS)).await
    }

    /// The same of any method, for an answer that may take so long.
    pub(super) async fn ask(
        &self, method: Method, path: &str, query: &[(&str, &str)], body: Bytes, within: Duration,
    ) -> Result<(u16, Bytes), VerbError> {
        let answer = self.send(method, path, query, body, within).await?;
        Ok((answer.status().as_u16(), answer.into_body()))
    }

    async fn send(
        &self, method: Method, path: &str, query: &[(&str, &str)], body: Bytes, within: Duration,
    ) -> Result<Response<Bytes>, VerbError> {
        let url = reqwest::Url::parse_with_params(&format!("http://engine{path}"), query);
        let url = url.map_err(|error| VerbError::other("engine", format!("`{path}`: {error}")))?;
        let target = url.query().map_or_else(|| path.to_owned(), |query| format!("{path}?{query}"));
        let broken = |why: String| VerbError::Unavailable(format!("the container engine at `{}` {why}", self.place()));
        let ask = async {
            let stream = UnixStream::connect(&self.config.socket).await;
            let stream = stream.map_err(|error| broken(format!("does not answer: {error}")))?;
            let failed = |error: hyper::Error| broken(format!("broke off: {error}"));
            let (mut sender, connection) =
                hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(failed)?;
            // Its error is the request's, too.
            let _connection = AbortOnDropHandle::new(tokio::spawn(async move { drop(connection.await) }));
            let request = Request::builder().method(method).uri(target).header("host", "engine").body(Full::new(body));
            let request = request.map_err(|error| VerbError::other("engine", error.to_string()))?;
            let (head, body) = sender.send_request(request).await.map_err(failed)?.into_parts();
            Ok(Response::from_parts(head, body.collect().await.map_err(failed)?.to_bytes()))
        };
        tokio::time::timeout(within, ask).await.unwrap_or_else(|_| Err(broken("does not answer".into())))
    }

    /// What it says of itself: no call costs it less, and to `/version` podman starts a dozen programs.
    pub(super) async fn greeted(&self) -> Result<Greeting, VerbError> {
        let within = Duration::from_secs(ANSWER_SECONDS);
        let answer = self.send(Method::GET, "/_ping", &[], Bytes::new(), within).await?;
        let said = |name: &str| answer.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        match said("api-version").as_deref().and_then(version) {
            Some(api) => Ok(Greeting { api, podman: said("libpod-api-version") }),
            None => Err(VerbError::Unavailable(format!(
                "what answers at `{}` does not say which version of the Docker API it speaks ({})",
                self.place(),
                answer.status()
            ))),
        }
    }

    /// The path of a call in the version that engine and we speak.
    pub(super) async fn path(&self, call: &str) -> Result<String, VerbError> {
        let version = self.docker().await?.client_version();
        Ok(format!("/v{}.{}{call}", version.major_version, version.minor_version))
    }
}

pub(super) struct Greeting {
    /// The newest of Docker's API that it speaks.
    pub api: ClientVersion,
    /// The version of podman's own API.
    pub podman: Option<String>,
}

fn version(text: &str) -> Option<ClientVersion> {
    let (major, minor) = text.split_once('.')?;
    Some(ClientVersion { major_version: major.parse().ok()?, minor_version: minor.parse().ok()? })
}

/// What podman had just found, and what went before it could say more of it: that, it answers with an error of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Gone {
    Pod,
    Container,
}

pub(super) fn gone(status: u16, body: &[u8]) -> Option<Gone> {
    let said = message(body);
    let ends = |words: &[&str]| status == ERROR && words.iter().any(|words| said.ends_with(words));
    if ends(&["no such pod", "pod has already been removed"]) {
        Some(Gone::Pod)
    } else if ends(&["no such container", "container has already been removed"]) {
        Some(Gone::Container)
    } else {
        None
    }
}

/// Why it refused.
pub(super) fn message(body: &[u8]) -> String {
    #[derive(Deserialize)]
    struct Refusal {
        message: String,
    }
    match serde_json::from_slice::<Refusal>(body) {
        Ok(refusal) => refusal.message,
        Err(_) => String::from_utf8_lossy(body).trim().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_while_podman_looks_is_gone() {
        let said = |message: &str| serde_json::json!({ "cause": "", "message": message, "response": 500 }).to_string();
        let gone = |status, message: &str| gone(status, said(message).as_bytes());
        assert_eq!(gone(500, "no pod with ID 5ed4 found in database: no such pod"), Some(Gone::Pod));
        assert_eq!(gone(500, "no container with ID 5ed4 found in database: no such container"), Some(Gone::Container));
        assert_eq!(gone(500, "a0d1: container has already been removed"), Some(Gone::Container));
        assert_eq!(gone(500, "no such pod: the database is locked"), None);
        assert_eq!(gone(409, "no such pod"), None);
    }
}
