//! A release as Helm records it: a secret for each revision.

use crate::cluster::Cluster;
use crate::error::{Error, Result};
use crate::{HELD, STEP};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use std::io::{Read, Write};

const SECRETS: &str = "secrets";
/// Larger than any that fits a secret.
const RECORD_BYTES: u64 = 64 << 20;

/// One revision of a release.
#[derive(Debug, Clone)]
pub struct Revision {
    pub number: u32,
    /// `deployed`, `superseded`, `failed`, `pending-upgrade`, …
    pub status: String,
    pub chart: String,
    pub chart_version: String,
    pub app_version: String,
    pub description: String,
    /// YAML, without the hooks.
    pub manifest: String,
    pub hooks: Vec<Hook>,
    /// The step of ours that made it.
    pub step: Option<String>,
    /// It holds something at zero; what the release is to become when nothing is held any more.
    pub held: Option<String>,
    record: Value,
    secret: String,
    /// Applied by server-side apply.
    pub server_side: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hook {
    pub kind: String,
    pub name: String,
    pub manifest: String,
    /// `pre-upgrade`, `post-install`, …
    pub events: Vec<String>,
}

impl Revision {
    pub fn is_pending(&self) -> bool {
        self.status.starts_with("pending-")
    }
}

impl Cluster {
    /// Oldest first; empty where there is no such release.
    pub async fn revisions(&self) -> Result<Vec<Revision>> {
        let secrets = self.records(Some(self.release())).await?;
        let mut revisions = secrets.iter().map(read).collect::<Result<Vec<_>>>()?;
        revisions.sort_by_key(|revision| revision.number);
        Ok(revisions)
    }

    /// The newest, or what there is instead of this release.
    pub async fn newest(&self) -> Result<Revision> {
        match self.revisions().await?.pop() {
            Some(newest) => Ok(newest),
            None => {
                let all = self.records(None).await?;
                let mut names: Vec<&str> =
                    all.iter().filter_map(|s| s["metadata"]["labels"]["name"].as_str()).collect();
                names.sort_unstable();
                names.dedup();
                let known = match names.as_slice() {
                    [] => "it has none".to_owned(),
                    names => {
                        format!("it has {}", names.iter().map(|n| format!("`{n}`")).collect::<Vec<_>>().join(", "))
                    }
                };
                Err(Error::NotFound(format!(
                    "the namespace `{}` has no release `{}`; {known}",
                    self.namespace(),
                    self.release()
                )))
            }
        }
    }

    /// The secrets, of one release or of all.
    pub(crate) async fn records(&self, release: Option<&str>) -> Result<Vec<Value>> {
        let labels = release.map_or("owner=helm".to_owned(), |name| format!("owner=helm,name={name}"));
        self.list(&self.path("api/v1", SECRETS), Some(&labels)).await
    }

    /// Says of a revision that a gone `helm` left pending that it failed, so that the next one may begin.
    pub async fn unlock(&self, revision: &Revision, why: &str) -> Result<()> {
        let mut record = revision.record.clone();
        record["info"]["status"] = json!("failed");
        record["info"]["description"] = json!(why);
        let patch = json!({
            "metadata": { "labels": { "status": "failed" } },
            "data": { "release": STANDARD.encode(encode(&record)?) },
        });
        self.merge(&self.path("api/v1", SECRETS), &revision.secret, &patch).await.map(drop)
    }
}

fn read(secret: &Value) -> Result<Revision> {
    let name = secret["metadata"]["name"].as_str().unwrap_or_default();
    let wrong =
        |why: String| Error::other("release", format!("the record `{name}` of the release can't be read: {why}"));
    let data = secret["data"]["release"].as_str().ok_or_else(|| wrong("it has no `release`".into()))?;
    let data = STANDARD.decode(data).map_err(|error| wrong(error.to_string()))?;
    let record = decode(&data).map_err(wrong)?;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let metadata = &record["chart"]["metadata"];
    let hooks = record["hooks"].as_array().into_iter().flatten().map(|hook| Hook {
        kind: text(&hook["kind"]),
        name: text(&hook["name"]),
        manifest: text(&hook["manifest"]),
        events: hook["events"].as_array().into_iter().flatten().map(text).collect(),
    });
    let labels = &secret["metadata"]["labels"];
    Ok(Revision {
        number: record["version"].as_u64().and_then(|number| u32::try_from(number).ok()).unwrap_or_default(),
        status: text(&record["info"]["status"]),
        chart: text(&metadata["name"]),
        chart_version: text(&metadata["version"]),
        app_version: text(&metadata["appVersion"]),
        description: text(&record["info"]["description"]),
        manifest: text(&record["manifest"]),
        hooks: hooks.collect(),
        step: labels[STEP].as_str().map(str::to_owned),
        held: labels[HELD].as_str().map(str::to_owned),
        server_side: record["apply_method"] == "ssa",
        secret: name.to_owned(),
        record,
    })
}

/// Base64 of gzip of JSON.
fn decode(data: &[u8]) -> std::result::Result<Value, String> {
    let packed = STANDARD.decode(data).map_err(|error| error.to_string())?;
    let mut text = Vec::new();
    match packed.starts_with(&[0x1f, 0x8b]) {
        true => {
            GzDecoder::new(&packed[..]).take(RECORD_BYTES).read_to_end(&mut text).map_err(|error| error.to_string())?
        }
        false => packed.as_slice().read_to_end(&mut text).map_err(|error| error.to_string())?,
    };
    serde_json::from_slice(&text).map_err(|error| error.to_string())
}

fn encode(record: &Value) -> Result<String> {
    let failed = |error: String| Error::other("release", error);
    let text = serde_json::to_vec(record).map_err(|error| failed(error.to_string()))?;
    let mut packer = GzEncoder::new(Vec::new(), Compression::best());
    packer.write_all(&text).map_err(|error| failed(error.to_string()))?;
    Ok(STANDARD.encode(packer.finish().map_err(|error| failed(error.to_string()))?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_read_as_helm_writes_it() {
        let record = json!({
            "name": "evose", "version": 3, "manifest": "kind: Deployment\n", "apply_method": "ssa",
            "info": { "status": "pending-upgrade", "description": "Preparing upgrade" },
            "chart": { "metadata": { "name": "evose", "version": "1.4.0", "appVersion": "1.4.0" } },
            "hooks": [{ "name": "evose-init", "kind": "Job", "events": ["pre-upgrade"], "manifest": "kind: Job" }],
        });
        let data = STANDARD.encode(encode(&record).unwrap());
        let labels = json!({ STEP: "r1-h0-apply-main-0", HELD: "back.2" });
        let secret = json!({ "metadata": { "name": "sh.helm.release.v1.evose.v3", "labels": labels }, "data": { "release": data } });
        let revision = read(&secret).unwrap();
        assert_eq!((revision.number, revision.is_pending(), revision.held.as_deref()), (3, true, Some("back.2")));
        assert_eq!(revision.step.as_deref(), Some("r1-h0-apply-main-0"));
        assert_eq!((revision.chart_version.as_str(), revision.server_side), ("1.4.0", true));
        assert_eq!(revision.hooks[0].events, ["pre-upgrade"]);
    }
}
