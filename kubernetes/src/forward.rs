//! A local address that leads to a port of a workload's pod, through the API.

use crate::cluster::Cluster;
use crate::error::{Error, Result};
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use serde_json::Value;
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
    Workload(String, u16),
    Pod(String, u16),
    /// A port of a service, by its number or its name.
    Service(String, Value),
}

impl Cluster {
    /// Each connection goes to the workload's ready pod of that moment.
    pub async fn forward(&self, workload: &str, port: u16) -> Result<Forward> {
        self.ready_pod(workload).await?;
        self.forward_to(To::Workload(workload.to_owned(), port)).await
    }

    pub async fn forward_to_pod(&self, pod: &str, port: u16) -> Result<Forward> {
        self.forward_to(To::Pod(pod.to_owned(), port)).await
    }

    /// Each connection goes to a ready pod of that moment, as the service itself leads.
    pub async fn forward_to_service(&self, service: &str, port: &Value) -> Result<Forward> {
        self.forward_to(To::Service(service.to_owned(), port.clone())).await
    }

    async fn forward_to(&self, to: To) -> Result<Forward> {
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
                let led = async move { cluster.lead(stream, &to).await };
                inner.spawn(ended.clone().run_until_cancelled_owned(led));
            }
        }));
        Ok(Forward { address, _end: end.drop_guard() })
    }

    async fn lead(&self, mut stream: TcpStream, to: &To) -> Result<()> {
        let (pod, port) = match to {
            To::Workload(workload, port) => (self.ready_pod(workload).await?, *port),
            To::Pod(pod, port) => (pod.clone(), *port),
            To::Service(service, port) => self.behind_service(service, port).await?,
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

    pub async fn ready_pod(&self, workload: &str) -> Result<String> {
        let workloads = self.workloads().await?;
        let workload = self.named(&workloads, workload)?;
        let pods = self.pods(workload).await?;
        let pod = pods.iter().find(|pod| is_ready(pod)).and_then(|pod| pod["metadata"]["name"].as_str());
        pod.map(str::to_owned)
            .ok_or_else(|| Error::Unavailable(format!("the workload `{}` has no pod that is ready", workload.name)))
    }

    /// A ready pod and its port.
    async fn behind_service(&self, name: &str, port: &Value) -> Result<(String, u16)> {
        let service = self.get(&self.path("api/v1", "services"), name).await?;
        let service = service.ok_or_else(|| Error::NotFound(format!("there is no service `{name}`")))?;
        let pods = self.ready_pods_behind(&service).await?;
        let pod =
            pods.ok_or_else(|| Error::NotFound(format!("the service `{name}` selects no pods")))?.into_iter().next();
        let pod = &pod.ok_or_else(|| Error::Unavailable(format!("no pod behind the service `{name}` is ready")))?;
        let port = port_of(&service, port, pod);
        let port = port.ok_or_else(|| Error::NotFound(format!("the service `{name}` has no such port")))?;
        Ok((pod["metadata"]["name"].as_str().unwrap_or_default().to_owned(), port))
    }

    /// None: it selects none.
    pub(crate) async fn ready_pods_behind(&self, service: &Value) -> Result<Option<Vec<Value>>> {
        let labels = service["spec"]["selector"].as_object().into_iter().flatten();
        let labels: Vec<String> =
            labels.filter_map(|(key, value)| Some(format!("{key}={}", value.as_str()?))).collect();
        if labels.is_empty() {
            return Ok(None);
        }
        let mut pods = self.list(&self.path("api/v1", "pods"), Some(&labels.join(","))).await?;
        pods.retain(is_ready);
        Ok(Some(pods))
    }
}

pub(crate) fn is_ready(pod: &Value) -> bool {
    let mut conditions = pod["status"]["conditions"].as_array().into_iter().flatten();
    let ready = conditions.any(|condition| condition["type"] == "Ready" && condition["status"] == "True");
    ready && pod["metadata"]["deletionTimestamp"].is_null()
}

/// Of the pod, for a port of the service.
fn port_of(service: &Value, port: &Value, pod: &Value) -> Option<u16> {
    let mut ports = service["spec"]["ports"].as_array().into_iter().flatten();
    let own = ports.find(|own| own["port"] == *port || (port.is_string() && own["name"] == *port))?;
    let number = match &own["targetPort"] {
        Value::Null => own["port"].as_u64(),
        Value::String(name) => {
            let containers = pod["spec"]["containers"].as_array().into_iter().flatten();
            let mut named = containers.flat_map(|container| container["ports"].as_array().into_iter().flatten());
            named.find(|port| port["name"] == *name).and_then(|port| port["containerPort"].as_u64())
        }
        target => target.as_u64(),
    };
    number.and_then(|number| u16::try_from(number).ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_port_of_a_service_is_one_of_its_pod() {
        let service = json!({ "spec": { "ports": [
            { "name": "http", "port": 80, "targetPort": "web" }, { "port": 81, "targetPort": 9000 }, { "port": 82 },
        ] } });
        let pod = json!({ "spec": { "containers": [{ "ports": [{ "name": "web", "containerPort": 8080 }] }] } });
        let of = |port: Value| port_of(&service, &port, &pod);
        assert_eq!(
            [of(json!(80)), of(json!("http")), of(json!(81)), of(json!(82))],
            [Some(8080), Some(8080), Some(9000), Some(82)]
        );
        assert_eq!((of(json!(83)), of(json!("x"))), (None, None));
    }
}
