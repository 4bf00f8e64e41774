//! podman behind Docker's API: what it leaves undone, lacks and says otherwise.
//!
//! Timers of systemd run its health checks, and where there is no systemd, nobody does: they are run here when they are
//! due. It says nothing of registries: its client is asked, which finds the same logins.

use super::images::Registered;
use super::registry::{platform, registry_said};
use super::{Container, Engine, Health, State, credentials};
use crate::driver::process;
use crate::model::VerbError;
use futures::future::join_all;
use futures::{Stream, StreamExt};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::convert::Infallible;
use std::process::Stdio;
use std::time::Duration;
use tokio::process::Command;

/// One that is healthy is not asked again before.
const HEALTHY_FOR: Duration = Duration::from_secs(10);
/// As Docker has it where the image and the files say nothing.
const USUAL_INTERVAL: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Most that one check may take, whatever it was given.
const CHECK_WITHIN: Duration = Duration::from_secs(60);
const HUB: &str = "docker.io";

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    Docker,
    /// `api`: the version of podman's own API.
    Podman {
        api: String,
    },
}

impl Engine {
    pub async fn kind(&self) -> Result<&Kind, VerbError> {
        Ok(&self.met().await?.kind)
    }

    pub async fn is_podman(&self) -> Result<bool, VerbError> {
        Ok(*self.kind().await? != Kind::Docker)
    }

    /// Does `work`, which waits for the health of the project's containers: whoever looks at them runs the checks.
    pub async fn while_checking<T>(
        &self, project: &str, work: impl Future<Output = Result<T, VerbError>>,
    ) -> Result<T, VerbError> {
        self.beside(self.look_for_ever(project), work).await
    }

    async fn look_for_ever(&self, project: &str) -> Infallible {
        let mut kept = BTreeSet::new();
        loop {
            // What is wrong with the engine, the work says.
            let containers = self.containers(project).await.unwrap_or_default();
            let networks: BTreeSet<String> = containers.into_iter().flat_map(|one| one.networks.into_keys()).collect();
            let new: Vec<String> = networks.difference(&kept).cloned().collect();
            if !new.is_empty() && self.keep_bridge_addresses(&new).await.is_ok() {
                kept.extend(new);
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Does `work`, which waits for the end of containers with this label: podman may notice one only when it is looked at,
    /// and tells its client no sooner.
    pub async fn while_looking_at<T>(
        &self, label: &str, work: impl Future<Output = Result<T, VerbError>>,
    ) -> Result<T, VerbError> {
        self.beside(self.look_at_labelled(label), work).await
    }

    /// All of a container's log: that of one whose end podman did not notice goes on for ever.
    pub(super) fn to_its_end<'e, T: 'e>(
        &'e self, id: &'e str, log: impl Stream<Item = Result<T, VerbError>> + Unpin + 'e,
    ) -> impl Stream<Item = Result<T, VerbError>> + 'e {
        futures::stream::unfold(log, move |mut log| async move {
            let next = async { log.next().await.transpose() };
            let next = self.beside(self.look_at(id), next).await.transpose()?;
            Some((next, log))
        })
    }

    async fn look_at(&self, id: &str) -> Infallible {
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            let _ = self.container(id).await;
        }
    }

    /// Does `work`, and looks meanwhile where the engine is podman.
    async fn beside<T>(
        &self, look: impl Future<Output = Infallible>, work: impl Future<Output = Result<T, VerbError>>,
    ) -> Result<T, VerbError> {
        if !self.is_podman().await? {
            return work.await;
        }
        tokio::select! {
            done = work => done,
            never = look => match never {},
        }
    }

    async fn look_at_labelled(&self, label: &str) -> Infallible {
        loop {
            let _ = self.of_ids(&self.labelled(&[label.to_owned()]).await.unwrap_or_default()).await;
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Runs the health checks that are due and that nobody ran; whether there were any. The first is due as soon as it
    /// would pass: podman counts one that fails, so that it is tried beside podman.
    pub(super) async fn run_checks(&self, containers: &[Container]) -> Result<bool, VerbError> {
        let Kind::Podman { api } = self.kind().await? else { return Ok(false) };
        let checks = containers.iter().map(|container| async move {
            let would_pass = async || is_unchecked(container) && self.passes(container).await;
            if !(is_due(container, Timestamp::now()) || would_pass().await) {
                return false;
            }
            let path = format!("/v{api}/libpod/containers/{}/healthcheck", container.id);
            // What it says is in the container's state afterwards; one that ended meanwhile has none.
            let _ = tokio::time::timeout(CHECK_WITHIN, self.get(&path, &[])).await;
            true
        });
        Ok(join_all(checks).await.contains(&true))
    }

    /// Asks a registry through the client, with the login that it would find itself.
    pub(super) async fn ask_registry(&self, reference: &str) -> Result<Registered, VerbError> {
        let folder = tempfile::tempdir().map_err(process::io_error("make a folder for the client"))?;
        let registry = credentials::registry(reference);
        let login = credentials::find(self.config().client.as_deref(), reference).await?;
        // A helper's messages may hold its secret, so that the client gets what it said, and no helper.
        let auths = login.map(|login| json!({ registry: credentials::for_client(&login) }));
        let config = json!({ "auths": auths.unwrap_or_else(|| json!({})) }).to_string();
        std::fs::write(folder.path().join("config.json"), config)
            .map_err(process::io_error("write the client's settings"))?;

        let mut client = Command::new("docker");
        client.args(["manifest", "inspect", "--verbose"]);
        if self.is_insecure(registry).await? {
            client.arg("--insecure");
        }
        client.arg(without_tag(reference)).env_clear().envs(process::surroundings(None));
        client.env("DOCKER_CONFIG", folder.path()).env("DOCKER_HOST", self.host()).kill_on_drop(true).process_group(0);
        client.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let output = client.output().await.map_err(|error| VerbError::other("io", format!("`docker`: {error}")))?;
        if !output.status.success() {
            return Err(registry_said(reference, String::from_utf8_lossy(&output.stderr).trim()));
        }
        registered(&output.stdout).ok_or_else(|| {
            VerbError::other("registry", format!("`{reference}`: what `docker manifest inspect` says can't be read"))
        })
    }

    /// Whether the engine's settings say that this registry speaks without encryption.
    async fn is_insecure(&self, registry: &str) -> Result<bool, VerbError> {
        let info = self.docker().await?.info().await.map_err(|error| self.failed(&error))?;
        let known = info.registry_config.and_then(|config| config.index_configs).unwrap_or_default();
        Ok(known.get(registry).is_some_and(|index| index.secure == Some(false)))
    }
}

/// Since it started.
fn is_unchecked(container: &Container) -> bool {
    container.is_starting() && container.checked <= container.started
}

fn is_due(container: &Container, now: Timestamp) -> bool {
    let last = container.checked.max(container.started);
    let every = container.check_every.unwrap_or(USUAL_INTERVAL);
    // Each check starts a process in the container, whoever looks how often.
    let every = if container.health == Some(Health::Healthy) { every.max(HEALTHY_FOR) } else { every };
    let since = |last: Timestamp| now.duration_since(last).unsigned_abs();
    container.state == State::Running && container.health.is_some() && last.is_none_or(|last| since(last) >= every)
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Entry {
    descriptor: Descriptor,
}

#[derive(Deserialize)]
struct Descriptor {
    digest: String,
    platform: Option<Platform>,
}

#[derive(Deserialize)]
struct Platform {
    os: Option<String>,
    architecture: Option<String>,
    variant: Option<String>,
}

/// One image, or those of an index, of which the client doesn't say the digest.
fn registered(said: &[u8]) -> Option<Registered> {
    let said: Value = serde_json::from_slice(said).ok()?;
    let is_index = said.is_array();
    let entries: Vec<Entry> = match is_index {
        true => serde_json::from_value(said).ok()?,
        false => vec![serde_json::from_value(said).ok()?],
    };
    let platforms = entries.iter().filter_map(|entry| entry.descriptor.platform.as_ref());
    Some(Registered {
        digest: entries.first().filter(|_| !is_index).map(|one| one.descriptor.digest.clone()).unwrap_or_default(),
        platforms: platforms
            .map(|p| platform(p.os.as_deref(), p.architecture.as_deref(), p.variant.as_deref()))
            .collect(),
    })
}

/// The client takes a tag or a digest, and not both.
fn without_tag(reference: &str) -> String {
    let Some((name, digest)) = reference.split_once('@') else { return reference.to_owned() };
    let tag = name.rfind(':').filter(|at| !name[*at..].contains('/'));
    format!("{}@{digest}", &name[..tag.unwrap_or(name.len())])
}

/// A name as its user wrote it, where podman says the whole of it.
pub(super) fn familiar(name: &str) -> &str {
    let bare = name.strip_prefix(HUB).and_then(|rest| rest.strip_prefix('/')).unwrap_or(name);
    bare.strip_prefix("library/").unwrap_or(bare)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_client_says_of_one_image_and_of_an_index() {
        let entry = |digest: &str, architecture: &str| {
            json!({ "Ref": "r/a:1", "Descriptor": { "mediaType": "m", "digest": digest, "size": 1,
                "platform": { "architecture": architecture, "os": "linux" } } })
        };
        let one = registered(entry("sha256:1", "amd64").to_string().as_bytes()).unwrap();
        assert_eq!((one.digest.as_str(), &one.platforms[..]), ("sha256:1", &["linux/amd64".to_owned()][..]));
        let index = json!([entry("sha256:1", "amd64"), entry("sha256:2", "arm64")]).to_string();
        let index = registered(index.as_bytes()).unwrap();
        assert_eq!((index.digest.as_str(), index.platforms.len()), ("", 2));
        assert!(registered(b"{}").is_none());
    }

    #[test]
    fn names_are_said_in_one_way() {
        assert_eq!(familiar("docker.io/library/nginx:1"), "nginx:1");
        assert_eq!(familiar("docker.io/upgraded/shop:abc"), "upgraded/shop:abc");
        assert_eq!(familiar("127.0.0.1:5050/docker.io/a:1"), "127.0.0.1:5050/docker.io/a:1");
        assert_eq!(without_tag("r:5000/shop:1@sha256:00"), "r:5000/shop@sha256:00");
        assert_eq!(without_tag("r:5000/shop@sha256:00"), "r:5000/shop@sha256:00");
        assert_eq!(without_tag("r:5000/shop:1"), "r:5000/shop:1");
    }
}
