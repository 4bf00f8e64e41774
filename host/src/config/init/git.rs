//! A repository by its files alone.

use super::{Repository, text_of};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Of the checkout in `folder`.
pub(super) fn of_checkout(folder: &Path) -> Option<Repository> {
    let git = git_folder(folder)?;
    let address = origin(&git).unwrap_or_else(|| folder.display().to_string());
    Some(of_git_folder(&git, Some(address), None))
}

/// Of a mirror beside releases; `active`: what the link `current` names.
pub(super) fn of_mirror(git: &Path, active: Option<String>) -> Repository {
    of_git_folder(git, origin(git), active)
}

fn of_git_folder(git: &Path, address: Option<String>, active: Option<String>) -> Repository {
    let refs = refs(git);
    let commit = active.or_else(|| head(git, &refs));
    let tags = refs.iter().filter_map(|(name, at)| Some((name.strip_prefix("refs/tags/")?, at)));
    let (mut names, mut tag) = (Vec::new(), None);
    for (name, at) in tags {
        names.push(name.to_owned());
        // Of several the longest: `v1.4.0`, not the moving `v1`.
        if Some(at) == commit.as_ref() && tag.as_ref().is_none_or(|tag: &String| tag.len() < name.len()) {
            tag = Some(name.to_owned());
        }
    }
    Repository { address: address.map(without_account), commit, tag, tags: names }
}

/// `.git`, or what a file of that name leads to.
fn git_folder(folder: &Path) -> Option<PathBuf> {
    let git = folder.join(".git");
    if git.is_dir() {
        return Some(git);
    }
    let text = text_of(&git)?;
    let target = folder.join(text.strip_prefix("gitdir:")?.trim());
    target.is_dir().then_some(target)
}

/// Every reference with its commit; of an annotated tag the commit behind it, where that is written down.
fn refs(git: &Path) -> BTreeMap<String, String> {
    let mut refs = BTreeMap::new();
    let mut last: Option<String> = None;
    for line in text_of(&git.join("packed-refs")).unwrap_or_default().lines() {
        if let (Some(behind), Some(name)) = (line.strip_prefix('^'), &last) {
            refs.insert(name.clone(), behind.to_owned());
        } else if let Some((commit, name)) = line.split_once(' ').filter(|(commit, _)| is_commit(commit)) {
            refs.insert(name.to_owned(), commit.to_owned());
            last = Some(name.to_owned());
        }
    }
    for kind in ["refs/tags", "refs/heads"] {
        loose(&git.join(kind), kind, 4, &mut refs);
    }
    refs
}

fn loose(folder: &Path, prefix: &str, depth: usize, refs: &mut BTreeMap<String, String>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let Ok(name) = entry.file_name().into_string() else { continue };
        let (path, name) = (entry.path(), format!("{prefix}/{name}"));
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) && depth > 0 {
            loose(&path, &name, depth - 1, refs);
        } else if let Some(commit) = text_of(&path).map(|text| text.trim().to_owned()).filter(|text| is_commit(text)) {
            refs.insert(name, commit);
        }
    }
}

fn head(git: &Path, refs: &BTreeMap<String, String>) -> Option<String> {
    let text = text_of(&git.join("HEAD"))?;
    match text.trim().strip_prefix("ref: ") {
        Some(name) => refs.get(name).cloned(),
        None => Some(text.trim().to_owned()).filter(|text| is_commit(text)),
    }
}

pub(super) fn is_commit(text: &str) -> bool {
    matches!(text.len(), 40 | 64) && text.bytes().all(|b| b.is_ascii_hexdigit())
}

fn origin(git: &Path) -> Option<String> {
    let text = text_of(&git.join("config"))?;
    let mut lines = text.lines().map(str::trim).skip_while(|line| *line != "[remote \"origin\"]").skip(1);
    let mut section = lines.by_ref().take_while(|line| !line.starts_with('['));
    let url = section.find_map(|line| line.strip_prefix("url")?.trim_start().strip_prefix('='))?;
    Some(url.trim().trim_matches('"').to_owned())
}

/// A user alone may be a token; of ssh it is part of the address.
fn without_account(address: String) -> String {
    match reqwest::Url::parse(&address) {
        Ok(mut url) if url.password().is_some() || url.scheme().starts_with("http") && !url.username().is_empty() => {
            // Fails for addresses without a host alone, which have no account.
            let _ = url.set_password(None);
            if url.scheme().starts_with("http") {
                let _ = url.set_username("");
            }
            url.to_string()
        }
        _ => address,
    }
}
