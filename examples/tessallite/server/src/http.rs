//! HTTP between the services: serving until told to end, and passing requests on.

use crate::service::Unavailable;
use anyhow::{Context, Result, bail};
use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::Request;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::timeout;

/// A question for a name that got lost is asked again after five seconds.
const CONNECT: Duration = Duration::from_secs(10);
const ANSWER: Duration = Duration::from_secs(10);
const BODY_BYTES: usize = 1 << 20;

pub async fn serve(address: SocketAddr, routes: Router) -> Result<()> {
    let listener = TcpListener::bind(address).await.with_context(|| format!("`{address}`"))?;
    axum::serve(listener, routes).with_graceful_shutdown(terminated()).await?;
    Ok(())
}

/// Until SIGTERM.
pub async fn terminated() {
    match signal(SignalKind::terminate()) {
        Ok(mut terminate) => _ = terminate.recv().await,
        Err(error) => eprintln!("no signal will end this process: {error}"),
    }
}

/// The upstream's answer, or 503 where there is none.
pub async fn pass_on(upstream: &str, request: Request) -> Response {
    match send(upstream, request).await {
        Ok(answer) => answer,
        Err(error) => Unavailable::from(error).into_response(),
    }
}

pub async fn get(upstream: &str, path: &str) -> Result<(StatusCode, Bytes)> {
    let answer = send(upstream, Request::get(path).body(Body::empty())?).await?;
    let status = answer.status();
    Ok((status, timeout(ANSWER, to_bytes(answer.into_body(), BODY_BYTES)).await??))
}

/// Prints what `http://host:port/path` answers; an error where that isn't 200.
pub async fn healthy(url: &str) -> Result<()> {
    let rest = url.strip_prefix("http://").with_context(|| format!("`{url}` does not begin with `http://`"))?;
    let (upstream, path) = rest.split_once('/').unwrap_or((rest, ""));
    let (status, body) = get(upstream, &format!("/{path}")).await?;
    println!("{}", String::from_utf8_lossy(&body));
    if status != StatusCode::OK {
        bail!("`{url}` answers {status}");
    }
    Ok(())
}

async fn send(upstream: &str, mut request: Request) -> Result<Response> {
    let connected = timeout(CONNECT, TcpStream::connect(upstream)).await;
    let stream = connected.ok().with_context(|| format!("`{upstream}` does not answer"))?;
    let stream = stream.with_context(|| format!("`{upstream}`"))?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(async move {
        // What broke, whoever reads the answer hears.
        let _ = connection.await;
    });
    request.headers_mut().remove(header::CONNECTION);
    request.headers_mut().insert(header::HOST, HeaderValue::from_str(upstream)?);
    let answer = timeout(ANSWER, sender.send_request(request)).await;
    let answer = answer.ok().with_context(|| format!("`{upstream}` takes too long"))?;
    Ok(answer.with_context(|| format!("`{upstream}`"))?.map(Body::new))
}
