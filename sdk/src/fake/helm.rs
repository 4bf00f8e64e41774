//! A release of Helm: revisions, workloads, and charts that somebody published.

use super::{FakeHost, State};
use crate::{Chart, Error, Outlook, Reconciler, Result, Revision, Workload};

#[derive(Default)]
pub struct Release {
    history: Vec<Revision>,
    workloads: Vec<Workload>,
    charts: Vec<Chart>,
    missing: Vec<String>,
    drift: Vec<String>,
    removed: Vec<String>,
    reconcilers: Vec<Reconciler>,
}

const NAME: &str = "shop";

impl FakeHost {
    /// A workload of the release on the platform `main`, which runs.
    pub fn workload(&self, kind: &str, name: &str) {
        let hook = kind == "Hook";
        let kind = if hook { "Job" } else { kind };
        self.service("main", name);
        let workload = Workload { name: name.into(), kind: kind.into(), image: None, hook, held: false };
        self.state.0.helm.borrow_mut().workloads.push(workload);
    }
    /// The release's newest revision is of this version of the chart.
    pub fn revision(&self, version: &str, status: &str) {
        self.state.0.helm.borrow_mut().push(version, status, false);
    }
    /// A version of the chart that can be had.
    pub fn chart(&self, version: &str) {
        let chart = Chart { name: NAME.into(), version: version.into(), digest: format!("sha256:{version}") };
        self.state.0.helm.borrow_mut().charts.push(chart);
    }
    pub fn missing_right(&self, rule: &str) {
        self.state.0.helm.borrow_mut().missing.push(rule.into());
    }
    pub fn drifted(&self, what: &str) {
        self.state.0.helm.borrow_mut().drift.push(what.into());
    }
    /// `suspended`: none where nobody may look.
    pub fn reconciler(&self, name: &str, suspended: Option<bool>) {
        let reconciler = Reconciler { name: name.into(), suspended, hint: String::new() };
        self.state.0.helm.borrow_mut().reconcilers.push(reconciler);
    }
    /// A CRD that no chart to come has any more.
    pub fn removed_definition(&self, name: &str) {
        self.state.0.helm.borrow_mut().removed.push(name.into());
    }
    /// Version, status, and whether something is held, oldest first.
    pub fn revisions(&self) -> Vec<String> {
        let release = self.state.0.helm.borrow();
        let line = |r: &Revision| format!("{} {}{}", r.version, r.status, if r.held { " held" } else { "" });
        release.history.iter().map(line).collect()
    }
}

impl Release {
    fn push(&mut self, version: &str, status: &str, held: bool) {
        if let Some(last) = self.history.last_mut() {
            last.status = "superseded".into();
        }
        let number = u32::try_from(self.history.len()).unwrap_or_default() + 1;
        let (status, chart) = (status.to_owned(), NAME.to_owned());
        let (version, app_version) = (version.to_owned(), version.to_owned());
        self.history.push(Revision { number, status, chart, version, app_version, held });
    }
    fn find(&self, version: &str) -> Result<Chart> {
        let found = self.charts.iter().find(|chart| chart.version == version || chart.digest == version);
        found.cloned().ok_or_else(|| Error::not_found(format!("there is no chart `{NAME}` of version {version}")))
    }
    fn hold(&mut self, names: &[String]) {
        self.workloads.iter_mut().for_each(|workload| workload.held = names.contains(&workload.name));
    }
}

pub fn history(state: &State) -> Result<Vec<Revision>> {
    state.reading("helm.history", &[])?;
    Ok(state.0.helm.borrow().history.clone())
}

pub fn workloads(state: &State) -> Result<Vec<Workload>> {
    state.reading("helm.workloads", &[])?;
    Ok(state.0.helm.borrow().workloads.clone())
}

pub fn missing_rights(state: &State) -> Result<Vec<String>> {
    state.reading("helm.missing-rights", &[])?;
    Ok(state.0.helm.borrow().missing.clone())
}

pub fn look_ahead(state: &State, version: &str) -> Result<Outlook> {
    state.reading("helm.look-ahead", &[version])?;
    let release = state.0.helm.borrow();
    let chart = release.find(version)?;
    let removed_definitions = release.removed.clone();
    Ok(Outlook { chart, workloads: release.workloads.clone(), diff: "-1\n+2\n".into(), removed_definitions })
}

pub fn pull(state: &State, version: &str) -> Result<Chart> {
    state.changing("helm.pull", &[version])?;
    state.0.helm.borrow().find(version)
}

pub fn upgrade(state: &State, digest: &str, hold: &[String], _idle_ms: u64) -> Result<()> {
    state.changing("helm.upgrade", &[digest, &hold.join(",")])?;
    let mut release = state.0.helm.borrow_mut();
    let chart = release.find(digest)?;
    release.push(&chart.version, "deployed", !hold.is_empty());
    release.hold(hold);
    Ok(())
}

pub fn back(state: &State, revision: u32, hold: &[String]) -> Result<()> {
    state.changing("helm.back", &[&revision.to_string(), &hold.join(",")])?;
    let mut release = state.0.helm.borrow_mut();
    let found = release.history.iter().find(|known| known.number == revision).map(|known| known.version.clone());
    let version = found.ok_or_else(|| Error::not_found(format!("the release has no revision {revision}")))?;
    release.push(&version, "deployed", !hold.is_empty());
    release.hold(hold);
    Ok(())
}

pub fn settle(state: &State) -> Result<()> {
    state.changing("helm.settle", &[])?;
    let mut release = state.0.helm.borrow_mut();
    if let Some(version) = release.history.last().filter(|last| last.held).map(|last| last.version.clone()) {
        release.push(&version, "deployed", false);
    }
    Ok(())
}

pub fn drift(state: &State) -> Result<Vec<String>> {
    state.reading("helm.drift", &[])?;
    Ok(state.0.helm.borrow().drift.clone())
}

pub fn reconcilers(state: &State) -> Result<Vec<Reconciler>> {
    state.reading("helm.reconcilers", &[])?;
    Ok(state.0.helm.borrow().reconcilers.clone())
}
