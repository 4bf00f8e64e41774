//! A Compose project by its files.

mod mounts;

use super::part::{Part, Role, address};
use super::{Platform, Stack, wrong};
use crate::config::init::text_of;
use compose_files::{Named, Node, Project, variables};
use std::collections::BTreeMap;
use std::io;
use std::path::Path;

/// None where there are no Compose files; an error names the file and the line.
pub(super) fn look(directory: &Path) -> io::Result<Option<Stack>> {
    let read = |file: &str| match directory.join(file) {
        path if path.is_file() => text_of(&path).map(Some).ok_or_else(|| "it can't be read as a text".to_owned()),
        _ => Ok(None),
    };
    let project = Project::read(&Named::default(), &read).map_err(wrong)?;
    Ok(project.map(|project| found(directory, &project)))
}

fn found(directory: &Path, project: &Project) -> Stack {
    let services: Vec<Service> =
        project.services().iter().map(|(name, node)| Service::of(project, name, node)).collect();
    let mut profiles: Vec<String> =
        services.iter().filter(|s| !s.active).flat_map(|s| s.profiles()).map(str::to_owned).collect();
    profiles.sort();
    profiles.dedup();
    let volumes = mounts::Volumes::of(directory, project);
    let active = services.iter().filter(|service| service.active);
    let parts: Vec<Part> = active.map(|service| service.part(directory, &volumes)).collect();
    let platform = Platform::Compose { engine: None, files: project.files.clone(), profiles };
    Stack::of(platform, directory, &project.environment, &parts)
}

struct Service<'p> {
    name: String,
    node: &'p Node,
    project: &'p Project,
    active: bool,
}

impl<'p> Service<'p> {
    fn of(project: &'p Project, name: &str, node: &'p Node) -> Self {
        let asked_for = project.environment.get("COMPOSE_PROFILES").map(String::as_str).unwrap_or_default();
        let mut service = Self { name: name.to_owned(), node, project, active: true };
        let profiles = service.profiles();
        service.active = profiles.is_empty() || profiles.iter().any(|own| asked_for.split(',').any(|one| one == *own));
        service
    }

    fn profiles(&self) -> Vec<&'p str> {
        self.node.get("profiles").map(Node::texts).unwrap_or_default()
    }

    fn part(&self, directory: &Path, volumes: &mounts::Volumes<'_>) -> Part {
        let image = self.node.get("image").and_then(Node::text).map(str::to_owned);
        Part {
            service: self.name.clone(),
            name: self.name.clone(),
            role: image.as_ref().map_or(Role::Own, |image| Role::of(&self.project.value_of(image))),
            image,
            environment: self.environment(directory),
            mounts: volumes.mounted(&self.name, self.node),
            address: self.address(),
        }
    }

    /// Of its `env_file` and `environment`, the latter first.
    fn environment(&self, directory: &Path) -> BTreeMap<String, String> {
        let mut all = BTreeMap::new();
        for item in self.node.get("env_file").into_iter().flat_map(|node| match node.items() {
            [] => std::slice::from_ref(node),
            items => items,
        }) {
            let Some(path) = item.get("path").unwrap_or(item).text() else { continue };
            let path = item.path_of(&self.project.value_of(path));
            all.extend(variables(&text_of(&directory.join(path)).unwrap_or_default()));
        }
        for (key, value) in self.node.get("environment").map(Node::pairs).unwrap_or_default() {
            match value {
                Some(value) => drop(all.insert(key.to_owned(), self.project.value_of(value))),
                None => all.extend(self.project.environment.get(key).map(|value| (key.to_owned(), value.clone()))),
            }
        }
        all
    }

    /// The first port that it publishes.
    fn address(&self) -> Option<String> {
        self.node.get("ports")?.items().iter().find_map(|port| match port.text() {
            Some(text) => {
                let text = self.project.value_of(text);
                let (before, _) = text.split('/').next()?.rsplit_once(':')?;
                let (host, port) = before.rsplit_once(':').unwrap_or(("", before));
                address(host, port)
            }
            None => {
                let text = |key| port.get(key).and_then(Node::text).map(|text| self.project.value_of(text));
                address(&text("host_ip").unwrap_or_default(), &text("published")?)
            }
        })
    }
}
