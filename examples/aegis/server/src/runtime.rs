//! `aegis runtime`: owns the schema and the agents. Migrates when it starts, listens once that is done.

use crate::agents::{self, NewAgent};
use crate::service::{Running, Shared, Unavailable};
use crate::{http, migrate};
use anyhow::Result;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::json;
use std::sync::Arc;

pub async fn run(running: Arc<Running>) -> Result<()> {
    migrate::run(&running.settings, &running.release).await?;
    let routes = Router::new().route("/v1/agents", get(all).post(append)).route("/health", get(health));
    running.serve(routes.with_state(running.clone())).await
}

async fn append(State(running): Shared, Json(agent): Json<NewAgent>) -> Result<Response, Unavailable> {
    let id = agents::append(&mut running.settings.connect().await?, &agent).await?;
    Ok((StatusCode::CREATED, Json(json!({ "id": id }))).into_response())
}

async fn all(State(running): Shared) -> Result<Response, Unavailable> {
    Ok(Json(agents::all(&mut running.settings.connect().await?).await?).into_response())
}

/// Of everything that the runtime needs; 503 where something is missing.
async fn health(State(running): Shared) -> Result<Response, Unavailable> {
    let client = running.settings.connect().await?;
    let at = migrate::at(&client).await?;
    http::get(&running.settings.openbao, "/health").await?;
    let row = client.query_opt("SELECT release FROM workers WHERE name = 'temporal-worker'", &[]).await?;
    let worker: Option<String> = row.map(|row| row.get(0));
    let version = &running.release.version;
    Ok(Json(json!({ "status": "ok", "version": version, "db_migration": at, "worker": worker })).into_response())
}
