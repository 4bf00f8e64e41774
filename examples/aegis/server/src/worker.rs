//! `aegis temporal-worker`: executes what agents were told, a round each second, as long as Temporal is there.

use crate::http;
use crate::service::{Running, Shared, Unavailable, ok};
use anyhow::Result;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use std::sync::Arc;
use std::time::Duration;

const TICK: Duration = Duration::from_secs(1);
const BEAT: &str = "INSERT INTO workers (name, release, last_at) VALUES ('temporal-worker', $1, now()) \
     ON CONFLICT (name) DO UPDATE SET release = excluded.release, last_at = now()";

pub async fn run(running: Arc<Running>) -> Result<()> {
    let routes = Router::new().route("/health", get(health)).with_state(running.clone());
    tokio::select! {
        served = running.serve(routes) => served,
        () = work(&running) => Ok(()),
    }
}

async fn work(running: &Running) {
    let mut said = String::new();
    loop {
        if let Err(error) = round(running).await {
            let why = format!("{error:#}");
            if why != said {
                println!("[temporal-worker] {why}");
                said = why;
            }
        }
        tokio::time::sleep(TICK).await;
    }
}

async fn round(running: &Running) -> Result<()> {
    http::get(&running.settings.temporal, "/health").await?;
    running.settings.connect().await?.execute(BEAT, &[&running.release.version]).await?;
    Ok(())
}

async fn health(State(running): Shared) -> Result<Response, Unavailable> {
    round(&running).await?;
    Ok(Json(ok(&running)).into_response())
}
