//! The graph in memory: nodes with properties, and edges between them. Changed by records alone, and each leads to the
//! same graph whenever it is played.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};

pub type Properties = Map<String, Value>;

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Graph {
    nodes: BTreeMap<u64, Node>,
    next: u64,
    /// How many of each kind users and services made.
    created: BTreeMap<String, u64>,
    /// Those that are complete, in the order in which they were applied.
    pub migrations: Vec<String>,
    indexes: BTreeSet<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Node {
    pub kind: String,
    #[serde(default)]
    pub properties: Properties,
    #[serde(default)]
    pub edges: Vec<Edge>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Edge {
    pub name: String,
    pub to: u64,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Record {
    /// `unique`: a property that no other node of the kind may have the same of.
    Create {
        node: Node,
        unique: Option<String>,
    },
    /// Only where the node has what is `expected`; null stands for a property that it has not.
    Set {
        id: u64,
        properties: Properties,
        expected: Properties,
    },
    Migrate {
        name: String,
        step: Step,
    },
}

/// One part of a migration, counted from 1; the last completes it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    pub part: u64,
    pub parts: u64,
    pub changes: Vec<Change>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Change {
    Create {
        kind: String,
        name: String,
    },
    Set {
        kind: String,
        property: String,
        value: Value,
    },
    Unset {
        kind: String,
        property: String,
    },
    Index {
        kind: String,
        property: String,
    },
    /// Fails where there is no node of the kind.
    Require {
        kind: String,
    },
    /// Loses the others.
    KeepOneOf {
        kind: String,
        every: u64,
    },
}

#[derive(Debug, PartialEq, Eq)]
pub enum Refusal {
    NotFound(String),
    Conflict(String),
}

/// The node's number, and whether anything had to be done.
pub type Played = Result<(u64, bool), Refusal>;

impl Graph {
    /// All or nothing.
    pub fn play(&mut self, record: &Record) -> Played {
        match record {
            Record::Create { node, unique } => self.create(node, unique.as_deref()),
            Record::Set { id, properties, expected } => self.set(*id, properties, expected),
            Record::Migrate { name, .. } if self.migrations.contains(name) => Ok((0, false)),
            Record::Migrate { name, step } => {
                let mut migrated = self.clone();
                step.changes.iter().try_for_each(|change| migrated.change(change, step))?;
                if step.part >= step.parts {
                    migrated.migrations.push(name.clone());
                }
                *self = migrated;
                Ok((0, true))
            }
        }
    }

    fn create(&mut self, node: &Node, unique: Option<&str>) -> Played {
        if let Some(edge) = node.edges.iter().find(|edge| !self.nodes.contains_key(&edge.to)) {
            return Err(Refusal::NotFound(format!(
                "the edge `{}` leads to {}, and there is no such node",
                edge.name, edge.to
            )));
        }
        if let Some(property) = unique {
            let value = node.properties.get(property);
            let value = value.ok_or_else(|| Refusal::Conflict(format!("a {} needs a {property}", node.kind)))?;
            let same = |other: &Node| other.kind == node.kind && other.properties.get(property) == Some(value);
            if self.nodes.values().any(same) {
                return Err(Refusal::Conflict(format!("there is a {} with the {property} {value} already", node.kind)));
            }
        }
        self.next += 1;
        *self.created.entry(node.kind.clone()).or_default() += 1;
        self.nodes.insert(self.next, node.clone());
        Ok((self.next, true))
    }

    fn set(&mut self, id: u64, properties: &Properties, expected: &Properties) -> Played {
        let node = self.nodes.get_mut(&id).ok_or_else(|| Refusal::NotFound(format!("there is no node {id}")))?;
        for (property, value) in expected {
            let there = node.properties.get(property).unwrap_or(&Value::Null);
            if there != value {
                return Err(Refusal::Conflict(format!("the {property} of {id} is {there} and not {value}")));
            }
        }
        node.properties.extend(properties.clone());
        Ok((id, true))
    }

    fn change(&mut self, change: &Change, step: &Step) -> Result<(), Refusal> {
        let mut of_part = |kind: &str, change: &dyn Fn(&mut Properties)| {
            let here = |id: u64| id % step.parts.max(1) + 1 == step.part;
            let nodes = self.nodes.iter_mut().filter(|(id, node)| node.kind == kind && here(**id));
            nodes.for_each(|(_, node)| change(&mut node.properties));
        };
        match change {
            Change::Create { kind, name } => {
                let properties = Map::from_iter([("name".to_owned(), json!(name))]);
                self.create(&Node { kind: kind.clone(), properties, edges: Vec::new() }, Some("name"))?;
            }
            Change::Set { kind, property, value } => {
                of_part(kind, &|properties| drop(properties.insert(property.clone(), value.clone())));
            }
            Change::Unset { kind, property } => of_part(kind, &|properties| drop(properties.remove(property))),
            Change::Index { kind, property } => drop(self.indexes.insert(format!("{kind}.{property}"))),
            Change::Require { kind } if !self.nodes.values().any(|node| node.kind == *kind) => {
                return Err(Refusal::Conflict(format!("there is no node of the kind `{kind}`")));
            }
            Change::Require { .. } => {}
            Change::KeepOneOf { kind, every } => {
                let mut seen = 0;
                self.nodes.retain(|_, node| {
                    seen += u64::from(node.kind == *kind);
                    node.kind != *kind || seen % every.max(&1) == 1
                });
            }
        }
        Ok(())
    }

    /// Those that have every value of `wanted`; the key `kind` is the kind.
    pub fn find(&self, wanted: &BTreeMap<String, String>) -> Vec<Value> {
        let fits = |node: &Node| {
            wanted.iter().all(|(key, value)| match (key.as_str(), node.properties.get(key)) {
                ("kind", _) => node.kind == *value,
                (_, Some(Value::String(text))) => text == value,
                (_, Some(other)) => serde_json::from_str::<Value>(value).is_ok_and(|value| value == *other),
                (_, None) => false,
            })
        };
        let told = |(id, node): (&u64, &Node)| json!({ "id": id, "kind": node.kind, "properties": node.properties, "edges": node.edges });
        self.nodes.iter().filter(|(_, node)| fits(node)).map(told).collect()
    }

    /// How many nodes and edges there are, with a checksum: of all, and of each kind.
    pub fn export(&self) -> Value {
        let mut kinds: BTreeMap<&str, (u64, usize, Sha256)> = BTreeMap::new();
        for (id, node) in &self.nodes {
            let (count, edges, sum) = kinds.entry(&node.kind).or_default();
            let line = json!([id, node.properties, node.edges]).to_string();
            (*count, *edges) = (*count + 1, *edges + node.edges.len());
            sum.update(line.as_bytes());
            sum.update(b"\n");
        }
        let (mut all, mut nodes, mut edges, mut told) = (Sha256::new(), 0, 0, Map::new());
        for (kind, (count, own_edges, sum)) in kinds {
            let sum = hex(sum);
            all.update(format!("{kind} {sum}\n"));
            (nodes, edges) = (nodes + count, edges + own_edges);
            told.insert(kind.into(), json!({ "count": count, "edges": own_edges, "checksum": sum }));
        }
        json!({ "count": nodes, "edges": edges, "checksum": hex(all), "kinds": told, "created": self.created })
    }
}

pub fn hex(hasher: Sha256) -> String {
    hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests;
