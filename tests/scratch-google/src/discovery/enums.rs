//! Enums have names and numbers. Clients that ask with `enum-encoding=int` get numbers, and every client may send them.

use super::{Document, any};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::OnceLock;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Encoding {
    #[default]
    Names,
    Numbers,
}

type Numbers = BTreeMap<String, BTreeMap<String, i64>>;

/// Sets every enum in a message as the encoding has it. What has no known number stays a name.
pub fn convert(document: &Document, schema: &str, value: &mut Value, encoding: Encoding) {
    message(document, schema, value, encoding);
}

/// The number of an enum's name.
pub(super) fn is_number(document: &Document, schema: &str, property: &str, number: i64) -> bool {
    known(document, schema, property).is_some_and(|names| names.values().any(|known| *known == number))
}

fn message(document: &Document, schema: &str, value: &mut Value, encoding: Encoding) {
    let Some(object) = value.as_object_mut() else { return };
    let definition = document.schema(schema);
    for (property, value) in object {
        field(document, (schema, property), &definition["properties"][property], value, encoding);
    }
}

fn field(document: &Document, at: (&str, &str), definition: &Value, value: &mut Value, encoding: Encoding) {
    if let Some(schema) = definition["$ref"].as_str() {
        return message(document, schema, value, encoding);
    }
    match value {
        Value::Array(items) => {
            items.iter_mut().for_each(|item| field(document, at, &definition["items"], item, encoding));
        }
        Value::Object(map) if definition["additionalProperties"].is_object() => {
            let inner = &definition["additionalProperties"];
            if let Some(schema) = any::schema_of(document, &Value::Object(map.clone())) {
                return message(document, &schema, value, encoding);
            }
            map.iter_mut().for_each(|(_, value)| field(document, at, inner, value, encoding));
        }
        Value::String(name) if definition["enum"].is_array() && encoding == Encoding::Numbers => {
            let number = known(document, at.0, at.1).and_then(|names| names.get(name.as_str()));
            if let Some(number) = number {
                *value = (*number).into();
            }
        }
        Value::Number(number) if definition["enum"].is_array() && encoding == Encoding::Names => {
            let name = known(document, at.0, at.1)
                .and_then(|names| names.iter().find(|(_, known)| number.as_i64() == Some(**known)));
            if let Some((name, _)) = name {
                *value = name.as_str().into();
            }
        }
        _ => {}
    }
}

fn known(document: &Document, schema: &str, property: &str) -> Option<&'static BTreeMap<String, i64>> {
    static NUMBERS: OnceLock<Numbers> = OnceLock::new();
    let numbers = NUMBERS.get_or_init(|| {
        serde_json::from_str(include_str!("../../discovery/enum-numbers.json")).expect("this crate's own file is JSON")
    });
    numbers.get(&format!("{}.{schema}.{property}", document.id))
}
