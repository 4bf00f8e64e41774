//! What a service of a Compose project mounts, by whole names.

use crate::config::init::stack::Store;
use compose_files::{Node, Project};
use std::path::Path;

pub(super) struct Volumes<'p> {
    directory: &'p Path,
    project: &'p Project,
    /// As Compose names the project.
    name: String,
}

impl<'p> Volumes<'p> {
    pub fn of(directory: &'p Path, project: &'p Project) -> Self {
        Self { directory, project, name: project_name(directory, project) }
    }

    /// Named volumes and folders of this machine that a service may write to.
    pub fn mounted(&self, service: &str, node: &Node) -> Vec<Store> {
        let mut by_target: Vec<(String, Option<String>)> = Vec::new();
        for mount in node.get("volumes").map(Node::items).unwrap_or_default() {
            let Some((target, place)) = self.mount(mount) else { continue };
            by_target.retain(|(known, _)| *known != target);
            by_target.push((target, place));
        }
        let prefix = format!("{}_", self.name);
        let places = by_target.into_iter().filter_map(|(_, place)| place);
        places.filter_map(|place| Store::of(self.directory, place, service, &prefix)).collect()
    }

    /// Where it is in the container, and what it is where it can be written to.
    fn mount(&self, mount: &Node) -> Option<(String, Option<String>)> {
        let (source, target, read_only) = match mount.text() {
            Some(text) => {
                let text = self.project.value_of(text);
                let parts: Vec<&str> = text.split(':').collect();
                let [source, target, mode @ ..] = &parts[..] else { return None };
                let read_only = mode.iter().flat_map(|mode| mode.split(',')).any(|word| word == "ro");
                ((*source).to_owned(), (*target).to_owned(), read_only)
            }
            None => {
                let text = |key| mount.get(key).and_then(Node::text).map(|text| self.project.value_of(text));
                let kind = text("type").unwrap_or_default();
                let source = text("source").or_else(|| text("src")).filter(|_| kind == "volume" || kind == "bind")?;
                let read_only = text("read_only").is_some_and(|text| text == "true");
                (source, text("target").or_else(|| text("dst"))?, read_only)
            }
        };
        let place = if source.starts_with(['.', '/']) {
            Some(mount.path_of(&source))
        } else if source.starts_with('~') {
            None
        } else {
            Some(format!("volume:{}", self.volume(&source)))
        };
        Some((target, place.filter(|_| !read_only)))
    }

    /// A volume's whole name.
    fn volume(&self, key: &str) -> String {
        let declared = self.project.root.get("volumes").and_then(|volumes| volumes.get(key));
        let external = declared.and_then(|volume| volume.get("external"));
        let name = declared.and_then(|volume| volume.get("name")).or_else(|| external?.get("name"));
        match name.and_then(Node::text) {
            Some(name) => self.project.value_of(name),
            None if external.and_then(Node::text) == Some("true") => key.to_owned(),
            None => format!("{}_{key}", self.name),
        }
    }
}

fn project_name(directory: &Path, project: &Project) -> String {
    if let Some(name) = project.environment.get("COMPOSE_PROJECT_NAME").filter(|name| !name.is_empty()) {
        return name.clone();
    }
    if let Some(name) = project.root.get("name").and_then(Node::text) {
        return project.value_of(name);
    }
    let folder = directory.file_name().map(|name| name.to_string_lossy().to_lowercase()).unwrap_or_default();
    let name: String = folder.chars().filter(|c| c.is_ascii_alphanumeric() || "_-".contains(*c)).collect();
    name.trim_start_matches(['_', '-']).to_owned()
}
