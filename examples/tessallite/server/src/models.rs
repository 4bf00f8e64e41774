//! Models and their rows. Whoever adds one says so in the catalogue, in the same transaction: a number and a checksum of
//! all that was ever added.

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tokio_postgres::{Client, IsolationLevel};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewModel {
    name: String,
    #[serde(default)]
    rows: Vec<Row>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Row {
    key: String,
    amount: i64,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Sum {
    count: i64,
    checksum: String,
}

/// What there is, and what should be.
#[derive(Debug, Serialize)]
pub struct Models {
    #[serde(flatten)]
    there: Sum,
    catalogue: Sum,
}

#[derive(Debug, Serialize)]
pub struct Model {
    id: i64,
    name: String,
    rows: Vec<Row>,
}

/// Appenders wait for each other.
pub async fn append(client: &mut Client, model: &NewModel) -> Result<i64> {
    let transaction = client.transaction().await?;
    let catalogue =
        transaction.query_one("SELECT checksum FROM catalogue FOR UPDATE", &[]).await.context("catalogue")?;
    let added = "INSERT INTO models (name) VALUES ($1) RETURNING id";
    let id: i64 = transaction.query_one(added, &[&model.name]).await?.get(0);
    let keys: Vec<&str> = model.rows.iter().map(|row| row.key.as_str()).collect();
    let amounts: Vec<i64> = model.rows.iter().map(|row| row.amount).collect();
    let rows = "INSERT INTO model_rows (model_id, number, key, amount) \
                SELECT $1, number, key, amount \
                FROM unnest($2::text[], $3::bigint[]) WITH ORDINALITY AS given (key, amount, number)";
    transaction.execute(rows, &[&id, &keys, &amounts]).await?;
    let rows: Vec<String> = model.rows.iter().map(|row| format!("{}={}", row.key, row.amount)).collect();
    let checksum = link(catalogue.get(0), id, &model.name, &rows.join(","));
    transaction.execute("UPDATE catalogue SET models = models + 1, checksum = $1", &[&checksum]).await?;
    transaction.commit().await?;
    Ok(id)
}

pub async fn all(client: &mut Client) -> Result<Models> {
    let snapshot = client.build_transaction().isolation_level(IsolationLevel::RepeatableRead).read_only(true);
    let snapshot = snapshot.start().await?;
    let models = "SELECT id, name, coalesce(string_agg(key || '=' || amount, ',' ORDER BY number), '') \
                  FROM models LEFT JOIN model_rows ON model_id = id GROUP BY id ORDER BY id";
    let mut there = Sum { count: 0, checksum: String::new() };
    for row in snapshot.query(models, &[]).await.context("models")? {
        there.count += 1;
        there.checksum = link(&there.checksum, row.get(0), row.get(1), row.get(2));
    }
    let row = snapshot.query_one("SELECT models, checksum FROM catalogue", &[]).await.context("catalogue")?;
    Ok(Models { there, catalogue: Sum { count: row.get(0), checksum: row.get(1) } })
}

pub async fn one(client: &Client, id: i64) -> Result<Option<Model>> {
    let Some(model) = client.query_opt("SELECT name FROM models WHERE id = $1", &[&id]).await? else {
        return Ok(None);
    };
    let rows = "SELECT key, amount FROM model_rows WHERE model_id = $1 ORDER BY number";
    let rows = client.query(rows, &[&id]).await?;
    let rows = rows.iter().map(|row| Row { key: row.get(0), amount: row.get(1) }).collect();
    Ok(Some(Model { id, name: model.get(0), rows }))
}

/// The checksum of all models up to this one.
fn link(previous: &str, id: i64, name: &str, rows: &str) -> String {
    let mut hasher = Sha256::new();
    for part in [previous, &id.to_string(), name, rows] {
        hasher.update((part.len() as u64).to_be_bytes());
        hasher.update(part);
    }
    hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}
