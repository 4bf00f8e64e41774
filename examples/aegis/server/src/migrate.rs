//! Migrations: each in a transaction with its line in `schema_migrations`, one runner at a time, and none back.

use crate::release::Release;
use crate::settings::Settings;
use anyhow::{Context, Result, bail};
use std::time::Duration;
use tokio_postgres::Client;

/// Of the advisory lock.
const RUNNER: i64 = 4_153_618_207;
/// Seconds that the database may take to start.
const PATIENCE: u32 = 60;

macro_rules! migrations {
    ($($name:literal),* $(,)?) => { &[$(($name, include_str!(concat!("../migrations/", $name, ".sql")))),*] };
}

const MIGRATIONS: &[(&str, &str)] = migrations![
    "0001_create_agents",
    "0002_create_ledger",
    "0003_create_workers",
    "0004_add_agent_owners",
    "0005_add_seals",
    "0006_compact_agents",
    "0006_link_policies",
    "0006_add_tiers",
];

pub fn sql(name: &str) -> Result<&'static str> {
    let found = MIGRATIONS.iter().find(|(known, _)| *known == name);
    found.map(|(_, sql)| *sql).with_context(|| format!("there is no migration `{name}`"))
}

/// Brings the database to the release's schema, and says so in its log: `make logs POD=core | grep -i migrat`.
pub async fn run(settings: &Settings, release: &Release) -> Result<()> {
    match apply(settings, release).await {
        Ok(at) => println!("[runtime] migrations complete at {at}"),
        Err(error) => {
            println!("[runtime] migrations failed: {error:#}");
            bail!("the database is not at the schema of {}", release.version);
        }
    }
    Ok(())
}

/// The number of the last migration of the database.
pub async fn at(client: &Client) -> Result<Option<String>> {
    let row = client.query_one("SELECT max(version) FROM schema_migrations", &[]).await.context("schema_migrations")?;
    Ok(row.get(0))
}

async fn apply(settings: &Settings, release: &Release) -> Result<String> {
    let mut client = connect(settings).await?;
    let begin = format!(
        "SELECT pg_advisory_lock({RUNNER}); CREATE TABLE IF NOT EXISTS schema_migrations \
         (version text PRIMARY KEY, name text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())"
    );
    client.batch_execute(&begin).await.context("schema_migrations")?;
    let rows = client.query("SELECT name FROM schema_migrations ORDER BY version", &[]).await?;
    let applied: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    let mut pending = release.migrations()?;
    if let Some(newer) = applied.iter().find(|name| !pending.contains(name)) {
        bail!("the database has {newer}, which {} does not know; restore the backup from before", release.version);
    }
    pending.retain(|name| !applied.contains(name));
    for (number, name) in (1..).zip(&pending) {
        println!("[runtime] migrating: {name} ({number}/{})", pending.len());
        let transaction = client.transaction().await?;
        transaction.batch_execute(sql(name)?).await.with_context(|| name.clone())?;
        let (version, _) = name.split_once('_').context("a migration is called like `0001_what`")?;
        let done = "INSERT INTO schema_migrations (version, name) VALUES ($1, $2)";
        transaction.execute(done, &[&version, name]).await?;
        transaction.commit().await?;
    }
    at(&client).await?.context("the release has no migrations")
}

/// After a reboot all containers start at once.
async fn connect(settings: &Settings) -> Result<Client> {
    let mut tries = 0;
    loop {
        match settings.connect().await {
            Err(error) if tries < PATIENCE => {
                tries += 1;
                println!("[runtime] waiting: {error:#}");
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
            tried => return tried,
        }
    }
}
