//! What all services have: a name, a port, a start that a release may spoil, health, and what they answer without a
//! database.

use crate::http;
use crate::release::Release;
use crate::settings::{Settings, variable};
use anyhow::{Result, bail};
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};
use std::future;
use std::sync::{Arc, Mutex};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Service {
    ModelService,
    QueryRouter,
    Optimizer,
    Scheduler,
    Frontend,
    Gateway,
}

impl Service {
    pub const fn name(self) -> &'static str {
        match self {
            Self::ModelService => "model-service",
            Self::QueryRouter => "query-router",
            Self::Optimizer => "optimizer",
            Self::Scheduler => "scheduler",
            Self::Frontend => "frontend",
            Self::Gateway => "gateway",
        }
    }
    pub const fn port(self) -> u16 {
        match self {
            Self::ModelService => 8001,
            Self::QueryRouter => 8002,
            Self::Optimizer => 8003,
            Self::Scheduler => 8004,
            Self::Frontend => 3000,
            Self::Gateway => 8080,
        }
    }
}

/// A service that runs.
pub struct Running {
    pub service: Service,
    pub settings: Settings,
    pub release: Release,
    /// Why the last round of background work failed.
    pub trouble: Mutex<Option<String>>,
}

pub type Shared = State<Arc<Running>>;

impl Running {
    pub async fn start(service: Service, settings: Settings, release: Release) -> Result<Arc<Self>> {
        let name = service.name();
        println!("[{name}] tessallite {}", release.version);
        if release.crashes.as_deref() == Some(name) {
            bail!("[{name}] the table of costs `costs.bin` is not in the image");
        }
        if let Some(key) = release.needs.iter().find(|key| variable(key).is_none()) {
            bail!("[{name}] `{key}` is not set, and {} needs it", release.version);
        }
        if release.hangs.as_deref() == Some(name) {
            println!("[{name}] reading the list of themes");
            future::pending::<()>().await;
        }
        Ok(Arc::new(Self { service, settings, release, trouble: Mutex::default() }))
    }

    /// Serves `routes` until the process is told to end.
    pub async fn serve(&self, routes: Router) -> Result<()> {
        let port = self.settings.port.unwrap_or(self.service.port());
        println!("[{}] listens on {}:{port}", self.service.name(), self.settings.address);
        http::serve((self.settings.address, port).into(), routes).await
    }

    pub fn trouble(&self) -> Option<String> {
        self.trouble.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }
}

/// `GET /api/health` of the services behind the frontend.
pub fn health() -> Router<Arc<Running>> {
    Router::new().route("/api/health", get(own_health))
}

async fn own_health(State(running): Shared) -> Result<Response, Unavailable> {
    running.settings.connect().await?.batch_execute("SELECT FROM schema_migrations LIMIT 1").await?;
    if let Some(trouble) = running.trouble() {
        return Err(anyhow::Error::msg(trouble).into());
    }
    Ok(Json(ok(&running)).into_response())
}

pub fn ok(running: &Running) -> Value {
    json!({ "status": "ok", "version": running.release.version })
}

/// The database isn't there, or not as the release needs it.
pub struct Unavailable(anyhow::Error);

impl<E: Into<anyhow::Error>> From<E> for Unavailable {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

impl IntoResponse for Unavailable {
    fn into_response(self) -> Response {
        let body = json!({ "status": "unavailable", "why": format!("{:#}", self.0) });
        (StatusCode::SERVICE_UNAVAILABLE, Json(body)).into_response()
    }
}
