//! One file: its pods, and what stands in it beside them.

use crate::pod::Pod;
use crate::yaml::{self, Node};
use crate::{Mistake, substituted};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// What a file says, with its variables filled in.
#[derive(Debug, Clone, PartialEq)]
pub struct File {
    pub name: String,
    pub pods: Vec<Pod>,
    /// Named volumes that it asks for by a document of their own.
    pub claims: Vec<String>,
    /// Documents beside the pods: config maps and claims.
    pub beside: Vec<Value>,
}

/// `database` of `pods/pod-database.yaml`.
pub fn service_of(path: &str) -> &str {
    let name = path.rsplit('/').next().unwrap_or(path);
    let stem = [".yaml", ".yml", ".json", ".kube"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name);
    stem.strip_prefix("pod-").filter(|rest| !rest.is_empty()).unwrap_or(stem)
}

/// The pods that a text declares, whatever else is wrong with it.
pub fn pods_named(text: &str) -> Vec<String> {
    let documents = yaml::documents("", text).unwrap_or_default();
    let pods = documents.iter().filter(|document| document.get("kind").and_then(Node::text) == Some("Pod"));
    pods.filter_map(|pod| pod.at(&["metadata", "name"])?.text().map(str::to_owned)).collect()
}

impl File {
    /// `set`: the variables.
    pub fn read(name: &str, text: &str, set: &BTreeMap<String, String>) -> Result<Self, Mistake> {
        Self::plain(name, &substituted(text, set))
    }

    /// The same of a text without variables.
    pub fn plain(name: &str, text: &str) -> Result<Self, Mistake> {
        let file = Self::of(name, text)?;
        let mistake = |why: String| Mistake { file: name.into(), line: None, why };
        if file.pods.is_empty() {
            return Err(mistake("it declares no pod; a document of `kind: Pod` would be right".into()));
        }
        let mut names = BTreeSet::new();
        if let Some(twice) = file.pods.iter().find(|pod| !names.insert(pod.name.as_str())) {
            return Err(mistake(format!("it declares the pod `{}` twice", twice.name)));
        }
        Ok(file)
    }

    /// Config maps and the like alone.
    pub fn settings(name: &str, text: &str, set: &BTreeMap<String, String>) -> Result<Vec<Value>, Mistake> {
        let file = Self::of(name, &substituted(text, set))?;
        match file.pods.first() {
            None => Ok(file.beside),
            Some(pod) => Err(Mistake {
                file: name.into(),
                line: Some(pod.line),
                why: format!("the pod `{}` stands in a file of config maps; list the file under `pods`", pod.name),
            }),
        }
    }

    fn of(name: &str, text: &str) -> Result<Self, Mistake> {
        let mut file = Self { name: name.into(), pods: Vec::new(), claims: Vec::new(), beside: Vec::new() };
        for document in yaml::documents(name, text)? {
            file.take(&document)?;
        }
        Ok(file)
    }

    fn take(&mut self, document: &Node) -> Result<(), Mistake> {
        let wrong = |line: usize, why: String| Mistake { file: self.name.clone(), line: Some(line), why };
        let Some(kind) = document.get("kind").and_then(Node::text) else {
            return Err(wrong(document.line, "this is no document of Kubernetes: it has no `kind`".into()));
        };
        let named = document.at(&["metadata", "name"]).and_then(Node::text);
        let named = named.ok_or_else(|| wrong(document.line, format!("this `{kind}` has no `metadata.name`")))?;
        match kind {
            "Pod" => {
                let pod = Pod::read(document, named).map_err(|(line, why)| wrong(line, why))?;
                self.pods.push(pod);
            }
            "ConfigMap" => self.beside.push(document.json()),
            "PersistentVolumeClaim" => {
                self.claims.push(named.to_owned());
                self.beside.push(document.json());
            }
            other => {
                let right = "`Pod`, `ConfigMap` and `PersistentVolumeClaim` can be upgraded";
                return Err(wrong(document.line, format!("a `{other}` is not known here: {right}")));
            }
        }
        Ok(())
    }
}
