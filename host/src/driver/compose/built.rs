//! Whether images can be made ahead of the edits: a build takes the files of its context from the project's folder, where the
//! edits are yet to be put. What Compose itself reads comes from the shadow.

use compose_files::{Node, interpolated, variables};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Of an included file, where none is named.
const DOTENV: &str = ".env";

/// Why an image would be made of other files than the edits leave; `roots`: by which paths the project's folder is called,
/// `edited`: what changes in it.
pub(super) fn made_too_early<'e>(
    rendered: &Value, roots: [&Path; 2], mut edited: impl Iterator<Item = &'e String>,
) -> Option<String> {
    let services = rendered["services"].as_object().into_iter().flatten();
    let read = services.flat_map(|(name, service)| read_by(&service["build"]).into_iter().map(move |it| (name, it)));
    let read: Vec<(&String, PathBuf)> = read.collect();
    edited.find_map(|path| {
        let holds = |place: &Path| roots.iter().any(|root| root.join(path).starts_with(place));
        let (name, place) = read.iter().find(|(_, place)| holds(place))?;
        let place = roots.iter().find_map(|root| place.strip_prefix(root).ok()).unwrap_or(place).display().to_string();
        let place = if place.is_empty() { ".".to_owned() } else { place };
        Some(format!(
            "`{name}` is built from `{place}`, in which the release changes `{path}`, and an image is made before the files \
             are changed: an image of the vendor's, or a folder without the release's files, would be right"
        ))
    })
}

/// Folders and files of this machine that a build reads.
fn read_by(build: &Value) -> Vec<PathBuf> {
    let Some(context) = build["context"].as_str().map(Path::new) else { return Vec::new() };
    let more = build["additional_contexts"].as_object().into_iter().flatten().filter_map(|(_, place)| place.as_str());
    let dockerfile = build["dockerfile"].as_str().map(|file| context.join(file));
    let all = std::iter::once(context.to_owned()).chain(more.map(PathBuf::from)).chain(dockerfile);
    all.filter(|place| place.is_absolute()).collect()
}

/// Of the project in `folder`: its files and env files, with those that they include, extend or hand to services. What can't
/// be read is passed over.
pub(super) fn read_by_compose(folder: &Path, files: &[PathBuf], env_files: &[PathBuf]) -> BTreeSet<String> {
    let mut reading = Reading { folder, known: BTreeSet::new(), environment: BTreeMap::new() };
    for file in env_files {
        let variables = reading.variables_of(file.display().to_string());
        reading.environment.extend(variables);
    }
    for file in files {
        reading.file(file.display().to_string(), "");
    }
    reading.known
}

struct Reading<'f> {
    folder: &'f Path,
    known: BTreeSet<String>,
    environment: BTreeMap<String, String>,
}

impl Reading<'_> {
    /// `place`: the folder that its relative paths start from.
    fn file(&mut self, file: String, place: &str) {
        let text = fs::read_to_string(self.folder.join(&file)).unwrap_or_default();
        let node = Node::parse(&file, place, &text);
        let (true, Ok(node)) = (self.known.insert(file), node) else { return };
        for item in node.get("include").map(Node::items).unwrap_or_default() {
            self.included(item);
        }
        for (_, service) in node.get("services").map(Node::entries).unwrap_or_default() {
            if let Some(file) = service.at(&["extends", "file"]).and_then(|file| self.path(file)) {
                let place = parent(&file);
                self.file(file, &place);
            }
            for handed in ["env_file", "label_file"].iter().filter_map(|key| service.get(key)) {
                let files = self.paths(handed);
                self.known.extend(files);
            }
        }
        for kind in ["configs", "secrets"] {
            let entries = node.get(kind).map(Node::entries).unwrap_or_default();
            let files: Vec<String> = entries.iter().filter_map(|(_, entry)| self.path(entry.get("file")?)).collect();
            self.known.extend(files);
        }
    }

    fn included(&mut self, item: &Node) {
        let files = self.paths(item.get("path").unwrap_or(item));
        let named = item.get("project_directory").and_then(|folder| self.path(folder));
        let Some(place) = named.or_else(|| files.first().map(|file| parent(file))) else { return };
        let env_files = match item.get("env_file") {
            Some(named) => self.paths(named),
            None => vec![Path::new(&place).join(DOTENV).display().to_string()],
        };
        for file in env_files {
            for (name, value) in self.variables_of(file) {
                self.environment.entry(name).or_insert(value);
            }
        }
        for file in files {
            self.file(file, &place);
        }
    }

    fn variables_of(&mut self, file: String) -> Vec<(String, String)> {
        let text = fs::read_to_string(self.folder.join(&file)).unwrap_or_default();
        self.known.insert(file);
        variables(&text)
    }

    /// One, or each of a sequence; by itself, or as `path` of a table.
    fn paths(&self, node: &Node) -> Vec<String> {
        let all = std::iter::once(node).chain(node.items());
        all.filter_map(|file| self.path(file.get("path").unwrap_or(file))).collect()
    }

    fn path(&self, node: &Node) -> Option<String> {
        let text = interpolated(node.text()?, &|name| self.environment.get(name).cloned());
        Some(node.path_of(&text))
    }
}

fn parent(file: &str) -> String {
    Path::new(file).parent().unwrap_or(Path::new("")).display().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_image_of_files_that_the_release_changes_is_made_too_early() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let place = folder.path().join(name);
            fs::create_dir_all(place.parent().unwrap()).unwrap();
            fs::write(place, text).unwrap();
        };
        write(".env", "STACK=more\n");
        write(
            "compose.yaml",
            "include: ['${STACK}/base.yaml', { path: [gone.yaml, lib/b.yaml], env_file: lib/b.env }]\n\
             services:\n  web: { build: ., env_file: [web.env], label_file: web.labels }\n  job: { extends: { file: \
             job/job.yaml, service: job } }\nconfigs: { page: { file: ./page.html }, set: { content: x } }\nsecrets: { key: \
             { file: key.txt } }\n",
        );
        write("more/base.yaml", "services: { worker: { image: x, env_file: { path: worker.env } } }\n");
        write("lib/b.yaml", "services: { b: { image: x, env_file: [{ path: '${NAME}.env' }] } }\n");
        write("lib/b.env", "NAME=lib\n");
        write("job/job.yaml", "services: { job: { image: x, env_file: job.env } }\ninclude: [../compose.yaml]\n");
        let known = read_by_compose(folder.path(), &["compose.yaml".into()], &[".env".into()]);
        let why = |context: &str, edited: &[&str]| {
            let edited: Vec<String> = edited.iter().map(|path| (*path).to_owned()).collect();
            let build = json!({ "context": folder.path().join(context), "dockerfile": "Dockerfile" });
            let rendered = json!({ "services": { "db": { "image": "x" }, "web": { "build": build } } });
            let sources = edited.iter().filter(|path| !known.contains(*path));
            made_too_early(&rendered, [folder.path(), Path::new("/opt/shop")], sources)
        };
        let refused = why("", &["compose.yaml", "src/main.py"]).unwrap();
        assert!(
            refused.starts_with("`web` is built from `.`, in which the release changes `src/main.py`"),
            "{refused}"
        );
        assert!(why("proxy", &["compose.yaml", "proxy/Dockerfile"]).unwrap().contains("from `proxy`"));
        assert!(why("/opt/shop/proxy", &["proxy/Dockerfile"]).is_some(), "an absolute path is the project's, too");
        assert_eq!(why("proxy", &["src/main.py", "proxy.conf"]), None);
        assert_eq!(why("", &["compose.yaml", ".env", "web.env", "more/base.yaml", "more/worker.env"]), None);
        assert_eq!(why("", &["lib/b.yaml", "lib/b.env", "gone.yaml", "web.labels", "page.html", "key.txt"]), None);
        assert_eq!(why("", &["job/job.yaml", "job/job.env", "more/.env", "lib.env"]), None);
    }
}
