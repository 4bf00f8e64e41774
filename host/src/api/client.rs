//! A client of the socket, typed like the [`super::Facade`]. One connection for each request.

use super::facade::LogsOf;
use super::sse::{LineTooLong, SseReader};
use super::types::*;
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};
use tokio::net::UnixStream;
use tokio_util::task::AbortOnDropHandle;

#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The daemon's own answer.
    #[error("{0}")]
    Api(ApiError),
    /// Nobody answers there.
    #[error("no daemon answers on `{}`", .socket.display())]
    Unreachable { socket: PathBuf, source: io::Error },
    /// The connection broke.
    #[error("the connection to the daemon broke")]
    Broken(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error("the daemon's answer to `{what}` is not understood; are `upgradectl` and `upgraded` of one version?")]
    Nonsense { what: String, source: serde_json::Error },
}

impl From<hyper::Error> for ClientError {
    fn from(error: hyper::Error) -> Self {
        Self::Broken(Box::new(error))
    }
}

impl From<LineTooLong> for ClientError {
    fn from(error: LineTooLong) -> Self {
        Self::Broken(Box::new(error))
    }
}

type Result<T> = std::result::Result<T, ClientError>;

#[derive(Debug, Clone)]
pub struct Client {
    socket: PathBuf,
    tidy: bool,
}

impl Client {
    pub fn new(socket: impl Into<PathBuf>) -> Self {
        Self { socket: socket.into(), tidy: false }
    }

    /// Takes what could steer a terminal (control characters, colours) out of every text: plugins and logs wrote them.
    pub fn tidy(mut self, tidy: bool) -> Self {
        self.tidy = tidy;
        self
    }

    pub fn socket(&self) -> &Path {
        &self.socket
    }

    pub async fn index(&self) -> Result<Index> {
        self.get("/v1/").await
    }
    pub async fn deployments(&self) -> Result<Vec<Deployment>> {
        self.get("/v1/deployments").await
    }
    pub async fn deployment(&self, name: &str) -> Result<Deployment> {
        self.get(&of(name, "")).await
    }
    pub async fn releases(&self, name: &str) -> Result<Releases> {
        self.get(&of(name, "/releases")).await
    }
    pub async fn plan(&self, name: &str, to: Option<&str>) -> Result<PlanView> {
        self.get(&of(name, &query("/plan", &[("to", to.map(encode))]))).await
    }
    pub async fn set(&self, name: &str, version: &str) -> Result<VersionSet> {
        self.send(Method::PUT, &of(name, "/version"), &SetRequest { version: version.into() }).await
    }
    pub async fn look(&self, name: &str) -> Result<Deployment> {
        self.post(&of(name, "/look"), &()).await
    }
    pub async fn check(&self, name: &str) -> Result<Check> {
        self.post(&of(name, "/check"), &()).await
    }
    pub async fn approve(&self, name: &str, request: &ApproveRequest) -> Result<Deployment> {
        self.post(&of(name, "/approve"), request).await
    }
    pub async fn retry(&self, name: &str) -> Result<Deployment> {
        self.post(&of(name, "/retry"), &()).await
    }
    pub async fn cancel(&self, name: &str, request: &CancelRequest) -> Result<Deployment> {
        self.post(&of(name, "/cancel"), request).await
    }
    pub async fn rehearse(&self, name: &str, request: &RehearseRequest) -> Result<RehearsalStarted> {
        self.post(&of(name, "/rehearse"), request).await
    }
    pub async fn rollback(&self, name: &str, request: &RollbackRequest) -> Result<RollbackAnswer> {
        self.post(&of(name, "/rollback"), request).await
    }
    pub async fn decide(&self, name: &str, request: &DecideRequest) -> Result<Deployment> {
        self.post(&of(name, "/decide"), request).await
    }
    pub async fn runs(&self, name: Option<&str>, limit: usize) -> Result<Vec<RunSummary>> {
        let path = query("/runs", &[("limit", Some(limit.to_string()))]);
        match name {
            Some(name) => self.get(&of(name, &path)).await,
            None => self.get(&format!("/v1{path}")).await,
        }
    }
    pub async fn run(&self, id: u64) -> Result<Run> {
        self.get(&format!("/v1/runs/{id}")).await
    }
    pub async fn logs(&self, which: LogsOf<'_>, since: Option<u64>, limit: Option<usize>) -> Result<Logs> {
        let numbers = [("since", since.map(|id| id.to_string())), ("limit", limit.map(|lines| lines.to_string()))];
        let path = query("/logs", &numbers);
        match which {
            LogsOf::Deployment(name) => self.get(&of(name, &path)).await,
            LogsOf::Run(id) => self.get(&format!("/v1/runs/{id}{path}")).await,
        }
    }
    /// Notices after `since`, from now on without it.
    pub async fn events(&self, name: Option<&str>, since: Option<u64>) -> Result<Events> {
        let parts = [("deployment", name.map(encode)), ("since", since.map(|id| id.to_string()))];
        let path = query("/v1/events", &parts);
        let (response, connection) = self.request(Method::GET, &path, Bytes::new()).await?;
        if response.status().is_success() {
            let body = response.into_body();
            let (reader, ready) = (SseReader::default(), VecDeque::new());
            return Ok(Events { body, reader, ready, tidy: self.tidy, _connection: connection });
        }
        Err(self.refusal(&path, &response.into_body().collect().await?.to_bytes()))
    }

    async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T> {
        self.call(Method::GET, path, Bytes::new()).await
    }

    async fn post<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T> {
        self.send(Method::POST, path, body).await
    }

    async fn send<T: DeserializeOwned>(&self, method: Method, path: &str, body: &impl Serialize) -> Result<T> {
        let body = serde_json::to_vec(body).expect("a request is plain data");
        self.call(method, path, body.into()).await
    }

    async fn call<T: DeserializeOwned>(&self, method: Method, path: &str, body: Bytes) -> Result<T> {
        let (response, connection) = self.request(method, path, body).await?;
        let fine = response.status().is_success();
        let bytes = response.into_body().collect().await?.to_bytes();
        drop(connection);
        if fine { read(path, &bytes, self.tidy) } else { Err(self.refusal(path, &bytes)) }
    }

    /// The connection lives as long as the handle.
    async fn request(
        &self, method: Method, path: &str, body: Bytes,
    ) -> Result<(Response<Incoming>, AbortOnDropHandle<()>)> {
        let unreachable = |source| ClientError::Unreachable { socket: self.socket.clone(), source };
        let stream = UnixStream::connect(&self.socket).await.map_err(unreachable)?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        // Its error is the request's, too.
        let connection = AbortOnDropHandle::new(tokio::spawn(async move { drop(connection.await) }));
        let request = Request::builder().method(method).uri(path).header("host", "upgraded");
        let request = request.header("content-type", "application/json").body(Full::new(body));
        let request = request.map_err(|error| ClientError::Broken(Box::new(error)))?;
        Ok((sender.send_request(request).await?, connection))
    }

    fn refusal(&self, path: &str, bytes: &[u8]) -> ClientError {
        #[derive(Deserialize)]
        struct Body {
            error: ApiError,
        }
        match read::<Body>(path, bytes, self.tidy) {
            Ok(body) => ClientError::Api(body.error),
            Err(error) => error,
        }
    }
}

/// An open stream of notices.
pub struct Events {
    body: Incoming,
    reader: SseReader,
    ready: VecDeque<String>,
    tidy: bool,
    _connection: AbortOnDropHandle<()>,
}

impl Events {
    /// The next notice; none when the daemon ended the stream.
    pub async fn next(&mut self) -> Result<Option<Notice>> {
        loop {
            if let Some(data) = self.ready.pop_front() {
                return read("/v1/events", data.as_bytes(), self.tidy).map(Some);
            }
            let Some(frame) = self.body.frame().await else { return Ok(None) };
            if let Some(bytes) = frame?.data_ref() {
                self.ready.extend(self.reader.push(bytes)?);
            }
        }
    }
}

fn read<T: DeserializeOwned>(what: &str, bytes: &[u8], tidy: bool) -> Result<T> {
    let nonsense = |source| ClientError::Nonsense { what: what.into(), source };
    let mut value = serde_json::from_slice(bytes).map_err(nonsense)?;
    if tidy {
        tidy_value(&mut value);
    }
    serde_json::from_value(value).map_err(nonsense)
}

fn tidy_value(value: &mut serde_json::Value) {
    use serde_json::Value;
    match value {
        Value::String(text) => {
            if text.chars().any(steers) {
                *text = console::strip_ansi_codes(text).chars().filter(|c| !steers(*c)).collect();
            }
        }
        Value::Array(values) => values.iter_mut().for_each(tidy_value),
        Value::Object(map) => map.values_mut().for_each(tidy_value),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Control characters but line ends and tabs, and marks that turn the direction of text.
fn steers(c: char) -> bool {
    (c.is_control() && c != '\n' && c != '\t') || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn of(name: &str, rest: &str) -> String {
    format!("/v1/deployments/{}{rest}", encode(name))
}

fn query(path: &str, parts: &[(&str, Option<String>)]) -> String {
    let parts: Vec<_> =
        parts.iter().filter_map(|(key, value)| value.as_ref().map(|value| format!("{key}={value}"))).collect();
    if parts.is_empty() { path.into() } else { format!("{path}?{}", parts.join("&")) }
}

/// Percent-encodes everything but unreserved characters.
fn encode(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    text.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_encoded() {
        assert_eq!(
            of("a/b ü", &query("/plan", &[("to", Some(encode("1.0+x")))])),
            "/v1/deployments/a%2Fb%20%C3%BC/plan?to=1.0%2Bx"
        );
    }

    #[test]
    fn nothing_that_steers_a_terminal_is_left() {
        let bytes = br#"{"a":["\u001b[31mred\u001b[0m\u0007","two\nlines\u202e"]}"#;
        let value: serde_json::Value = read("test", bytes, true).expect("JSON");
        assert_eq!(value, serde_json::json!({"a": ["red", "two\nlines"]}));
    }
}
