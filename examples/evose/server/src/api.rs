//! `evose-api`: what the gateway passes users on to.

use crate::database::{Databases, said};
use crate::release::{Api, Release};
use crate::settings::Settings;
use crate::{access, files, knowledge, runs};
use anyhow::{Context, Result, bail};
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use mysql_async::prelude::Queryable;
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;
use tokio::net::TcpListener;

const UPLOAD_BYTES: usize = 64 << 20;
/// In the place of a login's `password`, for clients that keep it out of bodies.
const PASSWORD_HEADER: &str = "x-evose-password";

struct Evose {
    settings: Settings,
    release: Release,
    databases: Databases,
}

type Running = State<Arc<Evose>>;
type Answer = Result<Response, Failed>;

pub async fn run(settings: Settings, release: Release, address: &str) -> Result<()> {
    println!("[api] Evose {}", release.version);
    if release.api == Api::Crashes {
        bail!("the runtime did not start: no module `evose.runtime`");
    }
    let listener = TcpListener::bind(address).await.with_context(|| format!("`{address}`"))?;
    println!("[api] listens at {address}");
    let databases = Databases::new(&settings);
    axum::serve(listener, routes(Arc::new(Evose { settings, release, databases }))).await?;
    Ok(())
}

fn routes(evose: Arc<Evose>) -> Router {
    let with_session = Router::new()
        .route("/api/workbench/agents", get(agents))
        .route("/api/workbench/agents/{id}/run", post(run_agent))
        .route("/api/workflows", get(workflows))
        .route("/api/workflows/{id}/run", post(run_workflow))
        .route("/api/observability/runs", get(observe))
        .route("/api/observability/runs/{id}", get(observe_one))
        .route("/api/models", get(models))
        .route("/api/models/{id}/test", post(test_model))
        .route("/api/knowledge", get(read_knowledge).post(add_knowledge))
        .route("/api/files", get(list_files))
        .route("/api/files/{name}", get(download).post(upload).layer(DefaultBodyLimit::max(UPLOAD_BYTES)))
        .layer(middleware::from_fn_with_state(evose.clone(), needs_session));
    Router::new().route("/health", get(health)).route("/api/login", post(log_in)).merge(with_session).with_state(evose)
}

async fn health(State(evose): Running) -> Response {
    let tables = evose.release.tables();
    let mysql = async { runs::summary(&mut evose.databases.mysql().await?, tables).await };
    let postgres = async { knowledge::summary(&evose.databases.postgres().await?, tables).await };
    let checks =
        [("mysql", mysql.await), ("postgres", postgres.await), ("files", files::summary(&evose.settings.files).await)];
    let mut healthy = evose.release.api != Api::NeverHealthy;
    let mut told = json!({ "status": "ok", "version": evose.release.version });
    for (name, check) in checks {
        healthy &= check.is_ok();
        told[name] = check.map_or_else(|error| said(&error).into(), |_| "ok".into());
    }
    if healthy {
        return Json(told).into_response();
    }
    told["status"] = "starting".into();
    (StatusCode::SERVICE_UNAVAILABLE, Json(told)).into_response()
}

#[derive(Deserialize)]
struct Login {
    user: String,
    password: Option<String>,
}

async fn log_in(State(evose): Running, headers: HeaderMap, Json(login): Json<Login>) -> Answer {
    let in_header = headers.get(PASSWORD_HEADER).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let password = login.password.or(in_header).unwrap_or_default();
    let mut mysql = evose.databases.mysql().await?;
    Ok(match access::log_in(&mut mysql, &login.user, &password, &evose.settings.secret).await? {
        Some(token) => Json(json!({ "token": token })).into_response(),
        None => refused(StatusCode::UNAUTHORIZED, "user or password is wrong"),
    })
}

async fn needs_session(State(evose): Running, request: Request, next: Next) -> Response {
    let given = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let token = given.and_then(|given| given.strip_prefix("Bearer "));
    match token.and_then(|token| access::user_of(token, &evose.settings.secret)) {
        Some(_) => next.run(request).await,
        None => refused(StatusCode::UNAUTHORIZED, "no session: `POST /api/login` gives a token"),
    }
}

async fn agents(State(evose): Running) -> Answer {
    list(&evose, "SELECT id, name FROM agents ORDER BY id").await
}

async fn workflows(State(evose): Running) -> Answer {
    list(&evose, "SELECT id, name FROM workflows ORDER BY id").await
}

async fn models(State(evose): Running) -> Answer {
    list(&evose, "SELECT id, provider FROM models ORDER BY id").await
}

async fn list(evose: &Evose, select: &str) -> Answer {
    let rows: Vec<(String, String)> = evose.databases.mysql().await?.query(select).await?;
    let rows: Vec<Value> = rows.into_iter().map(|(id, name)| json!({ "id": id, "name": name })).collect();
    Ok(Json(rows).into_response())
}

/// It looks its question up in the knowledge base.
async fn run_agent(State(evose): Running, Path(id): Path<String>, question: String) -> Answer {
    let mut mysql = evose.databases.mysql().await?;
    let agent: Option<String> = mysql.exec_first("SELECT name FROM agents WHERE id = ?", (&id,)).await?;
    let Some(agent) = agent else { return Ok(unknown("agent", &id)) };
    let found = knowledge::look_up(&evose.databases.postgres().await?, evose.release.tables(), &question).await?;
    Ok(match found {
        Some(document) => Json(json!({ "answer": format!("{agent}: see `{document}`") })).into_response(),
        None => refused(StatusCode::CONFLICT, "the knowledge base is empty"),
    })
}

async fn run_workflow(State(evose): Running, Path(id): Path<String>, input: String) -> Answer {
    let queued = runs::queue(&mut evose.databases.mysql().await?, evose.release.tables(), &id, &input).await?;
    Ok(match queued {
        Some(run) => (StatusCode::ACCEPTED, Json(json!({ "run": run }))).into_response(),
        None => unknown("workflow", &id),
    })
}

async fn observe(State(evose): Running) -> Answer {
    let summary = runs::summary(&mut evose.databases.mysql().await?, evose.release.tables()).await?;
    Ok(Json(summary).into_response())
}

async fn observe_one(State(evose): Running, Path(id): Path<u64>) -> Answer {
    let status = runs::status(&mut evose.databases.mysql().await?, evose.release.tables(), id).await?;
    Ok(match status {
        Some(status) => Json(json!({ "run": id, "status": status })).into_response(),
        None => unknown("run", &id.to_string()),
    })
}

async fn test_model(State(evose): Running, Path(id): Path<String>) -> Answer {
    let opened = access::opens_model(&mut evose.databases.mysql().await?, &id, &evose.settings.secret).await?;
    Ok(match opened {
        Some(true) => Json(json!({ "connected": true })).into_response(),
        Some(false) => refused(StatusCode::BAD_GATEWAY, "the model's key can't be read with this secret"),
        None => unknown("model", &id),
    })
}

#[derive(Deserialize)]
struct Document {
    title: String,
    body: String,
}

async fn add_knowledge(State(evose): Running, Json(document): Json<Document>) -> Answer {
    let postgres = evose.databases.postgres().await?;
    let id = knowledge::add(&postgres, evose.release.tables(), &document.title, &document.body).await?;
    Ok((StatusCode::CREATED, Json(json!({ "id": id }))).into_response())
}

async fn read_knowledge(State(evose): Running) -> Answer {
    Ok(Json(knowledge::summary(&evose.databases.postgres().await?, evose.release.tables()).await?).into_response())
}

async fn list_files(State(evose): Running) -> Answer {
    Ok(Json(files::summary(&evose.settings.files).await?).into_response())
}

async fn upload(State(evose): Running, Path(name): Path<String>, bytes: Bytes) -> Answer {
    let Some(place) = files::place(&evose.settings.files, &name) else {
        return Ok(refused(StatusCode::BAD_REQUEST, "a file's name has letters, digits, `.`, `-` and `_`"));
    };
    files::save(&place, &bytes).await?;
    Ok(StatusCode::CREATED.into_response())
}

async fn download(State(evose): Running, Path(name): Path<String>) -> Answer {
    let Some(place) = files::place(&evose.settings.files, &name) else { return Ok(unknown("file", &name)) };
    match tokio::fs::read(&place).await {
        Ok(bytes) => Ok(bytes.into_response()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(unknown("file", &name)),
        Err(error) => Err(error.into()),
    }
}

fn unknown(what: &str, id: &str) -> Response {
    refused(StatusCode::NOT_FOUND, &format!("there is no {what} `{id}`"))
}

fn refused(status: StatusCode, why: &str) -> Response {
    (status, Json(json!({ "error": why }))).into_response()
}

struct Failed(anyhow::Error);

impl<E: Into<anyhow::Error>> From<E> for Failed {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

impl IntoResponse for Failed {
    fn into_response(self) -> Response {
        let why = said(&self.0);
        println!("[api] {why}");
        refused(StatusCode::INTERNAL_SERVER_ERROR, &why)
    }
}
