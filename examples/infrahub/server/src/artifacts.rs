//! Artifacts: what the graph says as a file in the storage, with its checksum in the graph. Made by the task workers.

use crate::client::Client;
use crate::graph::{Node, hex};
use crate::queries::TAG;
use anyhow::{Context, Result, bail};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

pub const JOB: &str = "CoreJob";
const ARTIFACT: &str = "CoreArtifact";
pub const TASK: &str = "artifact";

pub fn is_name(name: &str) -> bool {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    !name.is_empty() && name.len() <= 64 && name.chars().all(fits)
}

/// Queues it; the job's number. An artifact has one job, which is done again.
pub async fn order(client: &Client, name: &str) -> Result<u64> {
    let known = client.nodes(JOB, &[("task", TASK), ("artifact", name)]).await?;
    if let Some(job) = known.first() {
        client.set(job.id, json!({ "status": "queued" }), json!({})).await?;
        return Ok(job.id);
    }
    let properties = json!({ "task": TASK, "artifact": name, "status": "queued" });
    let properties = serde_json::from_value(properties)?;
    client.create(&Node { kind: JOB.into(), properties, edges: Vec::new() }, false).await
}

/// None: nobody has ever asked for one of this name.
pub async fn read(client: &Client, storage: &Path, name: &str) -> Result<Option<Value>> {
    let jobs = client.nodes(JOB, &[("task", TASK), ("artifact", name)]).await?;
    let Some(job) = jobs.first().map(|job| job.id) else { return Ok(None) };
    if jobs.iter().any(|job| job.text("status") != "done") {
        return Ok(Some(json!({ "name": name, "status": "generating", "job": job })));
    }
    let known = client.nodes(ARTIFACT, &[("name", name)]).await?;
    let known = known.first().context("the graph does not know the artifact")?;
    let path = storage.join("artifacts").join(name);
    let content = fs::read_to_string(&path).with_context(|| format!("the storage has no artifact `{name}`"))?;
    let checksum = checksum(&content);
    if checksum != known.text("checksum") {
        bail!("the storage has another artifact `{name}` than the graph");
    }
    let content: Value = serde_json::from_str(&content)?;
    Ok(Some(json!({ "name": name, "status": "ready", "job": job, "checksum": checksum, "content": content })))
}

/// The same graph gives the same file. Two `worker`s may be at it at once.
pub async fn generate(client: &Client, storage: &Path, name: &str, worker: &str) -> Result<()> {
    let tags = client.nodes(TAG, &[]).await?;
    let mut names: Vec<&str> = tags.iter().map(|tag| tag.text("name")).collect();
    names.sort_unstable();
    let content = serde_json::to_string_pretty(&json!({ "artifact": name, "tags": names }))?;
    put(&storage.join("artifacts"), name, worker, &content).context("the storage")?;
    let checksum = checksum(&content);
    match client.nodes(ARTIFACT, &[("name", name)]).await?.first() {
        Some(known) if known.text("checksum") == checksum => {}
        Some(known) => drop(client.set(known.id, json!({ "checksum": checksum }), json!({})).await?),
        None => {
            let properties = Map::from_iter([("name".into(), json!(name)), ("checksum".into(), json!(checksum))]);
            client.create(&Node { kind: ARTIFACT.into(), properties, edges: Vec::new() }, true).await?;
        }
    }
    Ok(())
}

/// Whole and durable, or not at all.
fn put(folder: &Path, name: &str, worker: &str, content: &str) -> Result<()> {
    fs::create_dir_all(folder)?;
    let beside = folder.join(format!(".{name}.{worker}"));
    let mut file = File::create(&beside)?;
    file.write_all(content.as_bytes())?;
    file.sync_all()?;
    fs::rename(&beside, folder.join(name))?;
    File::open(folder)?.sync_all()?;
    Ok(())
}

fn checksum(content: &str) -> String {
    let mut hasher = Sha256::new();
    hasher.update(content);
    hex(hasher)
}
