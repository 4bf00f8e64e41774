//! Whether what runs is what a file declares, also of a pod that somebody made by hand.

use crate::pod::{Mount, Pod, Source};
use std::collections::BTreeMap;

/// A container of a pod, the engine's own apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Running {
    /// As the engine calls it: `<pod>-<container>`.
    pub name: String,
    /// The name of the image that it was made from.
    pub image: String,
    pub environment: BTreeMap<String, String>,
    /// What it sees of the machine: a volume's name or a path, by where it sees it.
    pub mounts: BTreeMap<String, String>,
}

/// Why it is another than the file says; none: it is what the file says, as far as it can be seen.
pub fn differs(pod: &Pod, running: &[Running]) -> Option<String> {
    for container in pod.running() {
        let name = pod.container_name(container);
        let Some(found) = running.iter().find(|running| running.name == name) else {
            return Some(format!("`{name}` is not there"));
        };
        if familiar(&found.image) != familiar(&container.image) {
            return Some(format!("`{name}` runs `{}`, and the file says `{}`", found.image, container.image));
        }
        let other = |(key, value): &(&String, &String)| found.environment.get(*key) != Some(*value);
        // Its value may be a secret.
        if let Some((key, _)) = container.environment.iter().find(other) {
            return Some(format!("`{name}` has another `{key}` in its environment than the file says"));
        }
        if let Some(mount) = container.mounts.iter().find(|mount| !is_mounted(mount, found)) {
            return Some(format!("`{name}` has something else at `{}` than the file says", mount.target));
        }
    }
    let declared: Vec<String> = pod.containers.iter().map(|container| pod.container_name(container)).collect();
    let more = running.iter().find(|running| !declared.contains(&running.name));
    more.map(|running| format!("`{}` is in no file", running.name))
}

fn is_mounted(mount: &Mount, running: &Running) -> bool {
    let found = running.mounts.get(mount.target.trim_end_matches('/')).or_else(|| running.mounts.get(&mount.target));
    match &mount.source {
        Source::Volume(name) => found == Some(name),
        Source::Path(path) => found.map(|path| path.trim_end_matches('/')) == Some(path.trim_end_matches('/')),
        // Where it lies is the engine's.
        Source::Empty | Source::Settings(_) => true,
    }
}

/// A name as its user wrote it, where the engine says the whole of it.
pub fn familiar(reference: &str) -> String {
    let bare = reference.strip_prefix("docker.io/").or_else(|| reference.strip_prefix("localhost/"));
    let bare = bare.unwrap_or(reference);
    let bare = bare.strip_prefix("library/").unwrap_or(bare);
    let last = bare.rsplit('/').next().unwrap_or(bare);
    if last.contains(':') || last.contains('@') { bare.to_owned() } else { format!("{bare}:latest") }
}
