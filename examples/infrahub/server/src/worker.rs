//! `infrahub task-worker`: works off the jobs of the graph, and says in the cache that it is there. Several may run: a job
//! is taken by whoever is first to say so in the graph, and taken again where nobody finished it in time.

use crate::artifacts::{self, JOB};
use crate::client::{Client, Found};
use crate::http;
use crate::release::Release;
use crate::settings::Settings;
use crate::upgrade;
use anyhow::{Result, bail};
use serde_json::json;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const TICK: Duration = Duration::from_millis(500);
/// Of a beat in the cache.
const BEAT_SECONDS: u64 = 5;
pub const BEATS: &str = "worker-";
const JOB_MS: u64 = 15_000;
/// Repositories are synchronised so often.
const SYNC: &str = "git-sync";
const SYNC_MS: u64 = 2000;

pub async fn run(settings: &Settings, release: &Release) -> Result<()> {
    let client = Client::new(settings);
    let name = std::env::var("HOSTNAME").unwrap_or_else(|_| std::process::id().to_string());
    println!("[task-worker] Infrahub {}, {name}", release.version);
    let mut end = std::pin::pin!(http::told_to_end());
    tokio::select! {
        ready = upgrade::await_schema(&client, release) => ready?,
        () = &mut end => return Ok(()),
    }
    loop {
        // A job that was taken is finished first.
        if let Err(error) = round(&client, settings, release, &name).await {
            println!("[task-worker] {error:#}");
        }
        tokio::select! {
            () = tokio::time::sleep(TICK) => {}
            () = &mut end => return Ok(()),
        }
    }
}

async fn round(client: &Client, settings: &Settings, release: &Release, name: &str) -> Result<()> {
    client.remember(&format!("{BEATS}{name}"), json!(release.version), BEAT_SECONDS).await?;
    for job in client.nodes(JOB, &[]).await? {
        if is_open(&job) && take(client, &job, name).await? {
            work(client, settings, &job, name).await?;
        }
    }
    Ok(())
}

fn is_open(job: &Found) -> bool {
    match job.text("status") {
        "running" => job.number("until") < now_ms(),
        "done" => job.text("task") == SYNC && job.number("due") < now_ms(),
        _ => true,
    }
}

/// Whether we were the first.
async fn take(client: &Client, job: &Found, name: &str) -> Result<bool> {
    let attempt = job.properties.get("attempt");
    let taken = json!({
        "status": "running", "worker": name, "attempt": job.number("attempt") + 1, "until": now_ms() + JOB_MS,
    });
    client.set(job.id, taken, json!({ "attempt": attempt })).await
}

async fn work(client: &Client, settings: &Settings, job: &Found, name: &str) -> Result<()> {
    match job.text("task") {
        artifacts::TASK => artifacts::generate(client, &settings.storage, job.text("artifact"), name).await?,
        SYNC => {
            for repository in client.nodes("CoreRepository", &[]).await? {
                let syncs = repository.number("syncs") + 1;
                client.set(repository.id, json!({ "syncs": syncs }), json!({})).await?;
            }
        }
        other => bail!("the job {} has a task `{other}`, which nobody knows", job.id),
    }
    // Not where it was queued again meanwhile, or taken by another.
    let ours = json!({ "status": "running", "attempt": job.number("attempt") + 1 });
    let done = client.set(job.id, json!({ "status": "done", "due": now_ms() + SYNC_MS }), ours).await?;
    if done && job.text("task") == artifacts::TASK {
        println!("[task-worker] generated the artifact `{}`", job.text("artifact"));
    }
    Ok(())
}

fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
