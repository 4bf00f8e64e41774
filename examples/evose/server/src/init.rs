//! `evose-init`: brings both databases to the release's schema, each migration once, and ends.

use crate::access;
use crate::database::{Databases, said};
use crate::release::{Catalogue, Database, Migration, Release};
use crate::settings::Settings;
use anyhow::{Context, Result, bail};
use mysql_async::Conn;
use mysql_async::prelude::Queryable;
use std::time::Duration;
use tokio_postgres::Client;

const RECORDS: &str = "CREATE TABLE IF NOT EXISTS schema_migrations \
     (name VARCHAR(64) PRIMARY KEY, applied TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP)";
const LOCK_SECONDS: u32 = 60;

pub async fn run(settings: &Settings, release: &Release) -> Result<()> {
    println!("[init] Evose {}", release.version);
    let catalogue = Catalogue::read()?;
    let databases = Databases::new(settings);
    let (mut mysql, postgres) = (databases.mysql().await?, databases.postgres().await?);
    let locked: Option<Option<i64>> = mysql.exec_first("SELECT GET_LOCK('evose-init', ?)", (LOCK_SECONDS,)).await?;
    if locked.flatten() != Some(1) {
        bail!("another `init` is at work for {LOCK_SECONDS} seconds");
    }
    mysql.query_drop(RECORDS).await.context("schema_migrations")?;
    postgres.batch_execute(RECORDS).await.context("schema_migrations")?;
    for migration in catalogue.migrations_of(&release.version)? {
        let mut target = match migration.database {
            Database::Mysql => Target::Mysql(&mut mysql),
            Database::Postgres => Target::Postgres(&postgres),
        };
        if target.has(&migration.name).await? {
            continue;
        }
        println!("[init] applying migration {}", migration.name);
        if let Err(error) = apply(&mut target, migration).await {
            bail!("migration failed: {}: {}", migration.name, said(&error));
        }
    }
    access::create_admin(&mut mysql, &settings.admin_password, &settings.secret).await?;
    access::seal_models(&mut mysql, &settings.secret).await?;
    mysql.disconnect().await?;
    println!("[init] migrations complete");
    Ok(())
}

/// MySQL commits every change of the schema at once: one that fails half way leaves its first half.
async fn apply(target: &mut Target<'_>, migration: &Migration) -> Result<()> {
    for statement in &migration.sql {
        target.execute(statement).await?;
    }
    for batch in 1..=migration.batches {
        let batches = migration.batches.to_string();
        target.execute(&migration.batch.replace("{batches}", &batches).replace("{batch}", &batch.to_string())).await?;
        tokio::time::sleep(Duration::from_millis(migration.batch_ms)).await;
        println!("[init] backfilled {batch}/{batches}");
    }
    if migration.hangs {
        std::future::pending::<()>().await;
    }
    target.record(&migration.name).await
}

enum Target<'a> {
    Mysql(&'a mut Conn),
    Postgres(&'a Client),
}

impl Target<'_> {
    async fn has(&mut self, name: &str) -> Result<bool> {
        Ok(match self {
            Self::Mysql(mysql) => {
                let found: Option<i64> =
                    mysql.exec_first("SELECT 1 FROM schema_migrations WHERE name = ?", (name,)).await?;
                found.is_some()
            }
            Self::Postgres(postgres) => {
                postgres.query_opt("SELECT 1 FROM schema_migrations WHERE name = $1", &[&name]).await?.is_some()
            }
        })
    }

    async fn execute(&mut self, sql: &str) -> Result<()> {
        match self {
            Self::Mysql(mysql) => Ok(mysql.query_drop(sql).await?),
            Self::Postgres(postgres) => Ok(postgres.batch_execute(sql).await?),
        }
    }

    async fn record(&mut self, name: &str) -> Result<()> {
        match self {
            Self::Mysql(mysql) => {
                mysql.exec_drop("INSERT INTO schema_migrations (name) VALUES (?)", (name,)).await?;
            }
            Self::Postgres(postgres) => {
                postgres.execute("INSERT INTO schema_migrations (name) VALUES ($1)", &[&name]).await?;
            }
        }
        Ok(())
    }
}
