//! The files of a project: which they are, and what they say together.

use crate::Mistake;
use crate::environment::{interpolated, variables};
use crate::yaml::{Merge, Node, Place, Value};
use std::collections::BTreeMap;

/// What Compose looks for where no file is named, the first that is there; with it the first override, whatever the other
/// is called.
const DEFAULT_FILES: [&str; 4] = ["compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml"];
const OVERRIDES: [&str; 4] =
    ["compose.override.yml", "compose.override.yaml", "docker-compose.override.yml", "docker-compose.override.yaml"];
const DOTENV: &str = ".env";
/// Files that include each other, services that extend each other.
const DEPTH: usize = 16;

/// The files that the operator names; what is empty is what Compose finds by itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Named {
    pub files: Vec<String>,
    pub env_files: Vec<String>,
}

/// What the files say together: overrides merged, files included, services extended; variables as they are written.
#[derive(Debug, Clone)]
pub struct Project {
    /// As they are named; without those that they include.
    pub files: Vec<String>,
    /// Of the env files.
    pub environment: BTreeMap<String, String>,
    pub root: Node,
}

/// The text of a file by its path from the project's folder; none where there is no such file; else why it can't be read.
pub type Read<'r> = dyn Fn(&str) -> Result<Option<String>, String> + 'r;

/// The first default that is there, and the first override.
pub fn default_files(there: &dyn Fn(&str) -> bool) -> Vec<String> {
    let first = |names: [&str; 4]| names.into_iter().find(|name| there(name)).map(str::to_owned);
    let Some(main) = first(DEFAULT_FILES) else { return Vec::new() };
    std::iter::once(main).chain(first(OVERRIDES)).collect()
}

/// What `COMPOSE_FILE` lists, by the values of the env files.
pub fn listed_files(value: &dyn Fn(&str) -> Option<String>) -> Vec<String> {
    let listed = value("COMPOSE_FILE").unwrap_or_default();
    let separator = value("COMPOSE_PATH_SEPARATOR").filter(|separator| !separator.is_empty());
    let separator = separator.as_deref().unwrap_or(":");
    listed.split(separator).filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

impl Project {
    /// None where there is no Compose file.
    pub fn read(named: &Named, read: &Read<'_>) -> Result<Option<Self>, Mistake> {
        let files = Files { read };
        let mut environment = BTreeMap::new();
        let dotenv = [DOTENV.to_owned()];
        for file in if named.env_files.is_empty() { &dotenv[..] } else { &named.env_files } {
            environment.extend(variables(&files.text(file)?.unwrap_or_default()));
        }
        let mut names = named.files.clone();
        if names.is_empty() {
            names = listed_files(&|key| environment.get(key).cloned());
        }
        if names.is_empty() {
            names = default_files(&|name| files.text(name).is_ok_and(|text| text.is_some()));
        }
        let mut root: Option<Node> = None;
        for file in &names {
            let node = files.with_includes(file, "", None, 0)?;
            match &mut root {
                None => root = Some(node),
                Some(root) => overlay(root, node),
            }
        }
        let Some(mut root) = root else { return Ok(None) };
        let mut services = root.take("services");
        if let Some(services) = &mut services {
            let all = services.clone();
            let Value::Mapping(entries) = &mut services.value else {
                return Err(mistake(&services.place, "`services` must be a table of services"));
            };
            for (_, service) in entries {
                *service = files.extended(service.clone(), &all, 0)?;
            }
        }
        if let (Some(services), Value::Mapping(entries)) = (services, &mut root.value) {
            entries.push(("services".into(), services));
        }
        Ok(Some(Self { files: names, environment, root }))
    }

    pub fn services(&self) -> &[(String, Node)] {
        self.root.get("services").map(Node::entries).unwrap_or_default()
    }

    pub fn service(&self, name: &str) -> Option<&Node> {
        self.services().iter().find(|(there, _)| there == name).map(|(_, node)| node)
    }

    /// With the variables of the env files.
    pub fn value_of(&self, text: &str) -> String {
        interpolated(text, &|name| self.environment.get(name).cloned())
    }
}

struct Files<'r> {
    read: &'r Read<'r>,
}

impl Files<'_> {
    fn text(&self, file: &str) -> Result<Option<String>, Mistake> {
        (self.read)(file).map_err(|why| Mistake { file: file.into(), line: None, why })
    }

    fn parsed(&self, file: &str, folder: &str, named_at: Option<&Place>) -> Result<Node, Mistake> {
        match (self.text(file)?, named_at) {
            (Some(text), _) => Node::parse(file, folder, &text),
            (None, Some(place)) => Err(mistake(place, format!("there is no file `{file}`"))),
            (None, None) => Err(Mistake { file: file.into(), line: None, why: "there is no such file".into() }),
        }
    }

    /// A file over those that it includes.
    fn with_includes(&self, file: &str, folder: &str, named_at: Option<&Place>, depth: usize) -> Result<Node, Mistake> {
        let mut node = self.parsed(file, folder, named_at)?;
        let Some(include) = node.take("include") else { return Ok(node) };
        if depth > DEPTH {
            return Err(mistake(&include.place, "files include each other"));
        }
        let place = node.place.clone();
        let mut whole = Node { value: Value::Mapping(Vec::new()), place, merge: Merge::Over };
        for item in include.items() {
            let paths = item.get("path").unwrap_or(item).texts();
            let mut folder = None;
            for path in paths {
                let path = joined(&item.place.folder, path);
                let named = item.get("project_directory").and_then(Node::text);
                let own = named.map_or_else(|| parent(&path).to_owned(), |named| joined(&item.place.folder, named));
                let folder = folder.get_or_insert(own);
                overlay(&mut whole, self.with_includes(&path, folder, Some(&item.place), depth + 1)?);
            }
        }
        overlay(&mut whole, node);
        Ok(whole)
    }

    /// A service over the one that it extends.
    fn extended(&self, mut service: Node, beside: &Node, depth: usize) -> Result<Node, Mistake> {
        let Some(extends) = service.take("extends") else { return Ok(service) };
        let place = extends.place.clone();
        if depth > DEPTH {
            return Err(mistake(&place, "services extend each other"));
        }
        let named = extends.get("service").unwrap_or(&extends);
        let name = named.text().ok_or_else(|| mistake(&place, "the service that is extended has no name"))?;
        let file = extends.get("file").and_then(Node::text).map(|file| joined(&place.folder, file));
        let services = match &file {
            None => Some(beside.clone()),
            Some(file) => self.parsed(file, parent(file), Some(&place))?.take("services"),
        };
        let base = services.as_ref().and_then(|services| services.get(name)).cloned();
        let there = || mistake(&place, format!("there is no service `{name}` to extend"));
        let mut base = self.extended(base.ok_or_else(there)?, services.as_ref().unwrap_or(beside), depth + 1)?;
        overlay(&mut base, service);
        Ok(base)
    }
}

/// `over` as a later file that says more of the same.
fn overlay(base: &mut Node, over: Node) {
    match over.merge {
        Merge::Away => return base.value = Value::Null,
        Merge::Instead => return *base = over,
        Merge::Over => {}
    }
    let place = over.place;
    match (&mut base.value, over.value) {
        (Value::Mapping(entries), Value::Mapping(more)) => add(entries, more),
        (Value::Sequence(items), Value::Sequence(more)) => items.extend(more),
        // `environment` may be either.
        (Value::Mapping(entries), Value::Sequence(more)) => add(entries, more.into_iter().filter_map(pair).collect()),
        (Value::Sequence(items), Value::Mapping(more)) => {
            let mut entries: Vec<(String, Node)> = Vec::new();
            add(&mut entries, std::mem::take(items).into_iter().filter_map(pair).collect());
            add(&mut entries, more);
            base.value = Value::Mapping(entries);
        }
        (there, value) => {
            *there = value;
            base.place = place;
        }
    }
}

fn add(entries: &mut Vec<(String, Node)>, more: Vec<(String, Node)>) {
    for (key, node) in more {
        match entries.iter_mut().find(|(there, _)| *there == key) {
            Some((_, there)) => overlay(there, node),
            None => entries.push((key, node)),
        }
    }
}

/// `KEY=value` as a mapping has it.
fn pair(item: Node) -> Option<(String, Node)> {
    let text = item.text()?;
    let (key, value) = match text.split_once('=') {
        Some((key, value)) => (key.to_owned(), Value::Scalar(value.to_owned())),
        None => (text.to_owned(), Value::Null),
    };
    Some((key, Node { value, ..item }))
}

fn mistake(place: &Place, why: impl Into<String>) -> Mistake {
    Mistake { file: place.file.to_string(), line: Some(place.line), why: why.into() }
}

/// `path` from the folder `folder`, without `.` and with as few `..` as it takes.
pub(crate) fn joined(folder: &str, path: &str) -> String {
    if path.starts_with('/') {
        return path.to_owned();
    }
    let mut parts: Vec<&str> = Vec::new();
    for part in folder.split('/').chain(path.split('/')) {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => drop(parts.pop()),
            other => parts.push(other),
        }
    }
    let root = if folder.starts_with('/') { "/" } else { "" };
    format!("{root}{}", parts.join("/"))
}

fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(parent, _)| parent)
}

impl Node {
    /// A path that stands here, from the project's folder; an absolute one as it is.
    pub fn path_of(&self, text: &str) -> String {
        joined(&self.place.folder, text)
    }
}
