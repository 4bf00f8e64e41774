//! `infrahub database`: the graph database. One process has a data folder, and every answer to a write is durable.

use crate::graph::{Node, Properties, Record, Refusal, Step};
use crate::http::{self, refusal};
use crate::store::{Store, WriteError};
use anyhow::Result;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

type Shared = State<Arc<Mutex<Store>>>;

pub async fn run(folder: &std::path::Path, listen: &str) -> Result<()> {
    let store = Store::open(folder)?;
    println!("[database] `{}` has {} nodes", folder.display(), store.graph.export()["count"]);
    http::serve("database", listen, routes(store)).await
}

pub fn routes(store: Store) -> Router {
    Router::new()
        .route("/nodes", post(create).get(find))
        .route("/nodes/{id}", post(set))
        .route("/migrate/{name}", post(migrate))
        .route("/export", get(export))
        .route("/health", get(health))
        .with_state(Arc::new(Mutex::new(store)))
}

#[derive(Deserialize)]
struct Options {
    unique: Option<String>,
}

async fn create(store: Shared, Query(options): Query<Options>, Json(node): Json<Node>) -> Response {
    write(store, Record::Create { node, unique: options.unique }, |id, _| json!({ "id": id })).await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewProperties {
    properties: Properties,
    #[serde(default)]
    expected: Properties,
}

async fn set(store: Shared, Path(id): Path<u64>, Json(new): Json<NewProperties>) -> Response {
    let record = Record::Set { id, properties: new.properties, expected: new.expected };
    write(store, record, |id, _| json!({ "id": id })).await
}

async fn migrate(store: Shared, Path(name): Path<String>, Json(step): Json<Step>) -> Response {
    if step.part == 0 || step.part > step.parts {
        return refusal(StatusCode::UNPROCESSABLE_ENTITY, "parts are counted from 1 to `parts`");
    }
    write(store, Record::Migrate { name, step }, |_, changed| json!({ "applied": changed })).await
}

async fn write(State(store): Shared, record: Record, told: fn(u64, bool) -> Value) -> Response {
    let done = tokio::task::spawn_blocking(move || {
        let mut store = lock(&store);
        let done = store.write(&record);
        if let Err(error) = store.tidy() {
            println!("[database] no snapshot could be made: {error:#}");
        }
        done
    });
    match done.await {
        Ok(Ok((id, changed))) => Json(told(id, changed)).into_response(),
        Ok(Err(WriteError::Refused(Refusal::NotFound(why)))) => refusal(StatusCode::NOT_FOUND, why),
        Ok(Err(WriteError::Refused(Refusal::Conflict(why)))) => refusal(StatusCode::CONFLICT, why),
        Ok(Err(WriteError::Broken(why))) => refusal(StatusCode::SERVICE_UNAVAILABLE, why),
        Err(error) => refusal(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
    }
}

async fn find(State(store): Shared, Query(wanted): Query<BTreeMap<String, String>>) -> Json<Value> {
    Json(json!({ "nodes": lock(&store).graph.find(&wanted) }))
}

async fn export(State(store): Shared) -> Json<Value> {
    Json(lock(&store).graph.export())
}

async fn health(State(store): Shared) -> Response {
    let store = lock(&store);
    match store.is_broken() {
        true => refusal(StatusCode::SERVICE_UNAVAILABLE, "the log can't be written"),
        false => Json(json!({ "status": "ok", "migrations": store.graph.migrations })).into_response(),
    }
}

fn lock(store: &Mutex<Store>) -> std::sync::MutexGuard<'_, Store> {
    store.lock().unwrap_or_else(PoisonError::into_inner)
}
