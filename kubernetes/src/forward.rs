//! A local address that leads to a port of a workload's pod, through the API.

use crate::cluster::Cluster;
use crate::error::{Error, Result};
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use std::net::{Ipv4Addr, SocketAddr};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

/// Leads there until it is dropped.
pub struct Forward {
    pub address: SocketAddr,
    _end: DropGuard,
}

#[derive(Clone)]
enum To {
    Workload(String),
    Pod(String),
}

impl Cluster {
    /// Each connection goes to the workload's ready pod of that moment.
    pub async fn forward(&self, workload: &str, port: u16) -> Result<Forward> {
        self.ready_pod(workload).await?;
        self.forward_to(To::Workload(workload.to_owned()), port).await
    }

    pub async fn forward_to_pod(&self, pod: &str, port: u16) -> Result<Forward> {
        self.forward_to(To::Pod(pod.to_owned()), port).await
    }

    async fn forward_to(&self, to: To, port: u16) -> Result<Forward> {
        let failed = |error: std::io::Error| Error::other("io", format!("no local address to forward from: {error}"));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let end = CancellationToken::new();
        let (cluster, ended) = (self.clone(), end.clone());
        let tasks = TaskTracker::new();
        let inner = tasks.clone();
        tasks.spawn(end.clone().run_until_cancelled_owned(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (cluster, to) = (cluster.clone(), to.clone());
                // One that can't be led there is closed: whoever connected says so.
                let led = async move { cluster.lead(stream, &to, port).await };
                inner.spawn(ended.clone().run_until_cancelled_owned(led));
            }
        }));
        Ok(Forward { address, _end: end.drop_guard() })
    }

    async fn lead(&self, mut stream: TcpStream, to: &To, port: u16) -> Result<()> {
        let pod = match to {
            To::Workload(workload) => self.ready_pod(workload).await?,
            To::Pod(pod) => pod.clone(),
        };
        let api: Api<Pod> = Api::namespaced(self.streams.clone(), self.namespace());
        let mut forwarder = api.portforward(&pod, &[port]).await?;
        let _ = stream.set_nodelay(true);
        if let Some(mut inside) = forwarder.take_stream(port) {
            let _ = tokio::io::copy_bidirectional(&mut stream, &mut inside).await;
        }
        forwarder.abort();
        Ok(())
    }

    pub(crate) async fn ready_pod(&self, workload: &str) -> Result<String> {
        let workloads = self.workloads().await?;
        let workload = self.named(&workloads, workload)?;
        let pods = self.pods(workload).await?;
        let ready = |pod: &&serde_json::Value| {
            let conditions = pod["status"]["conditions"].as_array().into_iter().flatten();
            let mut ready = conditions.filter(|c| c["type"] == "Ready" && c["status"] == "True");
            pod["metadata"]["deletionTimestamp"].is_null() && ready.next().is_some()
        };
        let pod = pods.iter().find(ready).and_then(|pod| pod["metadata"]["name"].as_str());
        pod.map(str::to_owned)
            .ok_or_else(|| Error::Unavailable(format!("the workload `{}` has no pod that is ready", workload.name)))
    }
}
