//! The runtime: HTTP on `PORT`, by the paths that the guide names.

use crate::log;
use crate::projections::{self, Health};
use crate::release::{Release, Start};
use crate::settings::Settings;
use anyhow::{Context, Result, bail};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

pub struct Runtime {
    settings: Settings,
    release: Release,
}

pub async fn run(settings: &Settings, release: &Release) -> Result<()> {
    println!("Running DecisionGraph {}", release.version);
    if release.behaviour.start == Start::Crashes {
        bail!("could not start application decisiongraph: {{:badmatch, :nil}}");
    }
    let mut client = settings.connect().await?;
    if release.behaviour.rewrites_log {
        log::rewrite(&client).await?;
    }
    projections::catch_up(&mut client, &release.projections).await.context("projections")?;
    drop(client);
    let listener = TcpListener::bind((settings.address, settings.port)).await.context("`PORT`")?;
    println!("Access DecisionGraph at http://{}:{}", settings.address, settings.port);
    let runtime = Arc::new(Runtime { settings: Settings::read()?, release: release.clone() });
    let mut end = signal(SignalKind::terminate())?;
    axum::serve(listener, routes(runtime)).with_graceful_shutdown(async move { _ = end.recv().await }).await?;
    Ok(())
}

fn routes(runtime: Arc<Runtime>) -> Router {
    let with_token = Router::new()
        .route("/api/v1/projections/health", get(projection_health))
        .route("/api/v1/workflows", get(workflows))
        .route("/api/v1/traces", get(traces))
        .route("/api/v1/events", post(append))
        .layer(middleware::from_fn_with_state(runtime.clone(), needs_token));
    let with_admin_token = Router::new()
        .route("/api/v1/admin/replays", post(admit_replay))
        .layer(middleware::from_fn_with_state(runtime.clone(), needs_admin_token));
    Router::new()
        .route("/api/healthz", get(healthz))
        .route("/console", get(console))
        .merge(with_token)
        .merge(with_admin_token)
        .with_state(runtime)
}

type Running = State<Arc<Runtime>>;

async fn healthz(State(runtime): Running) -> Result<Json<Value>, Failed> {
    runtime.settings.connect().await?;
    Ok(Json(json!({ "status": "ok", "version": runtime.release.version })))
}

async fn console(State(runtime): Running) -> Html<String> {
    Html(format!("<!doctype html><title>DecisionGraph</title><h1>Operator console</h1><p>{}", runtime.release.version))
}

async fn projection_health(State(runtime): Running) -> Result<Response, Failed> {
    let health = projections::health(&runtime.settings.connect().await?, &runtime.release.projections).await?;
    Ok(match health {
        Health::Healthy { workflows } => Json(json!({ "status": "healthy", "workflows": workflows })).into_response(),
        Health::OtherCode { found, expected } => {
            unhealthy(&format!("projected by code {found}, and this release has code {expected}"))
        }
        Health::Different { workflows } => {
            unhealthy(&format!("{} workflows differ from the event log, {} first", workflows.len(), workflows[0]))
        }
    })
}

fn unhealthy(why: &str) -> Response {
    (StatusCode::SERVICE_UNAVAILABLE, Json(json!({ "status": "unhealthy", "why": why }))).into_response()
}

async fn workflows(State(runtime): Running) -> Result<Json<Value>, Failed> {
    let all = projections::all(&runtime.settings.connect().await?).await?;
    let all: Vec<Value> = all
        .into_iter()
        .map(|(name, (state, events, _))| json!({ "workflow": name, "state": state, "events": events }))
        .collect();
    Ok(Json(Value::Array(all)))
}

async fn traces(State(runtime): Running) -> Result<Json<Value>, Failed> {
    let events = log::read(&runtime.settings.connect().await?).await?;
    let last = events.iter().rev().take(20).map(|event| json!({ "workflow": event.workflow, "state": event.state }));
    Ok(Json(Value::Array(last.collect())))
}

#[derive(Deserialize)]
struct NewEvent {
    workflow: String,
    state: String,
}

async fn append(State(runtime): Running, Json(event): Json<NewEvent>) -> Result<Response, Failed> {
    let mut client = runtime.settings.connect().await?;
    let id = log::append(&mut client, &event.workflow, &event.state).await?;
    projections::catch_up(&mut client, &runtime.release.projections).await?;
    Ok((StatusCode::CREATED, Json(json!({ "id": id }))).into_response())
}

/// With `dry_run` it says whether a replay would be admitted, which a log that lost events is not.
async fn admit_replay(State(runtime): Running, Json(wanted): Json<Value>) -> Result<Response, Failed> {
    if wanted["dry_run"] != true {
        return Ok((StatusCode::NOT_IMPLEMENTED, Json(json!({ "error": "only dry runs" }))).into_response());
    }
    let events = log::read(&runtime.settings.connect().await?).await?;
    Ok(match log::head(&events) {
        Ok(head) => (StatusCode::ACCEPTED, Json(json!({ "admitted": true, "events": events.len(), "head": head })))
            .into_response(),
        Err(number) => {
            let why = format!("event {number} does not follow from the one before it");
            (StatusCode::CONFLICT, Json(json!({ "admitted": false, "why": why }))).into_response()
        }
    })
}

async fn needs_token(State(runtime): Running, request: Request, next: Next) -> Response {
    match bears(request.headers(), runtime.settings.token.as_deref()) {
        true => next.run(request).await,
        false => StatusCode::UNAUTHORIZED.into_response(),
    }
}

async fn needs_admin_token(State(runtime): Running, request: Request, next: Next) -> Response {
    match bears(request.headers(), runtime.settings.admin_token.as_deref()) {
        true => next.run(request).await,
        false => StatusCode::UNAUTHORIZED.into_response(),
    }
}

fn bears(headers: &HeaderMap, token: Option<&str>) -> bool {
    let given = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    matches!((given.and_then(|given| given.strip_prefix("Bearer ")), token), (Some(given), Some(token)) if given == token)
}

/// Whatever breaks is the database's, and may be better soon.
struct Failed(anyhow::Error);

impl<E: Into<anyhow::Error>> From<E> for Failed {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

impl IntoResponse for Failed {
    fn into_response(self) -> Response {
        eprintln!("[error] {:#}", self.0);
        (StatusCode::SERVICE_UNAVAILABLE, Json(json!({ "status": "error" }))).into_response()
    }
}
