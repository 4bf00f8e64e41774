//! `aegis seal-gateway`: where users come in; passes everything on to the runtime.

use crate::http;
use crate::service::{Running, Shared, ok};
use anyhow::Result;
use axum::extract::{Request, State};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::Value;
use std::sync::Arc;

pub async fn run(running: Arc<Running>) -> Result<()> {
    let upstream = running.settings.runtime.clone();
    let pass_on = move |request: Request| {
        let upstream = upstream.clone();
        async move { http::pass_on(&upstream, request).await }
    };
    let routes = Router::new().route("/healthz", get(own_health)).fallback(pass_on);
    running.serve(routes.with_state(running.clone())).await
}

/// Of the gateway alone; `/health` is the runtime's.
async fn own_health(State(running): Shared) -> Json<Value> {
    Json(ok(&running))
}
