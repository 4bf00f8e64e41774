//! A release as Helm records it: a secret for each revision.

use crate::cluster::Cluster;
use crate::error::{Error, Result};
use crate::workload::{Kind, apart};
use crate::{HELD, STEP};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use std::io::{Read, Write};

const SECRETS: &str = "secrets";
/// Of what Helm says of a revision that a rollback made.
const ROLLBACK: &str = "Rollback ";
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
    /// The step of ours that made it. A rollback copies the mark of what it leads to, and none of its own makes it ours.
    pub step: Option<String>,
    /// It holds something at zero; what the release is to become when nothing is held any more.
    pub held: Option<String>,
    /// When its record was made, by the API's clock, as `creationTimestamp` has it.
    pub created: String,
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

impl Hook {
    /// By the rule of [`meant`](crate::meant). One that runs nothing is no service, whatever it is called.
    pub fn is_meant(&self, release: &str, wanted: &str) -> bool {
        let (kind, name) = apart(wanted);
        (self.kind == "Pod" || Kind::named(&self.kind).is_some())
            && kind.is_none_or(|kind| self.kind.eq_ignore_ascii_case(kind))
            && (self.name == name || self.name == format!("{release}-{name}"))
    }
}

impl Cluster {
    /// Oldest first; empty where there is no such release.
    pub async fn revisions(&self) -> Result<Vec<Revision>> {
        let secrets = self.records().await?;
        let mut revisions = secrets.iter().map(read).collect::<Result<Vec<_>>>()?;
        revisions.sort_by_key(|revision| revision.number);
        Ok(revisions)
    }

    /// The newest ones, oldest first: the records of the others are not brought here.
    pub async fn newest_revisions(&self, count: usize) -> Result<Vec<Revision>> {
        let all = self.names_of_records().await?;
        let mut newest = Vec::new();
        for (_, name, _) in all.iter().rev().take(count).rev() {
            newest.extend(self.record(name).await?);
        }
        Ok(newest)
    }

    /// What Helm compares the next one with: what is deployed, or else the newest.
    pub async fn compared_revision(&self) -> Result<Option<Revision>> {
        let all = self.names_of_records().await?;
        let deployed = all.iter().rev().find(|(.., status)| status == "deployed");
        match deployed.or(all.last()) {
            Some((_, name, _)) => self.record(name).await,
            None => Ok(None),
        }
    }

    /// None: it is gone.
    async fn record(&self, name: &str) -> Result<Option<Revision>> {
        self.get(&self.path("api/v1", SECRETS), name).await?.as_ref().map(read).transpose()
    }

    /// Number, name and status of each, oldest first.
    async fn names_of_records(&self) -> Result<Vec<(u32, String, String)>> {
        let labels = format!("owner=helm,name={}", self.release());
        let all = self.list_metadata(&self.path("api/v1", SECRETS), &labels).await?;
        let mut names: Vec<_> = all.iter().filter_map(named).collect();
        names.sort();
        Ok(names)
    }

    /// The newest, or what there is instead of this release.
    pub async fn newest(&self) -> Result<Revision> {
        match self.newest_revisions(1).await?.pop() {
            Some(newest) => Ok(newest),
            None => {
                let all = self.list_metadata(&self.path("api/v1", SECRETS), "owner=helm").await?;
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

    /// The release's secrets.
    pub(crate) async fn records(&self) -> Result<Vec<Value>> {
        let labels = format!("owner=helm,name={}", self.release());
        self.list(&self.path("api/v1", SECRETS), Some(&labels)).await
    }

    /// Says of a revision that a gone `helm` left pending that it failed, so that the next one may begin.
    pub async fn unlock(&self, revision: &Revision, why: &str) -> Result<()> {
        let (secrets, name) = (self.path("api/v1", SECRETS), &revision.secret);
        let gone = || Error::NotFound(format!("the record `{name}` of the release is gone"));
        let mut record = record_of(&self.get(&secrets, name).await?.ok_or_else(gone)?)?;
        let was_rollback = revision.description.starts_with(ROLLBACK);
        let said = if was_rollback { format!("{}; {why}", revision.description) } else { why.to_owned() };
        record["info"]["status"] = json!("failed");
        record["info"]["description"] = json!(said);
        let patch = json!({
            "metadata": { "labels": { "status": "failed" } },
            "data": { "release": STANDARD.encode(encode(&record)?) },
        });
        self.merge(&secrets, name, &patch).await.map(drop)
    }
}

/// `sh.helm.release.v1.evose.v3`
fn named(secret: &Value) -> Option<(u32, String, String)> {
    let name = secret["metadata"]["name"].as_str()?;
    let status = secret["metadata"]["labels"]["status"].as_str().unwrap_or_default();
    Some((name.rsplit_once(".v")?.1.parse().ok()?, name.to_owned(), status.to_owned()))
}

fn record_of(secret: &Value) -> Result<Value> {
    let name = secret["metadata"]["name"].as_str().unwrap_or_default();
    let wrong =
        |why: String| Error::other("release", format!("the record `{name}` of the release can't be read: {why}"));
    let data = secret["data"]["release"].as_str().ok_or_else(|| wrong("it has no `release`".into()))?;
    let data = STANDARD.decode(data).map_err(|error| wrong(error.to_string()))?;
    decode(&data).map_err(wrong)
}

fn read(secret: &Value) -> Result<Revision> {
    let record = record_of(secret)?;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let metadata = &record["chart"]["metadata"];
    let hooks = record["hooks"].as_array().into_iter().flatten().map(|hook| Hook {
        kind: text(&hook["kind"]),
        name: text(&hook["name"]),
        manifest: text(&hook["manifest"]),
        events: hook["events"].as_array().into_iter().flatten().map(text).collect(),
    });
    let (labels, description) = (&secret["metadata"]["labels"], text(&record["info"]["description"]));
    let step = labels[STEP].as_str().filter(|_| !description.starts_with(ROLLBACK));
    Ok(Revision {
        number: record["version"].as_u64().and_then(|number| u32::try_from(number).ok()).unwrap_or_default(),
        status: text(&record["info"]["status"]),
        chart: text(&metadata["name"]),
        chart_version: text(&metadata["version"]),
        app_version: text(&metadata["appVersion"]),
        step: step.map(str::to_owned),
        description,
        manifest: text(&record["manifest"]),
        hooks: hooks.collect(),
        held: labels[HELD].as_str().map(str::to_owned),
        server_side: record["apply_method"] == "ssa",
        created: text(&secret["metadata"]["creationTimestamp"]),
        secret: text(&secret["metadata"]["name"]),
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
        let revision = read(&secret_of(&record)).unwrap();
        assert_eq!((revision.number, revision.is_pending(), revision.held.as_deref()), (3, true, Some("back.2")));
        assert_eq!(revision.step.as_deref(), Some("r1-h0-apply-main-0"));
        assert_eq!((revision.chart_version.as_str(), revision.server_side), ("1.4.0", true));
        assert_eq!(revision.hooks[0].events, ["pre-upgrade"]);
        assert_eq!(revision.created, "2024-02-29T12:00:00Z");
    }

    fn secret_of(record: &Value) -> Value {
        let data = STANDARD.encode(encode(record).unwrap());
        let labels = json!({ STEP: "r1-h0-apply-main-0", HELD: "back.2", "status": "deployed" });
        let (name, created) = ("sh.helm.release.v1.evose.v3", "2024-02-29T12:00:00Z");
        let metadata = json!({ "name": name, "labels": labels, "creationTimestamp": created });
        json!({ "metadata": metadata, "data": { "release": data } })
    }

    #[test]
    fn a_rollback_is_of_no_step_whatever_it_copied() {
        for description in
            ["Rollback to 2", "Rollback \"evose\" failed: timed out", "Rollback to 2; its `helm` is gone"]
        {
            let record = json!({ "version": 3, "info": { "status": "deployed", "description": description } });
            assert_eq!(read(&secret_of(&record)).unwrap().step, None, "{description}");
        }
    }

    #[test]
    fn a_hook_is_meant_as_a_workload_is_and_an_object_is_none() {
        let of = |kind: &str, wanted: &str| {
            let (manifest, events) = (String::new(), Vec::new());
            Hook { kind: kind.into(), name: "shop-migrate".into(), manifest, events }.is_meant("shop", wanted)
        };
        for wanted in ["migrate", "shop-migrate", "job/migrate", "Job/shop-migrate"] {
            assert!(of("Job", wanted), "{wanted}");
        }
        assert!(of("Pod", "pod/migrate") && !of("Pod", "job/migrate"));
        assert!(!of("Job", "deployment/migrate") && !of("Job", "job/other"));
        assert!(!of("ConfigMap", "migrate") && !of("ServiceAccount", "shop-migrate"));
    }

    #[test]
    fn a_record_is_told_by_its_name() {
        let name = named(&secret_of(&json!({}))).unwrap();
        assert_eq!(name, (3, "sh.helm.release.v1.evose.v3".to_owned(), "deployed".to_owned()));
        assert_eq!(named(&json!({ "metadata": { "name": "shop.v1beta" } })), None);
    }
}
