//! What the operator's files of pods say now, or with planned edits laid over them.

use super::{DEPLOYMENT_LABEL, PLAYED_LABEL, Pods, SERVICE_LABEL};
use crate::driver::compose::double::Double;
use crate::driver::project::secret_parts;
use crate::effect::hex;
use crate::model::VerbError;
use pod_files::{Container, File, Mistake, Pod, Source, service_of, variables};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;
use std::sync::Arc;

const FILE_BYTES: u64 = 1 << 20;
const ENV_FILE: &str = ".env";

pub struct Declaration {
    pub services: Vec<Service>,
    /// Config maps of files of their own.
    settings: Vec<Value>,
    networks: Vec<String>,
    double: Option<Arc<Double>>,
    /// Values that nobody may read in a log.
    pub secrets: Vec<String>,
    mark: String,
}

/// One file of pods.
#[derive(Debug, Clone, PartialEq)]
pub struct Service {
    pub name: String,
    pub file: File,
}

impl Pods {
    pub(super) async fn declaration(&self, planned: bool) -> Result<Declaration, VerbError> {
        let said = self.said(planned).await?;
        match &self.double {
            Some(double) => said.of_double(double),
            None => Ok(said),
        }
    }

    /// As the files have it, also in a double.
    pub(super) async fn said(&self, planned: bool) -> Result<Declaration, VerbError> {
        let set = self.set(planned).await?;
        let mut settings = Vec::new();
        for path in &self.config.config_maps {
            let name = path.display().to_string();
            settings.extend(
                File::settings(&name, &self.required(path, planned).await?, &set).map_err(|error| wrong(&error))?,
            );
        }
        let mut services: Vec<Service> = Vec::new();
        for path in &self.config.files {
            let name = path.display().to_string();
            let file = File::read(&name, &self.required(path, planned).await?, &set).map_err(|error| wrong(&error))?;
            for pod in &file.pods {
                let mut others =
                    services.iter().flat_map(|service| service.file.pods.iter().map(move |p| (service, p)));
                if let Some((other, _)) = others.find(|(_, other)| other.name == pod.name) {
                    let (other, pod) = (&other.file.name, &pod.name);
                    return Err(VerbError::Invalid(format!("`{other}` and `{name}` both declare the pod `{pod}`")));
                }
            }
            services.push(Service { name: service_of(&name).to_owned(), file });
        }
        let secrets = set.iter().flat_map(|(key, value)| secret_parts(key, value)).map(str::to_owned);
        let environments = services.iter().flat_map(|service| &service.file.pods).flat_map(|pod| &pod.containers);
        let inner = environments.flat_map(|container| &container.environment);
        let inner = inner.flat_map(|(key, value)| secret_parts(key, value)).map(str::to_owned);
        let secrets = secrets.chain(inner).collect();
        let (networks, mark) = (self.config.networks.clone(), self.mark());
        Ok(Declaration { secrets, services, settings, networks, double: None, mark })
    }

    /// What the env files set.
    pub(super) async fn set(&self, planned: bool) -> Result<BTreeMap<String, String>, VerbError> {
        let mut set = BTreeMap::new();
        match &self.config.env_files[..] {
            [] => set.extend(variables(&self.text(Path::new(ENV_FILE), planned).await?.unwrap_or_default())),
            named => {
                for file in named {
                    set.extend(variables(&self.required(file, planned).await?));
                }
            }
        }
        Ok(set)
    }

    pub(super) async fn required(&self, path: &Path, planned: bool) -> Result<String, VerbError> {
        let missing = || VerbError::NotFound(format!("there is no `{}`", self.directory.join(path).display()));
        self.text(path, planned).await?.ok_or_else(missing)
    }

    /// As it stands; none where there is none.
    async fn text(&self, path: &Path, planned: bool) -> Result<Option<String>, VerbError> {
        let name = path.display().to_string();
        let laid_over = if planned { self.project.overlaid().remove(&name) } else { None };
        let bytes = match laid_over {
            Some(planned) => planned,
            None => read(&self.directory.join(path)).await?,
        };
        let text = bytes.map(String::from_utf8).transpose();
        text.map_err(|_| VerbError::Invalid(format!("`{name}` is not UTF-8 text")))
    }
}

impl Declaration {
    fn of_double(self, double: &Arc<Double>) -> Result<Self, VerbError> {
        let service = |service: Service| {
            let file = double.of_pods(&service.file)?;
            Ok(Service { file, ..service })
        };
        Ok(Self {
            services: self.services.into_iter().map(service).collect::<Result<_, VerbError>>()?,
            settings: self.settings.iter().map(|document| double.of_settings(document)).collect(),
            networks: double.networks(&self.networks),
            double: Some(double.clone()),
            ..self
        })
    }

    /// Or what there is.
    pub(super) fn service(&self, pods: &Pods, name: &str) -> Result<&Service, VerbError> {
        self.services.iter().find(|service| service.name == name).ok_or_else(|| {
            let known: Vec<String> =
                self.services.iter().map(|service| format!("`{}/{}`", pods.platform, service.name)).collect();
            let known = known.join(", ");
            VerbError::NotFound(format!("the deployment has no service `{}/{name}`; there is {known}", pods.platform))
        })
    }

    /// Of a service's pods: `database/postgres`, or `database` where they have one alone. Or what there is.
    pub(super) fn container(&self, pods: &Pods, name: &str) -> Result<(&Service, &Pod, &Container), VerbError> {
        let (service, wanted) = match name.split_once('/') {
            Some((service, container)) => (service, Some(container)),
            None => (name, None),
        };
        let found = self.service(pods, service)?;
        let all = found.file.pods.iter().flat_map(|pod| pod.running().map(move |container| (pod, container)));
        let all: Vec<_> = all.collect();
        let fits = match wanted {
            Some(wanted) => all.iter().find(|(_, container)| container.name == wanted),
            None => all.first().filter(|_| all.len() == 1),
        };
        fits.map(|(pod, container)| (found, *pod, *container)).ok_or_else(|| {
            let there: Vec<String> = all.iter().map(|(_, one)| format!("`{service}/{}`", one.name)).collect();
            VerbError::NotFound(format!("the pods have no container `{name}`; there is {}", there.join(", ")))
        })
    }

    pub(super) fn pods(&self) -> impl Iterator<Item = &Pod> {
        self.services.iter().flat_map(|service| &service.file.pods)
    }

    /// The named volumes of all files.
    pub(super) fn volumes(&self) -> BTreeSet<&String> {
        let mounts = self.pods().flat_map(|pod| &pod.containers).flat_map(|container| &container.mounts);
        let mounted = mounts.filter_map(|mount| match &mount.source {
            Source::Volume(name) | Source::Settings(name) => Some(name),
            Source::Path(_) | Source::Empty => None,
        });
        self.services.iter().flat_map(|service| &service.file.claims).chain(mounted).collect()
    }

    pub(super) fn networks(&self) -> &[String] {
        &self.networks
    }

    /// As a pod joins them.
    pub(super) fn networks_of(&self, pod: &Pod) -> Vec<String> {
        let joined = |network: &String| match &self.double {
            Some(double) => double.joined(network, pod),
            None => network.clone(),
        };
        self.networks.iter().map(joined).collect()
    }

    /// What a pod is made from. `volumes`: those that are there, which are not made again.
    pub(super) fn documents(&self, service: &Service, pod: &Pod, volumes: &[String]) -> Vec<Value> {
        let is_made = |document: &&Value| {
            let name = document["metadata"]["name"].as_str().unwrap_or_default();
            document["kind"] == "PersistentVolumeClaim" && volumes.iter().any(|volume| volume == name)
        };
        let beside = service.file.beside.iter().filter(|document| !is_made(document));
        let labels = BTreeMap::from([
            (DEPLOYMENT_LABEL.to_owned(), self.mark.clone()),
            (SERVICE_LABEL.to_owned(), service.name.clone()),
            (PLAYED_LABEL.to_owned(), self.digest(service, pod)),
        ]);
        self.settings.iter().chain(beside).cloned().chain([pod.to_play(&labels)]).collect()
    }

    /// Of everything that a pod is made from.
    pub(super) fn digest(&self, service: &Service, pod: &Pod) -> String {
        let mut hasher = Sha256::new();
        for document in self.settings.iter().chain(&service.file.beside).chain([&pod.document]) {
            hasher.update(document.to_string());
            hasher.update([0]);
        }
        hasher.update(self.networks.join(","));
        hex(&hasher.finalize())[..32].to_owned()
    }
}

/// None where there is none.
async fn read(path: &Path) -> Result<Option<Vec<u8>>, VerbError> {
    let refused = |why: String| VerbError::Invalid(format!("`{}` {why}", path.display()));
    match tokio::fs::metadata(path).await {
        Ok(meta) if meta.len() > FILE_BYTES => Err(refused("is larger than 1 MiB, and no file of pods".into())),
        Ok(_) => tokio::fs::read(path).await.map(Some).map_err(|error| refused(format!("can't be read: {error}"))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(refused(format!("can't be read: {error}"))),
    }
}

pub(super) fn wrong(mistake: &Mistake) -> VerbError {
    VerbError::Invalid(mistake.to_string())
}
