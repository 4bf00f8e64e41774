//! Images that a test registers, and what of them runs.

use super::container::{Environment, start_command};
use crate::core::Core;
use crate::reply::whole;
use http_body_util::BodyExt as _;
use hyper::StatusCode;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::Child;
use tokio_util::sync::{CancellationToken, DropGuard};

/// What an image does when it is started.
#[derive(Clone)]
pub enum Image {
    Server(Program),
    /// For jobs: the exit code.
    Task(Arc<dyn Fn(&Environment) -> i32 + Send + Sync>),
    /// A program. As a server it listens on `$PORT` of 127.0.0.1.
    Command(Vec<String>),
    /// Starts and never listens; as a job it exits with 1.
    Broken,
    /// Cloud Run may not read it.
    Private,
}

/// What a server was asked.
#[derive(Clone, Debug, Default)]
pub struct Request {
    pub method: String,
    /// With what stands behind the question mark.
    pub path: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

#[derive(Clone, Debug)]
pub struct Response {
    pub status: u16,
    pub content_type: &'static str,
    pub body: Vec<u8>,
}

impl Response {
    pub fn json(body: &serde_json::Value) -> Self {
        Self { status: 200, content_type: "application/json", body: body.to_string().into_bytes() }
    }

    pub fn text(status: u16, body: impl Into<String>) -> Self {
        Self { status, content_type: "text/plain", body: body.into().into_bytes() }
    }
}

impl Image {
    pub fn server(program: impl Fn(&Environment, &Request) -> Response + Send + Sync + 'static) -> Self {
        Self::Server(Arc::new(program))
    }

    pub fn task(program: impl Fn(&Environment) -> i32 + Send + Sync + 'static) -> Self {
        Self::Task(Arc::new(program))
    }

    pub fn command<A: Into<String>>(command: impl IntoIterator<Item = A>) -> Self {
        Self::Command(command.into_iter().map(Into::into).collect())
    }
}

#[derive(Default)]
pub(crate) struct Images {
    registry: Mutex<Registry>,
}

#[derive(Default)]
struct Registry {
    /// From a tag to the digest that it stands for.
    tags: BTreeMap<String, String>,
    by_digest: BTreeMap<String, Image>,
    pushes: u64,
}

impl Images {
    /// Pushing a reference again gives it another digest; what the old one stood for stays.
    pub(crate) fn push(&self, reference: &str, image: Image) {
        let mut registry = self.registry.lock().expect("nothing panics while it holds the lock");
        registry.pushes += 1;
        let name = match reference.rsplit_once(':') {
            Some((name, tag)) if !tag.contains('/') => name,
            _ => reference,
        };
        let hash = Sha256::digest(format!("{reference} {}", registry.pushes));
        let hex: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
        let digest = format!("{name}@sha256:{hex}");
        registry.tags.insert(reference.to_owned(), digest.clone());
        registry.by_digest.insert(digest, image);
    }

    /// By tag or by digest.
    pub(super) fn get(&self, reference: &str) -> Option<Image> {
        let digest = self.digest(reference)?;
        let registry = self.registry.lock().expect("nothing panics while it holds the lock");
        registry.by_digest.get(&digest).cloned()
    }

    /// By what a registry is asked: repository without the host, and a tag or a digest. The digest alone, and whether it
    /// may be read.
    pub(crate) fn registered(&self, repository: &str, version: &str) -> Option<(String, bool)> {
        let registry = self.registry.lock().expect("nothing panics while it holds the lock");
        let without_host = |name: &str| name.split_once('/').map_or(name, |(_, rest)| rest).to_owned();
        let (tag, pinned) = (format!("{repository}:{version}"), format!("{repository}@{version}"));
        let by_tag = registry.tags.iter().find(|(name, _)| without_host(name) == tag).map(|(_, digest)| digest);
        let digest = by_tag.or_else(|| registry.by_digest.keys().find(|name| without_host(name) == pinned))?;
        let readable = !matches!(registry.by_digest.get(digest), Some(Image::Private));
        digest.rsplit_once('@').map(|(_, digest)| (digest.to_owned(), readable))
    }

    /// `repository/name@sha256:…`
    pub(crate) fn digest(&self, reference: &str) -> Option<String> {
        let registry = self.registry.lock().expect("nothing panics while it holds the lock");
        let known = registry.by_digest.contains_key(reference).then(|| reference.to_owned());
        known.or_else(|| registry.tags.get(reference).cloned())
    }
}

/// One container that serves. It ends when this is dropped.
pub(crate) struct Instance {
    pub port: u16,
    _running: Running,
}

pub(super) enum Running {
    InProcess {
        _stop: DropGuard,
    },
    /// None: it is over.
    Child(Arc<Mutex<Option<Child>>>),
}

/// Within which a killed program is gone.
const GONE_WITHIN: std::time::Duration = std::time::Duration::from_secs(5);

impl Drop for Running {
    /// What is said to have stopped writes nothing any more.
    fn drop(&mut self) {
        let Self::Child(held) = self else { return };
        let Some(mut child) = held.lock().expect("nothing panics while it holds the lock").take() else { return };
        let _ = child.start_kill();
        let begun = std::time::Instant::now();
        while matches!(child.try_wait(), Ok(None)) && begun.elapsed() < GONE_WITHIN {
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
    }
}

/// Why a container does not serve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NotStarted {
    NoImage,
    Private,
    Unhealthy,
}

impl Instance {
    pub(super) fn new(port: u16, running: Running) -> Self {
        Self { port, _running: running }
    }

    pub(super) async fn start(core: &Arc<Core>, environment: Environment) -> Result<Self, NotStarted> {
        match core.run.images.get(&environment.image).ok_or(NotStarted::NoImage)? {
            Image::Private => Err(NotStarted::Private),
            // Its port stays shut until the time is over.
            Image::Broken | Image::Task(_) => Err(NotStarted::Unhealthy),
            Image::Command(command) => start_command(core, &command, &environment).await,
            Image::Server(program) => {
                let listener = TcpListener::bind("127.0.0.1:0").await.map_err(|_| NotStarted::Unhealthy)?;
                let port = listener.local_addr().map_err(|_| NotStarted::Unhealthy)?.port();
                let stop = CancellationToken::new();
                let serving = serve(Arc::clone(core), listener, program, environment, stop.clone());
                core.spawn(serving);
                Ok(Self::new(port, Running::InProcess { _stop: stop.drop_guard() }))
            }
        }
    }
}

type Program = Arc<dyn Fn(&Environment, &Request) -> Response + Send + Sync>;

async fn serve(
    core: Arc<Core>, listener: TcpListener, program: Program, environment: Environment, stop: CancellationToken,
) {
    let environment = Arc::new(environment);
    while let Some(accepted) = stop.run_until_cancelled(listener.accept()).await {
        let Ok((stream, _)) = accepted else { continue };
        let (program, environment, stop) = (Arc::clone(&program), Arc::clone(&environment), stop.clone());
        core.spawn(async move { _ = stop.run_until_cancelled(connection(stream, program, environment)).await });
    }
}

async fn connection(stream: TcpStream, program: Program, environment: Arc<Environment>) {
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        let (program, environment) = (Arc::clone(&program), Arc::clone(&environment));
        async move {
            let (head, body) = request.into_parts();
            let text = |value: &hyper::header::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
            let asked = Request {
                method: head.method.to_string(),
                path: head.uri.path_and_query().map(ToString::to_string).unwrap_or_default(),
                headers: head.headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect(),
                body: body.collect().await.map(|body| body.to_bytes().to_vec()).unwrap_or_default(),
            };
            // A test's server may block.
            let answered = tokio::task::spawn_blocking(move || program(&environment, &asked)).await;
            let given = answered.unwrap_or_else(|_| Response::text(500, "the program panicked"));
            let mut response = hyper::Response::new(whole(given.body.into()));
            *response.status_mut() = StatusCode::from_u16(given.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            response.headers_mut().insert("content-type", hyper::header::HeaderValue::from_static(given.content_type));
            Ok::<_, Infallible>(response)
        }
    });
    let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}
