//! What a reader of deployments' files knows of the plugins that there are: a seam, behind which stands the loader.

use crate::model::{Info, Role};
use std::collections::BTreeMap;

pub trait PluginCatalog {
    /// For the nearest one, where a name is not known.
    fn names(&self) -> Vec<String>;
    fn info(&self, name: &str) -> Option<Info>;
    /// Of the plugin that a binding's table calls `named`.
    fn info_for(&self, _role: Role, _binding: &str, named: &str) -> Option<Info> {
        self.info(named)
    }
    /// Why a plugin of this name is there and can't be used.
    fn problem(&self, _name: &str) -> Option<Problem> {
        None
    }
    /// What is read is the file of a run, and was found sound when the run began.
    fn is_of_a_run(&self) -> bool {
        false
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    pub why: String,
    /// Another version of the plugin would do.
    pub is_its_own: bool,
}

impl PluginCatalog for BTreeMap<String, Info> {
    fn names(&self) -> Vec<String> {
        self.keys().cloned().collect()
    }
    fn info(&self, name: &str) -> Option<Info> {
        self.get(name).cloned()
    }
}
