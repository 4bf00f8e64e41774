//! Variables of a service's container: the operator's own at Google's, and those that are named for its next revision.
//!
//! Which were named, and what stood there before, stands in an annotation of the template: what is no longer named goes, and
//! what was the operator's comes back. Of a variable that somebody set otherwise meanwhile nothing is remembered: it is
//! theirs. One that has its value from Secret Manager is never given another. Pure.

use super::look::serves;
use crate::{Error, Result};
use google_cloud_run_v2::model::{Container, EnvVar, RevisionTemplate, env_var::Values};
use sha2::{Digest as _, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// Values by name.
pub type Variables = BTreeMap<String, String>;

const NAMED: &str = "upgraded-variables";

/// By name: what stood there before, and a digest of what was put.
type Named = BTreeMap<String, (Option<EnvVar>, String)>;

/// What a container's variables are. None: the value is a secret of Secret Manager. Its debug form shows no value.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Environment(BTreeMap<String, Option<String>>);

/// What the next revision has otherwise than the one that serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Difference {
    New,
    /// Another value.
    Other,
    Gone,
    /// It is named, and has its value from Secret Manager, which stays.
    Bound,
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl Environment {
    pub(super) fn of(containers: &[Container]) -> Self {
        let variables = serves(containers).into_iter().flat_map(|at| &containers[at].env);
        Self(variables.map(|variable| (variable.name.clone(), plain(variable).map(str::to_owned))).collect())
    }

    pub(super) fn has(&self, variables: &Variables) -> bool {
        variables.iter().all(|(name, value)| self.0.get(name) == Some(&Some(value.clone())))
    }

    /// Of `variables`, those that have their value from Secret Manager.
    pub(super) fn bound(&self, variables: &Variables) -> Vec<String> {
        variables.keys().filter(|name| self.0.get(*name) == Some(&None)).cloned().collect()
    }

    /// To what the template becomes with these variables.
    pub(super) fn differs(&self, template: RevisionTemplate, variables: &Variables) -> Vec<(String, Difference)> {
        let own = Self::of(&own(template).containers);
        let bound: BTreeSet<String> = own.bound(variables).into_iter().collect();
        let mut next = own.0;
        for (name, value) in variables.iter().filter(|(name, _)| !bound.contains(*name)) {
            next.insert(name.clone(), Some(value.clone()));
        }
        let names: BTreeSet<&String> = self.0.keys().chain(next.keys()).collect();
        let difference = |name: &String| match (self.0.get(name), next.get(name)) {
            _ if bound.contains(name) => Some(Difference::Bound),
            (now, next) if now == next => None,
            (None, _) => Some(Difference::New),
            (_, None) => Some(Difference::Gone),
            _ => Some(Difference::Other),
        };
        names.into_iter().filter_map(|name| Some((name.clone(), difference(name)?))).collect()
    }
}

/// A template as its operator has it: without what was named for it.
pub(super) fn own(mut template: RevisionTemplate) -> RevisionTemplate {
    let Some(named) = template.annotations.remove(NAMED) else { return template };
    let mut named: Named = serde_json::from_str(&named).unwrap_or_default();
    if let Some(at) = serves(&template.containers) {
        let variables = &mut template.containers[at].env;
        variables.retain_mut(|variable| match named.remove(&variable.name) {
            Some((was, is)) if plain(variable).map(digest).as_ref() == Some(&is) => {
                was.map(|was| *variable = was).is_some()
            }
            _ => true,
        });
    }
    template
}

/// A template of its operator's, with these variables besides.
pub(super) fn with(mut template: RevisionTemplate, variables: &Variables) -> Result<RevisionTemplate> {
    refuse_bound(&template.containers, variables)?;
    let Some(at) = serves(&template.containers) else { return Ok(template) };
    let mut named = Named::new();
    let all = &mut template.containers[at].env;
    for (name, value) in variables {
        let wanted = EnvVar::new().set_name(name).set_value(value);
        let was = match all.iter_mut().find(|variable| variable.name == *name) {
            Some(variable) => Some(std::mem::replace(variable, wanted)),
            None => {
                all.push(wanted);
                None
            }
        };
        named.insert(name.clone(), (was, digest(value)));
    }
    if !named.is_empty() {
        let text = serde_json::to_string(&named).map_err(|error| Error::Invalid(format!("variables: {error}")))?;
        template.annotations.insert(NAMED.into(), text);
    }
    Ok(template)
}

pub(super) fn refuse_bound(containers: &[Container], variables: &Variables) -> Result<()> {
    let bound = Environment::of(containers).bound(variables);
    if bound.is_empty() {
        return Ok(());
    }
    let message = format!("`{}` has its value from Secret Manager, and is not given another", bound.join("`, `"));
    Err(Error::Conflict(message))
}

/// None: its value is a secret of Secret Manager.
fn plain(variable: &EnvVar) -> Option<&str> {
    match &variable.values {
        Some(Values::Value(value)) => Some(value),
        None => Some(""),
        Some(_) => None,
    }
}

/// To tell whether it is still what was put, a second copy of a value is not needed.
fn digest(value: &str) -> String {
    Sha256::digest(value).iter().map(|byte| format!("{byte:02x}")).collect()
}
