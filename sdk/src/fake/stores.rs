//! Folders and SQLite databases, each as the manifest of what it holds.

use super::copies::Copies;
use super::{FakeHost, State};
use std::cell::RefCell;

impl FakeHost {
    /// A folder or file of `paths`, and the manifest of what it holds.
    pub fn tree(&self, path: &str, manifest: &str) {
        write(&self.state.0.trees, path, manifest);
    }
    /// A SQLite database of `paths`, and the manifest of what it holds.
    pub fn database(&self, path: &str, manifest: &str) {
        write(&self.state.0.sqlite, path, manifest);
    }
    /// What `sqlite.check` finds wrong.
    pub fn broken(&self, path: &str, problems: &[&str]) {
        let problems = problems.iter().map(ToString::to_string).collect();
        self.state.0.sqlite.borrow_mut().broken.insert(path.into(), problems);
    }
    /// Somebody writes to a folder in the moment when it is saved.
    pub fn writes_while_saving(&self, path: &str, manifest: &str) {
        self.state.0.trees.borrow_mut().racing.insert(path.into(), manifest.into());
    }
    /// What a path holds now: of a folder, else of a database.
    pub fn content(&self, path: &str) -> Option<String> {
        let tree = self.state.0.trees.borrow().live.get(path).cloned();
        tree.or_else(|| self.state.0.sqlite.borrow().live.get(path).cloned())
    }
    /// The frozen copies that there are: path and step.
    pub fn frozen(&self) -> Vec<(String, String)> {
        let trees = self.state.0.trees.borrow().frozen.keys().cloned().collect::<Vec<_>>();
        trees.into_iter().chain(self.state.0.sqlite.borrow().frozen.keys().cloned()).collect()
    }
    /// The databases that are write-locked.
    pub fn fenced(&self) -> Vec<String> {
        self.state.0.sqlite.borrow().fenced.iter().cloned().collect()
    }
}

fn write(copies: &RefCell<Copies>, path: &str, manifest: &str) {
    let mut copies = copies.borrow_mut();
    copies.live.insert(path.into(), manifest.into());
    *copies.writes.entry(path.into()).or_default() += 1;
}

macro_rules! store {
    ($field:ident, $prefix:literal) => {
        use super::*;
        use crate::Result;

        pub fn list(state: &State) -> Result<Vec<String>> {
            state.reading(concat!($prefix, ".list"), &[])?;
            Ok(state.0.$field.borrow().paths())
        }
        pub fn manifest(state: &State, path: &str, step: Option<&str>) -> Result<String> {
            state.reading(concat!($prefix, ".manifest"), &[path, step.unwrap_or("live")])?;
            state.0.$field.borrow().content(path, step)
        }
        pub fn mark(state: &State, path: &str) -> Result<String> {
            state.reading(concat!($prefix, ".mark"), &[path])?;
            state.0.$field.borrow().mark(path)
        }
        pub fn put_back(state: &State, path: &str, artifact: &str) -> Result<()> {
            state.changing(concat!($prefix, ".put-back"), &[path, artifact])?;
            state.0.$field.borrow_mut().put_back(path, artifact, &state.step())
        }
        pub fn freeze(state: &State, path: &str) -> Result<()> {
            state.changing(concat!($prefix, ".freeze"), &[path])?;
            state.0.$field.borrow_mut().freeze(path, &state.step())
        }
        pub fn swap(state: &State, path: &str, step: &str) -> Result<()> {
            state.changing(concat!($prefix, ".swap"), &[path, step])?;
            state.0.$field.borrow_mut().swap(path, step, &state.step())
        }
        pub fn discard(state: &State, path: &str, step: &str) -> Result<()> {
            state.changing(concat!($prefix, ".discard"), &[path, step])?;
            state.0.$field.borrow_mut().discard(path, step);
            Ok(())
        }
    };
}

#[doc(hidden)]
pub mod trees {
    store!(trees, "trees");

    pub fn save(state: &State, path: &str, step: Option<&str>) -> Result<String> {
        state.changing("trees.save", &[path, step.unwrap_or("live")])?;
        Ok(state.0.trees.borrow_mut().save(path, step)?.0)
    }
}

#[doc(hidden)]
pub mod sqlite {
    store!(sqlite, "sqlite");

    pub fn save(state: &State, path: &str, step: Option<&str>) -> Result<(String, String)> {
        state.changing("sqlite.save", &[path, step.unwrap_or("live")])?;
        state.0.sqlite.borrow_mut().save(path, step)
    }
    pub fn check(state: &State, path: &str, step: Option<&str>) -> Result<Vec<String>> {
        state.reading("sqlite.check", &[path, step.unwrap_or("live")])?;
        let copies = state.0.sqlite.borrow();
        copies.content(path, step)?;
        Ok(copies.broken.get(path).cloned().unwrap_or_default())
    }
    pub fn fence(state: &State, path: &str) -> Result<String> {
        state.changing("sqlite.fence", &[path])?;
        let mut copies = state.0.sqlite.borrow_mut();
        copies.fenced.insert(path.into());
        copies.mark(path)
    }
    pub fn unfence(state: &State, path: &str) -> Result<()> {
        state.changing("sqlite.unfence", &[path])?;
        state.0.sqlite.borrow_mut().fenced.remove(path);
        Ok(())
    }
}
