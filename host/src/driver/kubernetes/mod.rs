//! Behind `helm`, and behind `services` and `control` for a platform that has a release of Helm.
//!
//! `helm` upgrades a release as a whole, and would start whatever was stopped for the upgrade. So an upgrade under a shut
//! gate is made in two revisions. The first is what the real chart renders to, with what is held at zero replicas: the chart's
//! number is kept in an annotation, from which `control.start` takes it. The second, once users are let in, is the real
//! chart with the real values; it changes nothing that runs where the chart renders to the same each time. The way back
//! is the same: the old revision's manifest with the gate held, then `helm rollback` to that very revision.
//!
//! `helm` runs as a job that outlives the daemon. A revision that is left pending by one that is gone is unlocked where its
//! record carries the mark of the same run.

mod charts;
mod claims;
mod double;
mod errors;
mod held;
mod leftover;
mod look;
mod orchestrator;
mod place;
mod rehearsal;
mod renew;
mod standing;

pub use rehearsal::Behind;
pub use upgraded_kubernetes::{Chart, Reconciler, Revision};

use super::compose::double::Double;
use super::process::{Processes, io_error};
use super::project::Project;
use super::{Machine, durable};
use crate::config::KubernetesConfig;
use crate::context::{Site, StepContext};
use crate::model::*;
use crate::plan::event::{Effect, Verdict};
use errors::verb_error;
use place::Place;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Mutex, OnceCell};
use upgraded_kubernetes::{Cluster, Forward, Helm, Published, Source, Target, Workload};

const POLL: Duration = Duration::from_millis(300);
const TAIL_LINES: i64 = 12;
/// In the state folder.
const OF_THE_POD: &str = "of-this-pod.kubeconfig";

pub struct Kubernetes {
    /// The binding.
    platform: String,
    deployment: String,
    config: KubernetesConfig,
    /// Where charts and values lie.
    directory: PathBuf,
    project: Arc<Project>,
    processes: Arc<Processes>,
    machine: Machine,
    idle: Duration,
    /// Of the chart that brings a release; `{version}` stands for the release's.
    chart_version: String,
    /// Of its namespace, those that are a datastore's.
    claims: Vec<String>,
    /// It is a rehearsal's.
    double: Option<Arc<Double>>,
    cluster: OnceCell<Cluster>,
    /// Of a double: what it is one of.
    live: OnceCell<Cluster>,
    /// Of what is live.
    published: OnceCell<Vec<Published>>,
    /// By workload, service, or pod of a drill's double, and port.
    forwards: Mutex<BTreeMap<(String, u16), Forward>>,
    /// What refused for so long that nobody waits for it any more.
    shut: Mutex<BTreeSet<SocketAddr>>,
}

/// What a [`Kubernetes`] is built with.
pub struct Parts {
    pub platform: String,
    pub deployment: String,
    pub config: KubernetesConfig,
    pub directory: PathBuf,
    pub project: Arc<Project>,
    pub processes: Arc<Processes>,
    pub machine: Machine,
    pub idle: Duration,
    /// Of the chart that brings a release; `{version}` stands for the release's.
    pub chart_version: String,
    /// Of its namespace, those that are a datastore's.
    pub claims: Vec<String>,
    /// It is a rehearsal's.
    pub double: Option<Arc<Double>>,
}

/// A workload, as a plugin sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    pub name: String,
    pub kind: String,
    pub image: Option<String>,
    pub hook: bool,
    pub held: bool,
}

/// What an upgrade would do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outlook {
    pub chart: Chart,
    pub workloads: Vec<Shown>,
    pub diff: String,
    pub removed_definitions: Vec<String>,
}

impl Kubernetes {
    pub fn new(parts: Parts) -> Self {
        let Parts { platform, deployment, config, directory, project, processes, machine, idle, .. } = parts;
        let Parts { chart_version, claims, double, .. } = parts;
        Self {
            platform,
            deployment,
            config,
            directory,
            project,
            processes,
            machine,
            idle,
            chart_version,
            claims,
            double,
            cluster: OnceCell::new(),
            live: OnceCell::new(),
            published: OnceCell::new(),
            forwards: Mutex::default(),
            shut: Mutex::default(),
        }
    }

    /// The local end of a way to a workload's port, which stands for as long as these drivers do.
    pub async fn forward(&self, workload: &str, port: u16) -> Result<SocketAddr, VerbError> {
        let mut forwards = self.forwards.lock().await;
        if let Some(forward) = forwards.get(&(workload.to_owned(), port)) {
            return Ok(forward.address);
        }
        let forward = self.cluster().await?.forward(workload, port).await.map_err(verb_error)?;
        let address = forward.address;
        forwards.insert((workload.to_owned(), port), forward);
        Ok(address)
    }

    pub async fn workloads(&self, cx: &StepContext) -> Result<Vec<Shown>, VerbError> {
        cx.activity.touch();
        let live = self.cluster().await?.workloads().await.map_err(verb_error)?;
        Ok(live.iter().map(shown).collect())
    }

    pub async fn history(&self, cx: &StepContext) -> Result<Vec<Revision>, VerbError> {
        cx.activity.touch();
        let cluster = self.cluster().await?;
        cluster.newest().await.map_err(verb_error)?;
        cluster.revisions().await.map_err(verb_error)
    }

    pub async fn reconcilers(&self, cx: &StepContext) -> Result<Vec<Reconciler>, VerbError> {
        cx.activity.touch();
        self.cluster().await?.reconcilers().await.map_err(verb_error)
    }

    /// Every verb converges: what still runs is waited for, and the step is taken again from its top, or not at all.
    pub async fn fence_and_probe(&self, effect: &Effect) -> Verdict {
        self.processes.fence_and_probe(effect).await;
        let _ = fs::remove_dir_all(self.scratch_of(&self.deployment, &effect.step, "helm"));
        Verdict::Unknown
    }

    async fn cluster(&self) -> Result<&Cluster, VerbError> {
        self.cluster.get_or_try_init(|| async { self.connect_to(self.target()?).await }).await
    }

    async fn connect_to(&self, target: Target) -> Result<Cluster, VerbError> {
        let cluster = Cluster::connect(&target).await.map_err(verb_error)?;
        self.place().check(&cluster).await?;
        Ok(cluster)
    }

    fn place(&self) -> Place {
        let file = self.machine.state.join("clusters").join(format!("{}-{}", self.deployment, self.platform));
        Place { file, stated: self.config.cluster.clone() }
    }

    fn target(&self) -> Result<Target, VerbError> {
        match &self.double {
            None => Ok(self.live_target()),
            Some(_) => self.rehearsal_target(),
        }
    }

    fn live_target(&self) -> Target {
        Target {
            kubeconfig: self.config.kubeconfig.clone(),
            context: self.config.context.clone(),
            namespace: self.config.namespace.clone(),
            release: self.config.release.clone(),
        }
    }

    /// By itself `helm` would take another kubeconfig that it finds before the service account.
    fn helm(&self) -> Result<Helm, VerbError> {
        let mut target = self.target()?;
        if target.kubeconfig.is_none() {
            let file = self.machine.state.join(OF_THE_POD);
            let text = Target::of_the_pod().map_err(verb_error)?;
            if durable::read(&file).map_err(io_error("read the pod's kubeconfig"))?.as_deref() != Some(text.as_bytes())
            {
                durable::write(&file, text.as_bytes()).map_err(io_error("write the pod's kubeconfig"))?;
            }
            target.kubeconfig = Some(file);
        }
        Ok(Helm { program: self.config.helm.clone(), target })
    }

    fn source(&self) -> Source {
        Source {
            chart: self.config.chart.clone(),
            repository: self.config.repository.clone(),
            plain_http: self.config.plain_http,
        }
    }

    /// Of a step alone; whoever makes it removes it.
    fn scratch(&self, cx: &StepContext, what: &str) -> PathBuf {
        self.scratch_of(&cx.deployment, &cx.step, what)
    }

    fn scratch_of(&self, deployment: &str, step: &str, what: &str) -> PathBuf {
        self.machine.state.join("scratch").join(deployment).join(format!("{step}-{what}"))
    }

    fn changeable(&self, cx: &StepContext, verb: &str) -> Result<(), VerbError> {
        cx.effects.may_change(verb)?;
        match cx.site {
            Site::Live => Ok(()),
            Site::Drill { .. } => {
                Err(VerbError::Denied(format!("`{verb}` changes the live site, and this is a drill")))
            }
        }
    }
}

fn shown(workload: &Workload) -> Shown {
    Shown {
        name: workload.name.clone(),
        kind: workload.kind.to_string(),
        image: workload.image().map(str::to_owned),
        hook: workload.hook,
        held: workload.is_held(),
    }
}
