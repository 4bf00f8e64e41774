//! Owns the schema and the models: migrates when it starts, listens once that is done.

use crate::migrate;
use crate::models::{self, NewModel};
use crate::service::{Running, Shared, Unavailable, health};
use anyhow::Result;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::json;
use std::sync::Arc;

pub async fn run(running: Arc<Running>) -> Result<()> {
    migrate::run(&running.settings, &running.release).await?;
    let routes = Router::new().route("/api/models", get(all).post(append)).route("/api/models/{id}", get(one));
    running.serve(routes.merge(health()).with_state(running.clone())).await
}

async fn append(State(running): Shared, Json(model): Json<NewModel>) -> Result<Response, Unavailable> {
    let id = models::append(&mut running.settings.connect().await?, &model).await?;
    let link = running.settings.public_url.as_ref().map(|url| format!("{}/models/{id}", url.trim_end_matches('/')));
    let body = match link {
        Some(link) if running.release.needs.iter().any(|key| key == "TESSALLITE_PUBLIC_URL") => {
            json!({ "id": id, "link": link })
        }
        _ => json!({ "id": id }),
    };
    Ok((StatusCode::CREATED, Json(body)).into_response())
}

async fn all(State(running): Shared) -> Result<Response, Unavailable> {
    Ok(Json(models::all(&mut running.settings.connect().await?).await?).into_response())
}

async fn one(State(running): Shared, Path(id): Path<i64>) -> Result<Response, Unavailable> {
    let found = models::one(&running.settings.connect().await?, id).await?;
    Ok(found.map_or_else(|| StatusCode::NOT_FOUND.into_response(), |model| Json(model).into_response()))
}
