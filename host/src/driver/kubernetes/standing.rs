//! Waiting for workloads, and saying why one does not stand.

use super::errors::verb_error;
use super::{Kubernetes, POLL, TAIL_LINES};
use crate::activity::Level;
use crate::context::StepContext;
use crate::model::{ServiceRef, ServiceState, VerbError};
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::TcpStream;
use upgraded_kubernetes::{Cluster, Kind, Standing, Workload};

/// The proxies of a cluster take so long at most to lead to a pod that is ready, where nothing is wrong with them.
const PROXIES: Duration = Duration::from_secs(10);
/// To a node that this machine has no way to.
const CONNECTED_WITHIN: Duration = Duration::from_secs(1);

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
        let mut seen = (String::new(), String::new());
        let wait = async {
            loop {
                let workloads = cluster.workloads().await.map_err(verb_error)?;
                let workload = match cluster.named(&workloads, &name.name) {
                    Ok(workload) => workload,
                    // A hook that ended well and was removed as its policy says.
                    Err(error) => match self.was_a_hook(cluster, &name.name).await? {
                        true => return Ok(self.nothing(name)),
                        false => return Err(verb_error(error)),
                    },
                };
                let coming = match cluster.standing(workload).await.map_err(verb_error)? {
                    Standing::Stands if workload.kind.scales() && workload.is_held() => {
                        return Err(VerbError::Conflict(format!("the service `{name}` is held, and was not started")));
                    }
                    Standing::Stands => return Ok(self.state(workload)),
                    Standing::Broken { why, pod } => return Err(self.broken(cluster, name, workload, &why, pod).await),
                    Standing::Coming(what) => what,
                };
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

    /// Of the newest revision that stands.
    pub(super) async fn was_a_hook(&self, cluster: &Cluster, name: &str) -> Result<bool, VerbError> {
        let newest = cluster.revisions().await.map_err(verb_error)?;
        let prefixed = format!("{}-{name}", cluster.release());
        // What is held has its hooks, and what settles it ran none of its own.
        Ok(newest.iter().rev().take(2).any(|r| r.hooks.iter().any(|hook| hook.name == name || hook.name == prefixed)))
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

    async fn not_standing(&self, cluster: &Cluster, name: &ServiceRef) -> VerbError {
        let workloads = match cluster.workloads().await {
            Ok(workloads) => workloads,
            Err(error) => return verb_error(error),
        };
        match cluster.named(&workloads, &name.name) {
            Ok(workload) => match cluster.standing(workload).await {
                Ok(Standing::Coming(what)) => {
                    self.broken(cluster, name, workload, &format!("does not stand: {what}"), None).await
                }
                _ => VerbError::Timeout,
            },
            Err(error) => verb_error(error),
        }
    }
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
