//! What the vendor publishes about its releases, over HTTP.

use crate::release::Catalogue;
use anyhow::{Context, Result};
use axum::routing::get;
use axum::{Json, Router};
use tokio::net::TcpListener;

/// Serves `GET /releases.json`; says where it listens, for port 0.
pub async fn serve(address: &str) -> Result<()> {
    let index = Catalogue::read()?.index();
    let listener = TcpListener::bind(address).await.with_context(|| format!("`{address}`"))?;
    println!("[releases] http://{}/releases.json", listener.local_addr()?);
    let routes = Router::new().route("/releases.json", get(move || async move { Json(index) }));
    Ok(axum::serve(listener, routes).await?)
}
