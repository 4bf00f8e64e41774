//! What Compose made for the project, and what of it a way back takes away again.

use super::{Compose, Declaration};
use crate::context::StepContext;
use crate::driver::engine::{Container, PROJECT_LABEL, unless_used};
use crate::model::VerbError;
use bollard::query_parameters::{ListNetworksOptionsBuilder, ListVolumesOptionsBuilder};
use std::collections::HashMap;
use std::path::Path;

/// Only what a file declares has it.
const VOLUME_LABEL: &str = "com.docker.compose.volume";
/// On a container: the folder of the project that it was made for. Two folders may have a project of one name.
const FOLDER_LABEL: &str = "com.docker.compose.project.working_dir";

/// Of what a container is.
#[derive(Debug, PartialEq, Eq)]
enum Of {
    Files,
    /// Its service was named as one that goes, and the files don't have it.
    Upgrade,
    /// Another folder's, or of a service that is in no file or in no profile that is on.
    Others,
}

impl Compose {
    /// What Compose made for the project beside containers: `network:NAME` and `volume:NAME`.
    pub async fn resources(&self, cx: &StepContext) -> Result<Vec<String>, VerbError> {
        let declaration = self.declaration().await?;
        cx.activity.touch();
        self.resources_of(&declaration.name).await
    }

    /// Removes of `resources` what the files don't have: the containers of a `service:NAME`, networks and volumes. What
    /// something still uses is left, and nothing that Compose did not make for this project is touched. Converges.
    pub async fn remove(&self, cx: &StepContext, resources: &[String]) -> Result<(), VerbError> {
        self.changeable(cx, "compose.remove")?;
        let work = async {
            let declaration = self.declaration().await?;
            let others = self.remove_containers(&declaration, resources).await?;
            let there = self.resources_of(&declaration.name).await?;
            let gone = resources.iter().filter(|name| there.contains(name) && !declares(&declaration, name));
            for resource in gone.collect::<Vec<_>>() {
                unless_used(cx, &format!("`{resource}`"), self.remove_unused(resource, &others).await)?;
            }
            Ok(())
        };
        cx.effects.perform("compose.remove", &resources, &resources.join(","), true, work).await
    }

    /// Removes everything that Compose made for a project, data included. Converges.
    pub async fn discard(&self, project: &str) -> Result<(), VerbError> {
        self.remove_labelled(&format!("{PROJECT_LABEL}={project}")).await?;
        for resource in self.resources_of(project).await? {
            self.remove_resource(&resource).await?;
        }
        Ok(())
    }

    /// Those that are left and that an upgrade has nothing to do with.
    async fn remove_containers(
        &self, declaration: &Declaration, resources: &[String],
    ) -> Result<Vec<Container>, VerbError> {
        let mut others = Vec::new();
        for container in self.engine.containers(&declaration.name).await? {
            match of(&container, declaration, resources, &self.directory) {
                Of::Files => {}
                Of::Upgrade => self.engine.remove(&container.id).await?,
                Of::Others => others.push(container),
            }
        }
        Ok(others)
    }

    /// The engine would take a network away from a container that is stopped.
    async fn remove_unused(&self, resource: &str, others: &[Container]) -> Result<(), VerbError> {
        let network = resource.strip_prefix("network:").unwrap_or_default();
        match others.iter().find(|container| container.networks.contains_key(network)) {
            Some(user) => Err(VerbError::Conflict(format!("the container `{}` is in it", user.name))),
            None => self.remove_resource(resource).await,
        }
    }

    async fn resources_of(&self, project: &str) -> Result<Vec<String>, VerbError> {
        let docker = self.engine.docker().await?;
        let label = format!("{PROJECT_LABEL}={project}");
        let filters = HashMap::from([("label", vec![label])]);
        let networks = ListNetworksOptionsBuilder::default().filters(&filters).build();
        let networks = docker.list_networks(Some(networks)).await.map_err(|error| self.engine.failed(&error))?;
        let volumes = ListVolumesOptionsBuilder::default().filters(&filters).build();
        let volumes = docker.list_volumes(Some(volumes)).await.map_err(|error| self.engine.failed(&error))?;
        let networks = networks.into_iter().filter_map(|network| network.name).map(|name| format!("network:{name}"));
        // What a container brought itself has no name of Compose's.
        let volumes = volumes.volumes.unwrap_or_default().into_iter();
        let volumes = volumes.filter(|volume| volume.labels.contains_key(VOLUME_LABEL));
        let mut all: Vec<String> = networks.chain(volumes.map(|volume| format!("volume:{}", volume.name))).collect();
        all.sort();
        Ok(all)
    }

    async fn remove_resource(&self, resource: &str) -> Result<(), VerbError> {
        match resource.split_once(':') {
            Some(("network", name)) => self.engine.remove_network(name).await,
            Some(("volume", name)) => self.engine.remove_volume(name).await,
            _ => Err(VerbError::Invalid(format!("`{resource}` is neither `network:NAME` nor `volume:NAME`"))),
        }
    }
}

fn of(container: &Container, declaration: &Declaration, resources: &[String], folder: &Path) -> Of {
    let named = format!("service:{}", container.service);
    if !is_made_in(container, folder) {
        Of::Others
    } else if declaration.services.iter().any(|service| service.name == container.service) {
        Of::Files
    } else if resources.contains(&named) {
        Of::Upgrade
    } else {
        Of::Others
    }
}

fn is_made_in(container: &Container, folder: &Path) -> bool {
    let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
    container.labels.get(FOLDER_LABEL).is_none_or(|made| real(Path::new(made)) == real(folder))
}

/// Whether the files have the network, or the volume.
fn declares(declaration: &Declaration, resource: &str) -> bool {
    declaration.services.iter().any(|service| match resource.split_once(':') {
        Some(("network", name)) => service.networks.iter().any(|network| network == name),
        Some(("volume", name)) => service.mounts.iter().any(|mount| mount.kind == "volume" && mount.source == name),
        _ => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn declaration() -> Declaration {
        let json = r#"{"name":"shop","services":{"web":{"image":"web:1","networks":{"default":null},
            "volumes":[{"type":"volume","source":"data","target":"/data"},{"type":"bind","source":"/srv","target":"/srv"}]}},
            "volumes":{"data":{"name":"shop_data"}},"networks":{"default":{"name":"shop_default"}}}"#;
        Declaration::read(&serde_json::from_str(json).unwrap()).unwrap()
    }

    fn container(service: &str, folder: &str) -> Container {
        let labels = format!(r#"{{"com.docker.compose.service":"{service}","{FOLDER_LABEL}":"{folder}"}}"#);
        let answer = format!(r#"{{"Id":"1","Name":"/shop-{service}-1","Config":{{"Labels":{labels}}}}}"#);
        Container::read(answer.as_bytes()).unwrap()
    }

    #[test]
    fn only_what_came_with_the_upgrade_goes() {
        let of = |service: &str, folder: &str, resources: &[&str]| {
            let resources: Vec<String> = resources.iter().map(|resource| (*resource).to_owned()).collect();
            super::of(&container(service, folder), &declaration(), &resources, Path::new("/opt/shop"))
        };
        assert_eq!(of("queue", "/opt/shop", &["service:queue", "volume:shop_queue"]), Of::Upgrade);
        assert_eq!(of("queue", "/opt/shop", &["volume:shop_queue"]), Of::Others, "nobody named it");
        assert_eq!(of("queue", "/home/me/shop", &["service:queue"]), Of::Others, "another project of the name");
        assert_eq!(of("web", "/opt/shop", &["service:web"]), Of::Files);
        assert_eq!(of("web", "/home/me/shop", &["service:web"]), Of::Others);
    }

    #[test]
    fn a_project_is_told_by_its_real_folder() {
        let scratch = tempfile::tempdir().unwrap();
        let (folder, link) = (scratch.path().join("shop-1"), scratch.path().join("shop"));
        std::fs::create_dir(&folder).unwrap();
        std::os::unix::fs::symlink(&folder, &link).unwrap();
        assert!(is_made_in(&container("web", link.to_str().unwrap()), &folder));
        assert!(!is_made_in(&container("web", scratch.path().to_str().unwrap()), &folder));
    }

    #[test]
    fn what_the_files_have_stays() {
        let declaration = declaration();
        let has = |resource: &str| declares(&declaration, resource);
        assert!(has("network:shop_default") && has("volume:shop_data"));
        assert!(!has("network:shop_data") && !has("volume:shop_new") && !has("volume:/srv") && !has("service:web"));
    }
}
