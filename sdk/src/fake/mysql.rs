//! A MySQL server with the one database that the operator named, as the manifest of what it holds.

use super::copies::Copies;
use super::{FakeHost, State};
use crate::{Error, Result};

const DATABASE: &str = "the database";

#[derive(Default)]
pub struct Server {
    copies: Copies,
    freezes: bool,
}

impl FakeHost {
    /// What the database holds now: its manifest.
    pub fn mysql(&self, manifest: &str) {
        let mut server = self.state.0.mysql.borrow_mut();
        server.copies.live.insert(DATABASE.into(), manifest.into());
        *server.copies.writes.entry(DATABASE.into()).or_default() += 1;
    }
    /// What `mysql.check` finds wrong.
    pub fn mysql_problems(&self, problems: &[&str]) {
        let problems = problems.iter().map(ToString::to_string).collect();
        self.state.0.mysql.borrow_mut().copies.broken.insert(DATABASE.into(), problems);
    }
    /// From now on it can be copied in moments.
    pub fn mysql_freezes(&self) {
        self.state.0.mysql.borrow_mut().freezes = true;
    }
    /// Whether the accounts are locked.
    pub fn mysql_fenced(&self) -> bool {
        !self.state.0.mysql.borrow().copies.fenced.is_empty()
    }
    /// The steps whose frozen copies there are.
    pub fn mysql_frozen(&self) -> Vec<String> {
        self.state.0.mysql.borrow().copies.frozen.keys().map(|(_, step)| step.clone()).collect()
    }
}

pub fn check(state: &State) -> Result<Vec<String>> {
    state.reading("mysql.check", &[])?;
    Ok(state.0.mysql.borrow().copies.broken.get(DATABASE).cloned().unwrap_or_default())
}

pub fn manifest(state: &State, frozen: Option<&str>) -> Result<String> {
    state.reading("mysql.manifest", &frozen.into_iter().collect::<Vec<_>>())?;
    state.0.mysql.borrow().copies.content(DATABASE, frozen)
}

pub fn fence(state: &State) -> Result<String> {
    state.changing("mysql.fence", &[])?;
    let mut server = state.0.mysql.borrow_mut();
    server.copies.fenced.insert(DATABASE.into());
    server.copies.mark(DATABASE)
}

pub fn mark(state: &State) -> Result<String> {
    state.reading("mysql.mark", &[])?;
    state.0.mysql.borrow().copies.mark(DATABASE)
}

pub fn unfence(state: &State) -> Result<()> {
    state.changing("mysql.unfence", &[])?;
    state.0.mysql.borrow_mut().copies.fenced.clear();
    Ok(())
}

pub fn save(state: &State, frozen: Option<&str>) -> Result<(Vec<String>, String)> {
    state.changing("mysql.save", &frozen.into_iter().collect::<Vec<_>>())?;
    let (key, manifest) = state.0.mysql.borrow_mut().copies.save(DATABASE, frozen)?;
    Ok((vec![format!("{key}.tables"), format!("{key}.definitions")], manifest))
}

pub fn put_back(state: &State, artifacts: &[String]) -> Result<()> {
    state.changing("mysql.put-back", &artifacts.iter().map(String::as_str).collect::<Vec<_>>())?;
    let [tables, _] = artifacts else { return Err(Error::invalid("a backup of this datastore has two artifacts")) };
    let key = tables.trim_end_matches(".tables");
    state.0.mysql.borrow_mut().copies.put_back(DATABASE, key, &state.step())
}

pub fn freeze(state: &State) -> Result<bool> {
    state.changing("mysql.freeze", &[])?;
    let mut server = state.0.mysql.borrow_mut();
    if server.freezes {
        server.copies.freeze(DATABASE, &state.step())?;
    }
    Ok(server.freezes)
}

pub fn swap(state: &State, step: &str) -> Result<()> {
    state.changing("mysql.swap", &[step])?;
    state.0.mysql.borrow_mut().copies.swap(DATABASE, step, &state.step())
}

pub fn discard(state: &State, step: &str) -> Result<()> {
    state.changing("mysql.discard", &[step])?;
    state.0.mysql.borrow_mut().copies.discard(DATABASE, step);
    Ok(())
}
