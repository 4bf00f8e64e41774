//! Pods of podman by their files, and the `.env` that fills them in.

use super::part::{Part, Role, address};
use super::{Platform, Stack, Store, files, kinds, push_new, scripts, wrong, yaml_files};
use crate::config::init::{project, text_of};
use pod_files::{Container, File, Pod, Source, Unit, image, service_of, variables};
use serde_json::Value;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

/// Beneath the project's folder.
const FOLDERS: [&str; 2] = ["", "pods"];
/// What may be a unit that plays files.
const UNITS: [&str; 2] = [".kube", ".service"];
const BESIDE: [&str; 2] = ["ConfigMap", "PersistentVolumeClaim"];
/// What a product's hops name.
const COMMANDS: [&str; 2] = ["bootstrap-secrets", "validate"];

/// None where no file declares a pod.
pub(super) fn look(directory: &Path, unit_folders: &[&Path]) -> io::Result<Option<Stack>> {
    let set: BTreeMap<String, String> =
        variables(&text_of(&directory.join(".env")).unwrap_or_default()).into_iter().collect();
    let (mut found, mut config_maps) = (Vec::new(), Vec::new());
    for (path, text) in FOLDERS.iter().flat_map(|folder| yaml_files(directory, folder)) {
        if kinds(&text).any(|kind| kind == "Pod") {
            found.push((File::read(&path, &text, &set).map_err(wrong)?, text));
        } else if kinds(&text).next().is_some() && kinds(&text).all(|kind| BESIDE.contains(&kind)) {
            config_maps.push(path);
        }
    }
    if found.is_empty() {
        return Ok(None);
    }
    let mut parts = Vec::new();
    for (file, text) in &found {
        for pod in &file.pods {
            parts.extend(pod.containers.iter().filter_map(|container| part(directory, (file, text), pod, container)));
        }
    }
    let (mut networks, mut units) = (networks(directory), Vec::new());
    for (file, unit) in played(directory, unit_folders) {
        if found.iter().any(|(known, _)| known.name == file) {
            unit.networks.iter().for_each(|network| push_new(&mut networks, network));
            if !units.contains(&(file.clone(), unit.name.clone())) {
                units.push((file, unit.name));
            }
        }
    }
    let platform = Platform::Podman { engine: None, pods: Vec::new(), config_maps, networks, units };
    let mut stack = Stack::of(platform, directory, &set, &parts);
    // Servers first, the product last.
    let of =
        |service: &str, role: fn(Role) -> bool| parts.iter().any(|part| part.service == service && role(part.role));
    found.sort_by_key(|(file, _)| match service_of(&file.name) {
        service if of(service, Role::is_server) => 0,
        service if stack.services.iter().any(|own| own == service) => 2,
        _ => 1,
    });
    if let Platform::Podman { pods, .. } = &mut stack.platform {
        pods.extend(found.into_iter().map(|(file, _)| file.name));
    }
    stack.commands = COMMANDS.iter().filter_map(|name| Some((*name, project::named(directory, name)?))).collect();
    Ok(Some(stack))
}

/// By units of the machine, and by quadlets that lie with the files: paths from `directory`.
fn played(directory: &Path, unit_folders: &[&Path]) -> Vec<(String, Unit)> {
    let own = FOLDERS.map(|folder| directory.join(folder));
    let mut found = Vec::new();
    for folder in unit_folders.iter().copied().chain(own.iter().map(PathBuf::as_path)) {
        for name in files(folder, &UNITS) {
            let unit = text_of(&folder.join(&name)).and_then(|text| Unit::read(&name, &text));
            let Some(unit) = unit else { continue };
            for file in &unit.files {
                let place = std::fs::canonicalize(folder.join(file)).ok();
                let below = place.as_deref().and_then(|place| place.strip_prefix(directory).ok());
                found.extend(below.map(|below| (below.display().to_string(), unit.clone())));
            }
        }
    }
    found
}

/// None for one that only waits for a server, before the others begin.
fn part(directory: &Path, (file, text): (&File, &str), pod: &Pod, container: &Container) -> Option<Part> {
    let role = Role::of(&container.image);
    if container.init && role != Role::Own {
        return None;
    }
    let service = service_of(&file.name).to_owned();
    let written = image(&file.name, text, &container.name).map(|place| place.reference);
    let places = container.mounts.iter().filter(|mount| !mount.read_only).filter_map(|mount| match &mount.source {
        Source::Volume(name) => Some(format!("volume:{name}")),
        Source::Path(path) => Some(path.clone()),
        Source::Empty | Source::Settings(_) => None,
    });
    let declared = declared(pod, container);
    Some(Part {
        name: format!("{service}/{}", container.name),
        image: Some(written.unwrap_or_else(|_| container.image.clone())),
        role,
        environment: environment(declared, container),
        mounts: places.filter_map(|place| Store::of(directory, place, &service, "")).collect(),
        address: declared["ports"].as_array().into_iter().flatten().find_map(published),
        service,
    })
}

/// As it stands in the document.
fn declared<'p>(pod: &'p Pod, container: &Container) -> &'p Value {
    let key = if container.init { "initContainers" } else { "containers" };
    let all = pod.document["spec"][key].as_array();
    all.into_iter().flatten().find(|one| one["name"] == container.name).unwrap_or(&Value::Null)
}

fn environment(declared: &Value, container: &Container) -> BTreeMap<String, String> {
    let names = declared["env"].as_array().into_iter().flatten().filter_map(|entry| entry["name"].as_str());
    let mut all: BTreeMap<String, String> = names.map(|name| (name.to_owned(), String::new())).collect();
    all.extend(container.environment.clone());
    all
}

fn published(port: &Value) -> Option<String> {
    let host_port = match &port["hostPort"] {
        Value::String(text) => text.clone(),
        other => other.as_u64()?.to_string(),
    };
    address(port["hostIP"].as_str().unwrap_or_default(), &host_port)
}

/// That a script plays the files in.
fn networks(directory: &Path) -> Vec<String> {
    let mut networks = Vec::new();
    for command in scripts::commands(directory, "podman") {
        if command.has("kube") && command.has("play") {
            for network in command.options(&["--network", "--net"]).filter(|name| scripts::is_name(name)) {
                push_new(&mut networks, network);
            }
        }
    }
    networks
}
