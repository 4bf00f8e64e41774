//! The schema: `infrahub upgrade` brings the graph to the release's, each migration once; the services look whether it is.

use crate::client::Client;
use crate::release::{Catalogue, Migration, Release};
use anyhow::{Context, Result, bail};
use serde_json::json;
use std::time::Duration;

/// Seconds that the database may take to start, and a worker waits for the schema.
const PATIENCE: u32 = 60;
const SECOND: Duration = Duration::from_secs(1);

/// `infrahub upgrade`, run once in the new image while nothing else runs.
pub async fn run(client: &Client, release: &Release) -> Result<()> {
    let catalogue = Catalogue::read()?;
    let pending = pending(&catalogue, client, release).await?;
    println!("Infrahub {}: {} migrations to apply", release.version, pending.len());
    for (number, migration) in (1..).zip(&pending) {
        println!("Applying migration {} ({number}/{})", migration.name, pending.len());
        let applied = apply(client, migration).await;
        applied.with_context(|| format!("Migration {} failed", migration.name))?;
    }
    println!("Database migration completed");
    Ok(())
}

/// The server makes a new graph, and nobody migrates one that there is.
pub async fn serves(client: &Client, release: &Release) -> Result<()> {
    let catalogue = Catalogue::read()?;
    let (all, pending) = (catalogue.migrations_of(&release.version)?, pending(&catalogue, client, release).await?);
    match pending.first() {
        Some(_) if pending.len() == all.len() => {
            for migration in pending {
                apply(client, migration).await?;
            }
            println!("[server] a new graph");
            Ok(())
        }
        Some(first) => bail!("the graph lacks the migration {}: run `infrahub upgrade`", first.name),
        None => Ok(()),
    }
}

/// Waits until the graph is at the release's schema.
pub async fn await_schema(client: &Client, release: &Release) -> Result<()> {
    let catalogue = Catalogue::read()?;
    for _ in 0..PATIENCE {
        if pending(&catalogue, client, release).await?.is_empty() {
            return Ok(());
        }
        tokio::time::sleep(SECOND).await;
    }
    bail!("the graph is not at the schema of {}: run `infrahub upgrade`", release.version)
}

async fn pending<'a>(catalogue: &'a Catalogue, client: &Client, release: &Release) -> Result<Vec<&'a Migration>> {
    let applied = there(client).await?;
    let mut wanted = catalogue.migrations_of(&release.version)?;
    if let Some(newer) = applied.iter().find(|name| !wanted.iter().any(|migration| migration.name == **name)) {
        bail!("the graph has {newer}, which {} does not know: restore the backup from before", release.version);
    }
    wanted.retain(|migration| !applied.contains(&migration.name));
    Ok(wanted)
}

/// After a reboot all containers start at once.
async fn there(client: &Client) -> Result<Vec<String>> {
    let mut tries = 0;
    loop {
        match client.migrations().await {
            Err(error) if tries < PATIENCE => {
                tries += 1;
                println!("waiting for the database: {error:#}");
                tokio::time::sleep(SECOND).await;
            }
            told => return told,
        }
    }
}

async fn apply(client: &Client, migration: &Migration) -> Result<()> {
    for part in 1..=migration.parts {
        let step = json!({ "part": part, "parts": migration.parts, "changes": migration.changes });
        client.migrate(&migration.name, &step).await?;
        if migration.parts > 1 {
            tokio::time::sleep(Duration::from_millis(migration.part_ms)).await;
            println!("{}: {part}/{} of the nodes", migration.name, migration.parts);
        }
    }
    Ok(())
}
