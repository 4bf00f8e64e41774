//! Units of systemd that start a service's pods: each would, at the next boot or when a pod ends, on data that is being
//! worked on.

use super::{Checks, Pods, Service};
use crate::driver::process::Account;
use crate::model::VerbError;
use pod_files::{Unit, pods_named};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// On a container that a unit started.
const UNIT_LABEL: &str = "PODMAN_SYSTEMD_UNIT";
/// Beneath a user's home: quadlets, and what is enabled.
const OF_A_USER: [&str; 2] = [".config/containers/systemd", ".config/systemd/user"];
const DEPTH: usize = 3;
const FILE_BYTES: u64 = 1 << 20;

/// A unit that starts pods of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Starter {
    pub service: String,
    pub unit: String,
    /// What makes it one: a quadlet, or a file in a folder of what is enabled. None: all that is known is what its
    /// containers say.
    pub file: Option<PathBuf>,
    pub quadlet: bool,
    /// `systemctl --user`
    pub of_a_user: bool,
}

impl Pods {
    /// By what the running containers say, and by the files of units on this machine.
    pub async fn starters(&self) -> Result<Vec<Starter>, VerbError> {
        if self.double.is_some() {
            return Ok(Vec::new());
        }
        let declaration = self.declaration(false).await?;
        let services: Vec<&Service> = declaration.services.iter().collect();
        let user = self.engine.user().await?;
        let starter = |service: &str, unit: &str| Starter {
            service: service.to_owned(),
            unit: unit.to_owned(),
            file: None,
            quadlet: false,
            of_a_user: user.is_some(),
        };
        let mut found = BTreeMap::new();
        for standing in self.of_services(&declaration, &services, Checks::Leave).await? {
            for unit in standing.containers.iter().filter_map(|container| container.labels.get(UNIT_LABEL)) {
                found.insert((standing.service.clone(), unit.clone()), starter(&standing.service, unit));
            }
        }
        let mut folders = self.machine.systemd.quadlets.clone();
        folders.push(self.machine.systemd.units.clone());
        if let Some(user) = user.map(|user| user.to_string()) {
            folders.push(Path::new("/run/user").join(&user).join("containers/systemd"));
            // One that this machine doesn't know has none.
            let home = Account::find(&user).await.ok().map(|account| PathBuf::from(account.home));
            folders.extend(home.iter().flat_map(|home| OF_A_USER.map(|folder| home.join(folder))));
        }
        let looked = tokio::task::spawn_blocking(move || look(&folders)).await.unwrap_or_default();
        for (file, unit) in looked {
            for service in &services {
                if plays(&file, &unit, &self.directory, service) {
                    let known = starter(&service.name, &unit.name);
                    let known = Starter { file: Some(file.clone()), quadlet: unit.quadlet, ..known };
                    found.insert((service.name.clone(), unit.name.clone()), known);
                }
            }
        }
        Ok(found.into_values().collect())
    }
}

fn look(folders: &[PathBuf]) -> Vec<(PathBuf, Unit)> {
    let mut found = Vec::new();
    folders.iter().for_each(|folder| look_into(folder, DEPTH, &mut found));
    found
}

/// Of services only what is enabled: a link in `default.target.wants`.
fn look_into(folder: &Path, depth: usize, found: &mut Vec<(PathBuf, Unit)>) {
    let enabled = ["wants", "requires"].iter().any(|end| folder.extension().is_some_and(|last| last == *end));
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
        if name.ends_with(".kube") || (enabled && name.ends_with(".service")) {
            // A template's link says all by its name.
            found.extend(Unit::read(&name, &text_of(&path)).map(|unit| (path, unit)));
        } else if depth > 0 && !name.ends_with(".d") && path.is_dir() {
            look_into(&path, depth - 1, found);
        }
    }
}

/// The service's own file, or another with a pod of the same name.
fn plays(place: &Path, unit: &Unit, directory: &Path, service: &Service) -> bool {
    let real = |path: &Path| fs::canonicalize(path).ok();
    let own = real(&directory.join(&service.file.name));
    let beside = place.parent().unwrap_or(Path::new("/"));
    unit.files.iter().map(|file| beside.join(file)).any(|played| {
        let is_it = own.is_some() && real(&played) == own;
        is_it || pods_named(&text_of(&played)).iter().any(|name| service.file.pods.iter().any(|pod| pod.name == *name))
    })
}

/// Empty where there is none.
fn text_of(path: &Path) -> String {
    let small = path.metadata().is_ok_and(|meta| meta.is_file() && meta.len() <= FILE_BYTES);
    small.then(|| fs::read_to_string(path).ok()).flatten().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use pod_files::File;
    use std::os::unix::fs::symlink;

    #[test]
    fn units_are_found_by_their_files() {
        let folder = tempfile::tempdir().unwrap();
        let at = |path: &str| folder.path().join(path);
        let write = |path: &str, text: &str| {
            fs::create_dir_all(at(path).parent().unwrap()).unwrap();
            fs::write(at(path), text).unwrap();
        };
        let pod = |name: &str| {
            format!("kind: Pod\nmetadata: {{ name: {name} }}\nspec: {{ containers: [{{ name: a, image: b }}] }}\n")
        };
        let project = at("project");
        write("project/pod-core.yaml", &pod("core"));
        let file = File::plain("pod-core.yaml", &pod("core")).unwrap();
        let core = Service { name: "core".into(), file };
        let found = || {
            let looked = look(&[at("quadlets"), at("units")]);
            let ours = looked.into_iter().filter(|(file, unit)| plays(file, unit, &project, &core));
            let mut names: Vec<String> = ours.map(|(_, unit)| unit.name).collect();
            names.sort();
            names
        };
        write("quadlets/web.kube", "[Kube]\nYaml=web.yaml\n");
        write("quadlets/web.yaml", &pod("web"));
        write("units/web.service", &format!("ExecStart=podman kube play {}/pod-core.yaml\n", project.display()));
        assert_eq!(found(), Vec::<String>::new(), "other pods, and what is not enabled");

        write("quadlets/aegis/core.kube", "[Kube]\nYaml=../../project/pod-core.yaml\n");
        write("quadlets/copy.kube", "[Kube]\nYaml=copy.yaml\n");
        write("quadlets/copy.yaml", &pod("core").replace("image: b", "image: '${B}'"));
        fs::create_dir(at("units/default.target.wants")).unwrap();
        symlink(at("units/web.service"), at("units/default.target.wants/web.service")).unwrap();
        let escaped = project.join("pod-core.yaml").display().to_string().replace('-', "\\x2d").replace('/', "-");
        let template = format!("podman-kube@{escaped}.service");
        symlink("/usr/lib/systemd/system/podman-kube@.service", at(&format!("units/default.target.wants/{template}")))
            .unwrap();
        assert_eq!(found(), ["copy.service", "core.service", &template, "web.service"]);
    }
}
