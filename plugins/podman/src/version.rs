//! The version as it stands in the project's files: a key of an env file, tags of images in files of pods.

use crate::Settings;
use pod_files::{image, left, service_of, set_image, variables};
use upgraded_sdk::prelude::*;
use upgraded_sdk::{Change, nearest};

const ENV_FILE: &str = ".env";

/// What makes the files say `target`.
pub fn edits(settings: &Settings, host: &PlatformHost, target: &str) -> Result<Vec<Edit>> {
    let version = settings.version_text.replace("{version}", target);
    let why = format!("the version becomes {target}");
    let mut edits = Vec::new();
    if let Some(key) = &settings.version_key {
        edits.push(Edit::set(env_file(settings, host, key)?, key, &version, &why));
    }
    let mut texts: Vec<(String, String)> = Vec::new();
    for named in &settings.version_containers {
        let (service, container) = named.split_once('/').ok_or_else(|| {
            Error::invalid(format!("`version-containers`: `{named}` is no container; `core/runtime` would be right"))
        })?;
        let file = file_of(settings, service)?;
        let at = match texts.iter().position(|(known, _)| *known == file) {
            Some(at) => at,
            None => {
                texts.push((file.clone(), host.files().read_text(&file)?));
                texts.len() - 1
            }
        };
        texts[at].1 = retagged(&file, &texts[at].1, named, container, &version)?;
    }
    for (path, text) in texts {
        edits.push(Edit { path, change: Change::Content(text.into_bytes()), why: why.clone() });
    }
    Ok(edits)
}

/// `1.4.0` of `registry:5000/shop/web:1.4.0@sha256:…`.
pub fn tag(reference: &str) -> Option<&str> {
    let last = reference.split('@').next()?.rsplit('/').next()?;
    last.split_once(':').map(|(_, tag)| tag)
}

/// The last that has the key: its value counts.
fn env_file(settings: &Settings, host: &PlatformHost, key: &str) -> Result<String> {
    for file in settings.env_files.iter().rev() {
        if variables(&host.files().read_text(file)?).iter().any(|(name, _)| name == key) {
            return Ok(file.clone());
        }
    }
    Ok(settings.env_files.last().cloned().unwrap_or_else(|| ENV_FILE.into()))
}

fn file_of(settings: &Settings, service: &str) -> Result<String> {
    let found = settings.pods.iter().find(|file| service_of(file) == service);
    found.cloned().ok_or_else(|| {
        let near = nearest(service, settings.pods.iter().map(|file| service_of(file)));
        let near = near.map(|near| format!("; the nearest is `{near}`")).unwrap_or_default();
        Error::invalid(format!("`version-containers`: `pods` names no file for the service `{service}`{near}"))
    })
}

fn retagged(file: &str, text: &str, named: &str, container: &str, tag: &str) -> Result<String> {
    let place =
        image(file, text, container).map_err(|mistake| Error::invalid(format!("`version-containers`: {mistake}")))?;
    let wrong = |why: String| {
        let (line, reference) = (place.line, &place.reference);
        Error::invalid(format!(
            "`version-containers`: the image of `{named}` (`{file}`, line {line}) is `{reference}`, {why}"
        ))
    };
    let (name, digest) = match place.reference.split_once('@') {
        Some((name, _)) => (name, true),
        None => (place.reference.as_str(), false),
    };
    if digest {
        return Err(wrong(
            "which a digest pins: a tag alone would be right, and what it stands for is pinned anyway".into(),
        ));
    }
    let colon = colon_of_tag(name)
        .ok_or_else(|| wrong("without a tag: the version that is installed would be right".into()))?;
    if let Some(key) = left(&name[colon..]).first() {
        return Err(wrong(format!("whose tag is what `{key}` says: `version-key = \"{key}\"` would be right")));
    }
    Ok(set_image(text, &place, &format!("{}:{tag}", &name[..colon])))
}

/// Not that of a registry's port, nor of what is usual of a variable.
fn colon_of_tag(name: &str) -> Option<usize> {
    let (mut colon, mut braces) = (None, 0_usize);
    for (at, letter) in name.char_indices() {
        match letter {
            '{' => braces += 1,
            '}' => braces = braces.saturating_sub(1),
            ':' if braces == 0 => colon = Some(at),
            '/' if braces == 0 => colon = None,
            _ => {}
        }
    }
    colon
}
