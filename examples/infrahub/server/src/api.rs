//! `infrahub server`: the API.

use crate::client::Client;
use crate::http::{self, Unavailable, refusal};
use crate::release::{Release, Server};
use crate::settings::Settings;
use crate::{artifacts, queries, upgrade, worker};
use anyhow::{Result, bail};
use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;

const KEY: &str = "x-infrahub-key";

struct Running {
    client: Client,
    settings: Settings,
    release: Release,
}

type Shared = State<Arc<Running>>;

pub async fn run(settings: Settings, release: Release, listen: &str) -> Result<()> {
    println!("[server] Infrahub {}", release.version);
    if release.server == Server::Crashes {
        bail!("[server] the schema `core_menu.yml` is not in the image");
    }
    let client = Client::new(&settings);
    tokio::select! {
        ready = upgrade::serves(&client, &release) => ready?,
        () = http::told_to_end() => return Ok(()),
    }
    http::serve("server", listen, routes(settings, release)).await
}

pub fn routes(settings: Settings, release: Release) -> Router {
    let running = Arc::new(Running { client: Client::new(&settings), settings, release });
    Router::new()
        .route("/graphql", post(graphql))
        .route("/api/artifacts/{name}/generate", post(generate))
        .route("/api/artifacts/{name}", get(artifact))
        .route_layer(from_fn_with_state(running.clone(), known))
        .route("/api/config", get(config))
        .route("/api/health", get(health))
        .route("/api/schema/summary", get(summary))
        .with_state(running)
}

/// Only who has the token comes further.
async fn known(State(running): Shared, request: Request, next: Next) -> Response {
    match request.headers().get(KEY) {
        Some(key) if key.as_bytes() == running.settings.token.as_bytes() => next.run(request).await,
        _ => refusal(StatusCode::UNAUTHORIZED, "`X-INFRAHUB-KEY` has to be an API token"),
    }
}

async fn config(State(running): Shared) -> Json<Value> {
    Json(json!({ "version": running.release.version }))
}

/// Of everything that the product consists of; 503 where something is missing.
async fn health(State(running): Shared) -> Response {
    let said = |told: Result<Value>| told.unwrap_or_else(|error| json!({ "status": format!("{error:#}") }));
    let ok = json!({ "status": "ok" });
    let database = said(running.client.migrations().await.map(|_| ok.clone()));
    let beats = running.client.remembered(worker::BEATS).await;
    let own = |beats: &serde_json::Map<String, Value>| {
        let version = &running.release.version;
        match beats.values().filter(|release| *release == version).count() {
            0 => json!({ "status": format!("no worker of {version} is there"), "count": 0 }),
            count => json!({ "status": "ok", "count": count }),
        }
    };
    let workers = beats.as_ref().map_or_else(|_| json!({ "status": "unknown" }), own);
    let cache = said(beats.map(|_| ok.clone()));
    let all_ok = [&database, &cache, &workers].iter().all(|part| part["status"] == "ok");
    let (status, word) = if all_ok { (StatusCode::OK, "ok") } else { (StatusCode::SERVICE_UNAVAILABLE, "degraded") };
    let version = &running.release.version;
    let body = json!({ "status": word, "version": version, "database": database, "cache": cache, "workers": workers });
    (status, Json(body)).into_response()
}

#[derive(Deserialize)]
struct Query {
    query: String,
}

async fn graphql(State(running): Shared, Json(asked): Json<Query>) -> Json<Value> {
    Json(queries::answer(&running.client, &running.release.version, &asked.query).await)
}

/// How many nodes of each kind were made.
async fn summary(State(running): Shared) -> Result<Json<Value>, Unavailable> {
    Ok(Json(json!({ "nodes": running.client.export().await?["created"] })))
}

async fn generate(State(running): Shared, Path(name): Path<String>) -> Result<Response, Unavailable> {
    if !artifacts::is_name(&name) {
        return Ok(refusal(StatusCode::UNPROCESSABLE_ENTITY, "a name has small letters, digits and `-`"));
    }
    let job = artifacts::order(&running.client, &name).await?;
    Ok((StatusCode::ACCEPTED, Json(json!({ "artifact": name, "job": job }))).into_response())
}

async fn artifact(State(running): Shared, Path(name): Path<String>) -> Result<Response, Unavailable> {
    if !artifacts::is_name(&name) {
        return Ok(refusal(StatusCode::NOT_FOUND, "there is no such artifact"));
    }
    let found = artifacts::read(&running.client, &running.settings.storage, &name).await?;
    Ok(found.map_or_else(
        || refusal(StatusCode::NOT_FOUND, "there is no such artifact"),
        |artifact| Json(artifact).into_response(),
    ))
}
