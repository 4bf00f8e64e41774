//! Units of systemd that start a service's pods. One that plays the service's own file and nothing else is what the service is
//! started and stopped through ([`super::through`]); any other would, at the next boot or when a pod ends, start pods on data
//! that is being worked on.

use super::{Checks, Declaration, Pods, Service};
use crate::driver::process::Account;
use crate::model::VerbError;
use pod_files::{File, Play, Unit, fetched_again, filled, pods_named};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// On a container that a unit started.
pub(super) const UNIT_LABEL: &str = "PODMAN_SYSTEMD_UNIT";
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
    /// Why its pods can't be started and stopped through it; none: they can.
    pub obstacle: Option<Obstacle>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Obstacle {
    /// systemd doesn't say what it starts.
    Silent(String),
    /// It starts something else, or not it alone.
    Unit(String),
    /// The file says what podman alone would understand otherwise than the daemon does.
    File(String),
}

impl Obstacle {
    pub fn why(&self) -> &str {
        match self {
            Self::Silent(why) | Self::Unit(why) | Self::File(why) => why,
        }
    }
}

impl Pods {
    /// By what the running containers say, and by the files of units on this machine; with what stands against their files
    /// now and as they are planned.
    pub async fn starters(&self) -> Result<Vec<Starter>, VerbError> {
        let mut found = self.found().await?;
        for starter in found.iter_mut().filter(|starter| starter.obstacle.is_none()) {
            for planned in [false, true] {
                if let Some(why) = self.not_as_it_stands(&starter.service, planned).await? {
                    starter.obstacle = Some(Obstacle::File(why));
                    break;
                }
            }
        }
        Ok(found)
    }

    /// By services, the units that they are started and stopped through.
    pub(super) async fn units(&self) -> Result<BTreeMap<String, String>, VerbError> {
        let mut units = BTreeMap::new();
        for Starter { service, unit, obstacle, .. } in self.found().await? {
            match obstacle {
                None | Some(Obstacle::File(_)) => drop(units.insert(service, unit)),
                Some(Obstacle::Silent(why)) => {
                    let message = format!("the unit `{unit}` starts the pods of `{service}`, and {why}");
                    return Err(VerbError::Unavailable(message));
                }
                Some(Obstacle::Unit(_)) => {}
            }
        }
        Ok(units)
    }

    async fn found(&self) -> Result<Vec<Starter>, VerbError> {
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
            obstacle: None,
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
        let mut judged = Vec::new();
        for starter in found.into_values() {
            judged.extend(self.judged(&declaration, starter).await?);
        }
        let units: Vec<(String, String)> =
            judged.iter().map(|starter| (starter.service.clone(), starter.unit.clone())).collect();
        for starter in &mut judged {
            let other = units.iter().find(|(service, unit)| *service == starter.service && *unit != starter.unit);
            if let Some((_, other)) = other {
                starter.obstacle.get_or_insert(Obstacle::Unit(format!("`{other}` starts them, too")));
            }
        }
        Ok(judged)
    }

    /// By what systemd says of it; none: it is gone, and starts nothing any more.
    async fn judged(&self, declaration: &Declaration, starter: Starter) -> Result<Option<Starter>, VerbError> {
        let judged = |obstacle| Ok(Some(Starter { obstacle, ..starter.clone() }));
        if starter.of_a_user {
            let why = "it is a unit of an ordinary user's systemd, to which the daemon does not speak";
            return judged(Some(Obstacle::Unit(why.into())));
        }
        let unit = match self.machine.systemd.look(&starter.unit).await {
            Ok(unit) => unit,
            Err(error) => return judged(Some(Obstacle::Silent(format!("systemd does not say what it is: {error}")))),
        };
        let known = "`systemctl daemon-reload` would be right";
        if !unit.loaded && starter.file.is_none() && unit.is_at_rest() {
            return Ok(None);
        }
        if !unit.loaded {
            return judged(Some(Obstacle::Unit(format!("systemd does not know it: {known}"))));
        }
        if unit.stale {
            return judged(Some(Obstacle::Unit(format!("its files are others than systemd has read: {known}"))));
        }
        let service = declaration.service(self, &starter.service)?;
        let ours = Ours {
            file: self.directory.join(&service.file.name),
            networks: &self.config.networks,
            config_maps: self.config.config_maps.iter().map(|path| self.directory.join(path)).collect(),
        };
        judged(ours.otherwise(&unit.commands).map(Obstacle::Unit))
    }

    /// Why a unit, which plays the file as it stands, would make something else of it than we do; none: it would not.
    async fn not_as_it_stands(&self, service: &str, planned: bool) -> Result<Option<String>, VerbError> {
        let declaration = self.said(planned).await?;
        // The planned files may not have it any more.
        let Some(service) = declaration.services.iter().find(|known| known.name == service) else { return Ok(None) };
        let set = self.set(planned).await?;
        let text = self.required(Path::new(&service.file.name), planned).await?;
        if let Some(why) = not_as_it_stands(service, &text, &set) {
            return Ok(Some(why));
        }
        for path in &self.config.config_maps {
            let text = self.required(path, planned).await?;
            let names = filled(&text, &set);
            if !names.is_empty() {
                return Ok(Some(to_be_filled(&path.display().to_string(), &names)));
            }
        }
        Ok(None)
    }
}

/// What is played of a service, and how.
struct Ours<'a> {
    file: PathBuf,
    networks: &'a [String],
    config_maps: Vec<PathBuf>,
}

impl Ours<'_> {
    /// Why these commands don't play the file and nothing else; none: they do, as we would.
    fn otherwise(&self, commands: &[String]) -> Option<String> {
        let right = "`podman kube play FILE` would be right";
        let play = match commands {
            [command] => match Play::read(command) {
                Some(play) => play,
                None => return Some(format!("it is started by `{command}`: {right}")),
            },
            _ => return Some(format!("it is started by {} commands: {right}", commands.len())),
        };
        match &play.files[..] {
            [file] if is_same(Path::new(file), &self.file) => {}
            files => {
                return Some(format!("it plays `{}`, and not `{}` alone", files.join("`, `"), self.file.display()));
            }
        }
        if let Some(strange) = play.strange {
            return Some(format!("it plays with `{strange}`, and what becomes of that is not known here"));
        }
        let (its, ours): (BTreeSet<String>, _) =
            (play.networks.into_iter().collect(), self.networks.iter().cloned().collect());
        if its != ours {
            return Some(format!("it plays into {}, and `networks` says {}", told(&its), told(&ours)));
        }
        let real = |path: &Path| fs::canonicalize(path).unwrap_or_else(|_| path.to_owned()).display().to_string();
        let its: BTreeSet<String> = play.config_maps.iter().map(|path| real(Path::new(path))).collect();
        let ours = self.config_maps.iter().map(|path| real(path)).collect();
        (its != ours).then(|| format!("it plays with {}, and `config-maps` says {}", told(&its), told(&ours)))
    }
}

/// `text`: of its file, in which `set` fills in variables.
fn not_as_it_stands(service: &Service, text: &str, set: &BTreeMap<String, String>) -> Option<String> {
    let name = &service.file.name;
    if File::plain(name, text).map_or(true, |plain| plain != service.file) {
        return Some(to_be_filled(name, &filled(text, set)));
    }
    let again = service.file.pods.iter().find_map(fetched_again)?;
    Some(format!(
        "podman would fetch the image `{}` of `{}/{}` again: a tag of a version, or `imagePullPolicy: IfNotPresent` would be \
         right",
        again.image, service.name, again.name
    ))
}

fn to_be_filled(file: &str, names: &[&str]) -> String {
    format!(
        "`{file}` has `{}` to be filled in, and the unit plays it as it stands: the values themselves would be right there",
        names.join("`, `")
    )
}

fn told(names: &BTreeSet<String>) -> String {
    match names.len() {
        0 => "none".into(),
        _ => names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", "),
    }
}

fn is_same(one: &Path, other: &Path) -> bool {
    let real = fs::canonicalize(one).ok();
    one.is_absolute() && real.is_some() && real == fs::canonicalize(other).ok()
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

    #[test]
    fn only_a_unit_that_plays_the_file_as_we_do_is_worked_through() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("pod-core.yaml");
        fs::write(&file, "").unwrap();
        fs::write(folder.path().join("other.yaml"), "").unwrap();
        symlink(&file, folder.path().join("link.yaml")).unwrap();
        let networks = ["aegis".to_owned()];
        let maps = vec![folder.path().join("settings.yaml")];
        let why = |commands: &[&str]| {
            let place = folder.path().display();
            let commands: Vec<String> = commands
                .iter()
                .map(|options| format!("/usr/bin/podman kube play {options}").replace(" HERE/", &format!(" {place}/")))
                .map(|command| command.replace("=HERE/", &format!("={place}/")))
                .collect();
            Ours { file: file.clone(), networks: &networks, config_maps: maps.clone() }.otherwise(&commands)
        };
        let usual = "--replace --network aegis --configmap=HERE/settings.yaml";
        assert_eq!(why(&[&format!("{usual} HERE/pod-core.yaml")]), None);
        assert_eq!(
            why(&[&format!("--service-container=true {usual} HERE/link.yaml")]),
            None,
            "the same by another name"
        );
        for (commands, said) in [
            (vec![], "it is started by 0 commands"),
            (vec![format!("{usual} HERE/pod-core.yaml"); 2], "it is started by 2 commands"),
            (vec![format!("{usual} HERE/other.yaml")], "other.yaml`, and not `"),
            (vec![format!("{usual} HERE/pod-core.yaml HERE/other.yaml")], "other.yaml`, and not `"),
            (vec![format!("{usual} pod-core.yaml")], "it plays `pod-core.yaml`, and not `/"),
            (vec![format!("--build {usual} HERE/pod-core.yaml")], "it plays with `--build`"),
            (
                vec!["--configmap=HERE/settings.yaml HERE/pod-core.yaml".into()],
                "into none, and `networks` says `aegis`",
            ),
            (vec!["--network=aegis HERE/pod-core.yaml".into()], "it plays with none, and `config-maps` says `/"),
        ] {
            let commands: Vec<&str> = commands.iter().map(String::as_str).collect();
            let why = why(&commands).unwrap();
            assert!(why.contains(said), "{commands:?}: {why}");
        }
        let ours = Ours { file, networks: &[], config_maps: Vec::new() };
        let other = ours.otherwise(&["/usr/local/bin/redeploy core".into()]).unwrap();
        assert!(other.contains("it is started by `/usr/local/bin/redeploy core`"), "{other}");
    }

    #[test]
    fn a_file_that_means_something_else_to_podman_alone_is_named() {
        let set = BTreeMap::from([("TAG".to_owned(), "1".to_owned())]);
        let why = |text: &str| {
            let text =
                format!("kind: Pod\nmetadata: {{ name: core }}\nspec:\n  containers:\n    - {{ name: a, {text} }}\n");
            let file = File::read("pod-core.yaml", &text, &set).unwrap();
            not_as_it_stands(&Service { name: "core".into(), file }, &text, &set)
        };
        assert_eq!(
            why("image: 'r/a:1', command: [sh, -c, 'echo $HOME']"),
            None,
            "what nothing fills in is the shell's"
        );
        assert_eq!(
            why("image: 'r/a:1' } # ${TAG}\n    - { name: b, image: 'r/b:1'"),
            None,
            "a comment is none of the file"
        );
        assert!(why("image: 'r/a:${TAG}'").unwrap().contains("has `TAG` to be filled in"));
        assert!(why("image: 'r/a:1', args: ['${PORT:-80}']").unwrap().contains("has `PORT` to be filled in"));
        assert!(why("image: r/a").unwrap().contains("podman would fetch the image `r/a` of `core/a` again"));
    }
}
