//! The product itself: notes and uploads over HTTP, on the private address. Refuses a schema that is not its own.

use crate::release::{Release, Start};
use crate::settings::Settings;
use crate::{data, migrate};
use anyhow::{Context, Result, bail};
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path as UrlPath, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use rusqlite::{Connection, OptionalExtension, Row};
use serde::Deserialize;
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

const LARGEST_UPLOAD_BYTES: usize = 64 << 20;

struct Site {
    connection: Mutex<Connection>,
    uploads: PathBuf,
    version: String,
    title: String,
}

pub async fn run(settings: &Settings, release: &Release) -> Result<()> {
    println!("notes {} starts", release.version);
    match release.behaviour.start {
        Start::Serve => {}
        Start::Crash => bail!("the index `notes_by_mood` is not there"),
        Start::Hang => std::future::pending().await,
    }
    require(settings, release)?;
    if release.behaviour.migrates_at_start {
        migrate::run(settings, release)?;
    }
    let connection = data::open(&settings.database())?;
    let schema = data::schema(&connection)?;
    if schema != release.schema {
        bail!(
            "the database has schema {schema}, release {} needs {}; `notes migrate`",
            release.version,
            release.schema
        );
    }
    if release.behaviour.damages_uploads {
        halve_uploads(&settings.uploads())?;
    }
    if release.behaviour.loses_uploads {
        remove_uploads(&settings.uploads())?;
    }
    let site = Site {
        connection: Mutex::new(connection),
        uploads: settings.uploads(),
        version: release.version.clone(),
        title: settings.title.clone(),
    };
    let listen = settings.web.listen;
    let listener = TcpListener::bind(listen).await.with_context(|| format!("`{listen}`"))?;
    println!("notes {} listens on {listen}", release.version);
    let mut terminated = signal(SignalKind::terminate())?;
    let stop = async move { _ = terminated.recv().await };
    axum::serve(listener, router(Arc::new(site))).with_graceful_shutdown(stop).await?;
    println!("notes {} ends", release.version);
    Ok(())
}

/// Each key as a dotted path of `notes.toml`.
fn require(settings: &Settings, release: &Release) -> Result<()> {
    for key in &release.requires {
        let is_there = match key.as_str() {
            "web.base-url" => settings.web.base_url.is_some(),
            _ => false,
        };
        if !is_there {
            bail!("release {} needs `{key}` in `notes.toml`; its release notes say how", release.version);
        }
    }
    Ok(())
}

fn halve_uploads(folder: &Path) -> Result<()> {
    for entry in fs::read_dir(folder).with_context(|| format!("`{}`", folder.display()))? {
        let path = entry?.path();
        let bytes = fs::read(&path)?;
        fs::write(&path, &bytes[..bytes.len() / 2])?;
    }
    Ok(())
}

fn remove_uploads(folder: &Path) -> Result<()> {
    let mut paths: Vec<_> =
        fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.path())).collect::<Result<_, _>>()?;
    paths.sort();
    for path in paths.iter().step_by(2) {
        fs::remove_file(path).with_context(|| format!("`{}`", path.display()))?;
    }
    Ok(())
}

fn router(site: Arc<Site>) -> Router {
    Router::new()
        .route("/health", get(health))
        .route("/notes", get(list_notes).post(write_note))
        .route("/notes/{id}", get(read_note))
        .route("/uploads", get(list_uploads))
        .route("/uploads/{name}", get(read_upload).put(write_upload))
        .layer(DefaultBodyLimit::max(LARGEST_UPLOAD_BYTES))
        .with_state(site)
}

async fn health(State(site): State<Arc<Site>>) -> Json<Value> {
    Json(json!({ "status": "ok", "version": site.version, "title": site.title }))
}

async fn list_notes(State(site): State<Arc<Site>>) -> Answer {
    site.read(|connection| {
        let written: i64 =
            connection.query_row("SELECT value FROM counters WHERE name = 'notes'", [], |row| row.get(0))?;
        let mut query = connection.prepare("SELECT id, title, body, digest FROM notes ORDER BY id")?;
        let notes = query.query_map([], note)?.collect::<rusqlite::Result<Vec<_>>>()?;
        Ok(json!({ "written": written, "notes": notes }))
    })
    .await
}

async fn read_note(State(site): State<Arc<Site>>, UrlPath(id): UrlPath<i64>) -> Answer {
    site.read(move |connection| {
        let query = "SELECT id, title, body, digest FROM notes WHERE id = ?1";
        Ok(connection.query_row(query, [id], note).optional()?.unwrap_or(Value::Null))
    })
    .await
}

#[derive(Deserialize)]
struct NewNote {
    title: String,
    body: String,
}

async fn write_note(State(site): State<Arc<Site>>, Json(new): Json<NewNote>) -> Answer {
    site.read(move |connection| {
        let transaction = connection.transaction()?;
        let id = data::write_note(&transaction, &new.title, &new.body)?;
        transaction.commit()?;
        Ok(json!({ "id": id }))
    })
    .await
}

async fn list_uploads(State(site): State<Arc<Site>>) -> Answer {
    site.read(|connection| {
        let mut query = connection.prepare("SELECT name, size, digest FROM uploads ORDER BY name")?;
        let row = |row: &Row| {
            let (name, size, digest): (String, i64, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
            Ok(json!({ "name": name, "size": size, "digest": digest }))
        };
        Ok(json!({ "uploads": query.query_map([], row)?.collect::<rusqlite::Result<Vec<_>>>()? }))
    })
    .await
}

async fn read_upload(State(site): State<Arc<Site>>, UrlPath(name): UrlPath<String>) -> Response {
    if name.starts_with('.') || name.contains('/') {
        return StatusCode::NOT_FOUND.into_response();
    }
    match tokio::fs::read(site.uploads.join(name)).await {
        Ok(bytes) => bytes.into_response(),
        Err(_) => StatusCode::NOT_FOUND.into_response(),
    }
}

async fn write_upload(State(site): State<Arc<Site>>, UrlPath(name): UrlPath<String>, bytes: Bytes) -> Answer {
    let uploads = site.uploads.clone();
    site.read(move |connection| {
        data::write_upload(connection, &uploads, &name, &bytes)?;
        Ok(json!({ "name": name, "size": bytes.len() }))
    })
    .await
}

fn note(row: &Row) -> rusqlite::Result<Value> {
    let (id, title, body, digest): (i64, String, String, String) = (row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?);
    Ok(json!({ "id": id, "title": title, "body": body, "digest": digest }))
}

type Answer = Result<Json<Value>, (StatusCode, String)>;

impl Site {
    /// SQLite blocks; a thread that may block does it.
    async fn read(self: Arc<Self>, work: impl FnOnce(&mut Connection) -> Result<Value> + Send + 'static) -> Answer {
        let asked = tokio::task::spawn_blocking(move || {
            work(&mut self.connection.lock().unwrap_or_else(PoisonError::into_inner))
        });
        match asked.await {
            Ok(Ok(value)) => Ok(Json(value)),
            Ok(Err(error)) => Err((StatusCode::INTERNAL_SERVER_ERROR, format!("{error:#}\n"))),
            Err(panicked) => Err((StatusCode::INTERNAL_SERVER_ERROR, format!("{panicked}\n"))),
        }
    }
}
