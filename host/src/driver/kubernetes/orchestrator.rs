//! A release's workloads as services.

use super::errors::verb_error;
use super::standing::found;
use super::{Kubernetes, POLL};
use crate::activity::Level;
use crate::context::StepContext;
use crate::driver::process::patterns::{compile, compile_optional, show};
use crate::driver::services::{OpenFile, Orchestrator, handle};
use crate::model::*;
use async_trait::async_trait;
use futures::StreamExt;
use std::path::PathBuf;
use std::time::Duration;
use upgraded_kubernetes::{Cluster, Error, Kind, Standing, Started, Workload};

#[async_trait]
impl Orchestrator for Kubernetes {
    async fn list(&self) -> Result<Vec<ServiceState>, VerbError> {
        let workloads = self.cluster().await?.workloads().await.map_err(verb_error)?;
        Ok(workloads.iter().map(|workload| self.state(workload)).collect())
    }

    async fn wait_healthy(
        &self, cx: &StepContext, name: &ServiceRef, idle: Duration,
    ) -> Result<ServiceState, VerbError> {
        let state = self.stands(cx, name, idle).await?;
        self.is_led_to(cx, name).await?;
        Ok(state)
    }

    async fn follow(&self, cx: &StepContext, watch: &Watch, idle: Duration) -> Result<String, VerbError> {
        let name = &watch.service;
        let (success, failure) = (compile(&watch.success)?, compile_optional(Some(&watch.failure))?);
        let progress = compile_optional(watch.progress.as_deref())?;
        let cluster = self.cluster().await?;
        let mut unread = None;
        let read = async {
            loop {
                let workloads = cluster.workloads().await.map_err(verb_error)?;
                let Some(workload) = found(cluster, &workloads, &name.name).await? else {
                    return Ok("the hook ended well, and was removed as its policy says".to_owned());
                };
                let Some(pod) = cluster.newest_pod(workload).await.map_err(verb_error)? else {
                    tokio::time::sleep(POLL).await;
                    continue;
                };
                match cluster.follow(&pod).await {
                    Ok((mut lines, prepares)) => {
                        unread = None;
                        while let Some(Ok(line)) = lines.next().await {
                            show(&cx.activity, progress.as_ref(), &line);
                            // What waits for a server complains meanwhile; how it ends says whether it failed.
                            if !prepares && failure.as_ref().is_some_and(|failure| failure.is_match(&line)) {
                                return Err(VerbError::other("failure-line", format!("`{name}` says: {line}")));
                            }
                            if success.is_match(&line) {
                                return Ok(line);
                            }
                        }
                    }
                    // A container that is still being made has no log.
                    Err(error) => unread = Some(error),
                }
                match cluster.standing(workload).await.map_err(verb_error)? {
                    Standing::Broken { why, pod } => return Err(self.broken(cluster, name, workload, &why, pod).await),
                    Standing::Stands if workload.kind == Kind::Job => {
                        let why = "ended before its log said success";
                        return Err(self.broken(cluster, name, workload, why, Some(pod)).await);
                    }
                    Standing::Stands | Standing::Coming { .. } => tokio::time::sleep(POLL).await,
                }
            }
        };
        let followed = cx.activity.watch(idle, read).await;
        if !matches!(followed, Err(VerbError::Timeout)) {
            return followed;
        }
        match (self.not_standing(cluster, name).await, unread) {
            (VerbError::Timeout, Some(error)) => {
                Err(VerbError::other("log", format!("the log of `{name}` can't be read: {error}")))
            }
            (why, _) => Err(why),
        }
    }

    async fn start(&self, cx: &StepContext, names: &[ServiceRef]) -> Result<(), VerbError> {
        self.changeable(cx, "control.start")?;
        let work = async {
            let cluster = self.cluster().await?;
            let workloads = cluster.workloads().await.map_err(verb_error)?;
            for name in names {
                let Some(workload) = found(cluster, &workloads, &name.name).await? else { continue };
                cluster.release_hold(workload).await.map_err(verb_error)?;
                cx.activity.touch();
            }
            Ok(())
        };
        cx.effects.perform("control.start", &names, &handle(names), true, work).await
    }

    /// An upgrade rolls by itself: what is left is to wait for each, and for the old pods, which may answer to the last.
    async fn roll(&self, cx: &StepContext, names: &[ServiceRef], idle: Duration) -> Result<(), VerbError> {
        for name in names {
            self.start(cx, std::slice::from_ref(name)).await?;
            self.stands(cx, name, idle).await?;
            match cx.activity.watch(idle, self.old_pods_end(name)).await {
                // One that is given long to end gets no new users meanwhile.
                Err(VerbError::Timeout) | Ok(()) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    async fn stop(&self, cx: &StepContext, names: &[ServiceRef]) -> Result<(), VerbError> {
        self.changeable(cx, "control.stop")?;
        let work = cx.activity.watch(self.idle, async {
            let cluster = self.cluster().await?;
            let workloads = cluster.workloads().await.map_err(verb_error)?;
            let mut stopped = end_hooks(cx, cluster, &workloads).await?;
            for name in names {
                // One that the release does not have is stopped.
                let Ok(workload) = cluster.named(&workloads, &name.name) else { continue };
                self.hold(cluster, workload).await?;
                stopped.push(workload);
                cx.activity.touch();
            }
            // Nothing that a clock starts writes meanwhile.
            for clock in workloads.iter().filter(|workload| workload.kind == Kind::CronJob) {
                cluster.hold(clock).await.map_err(verb_error)?;
            }
            for workload in stopped {
                pods_end(cx, cluster, workload).await?;
            }
            started_have_ended(cx, cluster, &workloads).await
        });
        let work = async {
            match work.await {
                Err(VerbError::Timeout) => Err(self.why_not_stopped().await),
                other => other,
            }
        };
        cx.effects.perform("control.stop", &names, &handle(names), true, work).await
    }

    async fn fence_control(&self, _step: &str, names: &[&str], running: bool) -> bool {
        // A start may have found a release that is another by now: it is asked for again.
        if running {
            return false;
        }
        let Ok(cluster) = self.cluster().await else { return false };
        let Ok(workloads) = cluster.workloads().await else { return false };
        for name in names {
            let Ok(workload) = cluster.named(&workloads, name) else { continue };
            let Ok(pods) = cluster.pods(workload).await else { return false };
            let held = !workload.kind.scales() || workload.is_held();
            if !held || !pods.iter().all(has_ended) {
                return false;
            }
        }
        let mut clocks = workloads.iter().filter(|workload| workload.kind == Kind::CronJob);
        let started = cluster.started_jobs(&workloads).await;
        clocks.all(|clock| clock.object["spec"]["suspend"] == true) && started.is_ok_and(|started| started.is_empty())
    }

    async fn open_for_writing(&self, apart: &[String]) -> Result<Vec<OpenFile>, VerbError> {
        let writable = self.cluster().await?.writable(apart).await.map_err(verb_error)?;
        let file = |volume: upgraded_kubernetes::Writable| OpenFile {
            path: volume.path.unwrap_or_else(|| PathBuf::from("/").join(volume.claim.as_deref().unwrap_or_default())),
            store: volume.claim.map(|claim| format!("claim:{claim}")),
            service: format!("{}/{}", self.platform, volume.workload),
        };
        Ok(writable.into_iter().map(file).collect())
    }
}

impl Kubernetes {
    async fn old_pods_end(&self, name: &ServiceRef) -> Result<(), VerbError> {
        let cluster = self.cluster().await?;
        loop {
            let workloads = cluster.workloads().await.map_err(verb_error)?;
            let workload = cluster.named(&workloads, &name.name).map_err(verb_error)?;
            let all = cluster.pods(workload).await.map_err(verb_error)?;
            let current = cluster.current_pods(workload).await.map_err(verb_error)?;
            let name = |pod: &serde_json::Value| pod["metadata"]["name"].clone();
            let current: Vec<_> = current.iter().map(name).collect();
            if all.iter().all(|pod| has_ended(pod) || current.contains(&name(pod))) {
                return Ok(());
            }
            tokio::time::sleep(POLL).await;
        }
    }

    async fn hold(&self, cluster: &Cluster, workload: &Workload) -> Result<(), VerbError> {
        if workload.kind == Kind::Job {
            // One that still runs writes, whoever started it.
            let active = workload.object["status"]["active"].as_u64().unwrap_or(0) > 0;
            return if active { cluster.end_job(&workload.name).await.map_err(verb_error) } else { Ok(()) };
        }
        cluster.hold(workload).await.map_err(verb_error)
    }

    async fn why_not_stopped(&self) -> VerbError {
        let Ok(cluster) = self.cluster().await else { return VerbError::Timeout };
        let Ok(workloads) = cluster.workloads().await else { return VerbError::Timeout };
        match cluster.started_jobs(&workloads).await.as_deref() {
            Ok([Started { job, clock, .. }, ..]) => {
                let what = match clock {
                    Some(clock) => format!("the Job `{job}` of the CronJob `{clock}`"),
                    None => format!("the hook `{job}`"),
                };
                let namespace = cluster.namespace();
                let ends = format!("`kubectl --namespace {namespace} delete job {job}` ends it");
                VerbError::other("job", format!("{what} does not end, and may write: {ends}"))
            }
            Ok([]) | Err(_) => VerbError::Timeout,
        }
    }
}

/// A hook goes on without its `helm`, and would migrate what is put back. One that the account may not end is waited for.
async fn end_hooks<'w>(
    cx: &StepContext, cluster: &Cluster, workloads: &'w [Workload],
) -> Result<Vec<&'w Workload>, VerbError> {
    let mut ended = Vec::new();
    for hook in workloads.iter().filter(|workload| workload.hook && workload.kind == Kind::Job) {
        let runs = cluster.started_jobs(std::slice::from_ref(hook)).await.map_err(verb_error)?;
        if runs.is_empty() {
            continue;
        }
        cx.activity.line(Level::Info, format!("the hook `{}` still runs, and is ended", hook.name));
        match cluster.end_job(&hook.name).await {
            Err(Error::Denied(why)) => {
                cx.activity.line(Level::Warn, format!("the hook `{}` is waited for: {why}", hook.name));
            }
            other => other.map_err(verb_error)?,
        }
        ended.push(hook);
    }
    Ok(ended)
}

/// What a clock started before it was suspended writes on; another number of its pods is a sign of life.
async fn started_have_ended(cx: &StepContext, cluster: &Cluster, workloads: &[Workload]) -> Result<(), VerbError> {
    let mut seen = Vec::new();
    loop {
        let started = cluster.started_jobs(workloads).await.map_err(verb_error)?;
        if started.is_empty() {
            return Ok(());
        }
        if seen != started {
            cx.activity.touch();
            seen = started;
        }
        tokio::time::sleep(POLL).await;
    }
}

/// They are alive for as long as they are given to end. A Job that goes with them would be taken for one that stays.
pub(super) async fn pods_end(cx: &StepContext, cluster: &Cluster, workload: &Workload) -> Result<(), VerbError> {
    let ended = async {
        while !cluster.pods(workload).await.map_err(verb_error)?.iter().all(has_ended) {
            tokio::time::sleep(POLL).await;
        }
        while workload.kind == Kind::Job && cluster.goes(workload).await.map_err(verb_error)? {
            tokio::time::sleep(POLL).await;
        }
        Ok::<_, VerbError>(())
    };
    cx.activity.alive_for(workload.ends_within(), ended).await?;
    cx.activity.touch();
    Ok(())
}

fn has_ended(pod: &serde_json::Value) -> bool {
    matches!(pod["status"]["phase"].as_str(), Some("Succeeded" | "Failed"))
}
