//! Pods, by podman's own API.

use super::socket::{Gone, gone};
use super::{Container, DONE, Engine, Kind, MADE, NO_SUCH, NOT_MODIFIED, OK, STOP_WITHIN, nonsense};
use crate::model::VerbError;
use hyper::Method;
use hyper::body::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;

const CONFLICT: u16 = 409;
/// Of a pod whose containers go while it is looked at.
const TRIES: u32 = 20;
const AGAIN_AFTER: Duration = Duration::from_millis(100);

/// A pod that the engine has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PodSeen {
    pub id: String,
    pub name: String,
    pub labels: BTreeMap<String, String>,
    /// IDs of its containers, without the one that holds the pod's network.
    pub containers: Vec<String>,
    pub infra: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Inspected {
    id: String,
    name: String,
    #[serde(default)]
    labels: Option<BTreeMap<String, String>>,
    #[serde(default)]
    containers: Option<Vec<Member>>,
    #[serde(default, rename = "InfraContainerID")]
    infra: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Member {
    id: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Played {
    #[serde(default)]
    pods: Option<Vec<PlayedPod>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct PlayedPod {
    #[serde(default)]
    container_errors: Option<Vec<String>>,
}

impl Engine {
    /// None: there is none of this name.
    pub async fn pod(&self, name: &str) -> Result<Option<PodSeen>, VerbError> {
        let inspected: Inspected = match self.ask_of_pod(Method::GET, &format!("/pods/{name}/json"), &[]).await? {
            (OK, body) => serde_json::from_slice(&body).map_err(|error| nonsense(&error))?,
            (NO_SUCH, _) => return Ok(None),
            (status, body) => return Err(self.refused(status, &body)),
        };
        let Inspected { id, name, labels, containers, infra } = inspected;
        let infra = infra.filter(|infra| !infra.is_empty());
        let members = containers.unwrap_or_default().into_iter().map(|member| member.id);
        let containers = members.filter(|id| Some(id) != infra.as_ref()).collect();
        Ok(Some(PodSeen { id, name, labels: labels.unwrap_or_default(), containers, infra }))
    }

    /// The names of the pods that carry every one of these labels.
    pub async fn pods_labelled(&self, labels: &[String]) -> Result<Vec<String>, VerbError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct Listed {
            name: String,
        }
        let filters = json!({ "label": labels }).to_string();
        let (status, body) = self.get(&self.libpod("/pods/json").await?, &[("filters", &filters)]).await?;
        if status != OK {
            return Err(self.refused(status, &body));
        }
        let found: Option<Vec<Listed>> = serde_json::from_slice(&body).map_err(|error| nonsense(&error))?;
        Ok(found.unwrap_or_default().into_iter().map(|pod| pod.name).collect())
    }

    /// Of these IDs, those that are there. Their health is what it is now, also where the engine doesn't look.
    pub async fn looked_at(&self, ids: &[String]) -> Result<Vec<Container>, VerbError> {
        let mut containers = self.of_ids(ids).await?;
        if self.run_checks(&containers).await? {
            containers = self.of_ids(ids).await?;
        }
        self.check_ahead(&mut containers).await;
        Ok(containers)
    }

    /// The same, with the health that the engine knows.
    pub async fn of_ids(&self, ids: &[String]) -> Result<Vec<Container>, VerbError> {
        let found = futures::future::try_join_all(ids.iter().map(|id| self.container(id))).await?;
        Ok(found.into_iter().flatten().collect())
    }

    /// Makes what the documents declare, and starts it. A container that does not start is an error.
    pub async fn play(&self, documents: &[Value], networks: &[String]) -> Result<(), VerbError> {
        // JSON is YAML.
        let body: String = documents.iter().map(|document| format!("---\n{document}\n")).collect();
        let query: Vec<(&str, &str)> =
            std::iter::once(("start", "true")).chain(networks.iter().map(|name| ("network", name.as_str()))).collect();
        let path = self.libpod("/play/kube").await?;
        let (status, body) = self.ask(Method::POST, &path, &query, Bytes::from(body), STOP_WITHIN).await?;
        if status != OK {
            return Err(self.refused(status, &body));
        }
        let played: Played = serde_json::from_slice(&body).map_err(|error| nonsense(&error))?;
        let errors =
            played.pods.unwrap_or_default().into_iter().flat_map(|pod| pod.container_errors.unwrap_or_default());
        match errors.collect::<Vec<_>>() {
            errors if errors.is_empty() => Ok(()),
            errors => Err(VerbError::other("pod", format!("a container does not start: {}", errors.join("; ")))),
        }
    }

    /// Nothing where it runs.
    pub async fn start_pod(&self, name: &str) -> Result<(), VerbError> {
        self.of_pod(Method::POST, &format!("/pods/{name}/start"), &[]).await
    }

    /// Within the time that its containers were given to stop; nothing where it is stopped or gone.
    pub async fn stop_pod(&self, name: &str) -> Result<(), VerbError> {
        match self.of_pod(Method::POST, &format!("/pods/{name}/stop"), &[]).await {
            Err(VerbError::NotFound(_)) => Ok(()),
            other => other,
        }
    }

    /// With its containers and their anonymous volumes; nothing where it is gone.
    pub async fn remove_pod(&self, name: &str) -> Result<(), VerbError> {
        match self.of_pod(Method::DELETE, &format!("/pods/{name}"), &[("force", "true")]).await {
            Err(VerbError::NotFound(_)) => Ok(()),
            other => other,
        }
    }

    /// One that leads nowhere, in which names are found; nothing where there is one of this name.
    pub async fn make_internal_network(&self, name: &str, labels: &Value) -> Result<(), VerbError> {
        let network =
            json!({ "name": name, "driver": "bridge", "internal": true, "dns_enabled": true, "labels": labels });
        let path = self.libpod("/networks/create").await?;
        match self.ask(Method::POST, &path, &[], network.to_string().into(), STOP_WITHIN).await? {
            (OK | CONFLICT, _) => Ok(()),
            (status, body) => Err(self.refused(status, &body)),
        }
    }

    /// Nothing where there is one of this name.
    pub async fn make_volume(&self, name: &str, labels: &Value) -> Result<(), VerbError> {
        let volume = json!({ "Name": name, "Labels": labels });
        let path = self.path("/volumes/create").await?;
        match self.ask(Method::POST, &path, &[], volume.to_string().into(), STOP_WITHIN).await? {
            (OK | MADE, _) => Ok(()),
            (status, body) => Err(self.refused(status, &body)),
        }
    }

    /// Every network whose name begins so, with the containers in it, and every such volume.
    pub async fn remove_named(&self, beginning: &str) -> Result<(), VerbError> {
        for (listed, key) in [("/networks/json", "name"), ("/volumes/json", "Name")] {
            let (status, body) = self.get(&self.libpod(listed).await?, &[]).await?;
            if status != OK {
                return Err(self.refused(status, &body));
            }
            let found: Option<Vec<Value>> = serde_json::from_slice(&body).map_err(|error| nonsense(&error))?;
            let found = found.unwrap_or_default();
            let names = found.iter().filter_map(|one| one[key].as_str());
            for name in names.filter(|name| name.starts_with(beginning)) {
                let kind = listed.trim_end_matches("/json");
                let path = self.libpod(&format!("{kind}/{name}")).await?;
                match self.ask(Method::DELETE, &path, &[("force", "true")], Bytes::new(), STOP_WITHIN).await? {
                    (OK | DONE | NO_SUCH, _) => {}
                    (status, body) => return Err(self.refused(status, &body)),
                }
            }
        }
        Ok(())
    }

    async fn of_pod(&self, method: Method, call: &str, query: &[(&str, &str)]) -> Result<(), VerbError> {
        let (status, body) = self.ask_of_pod(method, call, query).await?;
        match status {
            OK | NOT_MODIFIED => match errors_of(&body) {
                None => Ok(()),
                Some(errors) => Err(VerbError::other("pod", format!("the container engine answers: {errors}"))),
            },
            // Some of its containers are as they should be, and of the others it says why they aren't.
            CONFLICT => Err(VerbError::other("pod", errors_of(&body).unwrap_or_else(|| super::socket::message(&body)))),
            status => Err(self.refused(status, &body)),
        }
    }

    /// What goes while podman looks at it is no error: a pod is told as one that is not there, and without a container that
    /// went it is looked at again.
    async fn ask_of_pod(&self, method: Method, call: &str, query: &[(&str, &str)]) -> Result<(u16, Bytes), VerbError> {
        let path = self.libpod(call).await?;
        let mut tries = 0;
        loop {
            let (status, body) = self.ask(method.clone(), &path, query, Bytes::new(), STOP_WITHIN).await?;
            match gone(status, &body) {
                Some(Gone::Pod) => return Ok((NO_SUCH, body)),
                Some(Gone::Container) if tries < TRIES => tries += 1,
                _ => return Ok((status, body)),
            }
            tokio::time::sleep(AGAIN_AFTER).await;
        }
    }

    /// The path of a call of podman's own.
    pub(super) async fn libpod(&self, call: &str) -> Result<String, VerbError> {
        match self.kind().await? {
            Kind::Podman { api } => Ok(format!("/v{api}/libpod{call}")),
            Kind::Docker => Err(VerbError::Invalid(format!(
                "the engine at `{}` is Docker, which has no pods; podman's socket would be right, usually \
                 `unix:///run/podman/podman.sock`",
                self.place()
            ))),
        }
    }
}

/// What an answer says of containers that did not do as they were told.
fn errors_of(body: &[u8]) -> Option<String> {
    let said: Value = serde_json::from_slice(body).ok()?;
    let errors = said["Errs"].as_array()?;
    let texts: Vec<String> =
        errors.iter().map(|error| error.as_str().map_or_else(|| error.to_string(), str::to_owned)).collect();
    (!texts.is_empty()).then(|| texts.join("; "))
}
