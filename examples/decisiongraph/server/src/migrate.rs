//! Migrations as Ecto runs them: each in a transaction with its line in `schema_migrations`, one runner at a time, and
//! those that are there already not again.

use crate::release::Release;
use crate::settings::Settings;
use anyhow::{Context, Result, bail};
use std::time::Duration;

const PARTS: u64 = 10;
/// Of the advisory lock.
const RUNNER: i64 = 4_207_849_484;

pub async fn run(settings: &Settings, release: &Release) -> Result<()> {
    let mut client = settings.connect().await?;
    client
        .batch_execute(&format!(
            "SELECT pg_advisory_lock({RUNNER}); CREATE TABLE IF NOT EXISTS schema_migrations \
             (version text PRIMARY KEY, inserted_at timestamptz NOT NULL DEFAULT now())"
        ))
        .await
        .context("schema_migrations")?;
    let mut done = 0;
    for (number, (name, sql)) in release.migrations()?.into_iter().enumerate() {
        let there = client.query_opt("SELECT 1 FROM schema_migrations WHERE version = $1", &[&name]).await?;
        if there.is_some() {
            continue;
        }
        println!("== Running {name}");
        let transaction = client.transaction().await?;
        transaction.batch_execute(&sql).await.with_context(|| name.clone())?;
        pause(release).await;
        if release.behaviour.migration_fails_at == Some(number) {
            bail!("{name}: constraint \"decided_by\" is violated by some row");
        }
        transaction.execute("INSERT INTO schema_migrations (version) VALUES ($1)", &[&name]).await?;
        transaction.commit().await?;
        println!("== Migrated {name}");
        done += 1;
    }
    match done {
        0 => println!("Migrations already up"),
        done => println!("{done} migrations done"),
    }
    Ok(())
}

async fn pause(release: &Release) {
    let pause_ms = release.behaviour.migration_pause_ms;
    if pause_ms == 0 {
        return;
    }
    for part in 1..=PARTS {
        tokio::time::sleep(Duration::from_millis(pause_ms)).await;
        println!("backfilled {part}/{PARTS}");
    }
}
