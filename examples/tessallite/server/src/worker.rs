//! Background work, a round every tick: the scheduler beats and queues jobs, the optimizer does them.

use crate::service::{Running, Service, health};
use anyhow::Result;
use std::sync::{Arc, PoisonError};
use tokio_postgres::Client;

const BEAT: &str = "INSERT INTO heartbeats (service, beats, last_at) VALUES ($1, 1, now()) \
     ON CONFLICT (service) DO UPDATE SET beats = heartbeats.beats + 1, last_at = now()";
/// A job for each model without statistics that nobody has queued yet.
const QUEUE: &str = "INSERT INTO jobs (model_id) SELECT id FROM models \
     WHERE NOT EXISTS (SELECT FROM model_statistics WHERE model_id = id) \
       AND NOT EXISTS (SELECT FROM jobs WHERE model_id = models.id AND done_at IS NULL)";
const FORGET: &str = "DELETE FROM jobs WHERE done_at < now() - interval '1 hour'";
const COMPUTE: &str = "WITH open AS (\
         UPDATE jobs SET done_at = now() WHERE done_at IS NULL RETURNING model_id\
     ) INSERT INTO model_statistics (model_id, row_count, total, computed_at) \
     SELECT open.model_id, count(number), coalesce(sum(amount), 0), now() \
     FROM (SELECT DISTINCT model_id FROM open) AS open LEFT JOIN model_rows USING (model_id) GROUP BY open.model_id \
     ON CONFLICT (model_id) DO UPDATE SET row_count = excluded.row_count, total = excluded.total, computed_at = now()";

pub async fn run(running: Arc<Running>) -> Result<()> {
    let routes = health().with_state(running.clone());
    tokio::select! {
        served = running.serve(routes) => served,
        () = work(&running) => Ok(()),
    }
}

async fn work(running: &Running) {
    loop {
        let trouble = round(running).await.err().map(|error| format!("{error:#}"));
        if let Some(why) = trouble.as_ref().filter(|_| trouble != running.trouble()) {
            println!("[{}] {why}", running.service.name());
        }
        *running.trouble.lock().unwrap_or_else(PoisonError::into_inner) = trouble;
        tokio::time::sleep(running.settings.tick).await;
    }
}

async fn round(running: &Running) -> Result<()> {
    let client = running.settings.connect().await?;
    match running.service {
        Service::Scheduler => schedule(&client, running.service.name()).await,
        _ => Ok(client.batch_execute(COMPUTE).await?),
    }
}

async fn schedule(client: &Client, name: &str) -> Result<()> {
    client.execute(BEAT, &[&name]).await?;
    client.batch_execute(QUEUE).await?;
    Ok(client.batch_execute(FORGET).await?)
}
