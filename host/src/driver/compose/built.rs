//! Whether images can be made ahead of the edits: a build takes the files of its context from the project's folder, where the
//! edits are yet to be put. What Compose itself reads comes from the shadow.

use compose_files::{Named, Project};
use serde_json::Value;
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::{fs, io};

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

/// Of the project in `folder`: its files and env files, with those that they include, extend or hand to services.
pub(super) fn read_by_compose(folder: &Path, files: &[PathBuf], env_files: &[PathBuf]) -> BTreeSet<String> {
    let known = RefCell::new(BTreeSet::new());
    let text = |file: &str| {
        known.borrow_mut().insert(file.to_owned());
        match fs::read_to_string(folder.join(file)) {
            Ok(text) => Ok(Some(text)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error.to_string()),
        }
    };
    let names = |files: &[PathBuf]| files.iter().map(|file| file.display().to_string()).collect::<Vec<_>>();
    let project = Project::read(&Named { files: names(files), env_files: names(env_files) }, &text);
    let mut known = known.take();
    let project = project.ok().flatten();
    for handed in project.iter().flat_map(Project::services).filter_map(|(_, service)| service.get("env_file")) {
        let files = std::iter::once(handed).chain(handed.items());
        let named = files.filter_map(|file| Some(file.path_of(file.get("path").unwrap_or(file).text()?)));
        known.extend(named);
    }
    known
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
        write("compose.yaml", "include: [more/base.yaml]\nservices: { web: { build: ., env_file: [web.env] } }\n");
        write("more/base.yaml", "services: { worker: { image: x, env_file: { path: worker.env } } }\n");
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
    }
}
