//! What users talk to: passes their requests on to the services that know the answer, and says how all of them are.

use crate::service::{Running, Service, Shared, Unavailable, ok};
use crate::settings::Settings;
use crate::{http, migrate};
use anyhow::Result;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{any, get};
use axum::{Json, Router};
use serde_json::{Value, json};
use std::sync::Arc;

pub async fn run(running: Arc<Running>) -> Result<()> {
    let models = |request: Request| async { http::pass_on(&Settings::upstream(Service::ModelService), request).await };
    let queries = |request: Request| async { http::pass_on(&Settings::upstream(Service::QueryRouter), request).await };
    let routes = Router::new()
        .route("/", get(page))
        .route("/api/health", get(health))
        .route("/api/models", any(models))
        .route("/api/models/{id}", any(models))
        .route("/api/query", any(queries));
    running.serve(routes.with_state(running.clone())).await
}

async fn page(State(running): Shared) -> Html<String> {
    Html(format!("<!doctype html><title>Tessallite</title><h1>Tessallite {}</h1>", running.release.version))
}

/// Ok where the database and every service are.
async fn health(State(running): Shared) -> Result<Response, Unavailable> {
    let migration = migrate::at(&running.settings.connect().await?).await?;
    let (models, queries, optimizer, scheduler) = tokio::join!(
        health_of(Service::ModelService),
        health_of(Service::QueryRouter),
        health_of(Service::Optimizer),
        health_of(Service::Scheduler),
    );
    let services = Value::Object([models, queries, optimizer, scheduler].into_iter().collect());
    let mut body = ok(&running);
    let all_ok = services.as_object().is_some_and(|all| all.values().all(|health| health["status"] == "ok"));
    if !all_ok {
        body["status"] = "degraded".into();
    }
    body["db_migration"] = migration.into();
    body["services"] = services;
    let status = if all_ok { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    Ok((status, Json(body)).into_response())
}

async fn health_of(service: Service) -> (String, Value) {
    let told = match http::get(&Settings::upstream(service), "/api/health").await {
        Ok((_, body)) => serde_json::from_slice(&body).unwrap_or_else(|_| json!({ "status": "unreadable" })),
        Err(error) => json!({ "status": "unreachable", "why": format!("{error:#}") }),
    };
    (service.name().into(), told)
}
