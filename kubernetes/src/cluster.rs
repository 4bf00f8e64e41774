//! The connection to a cluster: by a kubeconfig and one of its contexts, or by the service account of the pod that we are in.

use crate::error::{Error, Result, told};
use kube::api::{DeleteParams, GetParams, ListParams, Patch, PatchParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::core::Request;
use kube::{Client, Config};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::time::Duration;

/// Who changes what, in the cluster's own accounts.
const MANAGER: &str = "upgraded";
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const READ_TIMEOUT: Duration = Duration::from_secs(60);

/// Which release of which cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// None: the service account of our pod.
    pub kubeconfig: Option<PathBuf>,
    /// None: the kubeconfig's current one.
    pub context: Option<String>,
    pub namespace: String,
    pub release: String,
}

impl Target {
    /// A kubeconfig of the service account of the pod that we are in. The token stays in its own file, which the cluster
    /// renews.
    pub fn of_the_pod() -> Result<String> {
        let variable = |name: &str| std::env::var(name).map_err(|_| no_pod(&format!("`{name}` is not set")));
        let (host, port) = (variable("KUBERNETES_SERVICE_HOST")?, variable("KUBERNETES_SERVICE_PORT")?);
        let host = if host.contains(':') { format!("[{host}]") } else { host };
        let file = |name: &str| format!("/var/run/secrets/kubernetes.io/serviceaccount/{name}");
        let config = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "pod",
            "clusters": [{ "name": "pod", "cluster": { "server": format!("https://{host}:{port}"), "certificate-authority": file("ca.crt") } }],
            "users": [{ "name": "pod", "user": { "tokenFile": file("token") } }],
            "contexts": [{ "name": "pod", "context": { "cluster": "pod", "user": "pod" } }],
        });
        Ok(config.to_string())
    }
}

fn no_pod(why: &str) -> Error {
    Error::Invalid(format!("no `kubeconfig` is named, and this is no pod with a service account: {why}"))
}

#[derive(Clone)]
pub struct Cluster {
    pub(crate) client: Client,
    /// For what may say nothing for long: forwarded ports, commands, logs.
    pub(crate) streams: Client,
    pub(crate) target: Target,
    /// Where the API is.
    pub server: String,
}

impl Cluster {
    /// Reads the settings and asks nothing yet.
    pub async fn connect(target: &Target) -> Result<Self> {
        let mut config = match &target.kubeconfig {
            None => Config::incluster().map_err(|error| no_pod(&told(&error)))?,
            Some(file) => {
                let wrong = |why: String| Error::Invalid(format!("the kubeconfig `{}` {why}", file.display()));
                let read =
                    Kubeconfig::read_from(file).map_err(|error| wrong(format!("can't be read: {}", told(&error))))?;
                if let Some(context) = &target.context
                    && !read.contexts.iter().any(|known| known.name == *context)
                {
                    let known: Vec<String> = read.contexts.iter().map(|known| format!("`{}`", known.name)).collect();
                    return Err(wrong(format!("has no context `{context}`; there is {}", known.join(", "))));
                }
                let options = KubeConfigOptions { context: target.context.clone(), ..Default::default() };
                let config = Config::from_custom_kubeconfig(read, &options).await;
                config.map_err(|error| wrong(format!("can't be used: {}", told(&error))))?
            }
        };
        config.connect_timeout = Some(CONNECT_TIMEOUT);
        let streams = Client::try_from(config.clone()).map_err(Error::from)?;
        config.read_timeout = Some(READ_TIMEOUT);
        let server = config.cluster_url.to_string().trim_end_matches('/').to_owned();
        let client = Client::try_from(config).map_err(Error::from)?;
        Ok(Self { client, streams, target: target.clone(), server })
    }

    pub fn namespace(&self) -> &str {
        &self.target.namespace
    }
    pub fn release(&self) -> &str {
        &self.target.release
    }

    /// The API's version: whoever gets it reached the cluster.
    pub async fn version(&self) -> Result<String> {
        Ok(self.client.apiserver_version().await?.git_version)
    }

    /// The certificate of the cluster's authority, which each of its namespaces has, and no other cluster. None: the
    /// account may not look.
    pub async fn authority(&self) -> Result<Option<String>> {
        match self.get(&self.path("api/v1", "configmaps"), "kube-root-ca.crt").await {
            Ok(found) => Ok(found.and_then(|found| found["data"]["ca.crt"].as_str().map(str::to_owned))),
            Err(Error::Denied(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// `apis/apps/v1`, `deployments`: within the release's namespace.
    pub(crate) fn path(&self, group: &str, resource: &str) -> String {
        format!("/{group}/namespaces/{}/{resource}", self.target.namespace)
    }

    pub(crate) async fn list(&self, path: &str, labels: Option<&str>) -> Result<Vec<Value>> {
        let parameters = ListParams { label_selector: labels.map(str::to_owned), ..ListParams::default() };
        let request = Request::new(path).list(&parameters).map_err(built)?;
        Ok(items(self.client.request(request).await?))
    }

    /// Their names, labels and the like alone.
    pub(crate) async fn list_metadata(&self, path: &str, labels: &str) -> Result<Vec<Value>> {
        let request = Request::new(path).list_metadata(&ListParams::default().labels(labels)).map_err(built)?;
        Ok(items(self.client.request(request).await?))
    }

    /// None: there is none.
    pub(crate) async fn get(&self, path: &str, name: &str) -> Result<Option<Value>> {
        let request = Request::new(path).get(name, &GetParams::default()).map_err(built)?;
        match self.client.request::<Value>(request).await {
            Ok(object) => Ok(Some(object)),
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    pub(crate) async fn merge(&self, path: &str, name: &str, patch: &Value) -> Result<Value> {
        let parameters = PatchParams { field_manager: Some(MANAGER.into()), ..Default::default() };
        let request = Request::new(path).patch(name, &parameters, &Patch::Merge(patch)).map_err(built)?;
        Ok(self.client.request(request).await?)
    }

    pub(crate) async fn create(&self, path: &str, object: &Value) -> Result<Value> {
        let body = serde_json::to_vec(object).map_err(|error| Error::Invalid(error.to_string()))?;
        let request = Request::new(path).create(&Default::default(), body).map_err(built)?;
        Ok(self.client.request(request).await?)
    }

    /// Gone already is as good.
    pub async fn delete(&self, path: &str, name: &str) -> Result<()> {
        self.delete_by(path, name, &DeleteParams::background()).await
    }

    /// It is there until what it owns is gone.
    pub(crate) async fn delete_after_its_own(&self, path: &str, name: &str) -> Result<()> {
        self.delete_by(path, name, &DeleteParams::foreground()).await
    }

    /// Of a pod: nobody waits for it to end.
    pub(crate) async fn delete_at_once(&self, path: &str, name: &str) -> Result<()> {
        self.delete_by(path, name, &DeleteParams::background().grace_period(0)).await
    }

    async fn delete_by(&self, path: &str, name: &str, how: &DeleteParams) -> Result<()> {
        let request = Request::new(path).delete(name, how).map_err(built)?;
        match self.client.request::<Value>(request).await {
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
            other => Ok(other.map(drop)?),
        }
    }
}

fn items(mut list: Value) -> Vec<Value> {
    match list["items"].take() {
        Value::Array(items) => items,
        _ => Vec::new(),
    }
}

fn built(error: kube::core::request::Error) -> Error {
    Error::Invalid(error.to_string())
}
