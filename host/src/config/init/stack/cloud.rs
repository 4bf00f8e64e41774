//! Services of Google's Cloud Run, and an instance of Cloud SQL, by the files and scripts that deploy them.

use super::scripts::{self, Command, is_name};
use super::version::{begins_with_a_number, most, without_v};
use super::{Data, Platform, Stack, Version, kinds, push_new, text_at, wrong, yaml_files};
use crate::config::init::text_of;
use compose_files::{Image, Mistake, Node};
use pod_files::{left, substituted, variables};
use std::io;
use std::path::Path;

/// Beneath the project's folder.
const FOLDERS: [&str; 4] = ["", "cloud-run", "deploy", "services"];
const API: &str = "serving.knative.dev/v1";
const INSTANCES: &str = "run.googleapis.com/cloudsql-instances";
const LOCATION: &str = "cloud.googleapis.com/location";

/// As far as files say it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Region {
    /// The file that says that it is one.
    pub source: String,
    pub project: Option<String>,
    pub region: Option<String>,
    /// With `{service}` and `{version}`.
    pub image: Option<String>,
    pub image_of: Vec<(String, String)>,
    pub jobs: Vec<String>,
    /// The path of a probe.
    pub health: Option<String>,
}

#[derive(Default)]
struct Found {
    region: Region,
    /// In the order in which they are named, each with its image.
    services: Vec<(String, Option<String>)>,
    instances: Vec<String>,
}

/// None where nothing deploys to Cloud Run.
pub(super) fn look(directory: &Path) -> io::Result<Option<Stack>> {
    let set = variables(&text_of(&directory.join(".env")).unwrap_or_default()).into_iter().collect();
    let mut found = Found::default();
    for (path, text) in FOLDERS.iter().flat_map(|folder| yaml_files(directory, folder)) {
        if text.contains(API) && kinds(&text).any(|kind| kind == "Service") {
            found.file(&path, &substituted(&text, &set)).map_err(wrong)?;
        }
    }
    for command in scripts::commands(directory, "gcloud") {
        found.command(&command);
    }
    Ok((!found.region.source.is_empty()).then(|| found.stack()))
}

impl Found {
    fn file(&mut self, path: &str, text: &str) -> Result<(), Mistake> {
        for document in Node::documents(path, "", text)? {
            if text_at(&document, &["apiVersion"]) != Some(API) || text_at(&document, &["kind"]) != Some("Service") {
                continue;
            }
            let why = "this service has no `metadata.name`; what it is called on Cloud Run would be right";
            let missing = || Mistake { file: path.into(), line: Some(document.place.line), why: why.into() };
            let name = text_at(&document, &["metadata", "name"]).ok_or_else(missing)?;
            self.seen(path);
            let template = ["spec", "template"].as_slice();
            let containers = document.at(&["spec", "template", "spec", "containers"]).map(Node::items);
            let container = containers.unwrap_or_default().first();
            self.service(name, container.and_then(|container| text_at(container, &["image"])));
            note(&mut self.region.region, text_at(&document, &["metadata", "labels", LOCATION]));
            let annotation = text_at(&document, &[template, &["metadata", "annotations", INSTANCES]].concat());
            for instance in annotation.unwrap_or_default().split(',') {
                if let [project, region, name] = instance.trim().split(':').collect::<Vec<_>>()[..] {
                    note(&mut self.region.project, Some(project));
                    note(&mut self.region.region, Some(region));
                    push_new(&mut self.instances, name);
                }
            }
            for probe in ["livenessProbe", "startupProbe"] {
                let path = container.and_then(|container| text_at(container, &[probe, "httpGet", "path"]));
                self.region.health = self.region.health.take().or(path.map(str::to_owned));
            }
        }
        Ok(())
    }

    fn command(&mut self, command: &Command) {
        // Documents mention a command alone.
        let after = |verbs: &[&str]| command.after(verbs).filter(|words| !words.is_empty());
        let service = after(&["run", "services", "update"]).or_else(|| after(&["run", "deploy"]));
        let job = ["update", "deploy", "execute"].into_iter().find_map(|verb| after(&["run", "jobs", verb]));
        let replaced = after(&["run", "services", "replace"]);
        let saved = command.after(&["sql", "backups", "create"]);
        if let Some(words) = &service {
            self.seen(&command.file);
            if let Some(name) = words.first().filter(|name| is_name(name)) {
                self.service(name, command.option(&["--image"]));
            }
        } else if let Some(words) = &job {
            self.seen(&command.file);
            if let Some(name) = words.first().filter(|name| is_name(name)) {
                push_new(&mut self.region.jobs, name);
            }
        } else if replaced.is_some() {
            self.seen(&command.file);
        } else if saved.is_some() {
            if let Some(name) = command.option(&["--instance", "-i"]).filter(|name| is_name(name)) {
                push_new(&mut self.instances, name);
            }
        } else if let Some([key, value]) = after(&["config", "set"]).as_deref() {
            match *key {
                "project" | "core/project" => note(&mut self.region.project, Some(value)),
                "run/region" => note(&mut self.region.region, Some(value)),
                _ => {}
            }
        }
        note(&mut self.region.project, command.option(&["--project"]));
        if service.or(job).or(replaced).is_some() {
            note(&mut self.region.region, command.option(&["--region"]));
        }
    }

    fn seen(&mut self, file: &str) {
        if self.region.source.is_empty() {
            file.clone_into(&mut self.region.source);
        }
    }

    fn service(&mut self, name: &str, image: Option<&str>) {
        let image = image.map(str::to_owned);
        match self.services.iter_mut().find(|(known, _)| known == name) {
            Some((_, known)) => *known = known.take().or(image),
            None => self.services.push((name.to_owned(), image)),
        }
    }

    fn stack(self) -> Stack {
        let Self { mut region, services, instances } = self;
        let tag = |(_, image): &(String, Option<String>)| Image::of(image.as_deref()?).tag.map(str::to_owned);
        let known = most(&services.iter().collect::<Vec<_>>(), |one| tag(one).filter(|tag| begins_with_a_number(tag)));
        let (version, text) = match known.map(|(tag, _)| without_v(&tag)) {
            Some((version, text)) => (Version::Told(version), text),
            None => (Version::Unknown, "{version}".to_owned()),
        };
        let templates = services
            .iter()
            .filter_map(|(name, image)| Some((name.as_str(), template(name, image.as_deref()?, &text)?)));
        let images: Vec<(&str, String)> = templates.collect();
        if let Some((usual, _)) = most(&images.iter().collect::<Vec<_>>(), |(_, template)| Some(template.clone())) {
            let others = images.iter().filter(|(_, template)| *template != usual);
            region.image_of = others.map(|(name, template)| ((*name).to_owned(), template.clone())).collect();
            region.image = Some(usual);
        }
        let images = services.iter().filter_map(|(_, image)| image.as_deref());
        let project = images.filter_map(project_of).find(|project| is_name(project)).map(str::to_owned);
        region.project = region.project.or(project);
        Stack {
            platform: Platform::CloudRun(region),
            version,
            services: services.into_iter().map(|(name, _)| name).collect(),
            gate: Vec::new(),
            address: None,
            data: Data { instances, ..Data::default() },
            commands: Vec::new(),
        }
    }
}

/// The first that is a name counts.
fn note(place: &mut Option<String>, found: Option<&str>) {
    if place.is_none() {
        *place = found.filter(|name| is_name(name)).map(str::to_owned);
    }
}

/// `…/{service}:{version}` of a service's image; none where its name is to be filled in. `usual`: how a tag is written that
/// is to be.
fn template(service: &str, image: &str, usual: &str) -> Option<String> {
    let Image { name, tag, .. } = Image::of(image);
    if !left(name).is_empty() || name.chars().any(|c| c.is_ascii_uppercase() || "<>".contains(c)) {
        return None;
    }
    let name = name.strip_suffix(service).map_or(name.to_owned(), |stem| format!("{stem}{{service}}"));
    let text = tag.filter(|tag| begins_with_a_number(tag)).map_or(usual.to_owned(), |tag| without_v(tag).1);
    Some(format!("{name}:{text}"))
}

/// `acme` of `europe-west1-docker.pkg.dev/acme/shop/web` and of `gcr.io/acme/web`.
fn project_of(image: &str) -> Option<&str> {
    let mut parts = image.split('/');
    let host = parts.next()?;
    (host.ends_with(".pkg.dev") || host.ends_with("gcr.io")).then(|| parts.next())?
}
