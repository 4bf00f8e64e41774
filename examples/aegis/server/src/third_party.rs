//! Health of what stands for another vendor's server.

use crate::http;
use anyhow::Result;
use axum::routing::get;
use axum::{Json, Router};
use serde_json::json;
use std::net::Ipv4Addr;

pub async fn run(name: &'static str, port: u16) -> Result<()> {
    println!("[{name}] listens on {port}");
    let health = get(async move || Json(json!({ "status": "ok", "server": name })));
    http::serve((Ipv4Addr::UNSPECIFIED, port).into(), Router::new().route("/health", health)).await
}
