//! An API of two replicas behind a proxy that finds them by Docker's DNS, and keeps no data.

use super::write;
use std::path::Path;

/// Its image in the registry.
pub const API: &str = "replicas/api";

const PROXY: &str = "server {
    listen 8080;
    resolver 127.0.0.11 valid=1s;
    location / {
        set $api http://api:8080;
        proxy_pass $api;
        proxy_connect_timeout 1s;
        proxy_next_upstream error timeout http_502 http_503;
    }
}
";

const COMPOSE: &str = "services:
  api:
    image: ${REGISTRY}/replicas/api:${VERSION}
    restart: unless-stopped
    deploy: { replicas: 2 }
    healthcheck: { test: [CMD, tessallite, health, 'http://127.0.0.1:8080/healthz'], interval: 1s, retries: 5 }
  front:
    image: ${FRONT}
    restart: unless-stopped
    volumes: ['./front.conf:/etc/nginx/conf.d/front.conf:ro']
    ports: ['127.0.0.1:${PORT}:8080']
    depends_on: [api]
";

pub struct Installed<'i> {
    pub project: &'i str,
    pub registry: &'i str,
    /// The proxy's image.
    pub front: &'i str,
    pub version: &'i str,
    pub port: u16,
}

impl Installed<'_> {
    /// The project's files.
    pub fn lay_out(&self, home: &Path) -> Result<(), String> {
        let Self { project, registry, front, version, port } = self;
        write(&home.join("compose.yaml"), COMPOSE)?;
        write(&home.join("front.conf"), PROXY)?;
        let env = format!(
            "COMPOSE_PROJECT_NAME={project}\nREGISTRY={registry}\nFRONT={front}\nVERSION={version}\nPORT={port}\n"
        );
        write(&home.join(".env"), &env)
    }
}
