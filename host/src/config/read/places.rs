//! A TOML value as the JSON that a plugin is handed, with the place of every part of it.

use super::{Reading, SecretCheck};
use crate::config::diagnostic::Report;
use crate::config::document::Item;
use crate::config::secret::{SecretError, SecretSource};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::ops::Range;
use toml::de::DeValue;

/// Where a part of a binding's settings stands, and its dotted name within the file.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub key: Range<usize>,
    pub value: Range<usize>,
    pub path: String,
}

/// The JSON of one binding's table while it grows.
#[derive(Default)]
pub(super) struct Settings {
    pub object: Map<String, Value>,
    /// By JSON pointer.
    pub places: BTreeMap<String, Place>,
    /// By dotted key within the table.
    pub secrets: BTreeMap<String, SecretSource>,
}

impl Settings {
    pub fn insert(&mut self, item: &Item, reading: &mut Reading) {
        let value = self.convert(item, "", item.name, reading);
        if let Some(value) = value {
            self.object.insert(item.name.to_owned(), value);
        }
    }

    /// `above`: the pointer of what holds the item; `dotted`: the item's key within the binding's table.
    fn convert(&mut self, item: &Item, above: &str, dotted: &str, reading: &mut Reading) -> Option<Value> {
        let last = dotted.rsplit_once('.').filter(|_| item.name.is_empty()).map_or(item.name, |(_, number)| number);
        let pointer = format!("{above}/{}", last.replace('~', "~0").replace('/', "~1"));
        let place = Place { key: item.key.clone(), value: item.span.clone(), path: item.path.clone() };
        self.places.insert(pointer.clone(), place);
        if is_secret(item.value) {
            let source = secret(item, reading)?;
            self.secrets.insert(dotted.to_owned(), source);
            return Some(json!({ "secret": dotted }));
        }
        match item.value {
            DeValue::Array(_) => {
                let elements = item.array(reading.report)?;
                let convert = |(number, element): (usize, &Item)| {
                    self.convert(element, &pointer, &format!("{dotted}.{number}"), reading)
                };
                let values: Vec<_> = elements.iter().enumerate().map(convert).collect();
                values.into_iter().collect::<Option<Vec<_>>>().map(Value::Array)
            }
            DeValue::Table(_) => {
                let table = item.table(reading.report)?;
                let mut object = Map::new();
                for part in table.items() {
                    let value = self.convert(&part, &pointer, &format!("{dotted}.{}", part.name), reading);
                    if let Some(value) = value {
                        object.insert(part.name.to_owned(), value);
                    }
                }
                Some(Value::Object(object))
            }
            _ => scalar(item, reading.report),
        }
    }
}

fn scalar(item: &Item, report: &mut Report) -> Option<Value> {
    let value = match item.value {
        DeValue::String(text) => Some(Value::from(text.as_ref())),
        DeValue::Boolean(value) => Some(Value::from(*value)),
        DeValue::Datetime(value) => Some(Value::from(value.to_string())),
        DeValue::Integer(integer) => i64::from_str_radix(integer.as_str(), integer.radix()).ok().map(Value::from),
        DeValue::Float(float) => {
            let value: Option<f64> = float.as_str().parse().ok();
            value.and_then(serde_json::Number::from_f64).map(Value::Number)
        }
        DeValue::Array(_) | DeValue::Table(_) => None,
    };
    if value.is_none() {
        report.add(item.span.clone(), format!("`{}` is a number that can't be handed to a plugin", item.path));
    }
    value
}

/// `{ secret = "…" }` and nothing beside it.
pub(super) fn is_secret(value: &DeValue) -> bool {
    let DeValue::Table(table) = value else { return false };
    table.len() == 1 && table.get("secret").is_some()
}

/// Reads a secret's source, and looks whether it can be resolved. The value is dropped at once.
pub(super) fn secret(item: &Item, reading: &mut Reading) -> Option<SecretSource> {
    let mut table = item.table(reading.report)?;
    let named =
        table.require("secret", "a secret's source: `file:/path`, `env:NAME` or `credential:NAME`", reading.report)?;
    table.finish(reading.report);
    let text = named.string(reading.report)?;
    let source: SecretSource = match text.parse() {
        Ok(source) => source,
        Err(error) => {
            let help = "the value itself never stands in the file, only where it is kept";
            reading.report.add_with_help(named.span, format!("{error}"), help);
            return None;
        }
    };
    if reading.secrets == SecretCheck::Resolve
        && let Err(error) = source.resolve()
    {
        let (message, help) = said(&source, &error);
        reading.report.push(named.span, message, help);
        return None;
    }
    Some(source)
}

fn said(source: &SecretSource, error: &SecretError) -> (String, Option<String>) {
    let help = match (error, source) {
        (SecretError::Missing(_), SecretSource::File(_)) => {
            Some("write its value there, and keep the file to its owner by `chmod 600`".to_owned())
        }
        (SecretError::Missing(_), SecretSource::Environment(name)) => {
            Some(format!("the daemon has no `{name}` in its environment"))
        }
        (SecretError::Missing(_), SecretSource::Credential(name)) => {
            Some(format!("the daemon's unit needs `LoadCredential={name}:/path`"))
        }
        _ => None,
    };
    match error {
        SecretError::Exposed { name, mode, .. } => (
            format!("the secret `{name}` can be read by others (mode {mode:o})"),
            Some("`chmod 600` keeps it to its owner".to_owned()),
        ),
        SecretError::Unreadable { source, .. } => (format!("{error}: {source}"), help),
        _ => (error.to_string(), help),
    }
}
