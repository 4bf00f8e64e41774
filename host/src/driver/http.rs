//! Behind `http`: requests to addresses that the operator granted. Reads only, as far as the host knows.
//!
//! Straight to the granted origin: no redirect is followed, and no proxy of the daemon's environment is used, for nobody
//! granted those.

use super::Rehearsable;
use super::kubernetes::Behind;
use super::process::redact::Redactor;
use crate::config::secret::{Secret, SecretSource};
use crate::context::{Site, StepContext};
use crate::effect::Access;
use crate::model::*;
use reqwest::header::{HOST, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, Method, Url};
use std::collections::BTreeMap;
use std::sync::OnceLock;
use std::time::Duration;

const BODY_BYTES: usize = 8 << 20;
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);
const LONGEST_TIMEOUT: Duration = Duration::from_secs(600);
/// The connection's own: a plugin that set them could reach another host behind the granted address, or another request.
const OWN_HEADERS: [&str; 6] = ["host", "connection", "content-length", "transfer-encoding", "upgrade", "te"];

pub struct Http {
    /// As the operator wrote them.
    origins: Vec<String>,
    /// By dotted key within the binding's table.
    secrets: BTreeMap<String, SecretSource>,
    /// In a rehearsal: the doubles that are asked instead of what is published.
    doubles: Option<Vec<Rehearsable>>,
}

#[derive(Debug, Clone)]
pub struct Request {
    pub method: String,
    pub url: String,
    pub headers: Vec<(String, String)>,
    pub secret_headers: Vec<SecretHeader>,
    pub body: Vec<u8>,
    /// 0: the host's own.
    pub timeout_ms: u64,
}

#[derive(Debug, Clone)]
pub struct SecretHeader {
    pub name: String,
    pub prefix: String,
    pub secret: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Http {
    pub fn new(origins: Vec<String>, secrets: BTreeMap<String, SecretSource>) -> Self {
        Self { origins, secrets, doubles: None }
    }

    /// What a rehearsal asks never reaches what is live.
    pub fn instead(self, doubles: Option<Vec<Rehearsable>>) -> Self {
        Self { doubles, ..self }
    }

    pub async fn send(&self, cx: &StepContext, request: &Request) -> Result<Response, VerbError> {
        let url = self.granted(&request.url)?;
        let method = method(&request.method)?;
        if cx.site != Site::Live {
            return Err(VerbError::Denied("a request would reach the live site, and this is a drill".into()));
        }
        let changes = matches!(method, Method::PUT | Method::PATCH | Method::DELETE);
        if changes && cx.effects.access() == Access::Reading {
            return Err(VerbError::Denied(format!("`{method}` changes what it is sent to, and this phase only reads")));
        }
        let timeout = match request.timeout_ms {
            0 => DEFAULT_TIMEOUT,
            wanted => Duration::from_millis(wanted).min(LONGEST_TIMEOUT),
        };
        let place = format!("{method} {}", place(&url));
        let secrets = self.secrets(request)?;
        let mut headers = headers(request, &secrets)?;
        let reads = matches!(method, Method::GET | Method::HEAD) && request.secret_headers.is_empty();
        let url = self.in_double(url, reads, &mut headers).await?;
        let built = client()?
            .request(method, url)
            .headers(headers)
            .body(request.body.clone())
            .build()
            .map_err(|error| VerbError::Invalid(format!("`{place}`: {}", why(error))))?;
        let answer = tokio::time::timeout(timeout, receive(built, &place));
        tokio::select! {
            biased;
            () = cx.activity.cancellation().cancelled() => Err(VerbError::Cancelled),
            answer = answer => {
                cx.activity.touch();
                let answer = answer.unwrap_or_else(|_| Err(VerbError::Unavailable(format!("`{place}` gave no answer in {} ms", timeout.as_millis()))));
                answer.map(|answer| without(&secrets, answer))
            }
        }
    }

    /// What is published for users is asked of the double; elsewhere, for example at a vendor's index, a rehearsal only
    /// reads, and hands over no secret.
    async fn in_double(&self, mut url: Url, reads: bool, headers: &mut HeaderMap) -> Result<Url, VerbError> {
        let Some(doubles) = &self.doubles else { return Ok(url) };
        let host = url.host_str().unwrap_or_default();
        let named = HeaderValue::from_str(&url.port().map_or(host.to_owned(), |port| format!("{host}:{port}")));
        for double in doubles {
            let Some(Behind { address, plain }) = double.behind(&url).await? else { continue };
            if plain && url.scheme() == "https" && url.set_scheme("http").is_ok() {
                headers.insert("x-forwarded-proto", HeaderValue::from_static("https"));
            }
            let moved = url.scheme() == "http"
                && url.set_ip_host(address.ip()).is_ok()
                && url.set_port(Some(address.port())).is_ok();
            return match (moved, named) {
                (true, Ok(named)) => {
                    headers.insert(HOST, named);
                    Ok(url)
                }
                _ => Err(VerbError::Invalid(format!("`{url}` can't be asked in a rehearsal: only plain `http` can"))),
            };
        }
        match reads {
            true => Ok(url),
            false => Err(VerbError::Denied(format!(
                "`{}` is no address of the double, and a rehearsal changes nothing outside of it",
                url.origin().ascii_serialization()
            ))),
        }
    }

    fn granted(&self, text: &str) -> Result<Url, VerbError> {
        let url = Url::parse(text).map_err(|error| VerbError::Invalid(format!("a URL is wrong: {error}")))?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(VerbError::Invalid("a URL carries no account; a secret header does".into()));
        }
        let same = |origin: &String| Url::parse(origin).is_ok_and(|origin| origin.origin() == url.origin());
        if matches!(url.scheme(), "http" | "https") && self.origins.iter().any(same) {
            return Ok(url);
        }
        let granted =
            if self.origins.is_empty() { "none is".into() } else { format!("`{}` are", self.origins.join("`, `")) };
        let origin = url.origin().ascii_serialization();
        Err(VerbError::Denied(format!("requests to `{origin}` are not granted under `http`; {granted}")))
    }

    /// The value of each secret header, in order.
    fn secrets(&self, request: &Request) -> Result<Vec<Secret>, VerbError> {
        let value = |header: &SecretHeader| {
            let key = &header.secret;
            let source = self
                .secrets
                .get(key)
                .ok_or_else(|| VerbError::Denied(format!("no secret stands under `{key}` in the binding's table")))?;
            source.resolve().map_err(|error| VerbError::Unavailable(error.to_string()))
        };
        request.secret_headers.iter().map(value).collect()
    }
}

fn headers(request: &Request, secrets: &[Secret]) -> Result<HeaderMap, VerbError> {
    let mut headers = HeaderMap::new();
    for (name, value) in &request.headers {
        let text = HeaderValue::from_str(value)
            .map_err(|_| VerbError::Invalid(format!("the value of the header `{name}` is none")))?;
        headers.append(header_name(name)?, text);
    }
    for (header, secret) in request.secret_headers.iter().zip(secrets) {
        let key = &header.secret;
        let mut value = HeaderValue::from_str(&format!("{}{}", header.prefix, secret.reveal()))
            .map_err(|_| VerbError::Invalid(format!("the secret `{key}` has bytes that no header may have")))?;
        value.set_sensitive(true);
        headers.append(header_name(&header.name)?, value);
    }
    Ok(headers)
}

/// Some servers say back what they were asked: the plugin gets no secret that way.
fn without(secrets: &[Secret], answer: Response) -> Response {
    if secrets.is_empty() {
        return answer;
    }
    let mut redactor = Redactor::new(secrets.iter().map(Secret::reveal));
    let headers = answer.headers.into_iter().map(|(name, value)| (name, redactor.text(&value))).collect();
    let mut body = redactor.push(&answer.body);
    body.extend(redactor.finish());
    Response { headers, body, ..answer }
}

/// The one client of the host; health checks use it too.
pub(super) fn client() -> Result<Client, VerbError> {
    static CLIENT: OnceLock<Result<Client, String>> = OnceLock::new();
    let build = || {
        if rustls::crypto::CryptoProvider::get_default().is_none() {
            // Only tests come here: `main` installs it first. A loser of the race finds what the winner installed.
            let _ = rustls::crypto::ring::default_provider().install_default();
        }
        Client::builder()
            .user_agent(concat!("upgraded/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .build()
            .map_err(why)
    };
    CLIENT.get_or_init(build).clone().map_err(|error| VerbError::other("http", error))
}

/// For downloads from addresses that the operator named, which may lead on to others.
pub(super) fn downloads() -> Result<Client, VerbError> {
    client()?;
    let client = Client::builder().user_agent(concat!("upgraded/", env!("CARGO_PKG_VERSION"))).build();
    client.map_err(|error| VerbError::other("http", why(error)))
}

/// Whether a GET is answered with 2xx within `timeout`; an error says what came instead.
pub(super) async fn probe(url: &str, timeout: Duration) -> Result<(), String> {
    let client = client().map_err(|error| error.to_string())?;
    match client.get(url).timeout(timeout).send().await {
        Ok(answer) if answer.status().is_success() => Ok(()),
        Ok(answer) => Err(format!("status {}", answer.status().as_u16())),
        Err(error) => Err(why(error)),
    }
}

async fn receive(request: reqwest::Request, place: &str) -> Result<Response, VerbError> {
    let unavailable = |error| VerbError::Unavailable(format!("`{place}`: {}", why(error)));
    let mut answer = client()?.execute(request).await.map_err(unavailable)?;
    let header = |(name, value): (&HeaderName, &HeaderValue)| {
        (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
    };
    let headers = answer.headers().iter().map(header).collect();
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(unavailable)? {
        if body.len() + chunk.len() > BODY_BYTES {
            return Err(VerbError::Invalid(format!("`{place}` answered with more than {BODY_BYTES} bytes")));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Response { status: answer.status().as_u16(), headers, body })
}

fn method(text: &str) -> Result<Method, VerbError> {
    let method = Method::from_bytes(text.as_bytes());
    match method {
        Ok(method) if !matches!(method, Method::CONNECT | Method::TRACE) => Ok(method),
        _ => Err(VerbError::Invalid(format!("`{text}` is no method of a request"))),
    }
}

fn header_name(text: &str) -> Result<HeaderName, VerbError> {
    let name = HeaderName::from_bytes(text.as_bytes())
        .map_err(|_| VerbError::Invalid(format!("`{text}` is no name of a header")))?;
    if OWN_HEADERS.contains(&name.as_str()) {
        return Err(VerbError::Denied(format!("the header `{name}` is the host's own")));
    }
    Ok(name)
}

/// Without the query, which may hold what is nobody's business.
fn place(url: &Url) -> String {
    format!("{}{}", url.origin().ascii_serialization(), url.path())
}

/// The whole chain of causes, without the URL.
pub(super) fn why(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(&error);
    while let Some(source) = cause {
        text.push_str(&format!(": {source}"));
        cause = source.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::driver::testing;
    use std::path::Path;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;
    use tokio::task::JoinHandle;

    /// Answers one request with `answer`, and returns what it was asked.
    async fn server(answer: Vec<u8>) -> (String, JoinHandle<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let task = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut asked = Vec::new();
            let mut buffer = [0; 4096];
            while !asked.windows(4).any(|window| window == b"\r\n\r\n") {
                let count = stream.read(&mut buffer).await.unwrap();
                asked.extend_from_slice(&buffer[..count]);
            }
            let _ = stream.write_all(&answer).await;
            let _ = stream.shutdown().await;
            String::from_utf8(asked).unwrap()
        });
        (origin, task)
    }

    fn get(url: &str) -> Request {
        Request {
            method: "GET".into(),
            url: url.into(),
            headers: vec![],
            secret_headers: vec![],
            body: vec![],
            timeout_ms: 10_000,
        }
    }

    fn reading() -> StepContext {
        testing::reading(Path::new("/tmp/shop"))
    }

    #[tokio::test]
    async fn a_granted_origin_answers_and_a_redirect_is_returned() {
        let (origin, task) =
            server(b"HTTP/1.1 302 Found\r\nlocation: http://elsewhere/\r\ncontent-length: 2\r\n\r\nno".to_vec()).await;
        let http = Http::new(vec![origin.clone()], BTreeMap::new());
        let answer = http.send(&reading(), &get(&format!("{origin}/health?x=1"))).await.unwrap();
        assert_eq!((answer.status, answer.body.as_slice()), (302, b"no".as_slice()));
        assert!(answer.headers.contains(&("location".into(), "http://elsewhere/".into())));
        assert!(task.await.unwrap().starts_with("GET /health?x=1 HTTP/1.1\r\n"));
    }

    #[tokio::test]
    async fn an_origin_is_scheme_host_and_port() {
        let http = Http::new(vec!["http://shop.example:8080".into()], BTreeMap::new());
        for url in [
            "http://shop.example:8081/",
            "https://shop.example:8080/",
            "http://shop.example:8080.evil.example/",
            "http://evil.example/http://shop.example:8080/",
            "file:///etc/passwd",
        ] {
            let error = http.send(&reading(), &get(url)).await.unwrap_err();
            assert!(matches!(error, VerbError::Denied(_) | VerbError::Invalid(_)), "{url}: {error}");
        }
        let error = http.send(&reading(), &get("http://shop.example:8080@evil.example/")).await.unwrap_err();
        assert_eq!(error.to_string(), "a URL carries no account; a secret header does");
        assert!(http.granted("http://SHOP.example:8080/path").is_ok());
    }

    #[tokio::test]
    async fn a_secret_is_in_the_header_and_in_no_error() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("token");
        std::fs::write(&file, "s3cr3t\nt0k3n").unwrap();
        std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        let (origin, task) = server(b"HTTP/1.1 204 No Content\r\n\r\n".to_vec()).await;
        let http =
            Http::new(vec![origin.clone()], BTreeMap::from([("token".into(), SecretSource::File(file.clone()))]));
        let header = SecretHeader { name: "authorization".into(), prefix: "Bearer ".into(), secret: "token".into() };
        let request = Request { secret_headers: vec![header.clone()], ..get(&origin) };
        let error = http.send(&reading(), &request).await.unwrap_err().to_string();
        assert!(!error.contains("s3cr3t") && !error.contains("t0k3n"), "{error}");
        std::fs::write(&file, "s3cr3t").unwrap();
        assert_eq!(http.send(&reading(), &request).await.unwrap().status, 204);
        assert!(task.await.unwrap().contains("authorization: Bearer s3cr3t\r\n"));
        // Nobody listens there any more.
        let error = http.send(&reading(), &request).await.unwrap_err();
        assert!(matches!(&error, VerbError::Unavailable(text) if !text.contains("s3cr3t")), "{error}");
        let other = Request { secret_headers: vec![SecretHeader { secret: "else".into(), ..header }], ..get(&origin) };
        assert!(matches!(http.send(&reading(), &other).await, Err(VerbError::Denied(_))));
    }

    #[tokio::test]
    async fn an_answer_without_end_and_one_that_never_comes_have_bounds() {
        let mut endless = b"HTTP/1.1 200 OK\r\n\r\n".to_vec();
        endless.resize(BODY_BYTES + 4096, b'x');
        let (origin, _task) = server(endless).await;
        let http = Http::new(vec![origin.clone()], BTreeMap::new());
        assert!(matches!(http.send(&reading(), &get(&origin)).await, Err(VerbError::Invalid(_))));

        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let http = Http::new(vec![origin.clone()], BTreeMap::new());
        let hasty = Request { timeout_ms: 100, ..get(&origin) };
        assert!(matches!(http.send(&reading(), &hasty).await, Err(VerbError::Unavailable(_))));
        let cx = reading();
        cx.activity.cancellation().cancel();
        assert_eq!(http.send(&cx, &get(&origin)).await, Err(VerbError::Cancelled));
    }

    #[tokio::test]
    async fn what_changes_is_refused_in_a_phase_that_reads() {
        let http = Http::new(vec!["http://127.0.0.1:9".into()], BTreeMap::new());
        let delete = Request { method: "DELETE".into(), ..get("http://127.0.0.1:9/") };
        assert!(matches!(http.send(&reading(), &delete).await, Err(VerbError::Denied(_))));
        let other_host = Request { headers: vec![("Host".into(), "admin".into())], ..get("http://127.0.0.1:9/") };
        assert!(matches!(http.send(&reading(), &other_host).await, Err(VerbError::Denied(_))));
    }
}
