//! The gate: a proxy on the public address that passes every connection on to the private one. While it is stopped, no
//! user comes in.

use crate::settings::Settings;
use anyhow::{Context, Result};
use std::net::SocketAddr;
use tokio::io::{AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;

const BUSY: &str =
    "HTTP/1.1 503 Service Unavailable\r\nconnection: close\r\ncontent-length: 21\r\n\r\nnotes is not running\n";

pub async fn run(settings: &Settings) -> Result<()> {
    let (public, private) = (settings.front.listen, settings.web.listen);
    let listener = TcpListener::bind(public).await.with_context(|| format!("`{public}`"))?;
    println!("front listens on {public}, passes on to {private}");
    let mut terminated = signal(SignalKind::terminate())?;
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            _ = terminated.recv() => break,
            accepted = listener.accept() => {
                // A client that left before it was accepted is no reason to close the gate.
                let Ok((client, _)) = accepted else { continue };
                connections.spawn(pass_on(client, private));
            }
            Some(_) = connections.join_next() => {}
        }
    }
    connections.shutdown().await;
    Ok(())
}

/// A connection that breaks ends; nobody else has to know.
async fn pass_on(mut client: TcpStream, private: SocketAddr) {
    match TcpStream::connect(private).await {
        Ok(mut server) => _ = copy_bidirectional(&mut client, &mut server).await,
        Err(_) => _ = client.write_all(BUSY.as_bytes()).await,
    }
}
