//! The JSON schema of a plugin's settings, before it is believed: it parses, refers to nothing outside itself, and
//! neither its patterns nor its references can make a check slow.

use jsonschema::{PatternOptions, Validator};
use serde_json::Value;
use std::collections::HashMap;

#[derive(Debug, thiserror::Error)]
pub enum SchemaError {
    #[error("its schema has {size_bytes} bytes; {most_bytes} are allowed")]
    TooLarge { size_bytes: usize, most_bytes: usize },
    #[error("its schema is no JSON: {0}")]
    NotJson(#[from] serde_json::Error),
    #[error("its schema is no object")]
    NotAnObject,
    #[error(
        "its schema refers to `{reference}` at `{at}`; only references within the schema (`#/$defs/…`) are followed"
    )]
    Remote { reference: String, at: String },
    #[error("its schema refers to `{0}`, and nothing is there")]
    Dangling(String),
    #[error("its schema's references at `{0}` lead back to themselves")]
    Endless(String),
    #[error("its schema's references multiply to more than {MOST_VISITS} checks of one value")]
    Multiplying,
    #[error("its schema's references chain more than {MOST_CHAINED} times")]
    Deep,
    #[error("its schema is of another dialect than JSON Schema 2020-12: `{0}`")]
    Dialect(String),
    #[error("its schema is not valid: {0}")]
    Invalid(String),
}

/// Compiled size of one pattern.
const PATTERN_BYTES: usize = 1 << 20;
const DIALECT: &str = "https://json-schema.org/draft/2020-12/schema";
/// How many subschemas may be applied to the same value.
const MOST_VISITS: u64 = 10_000;
/// References that lead to references: each takes stack.
const MOST_CHAINED: usize = 64;
/// Keywords whose subschemas apply to the same value as the schema that holds them.
const SAME_VALUE_ONE: &[&str] = &["not", "if", "then", "else"];
const SAME_VALUE_LIST: &[&str] = &["allOf", "anyOf", "oneOf"];
const SAME_VALUE_MAP: &[&str] = &["dependentSchemas"];

/// Checks the schema and compiles it for checking settings.
pub fn compile(text: &str, most_bytes: usize) -> Result<Validator, SchemaError> {
    if text.len() > most_bytes {
        return Err(SchemaError::TooLarge { size_bytes: text.len(), most_bytes });
    }
    let schema: Value = serde_json::from_str(text)?;
    if !schema.is_object() {
        return Err(SchemaError::NotAnObject);
    }
    stays_within(&schema, "#")?;
    let mut visits = Visits { root: &schema, known: HashMap::new(), chained: 0 };
    visits.everywhere(&schema, "#")?;
    jsonschema::options()
        .with_draft(jsonschema::Draft::Draft202012)
        .offline()
        .with_pattern_options(PatternOptions::regex().size_limit(PATTERN_BYTES).dfa_size_limit(PATTERN_BYTES))
        .build(&schema)
        .map_err(|error| SchemaError::Invalid(error.to_string()))
}

fn stays_within(value: &Value, at: &str) -> Result<(), SchemaError> {
    match value {
        Value::Object(members) => members.iter().try_for_each(|(key, member)| {
            let here = format!("{at}/{key}");
            match (key.as_str(), member) {
                ("$schema", Value::String(dialect)) if dialect.trim_end_matches('#') != DIALECT => {
                    Err(SchemaError::Dialect(dialect.clone()))
                }
                ("$id" | "$anchor" | "$dynamicRef" | "$dynamicAnchor" | "$vocabulary", Value::String(name)) => {
                    Err(SchemaError::Remote { reference: name.clone(), at: here })
                }
                ("$ref", Value::String(reference)) if reference != "#" && !reference.starts_with("#/") => {
                    Err(SchemaError::Remote { reference: reference.clone(), at: here })
                }
                _ => stays_within(member, &here),
            }
        }),
        Value::Array(items) => {
            items.iter().enumerate().try_for_each(|(index, item)| stays_within(item, &format!("{at}/{index}")))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Ok(()),
    }
}

/// How often one value is looked at, along references and the keywords that combine schemas.
struct Visits<'s> {
    root: &'s Value,
    /// By pointer of what a `$ref` names; `None` while it is being counted.
    known: HashMap<String, Option<u64>>,
    chained: usize,
}

impl Visits<'_> {
    /// Counts from every place, as each may be where the check of a value begins.
    fn everywhere(&mut self, value: &Value, at: &str) -> Result<(), SchemaError> {
        match value {
            Value::Object(members) => {
                self.of(value, at)?;
                members.iter().try_for_each(|(key, member)| self.everywhere(member, &format!("{at}/{key}")))
            }
            Value::Array(items) => {
                items.iter().enumerate().try_for_each(|(index, item)| self.everywhere(item, &format!("{at}/{index}")))
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Ok(()),
        }
    }

    fn of(&mut self, schema: &Value, at: &str) -> Result<u64, SchemaError> {
        let Some(members) = schema.as_object() else { return Ok(1) };
        let mut total = 1_u64;
        for (key, member) in members {
            let here = format!("{at}/{key}");
            let key = key.as_str();
            if key == "$ref"
                && let Some(reference) = member.as_str()
            {
                total = total.saturating_add(self.of_reference(reference)?);
            } else if SAME_VALUE_ONE.contains(&key) {
                total = total.saturating_add(self.of(member, &here)?);
            } else if SAME_VALUE_LIST.contains(&key) || SAME_VALUE_MAP.contains(&key) {
                for part in member
                    .as_array()
                    .into_iter()
                    .flatten()
                    .chain(member.as_object().into_iter().flat_map(|m| m.values()))
                {
                    total = total.saturating_add(self.of(part, &here)?);
                }
            }
        }
        if total > MOST_VISITS { Err(SchemaError::Multiplying) } else { Ok(total) }
    }

    fn of_reference(&mut self, reference: &str) -> Result<u64, SchemaError> {
        match self.known.get(reference) {
            Some(Some(visits)) => return Ok(*visits),
            Some(None) => return Err(SchemaError::Endless(reference.into())),
            None => {}
        }
        let root = self.root;
        let target = root.pointer(&reference[1..]).ok_or_else(|| SchemaError::Dangling(reference.into()))?;
        if self.chained == MOST_CHAINED {
            return Err(SchemaError::Deep);
        }
        self.known.insert(reference.into(), None);
        self.chained += 1;
        let visits = self.of(target, reference)?;
        self.chained -= 1;
        self.known.insert(reference.into(), Some(visits));
        Ok(visits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn refusal(schema: Value) -> String {
        compile(&schema.to_string(), 1 << 18).err().map(|error| error.to_string()).unwrap_or_default()
    }

    #[test]
    fn an_honest_schema_checks_settings() {
        let schema = json!({
            "$schema": DIALECT,
            "type": "object",
            "properties": { "tag": { "$ref": "#/$defs/tag" }, "more": { "items": { "$ref": "#" } } },
            "$defs": { "tag": { "type": "string", "pattern": "^v[0-9.]+$" } },
            "additionalProperties": false,
        });
        let schema = compile(&schema.to_string(), 1 << 18).unwrap();
        assert!(schema.is_valid(&json!({ "tag": "v1.2", "more": [{ "tag": "v2" }] })));
        assert!(!schema.is_valid(&json!({ "tag": "1.2" })));
        assert!(!schema.is_valid(&json!({ "more": [{ "tog": "v2" }] })));
    }

    #[test]
    fn nothing_outside_is_referred_to() {
        for reference in ["http://127.0.0.1:1/schema", "file:///etc/passwd", "other.json", "//host/x", "#anchor"] {
            let refused = refusal(json!({ "properties": { "a": { "$ref": reference } } }));
            assert!(refused.contains(reference) && refused.contains("#/properties/a/$ref"), "{refused}");
        }
        assert!(refusal(json!({ "$id": "http://h/", "$ref": "#/x" })).contains("http://h/"));
        assert!(refusal(json!({ "$schema": "http://h/dialect" })).contains("dialect"));
        assert!(refusal(json!({ "$ref": "#/nowhere" })).contains("nothing is there"));
    }

    #[test]
    fn only_patterns_of_linear_time() {
        assert!(refusal(json!({ "pattern": "^(?=a)b$" })).contains("not valid"));
        assert!(refusal(json!({ "pattern": r"(a)\1" })).contains("not valid"));
        assert!(refusal(json!({ "patternProperties": { "(?<!a)b": {} } })).contains("not valid"));
        assert!(refusal(json!({ "pattern": "((a{1000}){1000}){1000}" })).contains("not valid"));
        assert_eq!(refusal(json!({ "pattern": "^(a+)+$" })), "");
    }

    #[test]
    fn no_references_that_never_end_or_multiply() {
        assert!(refusal(json!({ "allOf": [{ "$ref": "#" }] })).contains("themselves"));
        let pair = json!({ "$ref": "#/$defs/a", "$defs": { "a": { "not": { "$ref": "#/$defs/b" } }, "b": { "$ref": "#/$defs/a" } } });
        assert!(refusal(pair).contains("themselves"));
        let doubled = |n: u32| {
            let next = format!("#/$defs/l{}", n + 1);
            (format!("l{n}"), json!({ "allOf": [{ "$ref": next }, { "$ref": next }] }))
        };
        let mut definitions: serde_json::Map<_, _> = (0..30).map(doubled).collect();
        definitions.insert("l30".into(), json!({ "type": "object" }));
        let bomb = json!({ "$ref": "#/$defs/l0", "$defs": definitions });
        assert!(refusal(bomb).contains("multiply"));
    }

    #[test]
    fn no_schema_is_larger_than_allowed() {
        assert!(matches!(compile("{}", 1), Err(SchemaError::TooLarge { .. })));
        assert!(matches!(compile("[]", 9), Err(SchemaError::NotAnObject)));
        assert!(matches!(compile("{", 9), Err(SchemaError::NotJson(_))));
    }
}
