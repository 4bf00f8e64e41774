//! `infrahub cache`: values that are forgotten after a while, in memory alone.

use crate::http;
use anyhow::Result;
use axum::extract::{Path, Query, State};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

type Values = BTreeMap<String, (Value, Instant)>;
type Shared = State<Arc<Mutex<Values>>>;

pub async fn run(listen: &str) -> Result<()> {
    http::serve("cache", listen, routes()).await
}

pub fn routes() -> Router {
    Router::new()
        .route("/keys", get(list))
        .route("/keys/{key}", post(put))
        .route("/health", get(async || Json(json!({ "status": "ok" }))))
        .with_state(Arc::default())
}

#[derive(Serialize, Deserialize)]
pub struct Entry {
    pub value: Value,
    pub seconds: u64,
}

async fn put(State(values): Shared, Path(key): Path<String>, Json(entry): Json<Entry>) -> Json<Value> {
    let until = Instant::now() + Duration::from_secs(entry.seconds.min(3600));
    kept(&values).insert(key, (entry.value, until));
    Json(json!({}))
}

#[derive(Deserialize)]
struct Wanted {
    #[serde(default)]
    prefix: String,
}

async fn list(State(values): Shared, Query(wanted): Query<Wanted>) -> Json<Value> {
    let values = kept(&values);
    let found = values.iter().filter(|(key, _)| key.starts_with(&wanted.prefix));
    Json(
        json!({ "keys": found.map(|(key, (value, _))| (key.clone(), value.clone())).collect::<serde_json::Map<_, _>>() }),
    )
}

/// Those whose time is not over.
fn kept(values: &Mutex<Values>) -> MutexGuard<'_, Values> {
    let mut values = values.lock().unwrap_or_else(PoisonError::into_inner);
    let now = Instant::now();
    values.retain(|_, (_, until)| *until > now);
    values
}
