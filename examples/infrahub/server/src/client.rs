//! The database and the cache, as the services ask them.

use crate::cache::Entry;
use crate::graph::{Node, Properties};
use crate::http;
use crate::settings::Settings;
use anyhow::{Context, Error, Result, bail};
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Map, Value, json};

#[derive(Clone)]
pub struct Client {
    database: String,
    cache: String,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Found {
    pub id: u64,
    pub properties: Properties,
}

impl Found {
    /// Empty where there is none.
    pub fn text(&self, property: &str) -> &str {
        self.properties.get(property).and_then(Value::as_str).unwrap_or_default()
    }
    pub fn number(&self, property: &str) -> u64 {
        self.properties.get(property).and_then(Value::as_u64).unwrap_or_default()
    }
}

impl Client {
    pub fn new(settings: &Settings) -> Self {
        Self { database: settings.database.clone(), cache: settings.cache.clone() }
    }

    /// Migrations that the graph has.
    pub async fn migrations(&self) -> Result<Vec<String>> {
        let mut health = self.asked(&self.database, "GET", "/health", None).await?;
        Ok(serde_json::from_value(health["migrations"].take())?)
    }

    pub async fn migrate(&self, name: &str, step: &Value) -> Result<()> {
        self.asked(&self.database, "POST", &format!("/migrate/{name}"), Some(step)).await.map(drop)
    }

    /// Nodes of a kind with these values.
    pub async fn nodes(&self, kind: &str, values: &[(&str, &str)]) -> Result<Vec<Found>> {
        let values: String = values.iter().map(|(key, value)| format!("&{key}={value}")).collect();
        let path = format!("/nodes?kind={kind}{values}");
        Ok(serde_json::from_value(self.asked(&self.database, "GET", &path, None).await?["nodes"].take())?)
    }

    /// An error that says so where there is one of this kind and name already, and it has to be `unique`.
    pub async fn create(&self, node: &Node, unique: bool) -> Result<u64> {
        let path = if unique { "/nodes?unique=name" } else { "/nodes" };
        let told = self.asked(&self.database, "POST", path, Some(&serde_json::to_value(node)?)).await?;
        told["id"].as_u64().context("the database gives no number")
    }

    /// False: it has not what was expected any more.
    pub async fn set(&self, id: u64, properties: Value, expected: Value) -> Result<bool> {
        let body = json!({ "properties": properties, "expected": expected });
        Ok(ask(&self.database, "POST", &format!("/nodes/{id}"), Some(&body)).await?.is_ok())
    }

    /// How many nodes there are, with a checksum.
    pub async fn export(&self) -> Result<Value> {
        self.asked(&self.database, "GET", "/export", None).await
    }

    pub async fn remember(&self, key: &str, value: Value, seconds: u64) -> Result<()> {
        let entry = serde_json::to_value(Entry { value, seconds })?;
        self.asked(&self.cache, "POST", &format!("/keys/{key}"), Some(&entry)).await.map(drop)
    }

    pub async fn remembered(&self, prefix: &str) -> Result<Map<String, Value>> {
        let mut told = self.asked(&self.cache, "GET", &format!("/keys?prefix={prefix}"), None).await?;
        Ok(serde_json::from_value(told["keys"].take())?)
    }

    async fn asked(&self, server: &str, method: &str, path: &str, body: Option<&Value>) -> Result<Value> {
        ask(server, method, path, body).await?.map_err(Error::msg)
    }
}

/// The answer, or why it is a conflict.
async fn ask(server: &str, method: &str, path: &str, body: Option<&Value>) -> Result<Result<Value, String>> {
    let (status, body) = http::ask(method, server, path, body).await?;
    let told: Value = serde_json::from_slice(&body).unwrap_or_default();
    let why = told["error"].as_str().unwrap_or_default();
    match status {
        StatusCode::OK => Ok(Ok(told)),
        StatusCode::CONFLICT => Ok(Err(why.to_owned())),
        status => bail!("`{method} http://{server}{path}` is answered with {status}: {why}"),
    }
}
