//! What lets users in, where an operator's reverse proxy would stand: passes connections on, and ends with them.

use crate::settings::Settings;
use anyhow::{Context, Result};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

pub async fn run(settings: &Settings) -> Result<()> {
    let port = settings.gate_port.context("`GATE_PORT` is not set")?;
    let listener = TcpListener::bind((settings.address, port)).await.context("`GATE_PORT`")?;
    let mut connections = JoinSet::new();
    loop {
        let (mut user, _) = listener.accept().await?;
        let to = (settings.address, settings.port);
        connections.spawn(async move {
            if let Ok(mut runtime) = TcpStream::connect(to).await {
                let _ = copy_bidirectional(&mut user, &mut runtime).await;
            }
        });
        while connections.try_join_next().is_some() {}
    }
}
