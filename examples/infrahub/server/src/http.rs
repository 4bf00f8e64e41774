//! HTTP between the services: serving until told to end, and asking.

use anyhow::{Context, Result, bail};
use axum::body::{Body, Bytes, to_bytes};
use axum::http::{Request, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Json, Router};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::timeout;

/// A question for a name that got lost is asked again after five seconds.
const CONNECT: Duration = Duration::from_secs(10);
const ANSWER: Duration = Duration::from_secs(10);
const BODY_BYTES: usize = 64 << 20;

/// Says where it listens, for port 0.
pub async fn serve(name: &str, listen: &str, routes: Router) -> Result<()> {
    let listener = TcpListener::bind(listen).await.with_context(|| format!("`{listen}`"))?;
    println!("[{name}] listens on http://{}", listener.local_addr()?);
    axum::serve(listener, routes).with_graceful_shutdown(told_to_end()).await?;
    Ok(())
}

/// The first process of a container ends by a signal only where it asks for it.
pub async fn told_to_end() {
    match signal(SignalKind::terminate()) {
        Ok(mut terminate) => tokio::select! {
            _ = terminate.recv() => {}
            _ = tokio::signal::ctrl_c() => {}
        },
        Err(error) => eprintln!("no signal will end this process: {error}"),
    }
}

pub async fn ask(method: &str, server: &str, path: &str, body: Option<&Value>) -> Result<(StatusCode, Bytes)> {
    let about = || format!("`{method} http://{server}{path}`");
    timeout(CONNECT + ANSWER, exchange(method, server, path, body)).await.ok().with_context(about)?.with_context(about)
}

async fn exchange(method: &str, server: &str, path: &str, body: Option<&Value>) -> Result<(StatusCode, Bytes)> {
    let stream = timeout(CONNECT, TcpStream::connect(server)).await.ok().context("it does not answer")??;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let request = Request::builder().method(method).uri(path).header(header::HOST, server);
    let request = match body {
        Some(body) => request.header(header::CONTENT_TYPE, "application/json").body(Body::from(body.to_string())),
        None => request.body(Body::empty()),
    };
    let exchange = async {
        let answer = sender.send_request(request?).await?;
        let status = answer.status();
        Ok((status, to_bytes(Body::new(answer.into_body()), BODY_BYTES).await?))
    };
    tokio::pin!(exchange);
    let mut connection = std::pin::pin!(connection);
    tokio::select! {
        told = &mut exchange => told,
        broken = &mut connection => match broken {
            Ok(()) => exchange.await,
            Err(error) => Err(error.into()),
        },
    }
}

/// `infrahub health URL`: an error unless the address answers 200.
pub async fn probe(url: &str) -> Result<()> {
    let rest = url.strip_prefix("http://").with_context(|| format!("`{url}` does not begin with `http://`"))?;
    let (server, path) = rest.split_once('/').unwrap_or((rest, ""));
    let (status, body) = ask("GET", server, &format!("/{path}"), None).await?;
    println!("{}", String::from_utf8_lossy(&body));
    if status != StatusCode::OK {
        bail!("`{url}` answers {status}");
    }
    Ok(())
}

/// What another service did not do for us.
pub struct Unavailable(anyhow::Error);

impl<E: Into<anyhow::Error>> From<E> for Unavailable {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

impl IntoResponse for Unavailable {
    fn into_response(self) -> Response {
        refusal(StatusCode::SERVICE_UNAVAILABLE, format!("{:#}", self.0))
    }
}

pub fn refusal(status: StatusCode, why: impl Into<String>) -> Response {
    (status, Json(json!({ "error": why.into() }))).into_response()
}
