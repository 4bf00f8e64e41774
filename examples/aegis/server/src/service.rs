//! What all services have: a name, a port, a start that a release may spoil, and what they answer without a database.

use crate::http;
use crate::release::Release;
use crate::settings::Settings;
use anyhow::{Result, bail};
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::{Json, Router};
use serde_json::{Value, json};
use std::sync::Arc;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Service {
    Runtime,
    TemporalWorker,
    SealGateway,
}

impl Service {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Runtime => "runtime",
            Self::TemporalWorker => "temporal-worker",
            Self::SealGateway => "seal-gateway",
        }
    }
    pub const fn port(self) -> u16 {
        match self {
            Self::Runtime => 8088,
            Self::TemporalWorker => 3000,
            Self::SealGateway => 8090,
        }
    }
}

/// A service that runs.
pub struct Running {
    pub service: Service,
    pub settings: Settings,
    pub release: Release,
}

pub type Shared = State<Arc<Running>>;

impl Running {
    pub fn start(service: Service, settings: Settings, release: Release) -> Result<Arc<Self>> {
        let name = service.name();
        println!("[{name}] AEGIS {}", release.version);
        if release.crashes.as_deref() == Some(name) {
            bail!("[{name}] the policy `default` is not in the image");
        }
        Ok(Arc::new(Self { service, settings, release }))
    }

    /// Serves `routes` until the process is told to end.
    pub async fn serve(&self, routes: Router) -> Result<()> {
        let port = self.settings.port.unwrap_or(self.service.port());
        println!("[{}] listens on {}:{port}", self.service.name(), self.settings.address);
        http::serve((self.settings.address, port).into(), routes).await
    }
}

pub fn ok(running: &Running) -> Value {
    json!({ "status": "ok", "version": running.release.version })
}

/// The database or another server isn't there, or not as the release needs it.
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
