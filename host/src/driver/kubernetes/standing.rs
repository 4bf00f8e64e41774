//! Waiting for workloads, and saying why one does not stand.

use super::errors::verb_error;
use super::{Kubernetes, POLL, TAIL_LINES};
use crate::activity::Level;
use crate::context::StepContext;
use crate::model::{ServiceRef, ServiceState, VerbError};
use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tokio::net::TcpStream;
use upgraded_kubernetes::{Cluster, Kind, Standing, Workload};

/// The proxies of a cluster take so long at most to lead to a pod that is ready, where nothing is wrong with them.
const PROXIES: Duration = Duration::from_secs(10);
/// To a node that this machine has no way to.
const CONNECTED_WITHIN: Duration = Duration::from_secs(1);
/// What is in the way of a workload counts as a sign of life in so many words: a node that tries in vain may change its own.
const WORDS: usize = 8;
/// A pod that its controller replaces by itself is gone by then.
const REPLACED_WITHIN: Duration = Duration::from_secs(20);

/// Pods that stay as they are, and since when they are seen to.
#[derive(Default)]
struct Stuck {
    pods: Vec<String>,
    since: Option<Instant>,
    /// The account may not delete them.
    stays: bool,
}

impl Kubernetes {
    /// Pods are ready before the cluster's proxies lead to them: until then who asks is refused.
    pub(super) async fn is_led_to(&self, cx: &StepContext, name: &ServiceRef) -> Result<(), VerbError> {
        if self.double.is_some() {
            return Ok(());
        }
        let cluster = self.cluster().await?;
        let workloads = cluster.workloads().await.map_err(verb_error)?;
        // A hook that is gone is led to by nobody.
        let Ok(workload) = cluster.named(&workloads, &name.name) else { return Ok(()) };
        let mut entrances = cluster.entrances(workload).await.map_err(verb_error)?;
        let mut shut = self.shut.lock().await;
        entrances.retain(|entrance| !shut.contains(entrance));
        let waits = entrances.iter().map(|entrance| tokio::time::timeout(PROXIES, is_no_longer_refused(*entrance)));
        let waited = cx.activity.watch(PROXIES * 2, async { Ok(futures::future::join_all(waits).await) }).await?;
        for (entrance, _) in entrances.iter().zip(waited).filter(|(_, waited)| waited.is_err()) {
            let message = format!(
                "`{entrance}` refuses connections from here, {} s after the pods behind it are ready",
                PROXIES.as_secs()
            );
            cx.activity.line(Level::Warn, message);
            shut.insert(*entrance);
        }
        Ok(())
    }

    /// A change of what it waits for, and a new line in the newest pod's log, are signs of life.
    pub(super) async fn stands(
        &self, cx: &StepContext, name: &ServiceRef, idle: Duration,
    ) -> Result<ServiceState, VerbError> {
        let cluster = self.cluster().await?;
        let (mut seen, mut words) = ((String::new(), String::new()), BTreeSet::new());
        let mut stuck = Stuck::default();
        let wait = async {
            loop {
                let workloads = cluster.workloads().await.map_err(verb_error)?;
                let Some(workload) = found(cluster, &workloads, &name.name).await? else {
                    return Ok(self.nothing(name));
                };
                let (coming, hindrance) = match cluster.standing(workload).await.map_err(verb_error)? {
                    Standing::Stands if workload.kind.scales() && workload.is_held() => {
                        return Err(VerbError::Conflict(format!("the service `{name}` is held, and was not started")));
                    }
                    Standing::Stands => return Ok(self.state(workload)),
                    Standing::Broken { why, pod } => return Err(self.broken(cluster, name, workload, &why, pod).await),
                    Standing::Coming { what, hindrance } => (what, hindrance),
                };
                self.replace_stuck(cx, cluster, workload, &mut stuck).await?;
                if words.len() < WORDS && hindrance.is_some_and(|hindrance| words.insert(hindrance)) {
                    cx.activity.touch();
                }
                let line = match cluster.newest_pod(workload).await.map_err(verb_error)? {
                    Some(pod) => cluster.tail(&pod, 1).await,
                    None => String::new(),
                };
                if seen != (coming.clone(), line.clone()) {
                    cx.activity.touch();
                    seen = (coming, line);
                }
                tokio::time::sleep(POLL).await;
            }
        };
        match cx.activity.watch(idle, wait).await {
            Err(VerbError::Timeout) => Err(self.not_standing(cluster, name).await),
            other => other,
        }
    }

    pub(super) fn state(&self, workload: &Workload) -> ServiceState {
        let image = workload.image().unwrap_or_default();
        let last = image.split('@').next().and_then(|name| name.rsplit('/').next()).unwrap_or_default();
        let (replicas, running) = match (workload.kind, workload.hook) {
            // It runs when Helm says so.
            (Kind::Job, _) | (_, true) | (Kind::CronJob, _) => (0, 0),
            _ => (workload.replicas(), workload.ready()),
        };
        ServiceState {
            name: ServiceRef { platform: self.platform.clone(), name: workload.name.clone() },
            version: last.split_once(':').map(|(_, tag)| tag.to_owned()),
            digest: image.split_once('@').map(|(_, digest)| digest.to_owned()),
            replicas,
            running,
            healthy: workload.kind.scales().then_some(running == replicas),
        }
    }

    fn nothing(&self, name: &ServiceRef) -> ServiceState {
        let (version, digest, healthy) = (None, None, None);
        ServiceState { name: name.clone(), version, digest, replicas: 0, running: 0, healthy }
    }

    /// A StatefulSet's controller waits for a pod that is not ready before it replaces it, also where it never will be.
    async fn replace_stuck(
        &self, cx: &StepContext, cluster: &Cluster, workload: &Workload, stuck: &mut Stuck,
    ) -> Result<(), VerbError> {
        if stuck.stays || self.changeable(cx, "helm.replace").is_err() {
            return Ok(());
        }
        let pods = cluster.stuck_pods(workload).await.map_err(verb_error)?;
        if pods != stuck.pods {
            *stuck = Stuck { pods, since: Some(Instant::now()), stays: false };
            return Ok(());
        }
        if pods.is_empty() || stuck.since.is_none_or(|since| since.elapsed() < REPLACED_WITHIN) {
            return Ok(());
        }
        let work = async {
            for pod in &pods {
                cluster.delete_pod(pod).await.map_err(verb_error)?;
            }
            Ok(())
        };
        match cx.effects.perform("helm.replace", &pods, &pods.join(","), true, work).await {
            Err(VerbError::Denied(why)) => {
                stuck.stays = true;
                cx.activity.line(Level::Warn, format!("{}: {why}", by_hand(cluster, &pods)));
            }
            other => {
                other?;
                *stuck = Stuck::default();
            }
        }
        Ok(())
    }

    pub(super) async fn broken(
        &self, cluster: &Cluster, name: &ServiceRef, workload: &Workload, why: &str, pod: Option<String>,
    ) -> VerbError {
        let pod = match pod {
            Some(pod) => Some(pod),
            None => cluster.newest_pod(workload).await.ok().flatten(),
        };
        let said = match pod {
            Some(pod) => cluster.why(&pod, TAIL_LINES).await,
            None => cluster.events(&workload.name).await.join("\n"),
        };
        let said = if said.is_empty() { said } else { format!(":\n{said}") };
        VerbError::other("service", format!("the service `{name}` {why}{said}"))
    }

    /// Why, where the time is over.
    pub(super) async fn not_standing(&self, cluster: &Cluster, name: &ServiceRef) -> VerbError {
        let workloads = match cluster.workloads().await {
            Ok(workloads) => workloads,
            Err(error) => return verb_error(error),
        };
        match cluster.named(&workloads, &name.name) {
            Ok(workload) => match cluster.standing(workload).await {
                Ok(Standing::Coming { what, hindrance }) => {
                    let stuck = cluster.stuck_pods(workload).await.unwrap_or_default();
                    let stuck = (!stuck.is_empty()).then(|| by_hand(cluster, &stuck));
                    let why: Vec<String> = [Some(what), hindrance, stuck].into_iter().flatten().collect();
                    let why = format!("does not stand: {}", why.join("; "));
                    self.broken(cluster, name, workload, &why, None).await
                }
                Ok(Standing::Broken { why, pod }) => self.broken(cluster, name, workload, &why, pod).await,
                Ok(Standing::Stands) | Err(_) => VerbError::Timeout,
            },
            Err(error) => verb_error(error),
        }
    }
}

/// None: a hook that ended well and was removed as its policy says.
pub(super) async fn found<'w>(
    cluster: &Cluster, workloads: &'w [Workload], name: &str,
) -> Result<Option<&'w Workload>, VerbError> {
    match cluster.named(workloads, name) {
        Ok(workload) => Ok(Some(workload)),
        Err(_) if was_a_hook(cluster, name).await? => Ok(None),
        Err(error) => Err(verb_error(error)),
    }
}

/// Of the newest revision that stands.
async fn was_a_hook(cluster: &Cluster, name: &str) -> Result<bool, VerbError> {
    // What is held has its hooks, and what settles it ran none of its own.
    let newest = cluster.newest_revisions(2).await.map_err(verb_error)?;
    Ok(newest.iter().flat_map(|revision| &revision.hooks).any(|hook| hook.is_meant(cluster.release(), name)))
}

/// What makes pods anew that are not ready and that their controller waits for.
fn by_hand(cluster: &Cluster, pods: &[String]) -> String {
    let (namespace, named) = (cluster.namespace(), pods.join("`, `"));
    let pods = pods.join(" ");
    format!(
        "the pod `{named}` is not ready, and is replaced by nobody: `kubectl --namespace {namespace} delete pod {pods}` \
         has it made anew"
    )
}

async fn is_no_longer_refused(entrance: SocketAddr) {
    let is_refused = async || {
        let connected = tokio::time::timeout(CONNECTED_WITHIN, TcpStream::connect(entrance)).await;
        matches!(connected, Ok(Err(error)) if error.kind() == ErrorKind::ConnectionRefused)
    };
    while is_refused().await {
        tokio::time::sleep(POLL).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{Ipv4Addr, TcpListener};

    #[tokio::test]
    async fn an_entrance_is_waited_for_while_it_refuses() {
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap();
        let refused = tokio::time::timeout(POLL * 3, is_no_longer_refused(free)).await;
        assert!(refused.is_err(), "nobody listens");
        let (_, listener) = tokio::join!(is_no_longer_refused(free), async {
            tokio::time::sleep(POLL * 2).await;
            TcpListener::bind(free).unwrap()
        });
        drop(listener);
    }
}
