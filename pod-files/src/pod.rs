//! A pod as its file declares it.

use crate::variables::left;
use crate::yaml::Node;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

#[derive(Debug, Clone, PartialEq)]
pub struct Pod {
    pub name: String,
    /// Where it begins, from 1.
    pub line: usize,
    /// `Always` where the file says nothing.
    pub restart: String,
    pub host_network: bool,
    pub containers: Vec<Container>,
    /// The whole document.
    pub document: Value,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Container {
    pub name: String,
    pub image: String,
    /// `Always`, say; empty where the file says nothing.
    pub pull: String,
    /// It ends before the others begin.
    pub init: bool,
    /// What stands in the file itself.
    pub environment: BTreeMap<String, String>,
    /// Each empty where the image says it.
    pub command: Vec<String>,
    pub arguments: Vec<String>,
    pub mounts: Vec<Mount>,
    /// Ports of the machine, and its own behind each.
    pub published: BTreeMap<u16, u16>,
    /// It says how it is checked.
    pub checked: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    pub source: Source,
    pub target: String,
    pub read_only: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A named volume.
    Volume(String),
    /// A path of the machine.
    Path(String),
    /// It goes with the pod.
    Empty,
    /// What a config map or a secret says.
    Settings(String),
}

type Wrong = (usize, String);

impl Pod {
    pub(crate) fn read(document: &Node, name: &str) -> Result<Self, Wrong> {
        let wrong = |why: &str| (document.line, format!("the pod `{name}` {why}"));
        check_name(name).map_err(|why| wrong(&why))?;
        let spec = document.get("spec").ok_or_else(|| wrong("has no `spec`"))?;
        let volumes = volumes(spec, name)?;
        let mut containers = Vec::new();
        for (key, init) in [("initContainers", true), ("containers", false)] {
            for node in spec.get(key).map(Node::items).unwrap_or_default() {
                containers.push(Container::read(node, init, name, &volumes)?);
            }
        }
        if !containers.iter().any(|container| !container.init) {
            return Err(wrong("has no container"));
        }
        let mut names: Vec<&str> = containers.iter().map(|container| container.name.as_str()).collect();
        names.sort_unstable();
        if let Some(pair) = names.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(wrong(&format!("has two containers `{}`", pair[0])));
        }
        let text = |key: &str| spec.get(key).and_then(Node::text);
        Ok(Self {
            name: name.to_owned(),
            line: document.line,
            restart: text("restartPolicy").unwrap_or("Always").to_owned(),
            host_network: text("hostNetwork") == Some("true"),
            containers,
            document: document.json(),
        })
    }

    /// The document as it is handed to the engine: with these labels, and images that are here already.
    pub fn to_play(&self, labels: &BTreeMap<String, String>) -> Value {
        let mut document = self.document.clone();
        let metadata = document.as_object_mut().map(|top| top.entry("metadata").or_insert_with(|| json!({})));
        if let Some(metadata) = metadata.and_then(Value::as_object_mut) {
            let known = metadata.entry("labels").or_insert_with(|| json!({}));
            if !known.is_object() {
                *known = Value::Object(Map::new());
            }
            if let Some(known) = known.as_object_mut() {
                known.extend(labels.iter().map(|(key, value)| (key.clone(), json!(value))));
            }
        }
        for key in ["initContainers", "containers"] {
            for container in document["spec"].get_mut(key).and_then(Value::as_array_mut).into_iter().flatten() {
                container["imagePullPolicy"] = json!("Never");
            }
        }
        document
    }

    /// Those that go on running.
    pub fn running(&self) -> impl Iterator<Item = &Container> {
        self.containers.iter().filter(|container| !container.init)
    }

    /// As the engine calls it.
    pub fn container_name(&self, container: &Container) -> String {
        format!("{}-{}", self.name, container.name)
    }
}

impl Container {
    fn read(node: &Node, init: bool, pod: &str, volumes: &BTreeMap<String, Source>) -> Result<Self, Wrong> {
        let text = |key: &str| node.get(key).and_then(Node::text);
        let name = text("name").ok_or_else(|| (node.line, format!("a container of the pod `{pod}` has no `name`")))?;
        let wrong = |line: usize, why: String| (line, format!("the container `{pod}/{name}` {why}"));
        check_name(name).map_err(|why| wrong(node.line, why))?;
        let image = node.get("image").filter(|image| image.text().is_some_and(|text| !text.is_empty()));
        let image = image.ok_or_else(|| wrong(node.line, "has no `image`".into()))?;
        let reference = image.text().unwrap_or_default();
        if let Some(key) = left(reference).first() {
            return Err(wrong(image.line, format!("has the image `{reference}`, and `{key}` is set in no env file")));
        }
        let mut mounts = Vec::new();
        for mount in node.get("volumeMounts").map(Node::items).unwrap_or_default() {
            let of = |key: &str| mount.get(key).and_then(Node::text);
            let (Some(volume), Some(target)) = (of("name"), of("mountPath")) else {
                return Err(wrong(mount.line, "has a mount without `name` or `mountPath`".into()));
            };
            let source = volumes.get(volume).cloned().ok_or_else(|| {
                wrong(mount.line, format!("mounts the volume `{volume}`, which the pod does not have"))
            })?;
            mounts.push(Mount { source, target: target.to_owned(), read_only: of("readOnly") == Some("true") });
        }
        let environment = node.get("env").map(Node::items).unwrap_or_default().iter().filter_map(|entry| {
            let key = entry.get("name")?.text()?;
            Some((key.to_owned(), entry.get("value").map(|value| value.text().unwrap_or_default())?.to_owned()))
        });
        let texts = |key: &str| {
            let items = node.get(key).map(Node::items).unwrap_or_default().iter();
            items.filter_map(Node::text).map(str::to_owned).collect()
        };
        Ok(Self {
            name: name.to_owned(),
            image: reference.to_owned(),
            pull: text("imagePullPolicy").unwrap_or_default().to_owned(),
            init,
            environment: environment.collect(),
            command: texts("command"),
            arguments: texts("args"),
            mounts,
            published: published(node),
            checked: node.get("livenessProbe").is_some(),
        })
    }
}

fn published(container: &Node) -> BTreeMap<u16, u16> {
    let port = |entry: &Node, key: &str| entry.get(key)?.text()?.parse().ok();
    let ports = container.get("ports").map(Node::items).unwrap_or_default().iter();
    ports.filter_map(|entry| Some((port(entry, "hostPort")?, port(entry, "containerPort")?))).collect()
}

/// By name.
fn volumes(spec: &Node, pod: &str) -> Result<BTreeMap<String, Source>, Wrong> {
    let mut volumes = BTreeMap::new();
    for node in spec.get("volumes").map(Node::items).unwrap_or_default() {
        let wrong = |why: String| (node.line, format!("a volume of the pod `{pod}` {why}"));
        let name = node.get("name").and_then(Node::text).ok_or_else(|| wrong("has no `name`".into()))?;
        let of = |keys: &[&str]| node.at(keys).and_then(Node::text).map(str::to_owned);
        let source = if let Some(claim) = of(&["persistentVolumeClaim", "claimName"]) {
            Source::Volume(claim)
        } else if let Some(path) = of(&["hostPath", "path"]) {
            Source::Path(path)
        } else if node.get("emptyDir").is_some() {
            Source::Empty
        } else if let Some(name) = of(&["configMap", "name"]).or_else(|| of(&["secret", "secretName"])) {
            Source::Settings(name)
        } else {
            let kinds = "`persistentVolumeClaim`, `hostPath`, `emptyDir`, `configMap` and `secret` are known";
            return Err(wrong(format!("is of no kind that is known, `{name}`: {kinds}")));
        };
        volumes.insert(name.to_owned(), source);
    }
    Ok(volumes)
}

/// It stands in paths of the engine's API.
fn check_name(name: &str) -> Result<(), String> {
    let fits = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    match name.starts_with(|c: char| c.is_ascii_alphanumeric()) && name.chars().all(fits) {
        true => Ok(()),
        false => {
            Err("has a name that the engine does not take: letters, digits, `-`, `_` and `.` would be right".into())
        }
    }
}
