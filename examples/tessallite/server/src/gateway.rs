//! Where users come in: passes everything on to the frontend.

use crate::http;
use crate::service::{Running, Service, Shared, ok};
use crate::settings::Settings;
use anyhow::Result;
use axum::extract::{Request, State};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::Value;
use std::sync::Arc;

pub async fn run(running: Arc<Running>) -> Result<()> {
    let pass_on = |request: Request| async { http::pass_on(&Settings::upstream(Service::Frontend), request).await };
    let routes = Router::new().route("/healthz", get(own_health)).fallback(pass_on);
    running.serve(routes.with_state(running.clone())).await
}

/// Of the gateway alone; `/api/health` is the product's.
async fn own_health(State(running): Shared) -> Json<Value> {
    Json(ok(&running))
}
