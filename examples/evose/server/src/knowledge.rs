//! The knowledge base, in PostgreSQL: documents that agents look things up in.

use crate::release::Tables;
use anyhow::Result;
use serde_json::{Value, json};
use tokio_postgres::Client;

pub async fn add(postgres: &Client, tables: Tables, title: &str, body: &str) -> Result<i64> {
    let insert = format!("INSERT INTO {} (title, body) VALUES ($1, $2) RETURNING id", tables.documents);
    Ok(postgres.query_one(&insert, &[&title, &body]).await?.get(0))
}

pub async fn summary(postgres: &Client, tables: Tables) -> Result<Value> {
    let select = format!(
        "SELECT count(*), md5(coalesce(string_agg(concat_ws('|', id, title, body), ',' ORDER BY id), '')) FROM {}",
        tables.documents
    );
    let row = postgres.query_one(&select, &[]).await?;
    Ok(json!({ "count": row.get::<_, i64>(0), "checksum": row.get::<_, String>(1) }))
}

/// The newest document that an agent finds for a question.
pub async fn look_up(postgres: &Client, tables: Tables, question: &str) -> Result<Option<String>> {
    let select =
        format!("SELECT title FROM {} ORDER BY (body ILIKE '%' || $1 || '%') DESC, id DESC LIMIT 1", tables.documents);
    Ok(postgres.query_opt(&select, &[&question]).await?.map(|row| row.get(0)))
}
