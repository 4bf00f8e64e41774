//! `evose health URL`, for health checks in images that have no other client.

use anyhow::{Context, Result, bail};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const PATIENCE: Duration = Duration::from_secs(5);
const ANSWER_BYTES: u64 = 64 << 10;

/// An error unless the address answers 200.
pub async fn run(url: &str) -> Result<()> {
    let rest = url.strip_prefix("http://").context("an address begins with `http://`")?;
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let answer = tokio::time::timeout(PATIENCE, ask(host, path)).await;
    let answer = answer.with_context(|| format!("`{url}` gave no answer in {} s", PATIENCE.as_secs()))??;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    println!("{body}");
    match head.split_whitespace().nth(1) {
        Some("200") => Ok(()),
        status => bail!("`{url}` answers {}", status.unwrap_or("nothing")),
    }
}

async fn ask(host: &str, path: &str) -> Result<String> {
    let mut server = TcpStream::connect(host).await.with_context(|| format!("`{host}`"))?;
    server.write_all(format!("GET /{path} HTTP/1.0\r\nHost: {host}\r\n\r\n").as_bytes()).await?;
    let mut answer = Vec::new();
    server.take(ANSWER_BYTES).read_to_end(&mut answer).await?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}
