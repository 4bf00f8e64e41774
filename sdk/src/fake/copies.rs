//! Named data, its frozen copies and its artifacts: what `trees` and `sqlite` have in common.

use crate::{Error, Result};
use std::collections::{BTreeMap, BTreeSet};

#[derive(Default)]
pub struct Copies {
    /// What each path holds: its manifest.
    pub live: BTreeMap<String, String>,
    /// By path and the step that made it.
    pub frozen: BTreeMap<(String, String), String>,
    pub artifacts: BTreeMap<String, String>,
    pub fenced: BTreeSet<String>,
    /// What `check` finds wrong with a path.
    pub broken: BTreeMap<String, Vec<String>>,
    /// What somebody writes to a path in the moment when it is saved.
    pub racing: BTreeMap<String, String>,
    /// Counts writes, for the mark.
    pub writes: BTreeMap<String, u64>,
}

impl Copies {
    pub fn paths(&self) -> Vec<String> {
        self.live.keys().cloned().collect()
    }
    pub fn content(&self, path: &str, step: Option<&str>) -> Result<String> {
        let found = match step {
            None => self.live.get(path),
            Some(step) => self.frozen.get(&(path.into(), step.into())),
        };
        found.cloned().ok_or_else(|| match step {
            None => Error::not_found(format!("there is no `{path}`")),
            Some(step) => Error::not_found(format!("there is no copy of `{path}` by `{step}`")),
        })
    }
    pub fn mark(&self, path: &str) -> Result<String> {
        self.content(path, None)?;
        Ok(self.writes.get(path).copied().unwrap_or_default().to_string())
    }
    pub fn save(&mut self, path: &str, step: Option<&str>) -> Result<(String, String)> {
        let content = self.content(path, step)?;
        if step.is_none()
            && let Some(written) = self.racing.remove(path)
        {
            self.live.insert(path.into(), written);
        }
        let key = format!("artifact-{}", self.artifacts.len() + 1);
        self.artifacts.insert(key.clone(), content.clone());
        Ok((key, content))
    }
    pub fn put_back(&mut self, path: &str, artifact: &str, step: &str) -> Result<()> {
        if self.flipped(path, step) {
            return Ok(());
        }
        let content = self.artifacts.get(artifact).cloned();
        let content = content.ok_or_else(|| Error::not_found(format!("there is no artifact `{artifact}`")))?;
        self.flip(path, content, step);
        Ok(())
    }
    pub fn freeze(&mut self, path: &str, step: &str) -> Result<()> {
        let content = self.content(path, None)?;
        self.frozen.insert((path.into(), step.into()), content);
        Ok(())
    }
    pub fn swap(&mut self, path: &str, frozen: &str, step: &str) -> Result<()> {
        if self.flipped(path, step) {
            return Ok(());
        }
        let content = self.content(path, Some(frozen))?;
        self.frozen.remove(&(path.into(), frozen.into()));
        self.flip(path, content, step);
        Ok(())
    }
    pub fn discard(&mut self, path: &str, step: &str) {
        self.frozen.remove(&(path.into(), step.into()));
    }
    /// An earlier attempt of this step got this far: what was live is set aside once.
    fn flipped(&self, path: &str, step: &str) -> bool {
        self.frozen.contains_key(&(path.into(), step.into()))
    }
    /// What was live becomes the frozen copy of `step`.
    fn flip(&mut self, path: &str, content: String, step: &str) {
        if let Some(former) = self.live.insert(path.into(), content) {
            self.frozen.insert((path.into(), step.into()), former);
        }
    }
}
