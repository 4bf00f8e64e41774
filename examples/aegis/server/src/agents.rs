//! Agents. Whoever adds one says so in the ledger, in the same transaction: a number and a checksum of all that were ever
//! added, so that one that got lost can be told.

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tokio_postgres::{Client, IsolationLevel};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewAgent {
    name: String,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Sum {
    count: i64,
    checksum: String,
}

/// What there is, and what should be.
#[derive(Debug, Serialize)]
pub struct Agents {
    #[serde(flatten)]
    there: Sum,
    names: Vec<String>,
    ledger: Sum,
}

/// Appenders wait for each other.
pub async fn append(client: &mut Client, agent: &NewAgent) -> Result<i64> {
    let transaction = client.transaction().await?;
    let ledger = transaction.query_one("SELECT checksum FROM ledger FOR UPDATE", &[]).await.context("ledger")?;
    let added = "INSERT INTO agents (name) VALUES ($1) RETURNING id";
    let id: i64 = transaction.query_one(added, &[&agent.name]).await?.get(0);
    let checksum = link(ledger.get(0), id, &agent.name);
    transaction.execute("UPDATE ledger SET agents = agents + 1, checksum = $1", &[&checksum]).await?;
    transaction.commit().await?;
    Ok(id)
}

pub async fn all(client: &mut Client) -> Result<Agents> {
    let snapshot = client.build_transaction().isolation_level(IsolationLevel::RepeatableRead).read_only(true);
    let snapshot = snapshot.start().await?;
    let (mut there, mut names) = (Sum { count: 0, checksum: String::new() }, Vec::new());
    for row in snapshot.query("SELECT id, name FROM agents ORDER BY id", &[]).await.context("agents")? {
        there.count += 1;
        there.checksum = link(&there.checksum, row.get(0), row.get(1));
        names.push(row.get(1));
    }
    let row = snapshot.query_one("SELECT agents, checksum FROM ledger", &[]).await.context("ledger")?;
    Ok(Agents { there, names, ledger: Sum { count: row.get(0), checksum: row.get(1) } })
}

/// The checksum of all agents up to this one.
fn link(previous: &str, id: i64, name: &str) -> String {
    let mut hasher = Sha256::new();
    for part in [previous, &id.to_string(), name] {
        hasher.update((part.len() as u64).to_be_bytes());
        hasher.update(part);
    }
    hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}
