//! `evose-worker`: works queued runs off in the background.

use crate::database::{Databases, said};
use crate::release::{Release, Tables};
use crate::runs;
use crate::settings::Settings;
use anyhow::Result;
use std::time::Duration;

const IDLE: Duration = Duration::from_millis(200);
const AFTER_FAILURE: Duration = Duration::from_secs(1);

pub async fn run(settings: &Settings, release: &Release) -> Result<()> {
    println!("[worker] Evose {}", release.version);
    let databases = Databases::new(settings);
    loop {
        match work(&databases, release.tables()).await {
            Ok(true) => {}
            Ok(false) => tokio::time::sleep(IDLE).await,
            Err(error) => {
                println!("[worker] {}", said(&error));
                tokio::time::sleep(AFTER_FAILURE).await;
            }
        }
    }
}

async fn work(databases: &Databases, tables: Tables) -> Result<bool> {
    runs::work_off_one(&mut databases.mysql().await?, tables).await
}
