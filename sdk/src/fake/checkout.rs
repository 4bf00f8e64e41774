//! A git repository of tags and commits, and the folder that it is laid out in.

use super::{FakeHost, State};
use crate::{Error, Result, Tracked};
use std::collections::BTreeMap;

#[derive(Default)]
pub struct Repository {
    tags: Vec<(String, String)>,
    commits: Vec<String>,
    prepared: Vec<String>,
    active: Option<String>,
    /// By commit and path; whether it may be run.
    files: BTreeMap<(String, String), (Vec<u8>, bool)>,
}

impl FakeHost {
    /// A tag and its commit.
    pub fn tag(&self, tag: &str, commit: &str) {
        let mut repository = self.state.0.checkout.borrow_mut();
        repository.tags.push((tag.into(), commit.into()));
        repository.commits.push(commit.into());
    }
    /// A commit that no tag names.
    pub fn commit(&self, commit: &str) {
        self.state.0.checkout.borrow_mut().commits.push(commit.into());
    }
    /// A file of a commit.
    pub fn committed(&self, commit: &str, path: &str, text: &str) {
        let file = (commit.into(), path.into());
        self.state.0.checkout.borrow_mut().files.insert(file, (text.into(), false));
    }
    /// A program of a commit.
    pub fn committed_program(&self, commit: &str, path: &str, text: &str) {
        let file = (commit.into(), path.into());
        self.state.0.checkout.borrow_mut().files.insert(file, (text.into(), true));
    }
    /// Somebody removed the folder of a commit.
    pub fn removed(&self, commit: &str) {
        self.state.0.checkout.borrow_mut().prepared.retain(|prepared| prepared != commit);
    }
    /// What is laid out and active.
    pub fn activate(&self, commit: &str) {
        let mut repository = self.state.0.checkout.borrow_mut();
        repository.prepared.push(commit.into());
        repository.active = Some(commit.into());
    }
    pub fn active(&self) -> Option<String> {
        self.state.0.checkout.borrow().active.clone()
    }
    /// The commits that lie in a folder of their own.
    pub fn prepared(&self) -> Vec<String> {
        self.state.0.checkout.borrow().prepared.clone()
    }
}

pub fn releases(state: &State) -> Result<Vec<(String, String)>> {
    state.reading("checkout.releases", &[])?;
    Ok(state.0.checkout.borrow().tags.clone())
}

pub fn fetch(state: &State, revision: &str) -> Result<String> {
    state.reading("checkout.fetch", &[revision])?;
    let repository = state.0.checkout.borrow();
    let tag = repository.tags.iter().find(|(tag, _)| tag == revision).map(|(_, commit)| commit);
    let commit = || repository.commits.iter().find(|commit| commit.starts_with(revision));
    tag.or_else(commit)
        .cloned()
        .ok_or_else(|| Error::not_found(format!("the repository has no tag or commit `{revision}`")))
}

pub fn read(state: &State, commit: &str, path: &str) -> Result<Vec<u8>> {
    state.reading("checkout.read", &[commit, path])?;
    let file = state.0.checkout.borrow().files.get(&(commit.into(), path.into())).cloned();
    file.map(|(bytes, _)| bytes).ok_or_else(|| Error::not_found(format!("the commit `{commit}` has no file `{path}`")))
}

pub fn files(state: &State, commit: &str, under: &str) -> Result<Vec<Tracked>> {
    state.reading("checkout.files", &[commit, under])?;
    let prefix = if under.is_empty() { String::new() } else { format!("{}/", under.trim_matches('/')) };
    let repository = state.0.checkout.borrow();
    let files = repository.files.iter().filter(|((of, path), _)| of == commit && path.starts_with(&prefix));
    Ok(files.map(|((_, path), (_, executable))| Tracked { path: path.clone(), executable: *executable }).collect())
}

pub fn prepare(state: &State, commit: &str, build: Option<&str>) -> Result<()> {
    state.changing("checkout.prepare", &[commit, build.unwrap_or("-")])?;
    let mut repository = state.0.checkout.borrow_mut();
    if !repository.prepared.iter().any(|prepared| prepared == commit) {
        repository.prepared.push(commit.into());
    }
    Ok(())
}

pub fn activate(state: &State, commit: &str) -> Result<()> {
    state.changing("checkout.activate", &[commit])?;
    let mut repository = state.0.checkout.borrow_mut();
    if !repository.prepared.iter().any(|prepared| prepared == commit) {
        return Err(Error::not_found(format!("`{commit}` is not prepared")));
    }
    repository.active = Some(commit.into());
    Ok(())
}

pub fn active(state: &State) -> Result<Option<(String, Option<String>)>> {
    state.reading("checkout.active", &[])?;
    let repository = state.0.checkout.borrow();
    Ok(repository.active.as_ref().map(|active| {
        let tag = repository.tags.iter().find(|(_, commit)| commit == active);
        (active.clone(), tag.map(|(tag, _)| tag.clone()))
    }))
}
