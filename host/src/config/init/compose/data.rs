//! What the services of a Compose project keep: databases by their servers, volumes and folders.

use super::{Database, Kind, Service, Store};
use crate::config::init::text_of;
use compose_files::{Node, Project, variables};
use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

#[derive(Default)]
pub(super) struct Data {
    pub databases: Vec<Database>,
    pub stores: Vec<Store>,
    pub caches: Vec<Store>,
    pub files_mounted: Vec<Store>,
}

pub(super) fn of(directory: &Path, project: &Project, services: &[&Service<'_>]) -> Data {
    let mut data = Data::default();
    let name = project_name(directory, project);
    for service in services {
        match service.kind {
            // A server's own data is what its datastore names by the service.
            Kind::Postgres => data.databases.push(postgres(service, &environment(directory, service))),
            Kind::Mysql => data.databases.push(mysql(service, &environment(directory, service))),
            Kind::Cache | Kind::Proxy | Kind::Other => {
                for store in stores(directory, project, service, &name) {
                    let is_file = !store.place.starts_with("volume:") && directory.join(&store.place).is_file();
                    let kind = match service.kind {
                        _ if is_file => &mut data.files_mounted,
                        Kind::Cache => &mut data.caches,
                        _ => &mut data.stores,
                    };
                    kind.push(store);
                }
            }
        }
    }
    // What two services share is named once; what one keeps for good is not a cache's.
    let mut seen: Vec<String> = Vec::new();
    for stores in [&mut data.stores, &mut data.caches, &mut data.files_mounted] {
        // A folder comes before what lies in it.
        stores.sort_by(|a, b| a.place.cmp(&b.place));
        stores.retain(|store| {
            let beneath = |other: &String| Path::new(&store.place).starts_with(other);
            let new = !seen.iter().any(beneath);
            seen.push(store.place.clone());
            new
        });
    }
    let mut names: BTreeMap<String, usize> = BTreeMap::new();
    for store in &mut data.stores {
        let number = names.entry(store.name.clone()).or_insert(0);
        *number += 1;
        if *number > 1 {
            store.name = format!("{}-{number}", store.name);
        }
    }
    data
}

fn postgres(service: &Service<'_>, environment: &BTreeMap<String, String>) -> Database {
    let get = |names: &[&str]| names.iter().find_map(|name| environment.get(*name)).filter(|value| !value.is_empty());
    let user = get(&["POSTGRES_USER", "POSTGRESQL_USERNAME"]).cloned().unwrap_or_else(|| "postgres".into());
    let database = get(&["POSTGRES_DB", "POSTGRESQL_DATABASE"]).cloned().unwrap_or_else(|| user.clone());
    let trusted = environment.get("POSTGRES_HOST_AUTH_METHOD").is_some_and(|method| method == "trust");
    let passwords = ["POSTGRES_PASSWORD", "POSTGRES_PASSWORD_FILE", "POSTGRESQL_PASSWORD"];
    let password = passwords.into_iter().find(|name| environment.contains_key(*name) && !trusted);
    Database {
        service: service.name.clone(),
        plugin: "postgres",
        user,
        database: Some(database),
        password: password.map(str::to_owned),
    }
}

/// Its account is best one of its own: the one that the product uses is locked while the database is fenced.
fn mysql(service: &Service<'_>, environment: &BTreeMap<String, String>) -> Database {
    let database = ["MYSQL_DATABASE", "MARIADB_DATABASE"].iter().find_map(|name| environment.get(*name));
    let database = database.filter(|name| !name.is_empty()).cloned();
    Database { service: service.name.clone(), plugin: "mysql", user: "upgraded".into(), database, password: None }
}

/// Of a service's `env_file` and `environment`, the latter first.
fn environment(directory: &Path, service: &Service<'_>) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    for item in service.node.get("env_file").into_iter().flat_map(|node| match node.items() {
        [] => std::slice::from_ref(node),
        items => items,
    }) {
        let Some(path) = item.get("path").unwrap_or(item).text() else { continue };
        let path = item.path_of(&service.project.value_of(path));
        all.extend(variables(&text_of(&directory.join(path)).unwrap_or_default()));
    }
    for (key, value) in service.node.get("environment").map(Node::pairs).unwrap_or_default() {
        match value {
            Some(value) => drop(all.insert(key.to_owned(), service.project.value_of(value))),
            None => all.extend(service.project.environment.get(key).map(|value| (key.to_owned(), value.clone()))),
        }
    }
    all
}

/// Named volumes and folders of this machine that it may write to.
fn stores(directory: &Path, project: &Project, service: &Service<'_>, project_name: &str) -> Vec<Store> {
    let mut by_target: Vec<(String, Option<String>)> = Vec::new();
    for mount in service.node.get("volumes").map(Node::items).unwrap_or_default() {
        let Some((target, place)) = mounted(project, mount, project_name) else { continue };
        by_target.retain(|(known, _)| *known != target);
        by_target.push((target, place));
    }
    let places = by_target.into_iter().filter_map(|(_, place)| place);
    places
        .map(|place| beneath(directory, place))
        .filter(|place| !place.is_empty() && !is_of_the_machine(place))
        .map(|place| Store { name: key_of(&place, project_name), place, service: service.name.clone() })
        .collect()
}

/// From the project's folder; from the root where it lies elsewhere.
fn beneath(directory: &Path, place: String) -> String {
    if place.starts_with("volume:") {
        return place;
    }
    let mut whole = PathBuf::new();
    for part in directory.join(&place).components() {
        match part {
            Component::ParentDir => drop(whole.pop()),
            other => whole.push(other),
        }
    }
    whole.strip_prefix(directory).unwrap_or(&whole).display().to_string()
}

/// Where it is in the container, and what it is where it can be written to.
fn mounted(project: &Project, mount: &Node, project_name: &str) -> Option<(String, Option<String>)> {
    let (source, target, read_only) = match mount.text() {
        Some(text) => {
            let text = project.value_of(text);
            let parts: Vec<&str> = text.split(':').collect();
            let [source, target, mode @ ..] = &parts[..] else { return None };
            let read_only = mode.iter().flat_map(|mode| mode.split(',')).any(|word| word == "ro");
            ((*source).to_owned(), (*target).to_owned(), read_only)
        }
        None => {
            let text = |key| mount.get(key).and_then(Node::text).map(|text| project.value_of(text));
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
        Some(format!("volume:{}", volume(project, &source, project_name)))
    };
    Some((target, place.filter(|_| !read_only)))
}

/// A volume's whole name.
fn volume(project: &Project, key: &str, project_name: &str) -> String {
    let declared = project.root.get("volumes").and_then(|volumes| volumes.get(key));
    let external = declared.and_then(|volume| volume.get("external"));
    let name = declared.and_then(|volume| volume.get("name")).or_else(|| external?.get("name"));
    match name.and_then(Node::text) {
        Some(name) => project.value_of(name),
        None if external.and_then(Node::text) == Some("true") => key.to_owned(),
        None => format!("{project_name}_{key}"),
    }
}

/// As Compose names a project.
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

/// What the datastore calls it: `uploads` of `volume:shop_uploads` and of `data/uploads`.
fn key_of(place: &str, project_name: &str) -> String {
    let name = match place.strip_prefix("volume:") {
        Some(volume) => volume.strip_prefix(&format!("{project_name}_")).unwrap_or(volume),
        None => place.rsplit('/').next().unwrap_or(place),
    };
    let name: String = name.chars().map(|c| if c.is_ascii_alphanumeric() || c == '_' { c } else { '-' }).collect();
    let name = name.trim_matches('-');
    if name.is_empty() { "data".to_owned() } else { name.to_owned() }
}

fn is_of_the_machine(place: &str) -> bool {
    ["/dev", "/proc", "/sys", "/run", "/var/run"].iter().any(|known| Path::new(place).starts_with(known))
}
