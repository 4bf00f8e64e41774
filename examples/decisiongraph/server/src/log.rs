//! The event log. Each event has the digest of the one before it, so that a log that lost something can be told.

use crate::settings::Settings;
use anyhow::{Context, Result};
use sha2::{Digest, Sha256};
use tokio_postgres::{Client, GenericClient};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    pub workflow: String,
    pub state: String,
    pub digest: String,
}

/// Appends one event; appenders wait for each other.
pub async fn append(client: &mut Client, workflow: &str, state: &str) -> Result<i64> {
    let transaction = client.transaction().await?;
    transaction.batch_execute("LOCK TABLE events IN EXCLUSIVE MODE").await.context("the log")?;
    let last = transaction.query_opt("SELECT digest FROM events ORDER BY id DESC LIMIT 1", &[]).await?;
    let previous: String = last.map_or_else(String::new, |row| row.get(0));
    let row = transaction
        .query_one(
            "INSERT INTO events (workflow, state, digest) VALUES ($1, $2, $3) RETURNING id",
            &[&workflow, &state, &link(&previous, workflow, state)],
        )
        .await?;
    transaction.commit().await?;
    Ok(row.get(0))
}

pub async fn read(client: &impl GenericClient) -> Result<Vec<Event>> {
    let rows = client.query("SELECT workflow, state, digest FROM events ORDER BY id", &[]).await.context("the log")?;
    Ok(rows.iter().map(|row| Event { workflow: row.get(0), state: row.get(1), digest: row.get(2) }).collect())
}

/// The digest of the last event, or the number of the first whose digest is not what the ones before it make it.
pub fn head(events: &[Event]) -> Result<String, usize> {
    let mut previous = String::new();
    for (number, event) in events.iter().enumerate() {
        if link(&previous, &event.workflow, &event.state) != event.digest {
            return Err(number);
        }
        previous.clone_from(&event.digest);
    }
    Ok(previous)
}

/// What a release does that takes the log for one of its projections.
pub async fn rewrite(client: &impl GenericClient) -> Result<()> {
    client.batch_execute("UPDATE events SET digest = encode(sha256(digest::bytea), 'hex')").await.context("the log")
}

pub async fn seed(settings: &Settings, events: u32) -> Result<()> {
    const STATES: [&str; 4] = ["proposed", "reviewed", "decided", "archived"];
    let mut client = settings.connect().await?;
    for number in 0..events {
        let state = STATES[(number / 7 % 4) as usize];
        append(&mut client, &format!("workflow-{}", number % 20), state).await?;
    }
    println!("{events} events appended");
    Ok(())
}

fn link(previous: &str, workflow: &str, state: &str) -> String {
    digest(&[previous, workflow, state])
}

/// Of several texts, with their borders.
pub fn digest(parts: &[&str]) -> String {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update((part.len() as u64).to_be_bytes());
        hasher.update(part);
    }
    hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}
