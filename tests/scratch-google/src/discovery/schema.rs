//! Messages against the schemas of a document: types, formats, enums, unknown fields, fields that only an answer has.

use super::{Document, any, enums, format};
use serde_json::Value;

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Fields that are `readOnly` must not stand in it. Enums may be numbers.
    Request,
    Answer,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// `template.containers[0].image`
    pub at: String,
    pub what: String,
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.at.is_empty() { write!(f, "{}", self.what) } else { write!(f, "`{}`: {}", self.at, self.what) }
    }
}

/// What a message holds that its schema does not allow.
pub fn problems(document: &Document, schema: &str, value: &Value, side: Side) -> Vec<Problem> {
    let mut check = Check { document, side, found: Vec::new() };
    check.message(schema, value, "");
    check.found
}

struct Check<'a> {
    document: &'a Document,
    side: Side,
    found: Vec<Problem>,
}

impl Check<'_> {
    fn message(&mut self, schema: &str, value: &Value, at: &str) {
        let definition = self.document.schema(schema);
        self.object(schema, definition, value, at);
    }

    /// A schema, or a field's own object.
    fn object(&mut self, schema: &str, definition: &Value, value: &Value, at: &str) {
        let Some(object) = value.as_object() else { return self.wrong_type("an object", value, at) };
        for (name, value) in object {
            let at = join(at, name);
            match &definition["properties"][name] {
                Value::Null => self.say(&at, "no such field".to_owned()),
                field if self.side == Side::Request && field["readOnly"] == true => {
                    self.say(&at, "only in answers, never in a request".to_owned());
                }
                field => self.field(schema, name, field, value, &at),
            }
        }
        for (name, field) in definition["properties"].as_object().into_iter().flatten() {
            // Of the outermost message a patch sends only what it changes.
            let is_required = field["description"].as_str().is_some_and(|text| text.starts_with("Required."));
            // The metadata of a template have no namespace, whatever v1 says: none of Google's clients sends one.
            let is_required = is_required && schema != "ObjectMeta";
            if is_required && self.side == Side::Request && !at.is_empty() && !object.contains_key(name) {
                self.say(&join(at, name), "required".to_owned());
            }
        }
    }

    fn field(&mut self, schema: &str, name: &str, field: &Value, value: &Value, at: &str) {
        if let Some(inner) = field["$ref"].as_str() {
            return self.message(inner, value, at);
        }
        if field["enum"].is_array() && field["type"] == "string" {
            return self.enumeration(schema, name, field, value, at);
        }
        let format = field["format"].as_str();
        match (field["type"].as_str().unwrap_or("object"), value) {
            ("any", _) | ("boolean", Value::Bool(_)) | ("number", Value::Number(_)) => {}
            ("string", Value::String(text)) => {
                let wrong = format.and_then(|format| format::wrong_text(format, text));
                wrong.into_iter().for_each(|what| self.say(at, what));
            }
            ("integer", Value::Number(number)) => {
                let wrong = format.and_then(|format| format::wrong_integer(format, number));
                wrong.into_iter().for_each(|what| self.say(at, what));
            }
            ("array", Value::Array(items)) => {
                for (index, item) in items.iter().enumerate() {
                    self.field(schema, name, &field["items"], item, &format!("{at}[{index}]"));
                }
            }
            ("object", Value::Object(map)) if field["additionalProperties"].is_object() => {
                if let Some(inner) = any::schema_of(self.document, value) {
                    let mut map = map.clone();
                    map.remove("@type");
                    return self.message(&inner, &Value::Object(map), at);
                }
                for (key, value) in map {
                    self.field(schema, name, &field["additionalProperties"], value, &join(at, key));
                }
            }
            ("object", Value::Object(_)) => self.object(schema, field, value, at),
            (expected, _) => self.wrong_type(expected, value, at),
        }
    }

    fn enumeration(&mut self, schema: &str, name: &str, field: &Value, value: &Value, at: &str) {
        let names = field["enum"].as_array().map(Vec::as_slice).unwrap_or_default();
        let fits = match value {
            Value::String(_) => names.contains(value),
            Value::Number(number) => {
                let known = |number| enums::is_number(self.document, schema, name, number);
                self.side == Side::Request && number.as_i64().is_some_and(known)
            }
            _ => false,
        };
        if !fits {
            self.say(at, format!("{value} is none of its values"));
        }
    }

    fn wrong_type(&mut self, expected: &str, value: &Value, at: &str) {
        self.say(at, format!("{value} where the document has {expected}"));
    }

    fn say(&mut self, at: &str, what: String) {
        self.found.push(Problem { at: at.to_owned(), what });
    }
}

fn join(at: &str, name: &str) -> String {
    if at.is_empty() { name.to_owned() } else { format!("{at}.{name}") }
}

#[cfg(test)]
mod tests {
    use super::super::documents;
    use super::*;
    use serde_json::json;

    fn found(value: &Value, side: Side) -> Vec<String> {
        let run = &documents()[0];
        problems(run, "GoogleCloudRunV2Service", value, side).iter().map(Problem::to_string).collect()
    }

    #[test]
    fn what_a_request_may_not_hold() {
        assert!(found(&json!({ "template": { "containers": [{ "image": "a" }] } }), Side::Request).is_empty());
        for (request, problem) in [
            (json!({ "colour": 1 }), "`colour`: no such field"),
            (json!({ "uid": "a" }), "`uid`: only in answers, never in a request"),
            (json!({ "ingress": "NOWHERE" }), "`ingress`: \"NOWHERE\" is none of its values"),
            (json!({ "ingress": 99 }), "`ingress`: 99 is none of its values"),
            (json!({ "traffic": [{ "percent": "7" }] }), "`traffic[0].percent`: \"7\" where the document has integer"),
            (json!({ "traffic": {} }), "`traffic`: {} where the document has array"),
            (json!({ "labels": { "a": 1 } }), "`labels.a`: 1 where the document has string"),
            (json!({ "template": { "timeout": "5" } }), "`template.timeout`: `5` is no google-duration"),
            (json!({ "template": { "containers": [{}] } }), "`template.containers[0].image`: required"),
            (json!({ "template": { "maxInstanceRequestConcurrency": 1_i64 << 40 } }), "int32"),
        ] {
            let found = found(&request, Side::Request);
            assert!(found.len() == 1 && found[0].contains(problem), "{request}: {found:?}");
        }
    }

    #[test]
    fn an_answer_has_more_fields_and_names_only() {
        assert!(found(&json!({ "uid": "a", "generation": "2" }), Side::Answer).is_empty());
        assert_eq!(found(&json!({ "generation": 2 }), Side::Answer).len(), 1);
        assert!(found(&json!({ "ingress": 1 }), Side::Request).is_empty());
        assert_eq!(found(&json!({ "ingress": 1 }), Side::Answer).len(), 1);
    }

    #[test]
    fn what_an_operation_carries_is_checked_as_what_it_says_it_is() {
        let run = &documents()[0];
        let service = |field: &str| json!({ "response": { "@type": "type.googleapis.com/google.cloud.run.v2.Service", field: "a" } });
        assert!(problems(run, "GoogleLongrunningOperation", &service("uid"), Side::Answer).is_empty());
        assert_eq!(
            problems(run, "GoogleLongrunningOperation", &service("colour"), Side::Answer)[0].at,
            "response.colour"
        );
    }
}
