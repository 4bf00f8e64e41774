//! Cuts Google's discovery documents to what the double answers, and writes the numbers of the enums beside them.
//!
//! `discovery/README.md` says where the inputs come from and how this is called.

#![allow(clippy::unwrap_used, reason = "a tool that may die")]

use regex_lite::Regex;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Document in the Go module, file here, methods that are kept.
const DOCUMENTS: &[(&str, &str, &[&str])] = &[
    (
        "run/v2/run-api.json",
        "run-v2.json",
        &[
            "run.projects.locations.jobs.create",
            "run.projects.locations.jobs.delete",
            "run.projects.locations.jobs.executions.cancel",
            "run.projects.locations.jobs.executions.get",
            "run.projects.locations.jobs.executions.list",
            "run.projects.locations.jobs.get",
            "run.projects.locations.jobs.list",
            "run.projects.locations.jobs.patch",
            "run.projects.locations.jobs.run",
            "run.projects.locations.jobs.testIamPermissions",
            "run.projects.locations.operations.get",
            "run.projects.locations.operations.list",
            "run.projects.locations.operations.wait",
            "run.projects.locations.services.create",
            "run.projects.locations.services.delete",
            "run.projects.locations.services.get",
            "run.projects.locations.services.list",
            "run.projects.locations.services.patch",
            "run.projects.locations.services.revisions.delete",
            "run.projects.locations.services.revisions.get",
            "run.projects.locations.services.revisions.list",
            "run.projects.locations.services.testIamPermissions",
        ],
    ),
    (
        "run/v1/run-api.json",
        "run-v1.json",
        &[
            "run.namespaces.revisions.get",
            "run.namespaces.revisions.list",
            "run.namespaces.services.create",
            "run.namespaces.services.get",
            "run.namespaces.services.list",
            "run.namespaces.services.replaceService",
        ],
    ),
    ("sqladmin/v1/sqladmin-api.json", "sqladmin-v1.json", SQL),
    ("sqladmin/v1beta4/sqladmin-api.json", "sqladmin-v1beta4.json", SQL),
];

const SQL: &[&str] = &[
    "sql.backupRuns.delete",
    "sql.backupRuns.get",
    "sql.backupRuns.insert",
    "sql.backupRuns.list",
    "sql.connect.get",
    "sql.databases.list",
    "sql.instances.delete",
    "sql.instances.get",
    "sql.instances.insert",
    "sql.instances.list",
    "sql.instances.patch",
    "sql.instances.restart",
    "sql.instances.restoreBackup",
    "sql.operations.get",
    "sql.operations.list",
    "sql.users.list",
];

/// What a document says of itself that is worth keeping.
const HEAD: &[&str] = &["id", "name", "version", "revision", "title", "rootUrl", "servicePath", "parameters"];

fn main() {
    let mut arguments = std::env::args().skip(1);
    let module = arguments.next().expect("the folder of the Go module");
    let models: Vec<String> =
        arguments.map(|path| std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{path}: {e}"))).collect();
    assert!(!models.is_empty(), "after the module's folder: the `model.rs` of Google's clients for Rust");
    let known = models.iter().flat_map(|text| enums_of_client(text)).collect::<Vec<_>>();
    let target = Path::new(env!("CARGO_MANIFEST_DIR")).join("discovery");
    let mut numbers = Map::new();
    for (source, file, methods) in DOCUMENTS {
        let path = Path::new(&module).join(source);
        let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let document: Value = serde_json::from_str(&text).unwrap();
        let cut = cut(&document, methods);
        for (key, value) in numbers_of(&cut, &known) {
            numbers.insert(key, value);
        }
        write(&target.join(file), &cut);
    }
    write(&target.join("enum-numbers.json"), &Value::Object(numbers));
}

fn write(path: &Path, value: &Value) {
    std::fs::write(path, serde_json::to_string_pretty(value).unwrap() + "\n").unwrap();
    println!("{}", path.display());
}

fn cut(document: &Value, wanted: &[&str]) -> Value {
    let mut methods = BTreeMap::new();
    collect(document, &mut methods);
    let kept: Map<String, Value> = wanted
        .iter()
        .map(|id| ((*id).to_owned(), plain(methods.get(*id).unwrap_or_else(|| panic!("no method `{id}`")))))
        .collect();
    let mut schemas = BTreeMap::new();
    let mut open = BTreeSet::new();
    references(&Value::Object(kept.clone()), &mut open);
    while let Some(name) = open.pop_first() {
        let schema = plain(&document["schemas"][&name]);
        let mut further = BTreeSet::new();
        references(&schema, &mut further);
        schemas.insert(name, schema);
        open.extend(further.into_iter().filter(|name| !schemas.contains_key(name)));
    }
    let mut whole: Map<String, Value> = HEAD.iter().map(|key| ((*key).to_owned(), plain(&document[*key]))).collect();
    let locations = document["endpoints"].as_array().into_iter().flatten().filter_map(|e| e["location"].as_str());
    whole.insert("locations".to_owned(), json!(locations.collect::<BTreeSet<_>>()));
    whole.insert("methods".to_owned(), Value::Object(kept));
    whole.insert("schemas".to_owned(), Value::Object(schemas.into_iter().collect()));
    Value::Object(whole)
}

fn collect(resource: &Value, into: &mut BTreeMap<String, Value>) {
    for method in resource["methods"].as_object().into_iter().flatten().map(|(_, method)| method) {
        into.insert(method["id"].as_str().unwrap().to_owned(), method.clone());
    }
    for (_, inner) in resource["resources"].as_object().into_iter().flatten() {
        collect(inner, into);
    }
}

fn references(value: &Value, into: &mut BTreeSet<String>) {
    match value {
        Value::Object(map) => {
            if let Some(Value::String(name)) = map.get("$ref") {
                into.insert(name.clone());
            }
            map.values().for_each(|inner| references(inner, into));
        }
        Value::Array(items) => items.iter().for_each(|inner| references(inner, into)),
        _ => {}
    }
}

/// Without the prose, which is most of a document. What begins with `Required.` stays: nothing else says it.
fn plain(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            let keeps = |key: &str, value: &Value| match (key, value) {
                ("description", Value::String(text)) => text.starts_with("Required."),
                ("enumDescriptions", Value::Array(_)) => false,
                _ => true,
            };
            map.iter().filter(|(key, value)| keeps(key, value)).map(|(k, v)| (k.clone(), plain(v))).collect()
        }
        Value::Array(items) => items.iter().map(plain).collect(),
        other => other.clone(),
    }
}

type Enum = BTreeMap<String, i64>;

/// Discovery documents name enums, the wire can carry their numbers: those stand in Google's clients.
fn enums_of_client(model: &str) -> Vec<Enum> {
    let from = Regex::new(r"impl std::convert::From<&str> for \w+ \{").unwrap();
    let name = Regex::new(r#""(\w+)" =>\s*\{?\s*Self::(\w+)"#).unwrap();
    let number = Regex::new(r"Self::(\w+) =>\s*\{?\s*serializer\.serialize_i32\((\d+)\)").unwrap();
    let starts: Vec<usize> = from.find_iter(model).map(|found| found.start()).collect();
    let ends = starts.iter().skip(1).copied().chain([model.len()]);
    starts
        .iter()
        .zip(ends)
        .map(|(start, end)| {
            let text = &model[*start..end];
            let names: BTreeMap<&str, &str> =
                name.captures_iter(text).map(|c| (c.get(2).unwrap().as_str(), c.get(1).unwrap().as_str())).collect();
            number
                .captures_iter(text)
                .filter_map(|c| Some((names.get(&c[1])?.to_string(), c[2].parse().unwrap())))
                .collect()
        })
        .collect()
}

/// `Schema.property` to names and numbers, where a client knows the enum.
fn numbers_of(cut: &Value, known: &[Enum]) -> Vec<(String, Value)> {
    let mut found = Vec::new();
    for (schema, definition) in cut["schemas"].as_object().unwrap() {
        for (property, definition) in definition["properties"].as_object().into_iter().flatten() {
            let names = definition.get("enum").or_else(|| definition["items"].get("enum"));
            let Some(names) = names.and_then(Value::as_array) else { continue };
            let names: Vec<&str> = names.iter().filter_map(Value::as_str).collect();
            let shared = |candidate: &&Enum| names.iter().filter(|name| candidate.contains_key(**name)).count();
            let Some(best) = known.iter().max_by_key(shared).filter(|best| shared(best) * 2 > names.len()) else {
                continue;
            };
            let numbers: Map<String, Value> =
                names.iter().filter_map(|name| Some(((*name).to_owned(), json!(best.get(*name)?)))).collect();
            found.push((format!("{}.{schema}.{property}", cut["id"].as_str().unwrap()), Value::Object(numbers)));
        }
    }
    found
}
