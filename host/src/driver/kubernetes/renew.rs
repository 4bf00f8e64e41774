//! A database server that another takes the place of, ahead of the upgrade that brings it: in a revision of its own, which
//! is the one that stands but for the server's workload and for what its pods name.
//!
//! The upgrade finds the server as its own chart has it, and leaves it alone. What is held stays held, and no hook runs.

use super::errors::verb_error;
use super::held::{is_of_run, label};
use super::rehearsal::beside;
use super::{Kubernetes, POLL};
use crate::context::StepContext;
use crate::driver::Toward;
use crate::driver::services::Orchestrator;
use crate::model::{ServiceRef, VerbError};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::slice::from_ref;
use upgraded_kubernetes::manifest::{self, head};
use upgraded_kubernetes::{Cluster, Mark, Revision, Workload, workloads_of};

/// What takes another's place.
pub struct Renewal {
    /// As the pods' template names them.
    pub image: String,
    pub to: String,
    /// What the release is without it.
    pub revision: u32,
}

impl Kubernetes {
    /// By which the workloads at these ports name their images: now, or as the chart of a version has them with the edits
    /// that are planned. None: that can't be had, and the platform's preflight says why.
    pub async fn server_images(
        &self, cx: &StepContext, servers: &[(&str, u16)], version: Option<&str>,
    ) -> Result<Option<BTreeMap<String, String>>, VerbError> {
        let documents = match version {
            None => self.newest_documents().await,
            Some(version) => self.planned_documents(cx, version).await,
        };
        let documents = match documents {
            Err(VerbError::NotFound(_) | VerbError::Invalid(_) | VerbError::Denied(_)) => return Ok(None),
            other => other?,
        };
        let (cluster, all) = (self.cluster().await?, workloads_of(&documents));
        let image = |(name, port): &(&str, u16)| {
            let workload = cluster.named(&all, name).ok()?;
            Some(((*name).to_owned(), workload.image_at(*port)?.to_owned()))
        };
        Ok(Some(servers.iter().filter_map(image).collect()))
    }

    /// What the release is to be made of, as far as one server of it goes.
    pub async fn documents(&self, toward: Toward<'_>) -> Result<Vec<Value>, VerbError> {
        match toward {
            Toward::Version(version) => {
                let chart = self.staged_chart(&self.chart_of_version(version)).await?;
                self.rendered(&chart, &self.values(None)?).await
            }
            Toward::Before(run) => documents_of(&self.stood_before(run).await?),
        }
    }

    /// None: it is the same server already.
    pub async fn renewal(&self, service: &ServiceRef, port: u16, then: &[Value]) -> Result<Option<Renewal>, VerbError> {
        let cluster = self.cluster().await?;
        let (live, planned) = (cluster.workloads().await.map_err(verb_error)?, workloads_of(then));
        let image = |all: &[Workload]| -> Result<String, VerbError> {
            let workload = cluster.named(all, &service.name).map_err(verb_error)?;
            let none = || VerbError::Invalid(format!("the workload `{}` has no container", workload.name));
            workload.image_at(port).map(str::to_owned).ok_or_else(none)
        };
        let (image, to) = (image(&live)?, image(&planned)?);
        let revision = cluster.newest().await.map_err(verb_error)?.number;
        Ok((image != to).then_some(Renewal { image, to, revision }))
    }

    /// Makes the server what `then` has it, or `revision` itself where that is empty, and starts it. Converges.
    pub async fn put_server(
        &self, cx: &StepContext, service: &ServiceRef, then: &[Value], revision: u32,
    ) -> Result<(), VerbError> {
        self.changeable(cx, "helm.carry")?;
        let newest = self.unlocked(cx).await?;
        if !self.is_made_by(&newest, cx) {
            let cluster = self.cluster().await?;
            let base = self.revision(revision).await?;
            let mut documents = documents_of(&base)?;
            if !then.is_empty() {
                let planned = workloads_of(then);
                let server = cluster.named(&planned, &service.name).map_err(verb_error)?;
                take_over(&mut documents, then, &server.object);
            }
            let goal = base.held.clone().unwrap_or_else(|| format!("back.{revision}"));
            let mark = Mark { step: label(&cx.step), held: Some(goal) };
            let how = (false, self.must_force(&newest).await?);
            self.held(cx, "helm.carry", documents, &held_but(cluster, service).await?, &mark, how, 0).await?;
        }
        self.start(cx, from_ref(service)).await
    }

    /// The pod of a server that stands and listens.
    pub async fn server_answers(&self, cx: &StepContext, service: &ServiceRef, port: u16) -> Result<String, VerbError> {
        self.stands(cx, service, self.idle).await?;
        let cluster = self.cluster().await?;
        let listens = async {
            loop {
                let pod = self.server_pod(service).await?;
                if cluster.listens(&pod, port).await.map_err(verb_error)? {
                    return Ok(pod);
                }
                tokio::time::sleep(POLL).await;
            }
        };
        cx.activity.watch(self.idle, listens).await
    }

    /// The pod that a server of one replica is in.
    pub async fn server_pod(&self, service: &ServiceRef) -> Result<String, VerbError> {
        self.cluster().await?.ready_pod(&service.name).await.map_err(verb_error)
    }

    /// What a script says in the shell of the image that the server has in `then`.
    pub async fn ask_image(
        &self, cx: &StepContext, service: &ServiceRef, port: u16, then: &[Value], script: &str,
    ) -> Result<String, VerbError> {
        let (cluster, planned) = (self.cluster().await?, workloads_of(then));
        let server = cluster.named(&planned, &service.name).map_err(verb_error)?;
        let name = self.asked_pod(cx, service);
        let work = cx.activity.watch(self.idle, async {
            cluster.discard_double(&name).await.map_err(verb_error)?;
            cluster.start_asking(server.template(), port, &name, script).await.map_err(verb_error)?;
            let said = loop {
                match cluster.asked(&name).await.map_err(verb_error)? {
                    Some(said) => break said,
                    None => tokio::time::sleep(POLL).await,
                }
            };
            cluster.discard_double(&name).await.map_err(verb_error)?;
            Ok(said)
        });
        cx.effects.perform("server.ask-image", &(), &service.to_string(), true, work).await
    }

    /// Nothing is left of [`Kubernetes::ask_image`], whichever step of the run asked. Converges.
    pub async fn forget_image(&self, cx: &StepContext, service: &ServiceRef) -> Result<(), VerbError> {
        self.cluster().await?.discard_double(&self.asked_pod(cx, service)).await.map_err(verb_error)
    }

    /// Where the server's data lies on this machine; an error where the server can't be replaced. By asking.
    pub async fn folder_of_server(&self, service: &ServiceRef, port: u16, path: &Path) -> Result<PathBuf, VerbError> {
        self.may_have_double().await?;
        let cluster = self.cluster().await?;
        let workloads = cluster.workloads().await.map_err(verb_error)?;
        let workload = cluster.named(&workloads, &service.name).map_err(verb_error)?;
        let replicas = workload.replicas();
        if !workload.kind.scales() || replicas != 1 {
            return Err(VerbError::Invalid(format!(
                "the {} `{}` has {replicas} replicas, which share what a server wrote: one would be right",
                workload.kind, workload.name
            )));
        }
        cluster.folder_of_server(&service.name, port, path).await.map_err(verb_error)
    }

    /// The revision that a run went away from.
    pub async fn stood_before(&self, run: u64) -> Result<Revision, VerbError> {
        let all = self.cluster().await?.revisions().await.map_err(verb_error)?;
        let is_of = |revision: &Revision| is_of_run(revision, run);
        // A daemon that lost its state counts its runs anew: it is the last of this number.
        let rest = all.iter().rposition(is_of).map_or(&all[..0], |last| &all[..=last]);
        let before =
            rest.iter().rev().skip_while(|revision| is_of(revision)).find(|r| r.status == "superseded").cloned();
        before.ok_or_else(|| {
            VerbError::NotFound(format!(
                "Helm has no record any more of what the release `{}` was before run {run}",
                self.config.release
            ))
        })
    }

    pub(super) async fn revision(&self, number: u32) -> Result<Revision, VerbError> {
        let all = self.cluster().await?.revisions().await.map_err(verb_error)?;
        all.into_iter().find(|known| known.number == number).ok_or_else(|| {
            VerbError::NotFound(format!("the release `{}` has no revision {number} any more", self.config.release))
        })
    }

    async fn newest_documents(&self) -> Result<Vec<Value>, VerbError> {
        let newest = self.cluster().await?.newest().await.map_err(verb_error)?;
        manifest::read(&newest.manifest).map_err(verb_error)
    }

    async fn planned_documents(&self, cx: &StepContext, version: &str) -> Result<Vec<Value>, VerbError> {
        let folder = self.scratch(cx, "server");
        let documents = async {
            let chart = self.fetch(&self.chart_of_version(version), &folder).await?;
            cx.activity.touch();
            self.rendered(&chart.file, &self.values(Some(&folder))?).await
        };
        let documents = documents.await;
        let _ = std::fs::remove_dir_all(&folder);
        documents
    }

    fn chart_of_version(&self, version: &str) -> String {
        self.chart_version.replace("{version}", version)
    }

    fn asked_pod(&self, cx: &StepContext, service: &ServiceRef) -> String {
        self.double_name(&format!("r{}-image-of-{service}", cx.run))
    }
}

/// What is held now, but for the server.
async fn held_but(cluster: &Cluster, service: &ServiceRef) -> Result<Vec<String>, VerbError> {
    let live = cluster.workloads().await.map_err(verb_error)?;
    let server = cluster.named(&live, &service.name).map_err(verb_error)?;
    let others = live.iter().filter(|other| (other.kind, &other.name) != (server.kind, &server.name));
    let held = others.filter(|other| other.kind.scales() && other.is_held());
    Ok(held.map(|workload| format!("{}/{}", workload.kind, workload.name)).collect())
}

/// With its hooks, which stay known by it.
pub(super) fn documents_of(revision: &Revision) -> Result<Vec<Value>, VerbError> {
    let mut documents = manifest::read(&revision.manifest).map_err(verb_error)?;
    for hook in &revision.hooks {
        documents.extend(manifest::read(&hook.manifest).map_err(verb_error)?);
    }
    Ok(documents)
}

/// One workload and what its pods name become what they are in `then`.
fn take_over(documents: &mut Vec<Value>, then: &[Value], workload: &Value) {
    let named = beside(from_ref(workload));
    let is_named = |document: &Value| named.iter().any(|(kind, name)| head(document) == (kind.kind(), name.as_str()));
    let of_it = |document: &&Value| head(document) == head(workload) || is_named(document);
    for document in then.iter().filter(of_it) {
        match documents.iter_mut().find(|own| head(own) == head(document)) {
            Some(own) => *own = document.clone(),
            None => documents.push(document.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_server_takes_along_what_its_pods_name_and_nothing_else() {
        let of = |kind: &str, name: &str, release: u32| json!({ "kind": kind, "metadata": { "name": name }, "release": release });
        let server = |release: u32| {
            let mut server = of("StatefulSet", "db", release);
            server["spec"] = json!({ "template": { "spec": { "volumes": [{ "configMap": { "name": "conf-17" } }] } } });
            server
        };
        let mut documents = vec![server(1), of("Deployment", "api", 1), of("ConfigMap", "shared", 1)];
        let then = [
            server(2),
            of("Deployment", "api", 2),
            of("ConfigMap", "shared", 2),
            of("ConfigMap", "conf-17", 2),
            of("Secret", "conf-17", 2),
        ];
        take_over(&mut documents, &then, &then[0]);
        let left: Vec<_> = documents.iter().map(|d| (head(d).1, d["release"].as_u64().unwrap())).collect();
        assert_eq!(left, [("db", 2), ("api", 1), ("shared", 1), ("conf-17", 2)]);
    }
}
