//! An instance of Cloud SQL: a word stands for all that it holds.

use super::{FakeHost, State};
use crate::{Error, Instance, Result};
use std::collections::BTreeMap;

#[derive(Default)]
pub struct Kept {
    instance: Option<Instance>,
    holds: String,
    saved: BTreeMap<String, String>,
}

impl FakeHost {
    /// An instance with one database `shop`.
    pub fn cloud_instance(&self, name: &str, version: &str) {
        self.state.0.cloud_sql.borrow_mut().instance = Some(Instance {
            name: name.into(),
            version: version.into(),
            tier: "db-custom-1-3840".into(),
            region: "europe-west1".into(),
            disk_gb: Some(10),
            state: "RUNNABLE".into(),
            runnable: true,
            backups_managed: false,
            backups_outlive_it: true,
        });
    }
    pub fn change_cloud_instance(&self, change: impl FnOnce(&mut Instance)) {
        change(self.state.0.cloud_sql.borrow_mut().instance.as_mut().expect("there is an instance"));
    }
    /// What the instance holds.
    pub fn cloud_data(&self) -> String {
        self.state.0.cloud_sql.borrow().holds.clone()
    }
    pub fn write_cloud_data(&self, data: &str) {
        self.state.0.cloud_sql.borrow_mut().holds = data.into();
    }
}

pub fn look(state: &State) -> Result<Instance> {
    state.reading("cloud-sql.look", &[])?;
    let instance = state.0.cloud_sql.borrow().instance.clone();
    instance.ok_or_else(|| Error::not_found("there is no such instance"))
}

pub fn databases(state: &State) -> Result<Vec<String>> {
    state.reading("cloud-sql.databases", &[])?;
    Ok(vec!["postgres".into(), "shop".into()])
}

pub fn save(state: &State) -> Result<String> {
    state.changing("cloud-sql.save", &[])?;
    let key = format!("shop/{}/main/cloud-sql", state.step());
    let mut kept = state.0.cloud_sql.borrow_mut();
    let holds = kept.holds.clone();
    kept.saved.insert(key.clone(), holds);
    Ok(key)
}

pub fn put_back(state: &State, artifact: &str) -> Result<()> {
    state.changing("cloud-sql.put-back", &[artifact])?;
    let mut kept = state.0.cloud_sql.borrow_mut();
    let found = kept.saved.get(artifact).cloned();
    kept.holds = found.ok_or_else(|| Error::not_found(format!("there is no artifact `{artifact}`")))?;
    Ok(())
}
