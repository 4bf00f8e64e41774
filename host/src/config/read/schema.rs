//! Settings against a plugin's own schema, each refusal told at its place in the file; and what a schema says of names.
//!
//! Nothing is fetched, and patterns run in linear time: the schema is a vendor's.

use super::places::{Place, Settings};
use crate::config::diagnostic::{Report, listed, nearest};
use crate::config::document::Table;
use crate::model::Info;
use jsonschema::error::{TypeKind, ValidationErrorKind as Kind};
use jsonschema::{PatternOptions, ValidationError};
use serde_json::Value;
use std::collections::BTreeSet;

const PATTERN_BYTES: usize = 1024 * 1024;

pub(super) fn check(settings: &Settings, schema: &Value, table: &Table, info: &Info, report: &mut Report) {
    let patterns = PatternOptions::regex().size_limit(PATTERN_BYTES).dfa_size_limit(PATTERN_BYTES);
    let validator = match jsonschema::options().offline().with_pattern_options(patterns).build(schema) {
        Ok(validator) => validator,
        Err(error) => {
            let message =
                format!("the plugin `{}` has no valid schema: {}", info.name, error.masked_with("a part of it"));
            report.add_with_help(table.place.clone(), message, "this is the plugin's mistake");
            return;
        }
    };
    let whole = Place { key: table.place.clone(), value: table.place.clone(), path: table.path.clone() };
    let instance = Value::Object(settings.object.clone());
    for error in validator.iter_errors(&instance) {
        let pointer = error.instance_path().as_str();
        let place = settings.places.get(pointer).unwrap_or(&whole);
        tell(&error, pointer, place, settings, schema, report);
    }
}

fn tell(
    error: &ValidationError, pointer: &str, place: &Place, settings: &Settings, schema: &Value, report: &mut Report,
) {
    let path = &place.path;
    let help = description(error, schema);
    match error.kind() {
        Kind::Required { property } => {
            let property = property.as_str().unwrap_or_default();
            let help = property_schema(error, schema, property).and_then(|schema| said_of(&schema));
            let help = help.unwrap_or_else(|| "the plugin can't do without it".into());
            report.missing(place.key.clone(), &format!("{path}.{property}"), &help);
        }
        Kind::AdditionalProperties { unexpected } | Kind::UnevaluatedProperties { unexpected } => {
            let known = parent(error, schema).map(|parent| properties_of(&parent, schema)).unwrap_or_default();
            for name in unexpected {
                let part = settings.places.get(&format!("{pointer}/{}", name.replace('~', "~0").replace('/', "~1")));
                let span = part.map_or(place.key.clone(), |part| part.key.clone());
                let help = match nearest(name, known.iter().map(String::as_str)) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!("known here: {}", listed(known.iter().map(String::as_str))),
                };
                report.unknown(span, &format!("{path}.{name}"), help);
            }
        }
        // A grant that the host refused already needs no second refusal.
        _ if report.has(&place.value) => {}
        kind => report.push(place.value.clone(), refusal(path, kind, error), help),
    }
}

/// What is wrong, without the value: it could be a secret's.
fn refusal(path: &str, kind: &Kind, error: &ValidationError) -> String {
    let one_of = |options: &Value| match options.as_array() {
        Some(options) => listed(options.iter().map(plain).collect::<Vec<_>>().iter().map(String::as_str)),
        None => format!("`{}`", plain(options)),
    };
    match kind {
        Kind::Type { kind } => {
            let wanted = match kind {
                TypeKind::Single(one) => said_type(&one.to_string()).to_owned(),
                TypeKind::Multiple(several) => {
                    several.iter().map(|one| said_type(&one.to_string()).to_owned()).collect::<Vec<_>>().join(" or ")
                }
            };
            format!("`{path}` must be {wanted}, and is {}", type_of(error.instance()))
        }
        Kind::Enum { options } => format!("`{path}` must be one of {}", one_of(options)),
        Kind::Constant { expected_value } => format!("`{path}` must be `{}`", plain(expected_value)),
        Kind::Minimum { limit } => format!("`{path}` must be {limit} or more"),
        Kind::Maximum { limit } => format!("`{path}` must be {limit} or less"),
        Kind::ExclusiveMinimum { limit } => format!("`{path}` must be more than {limit}"),
        Kind::ExclusiveMaximum { limit } => format!("`{path}` must be less than {limit}"),
        Kind::MinLength { limit: 1 } => format!("`{path}` is empty"),
        Kind::MinLength { limit } => format!("`{path}` must have {limit} characters or more"),
        Kind::MaxLength { limit } => format!("`{path}` must have {limit} characters or less"),
        Kind::MinItems { limit: 1 } | Kind::MinProperties { limit: 1 } => format!("`{path}` is empty"),
        Kind::MinItems { limit } | Kind::MinProperties { limit } => {
            format!("`{path}` must have {limit} entries or more")
        }
        Kind::MaxItems { limit } | Kind::MaxProperties { limit } => {
            format!("`{path}` must have {limit} entries or less")
        }
        Kind::MultipleOf { multiple_of } => format!("`{path}` must be a multiple of {multiple_of}"),
        Kind::Pattern { pattern } => format!("`{path}` must fit the pattern `{pattern}`"),
        Kind::Format { format } => format!("`{path}` must be of the format `{format}`"),
        Kind::UniqueItems => format!("`{path}` has an entry twice"),
        Kind::FalseSchema => format!("`{path}` may not be there"),
        Kind::AnyOf { .. } | Kind::OneOfNotValid { .. } => format!("`{path}` has none of the forms that it can have"),
        Kind::OneOfMultipleValid { .. } => format!("`{path}` has several forms at once that exclude each other"),
        Kind::PropertyNames { .. } => format!("`{path}` has a key that can't be one"),
        other => format!("`{path}` is refused by the plugin's schema (`{}`)", other.keyword()),
    }
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn said_type(name: &str) -> &str {
    match name {
        "string" => "a string",
        "integer" => "an integer",
        "number" => "a number",
        "boolean" => "`true` or `false`",
        "array" => "an array",
        "object" => "a table",
        other => other,
    }
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "a boolean",
        Value::Number(number) if number.is_f64() => "a float",
        Value::Number(_) => "an integer",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(object) if object.len() == 1 && object.contains_key("secret") => "a secret",
        Value::Object(_) => "a table",
    }
}

/// The schema that an error's keyword stands in.
fn parent(error: &ValidationError, schema: &Value) -> Option<Value> {
    let (parent, _) = error.schema_path().as_str().rsplit_once('/')?;
    schema.pointer(parent).cloned()
}

fn description(error: &ValidationError, schema: &Value) -> Option<String> {
    said_of(&parent(error, schema)?)
}

fn said_of(schema: &Value) -> Option<String> {
    schema.get("description")?.as_str().map(|text| text.trim().trim_end_matches('.').to_owned())
}

fn property_schema(error: &ValidationError, schema: &Value, name: &str) -> Option<Value> {
    parent(error, schema)?.get("properties")?.get(name).cloned()
}

/// Every key that the schema names at its top.
pub(super) fn properties(schema: &Value) -> BTreeSet<String> {
    properties_of(schema, schema)
}

fn properties_of(schema: &Value, root: &Value) -> BTreeSet<String> {
    let objects = applying(schema, root).into_iter().filter_map(|part| part.get("properties")?.as_object());
    objects.flat_map(|properties| properties.keys().cloned()).collect()
}

/// Whether the schema takes keys that it doesn't name. Where it says nothing of them, they are mistakes: a key that is
/// misspelt must not be silently ignored.
pub(super) fn takes_any_key(schema: &Value) -> bool {
    let keywords = ["additionalProperties", "patternProperties", "unevaluatedProperties"];
    let takes = |part: &&Value| keywords.iter().filter_map(|keyword| part.get(keyword)).any(|value| *value != false);
    applying(schema, schema).iter().any(takes)
}

/// The schema and all within it that applies to the same value; each once, so that references in a circle end.
pub(super) fn applying<'s>(schema: &'s Value, root: &'s Value) -> Vec<&'s Value> {
    let mut found: Vec<&Value> = Vec::new();
    let mut open = vec![schema];
    while let Some(part) = open.pop() {
        if !part.is_object() || found.iter().any(|seen| std::ptr::eq(*seen, part)) {
            continue;
        }
        found.push(part);
        let reference = part.get("$ref").and_then(Value::as_str).and_then(|at| root.pointer(at.strip_prefix('#')?));
        open.extend(reference);
        for keyword in ["allOf", "anyOf", "oneOf"] {
            open.extend(part.get(keyword).and_then(Value::as_array).into_iter().flatten());
        }
        open.extend(["if", "then", "else"].iter().filter_map(|keyword| part.get(keyword)));
    }
    found
}
