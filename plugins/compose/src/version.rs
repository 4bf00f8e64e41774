//! The version as it stands in the project's files: a key of an env file, tags of images.

use crate::Settings;
use compose_files::{Image, Mistake, Named, Node, Project, keys, variables};
use upgraded_sdk::nearest;
use upgraded_sdk::prelude::*;

/// What makes the files say `target`.
pub fn edits(settings: &Settings, host: &PlatformHost, target: &str) -> Result<Vec<Edit>> {
    let version = settings.version_text.replace("{version}", target);
    let why = format!("the version becomes {target}");
    let mut edits = Vec::new();
    if let Some(key) = &settings.version_key {
        edits.push(Edit::set(env_file(settings, host, key)?, key, &version, &why));
    }
    if settings.version_services.is_empty() {
        return Ok(edits);
    }
    let project = project(settings, host)?;
    let mut written = Vec::new();
    for name in &settings.version_services {
        let image = image(&project, name)?;
        let place = (image.place.file.to_string(), path(image, name)?);
        // Services that share one value by an anchor, or by what they extend.
        if !written.contains(&place) {
            let reference = with_tag(&project, host, image, name, &version)?;
            edits.push(Edit::set(&place.0, &place.1, reference, &why));
            written.push(place);
        }
    }
    Ok(edits)
}

/// The last that has the key: its value counts.
fn env_file(settings: &Settings, host: &PlatformHost, key: &str) -> Result<String> {
    let named = &settings.compose.env_files;
    for file in named.iter().rev() {
        let text = text(host, file).map_err(|why| Error::invalid(format!("`{file}`: {why}")))?;
        if variables(&text.unwrap_or_default()).iter().any(|(name, _)| name == key) {
            return Ok(file.clone());
        }
    }
    Ok(named.last().cloned().unwrap_or_else(|| ".env".into()))
}

fn project(settings: &Settings, host: &PlatformHost) -> Result<Project> {
    let granted = settings.compose.clone();
    let named = Named { files: granted.files, env_files: granted.env_files };
    let project = Project::read(&named, &|file| text(host, file)).map_err(|mistake| told(&mistake))?;
    project.ok_or_else(|| Error::not_found("there is no Compose file in the deployment's `directory`"))
}

/// None where there is no such file.
fn text(host: &PlatformHost, file: &str) -> std::result::Result<Option<String>, String> {
    match host.files().read_text(file) {
        Ok(text) => Ok(Some(text)),
        Err(Error::NotFound(_)) => Ok(None),
        Err(error) => Err(error.text().to_owned()),
    }
}

fn image<'p>(project: &'p Project, name: &str) -> Result<&'p Node> {
    let Some(service) = project.service(name) else {
        let near = nearest(name, project.services().iter().map(|(name, _)| name.as_str()));
        let near = near.map(|near| format!("; the nearest is `{near}`")).unwrap_or_default();
        return Err(Error::invalid(format!("`version-services`: the Compose files have no service `{name}`{near}")));
    };
    let place = || place(service);
    service.get("image").ok_or_else(|| {
        Error::invalid(format!(
            "`version-services`: `{name}` ({}) has no `image` whose tag could be the version",
            place()
        ))
    })
}

fn path(image: &Node, name: &str) -> Result<String> {
    image.place.path.clone().ok_or_else(|| {
        Error::invalid(format!("`version-services`: the image of `{name}` ({}) stands within a list", place(image)))
    })
}

/// The image's reference with another tag; with the digest that the registry has for it, where there is one now.
fn with_tag(project: &Project, host: &PlatformHost, image: &Node, name: &str, tag: &str) -> Result<String> {
    let reference = image.text().unwrap_or_default();
    let parts = Image::of(reference);
    let wrong = |why: String| {
        Error::invalid(format!("`version-services`: the image of `{name}` ({}) is `{reference}`, {why}", place(image)))
    };
    let variables = keys(&reference[parts.name.len()..]);
    if let Some(key) = variables.first() {
        return Err(wrong(format!("whose tag is what `{key}` says: `version-key = \"{key}\"` would be right")));
    }
    if parts.tag.is_none() {
        let why = match keys(parts.name).last() {
            Some(key) if Image::of(&project.value_of(parts.name)).tag.is_some() => {
                format!("which is what `{key}` says: `version-key = \"{key}\"` would be right")
            }
            _ => "without a tag: the version that is installed would be right".into(),
        };
        return Err(wrong(why));
    }
    let new = format!("{}:{tag}", parts.name);
    if parts.digest.is_none() {
        return Ok(new);
    }
    let asked = project.value_of(&new);
    let registered = host.images().look_up(&asked).map_err(|error| error.about(format!("the digest of `{asked}`")))?;
    if registered.digest.is_empty() {
        return Err(Error::other(
            "registry",
            format!("nobody says the digest of `{asked}`: the client of podman does not know that of an index"),
        ));
    }
    Ok(format!("{new}@{}", registered.digest))
}

fn place(node: &Node) -> String {
    format!("`{}`, line {}", node.place.file, node.place.line)
}

fn told(mistake: &Mistake) -> Error {
    Error::invalid(mistake.to_string())
}
