//! The vendor's side: the index of releases.

use crate::http;
use crate::release::Index;
use anyhow::Result;
use axum::routing::get;
use axum::{Json, Router};
use std::net::SocketAddr;

pub async fn run(listen: SocketAddr) -> Result<()> {
    let index = serde_json::to_value(Index::read()?)?;
    println!("http://{listen}/releases.json");
    http::serve(listen, Router::new().route("/releases.json", get(async || Json(index)))).await
}
