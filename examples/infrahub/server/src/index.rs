//! What the vendor publishes about its releases, over HTTP.

use crate::http;
use crate::release::Catalogue;
use anyhow::Result;
use axum::routing::get;
use axum::{Json, Router};

/// `GET /releases.json`.
pub async fn serve(listen: &str) -> Result<()> {
    let index = Catalogue::read()?.index()?;
    http::serve("releases", listen, Router::new().route("/releases.json", get(async || Json(index)))).await
}
