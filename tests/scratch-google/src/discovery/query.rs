//! What stands behind the question mark.

use super::{Document, Encoding, Method, Problem, format};
use percent_encoding::percent_decode_str;
use serde_json::Value;
use std::collections::BTreeMap;

/// The method's own parameters, each as its type has it.
pub type Query = BTreeMap<String, Value>;

/// What a client wants of the answer's form.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wire {
    pub encoding: Encoding,
}

pub(super) fn read(document: &Document, method: &Method, text: &str) -> (Query, Wire, Vec<Problem>) {
    let mut query = Query::new();
    let mut wire = Wire::default();
    let mut problems = Vec::new();
    for (name, value) in pairs(text) {
        let mut say = |what: String| problems.push(Problem { at: format!("?{name}"), what });
        if let Some(parameter) = method.query.get(&name) {
            // An empty value is the parameter's default.
            if !value.is_empty() {
                match typed(parameter, &value) {
                    Ok(value) => put(&mut query, &name, value, parameter["repeated"] == true),
                    Err(what) => say(what),
                }
            }
        } else if name.trim_start_matches('$') == "alt" {
            match value.split_once(';').unwrap_or((&value, "")) {
                ("json", "") => {}
                ("json", "enum-encoding=int") => wire.encoding = Encoding::Numbers,
                _ => say(format!("`{value}`: the double answers `json`, and `json;enum-encoding=int`")),
            }
        } else if !document.common.contains_key(&name) && !document.common.contains_key(name.trim_start_matches('$')) {
            say("no such parameter".to_owned());
        }
    }
    for (name, parameter) in &method.query {
        if parameter["required"] == true && !query.contains_key(name) {
            problems.push(Problem { at: format!("?{name}"), what: "required".to_owned() });
        }
    }
    (query, wire, problems)
}

fn typed(parameter: &Value, text: &str) -> Result<Value, String> {
    let kind = parameter["type"].as_str().unwrap_or("string");
    let value = format::from_text(kind, text);
    let format = parameter["format"].as_str();
    let wrong = match (kind, &value) {
        ("string", Value::String(text)) if parameter["enum"].is_array() => {
            let names = parameter["enum"].as_array().is_some_and(|names| names.contains(&value));
            (!names).then(|| format!("`{text}` is none of its values"))
        }
        ("string", Value::String(text)) => format.and_then(|format| format::wrong_text(format, text)),
        ("integer", Value::Number(number)) => format.and_then(|format| format::wrong_integer(format, number)),
        ("boolean", Value::Bool(_)) | ("number", Value::Number(_)) => None,
        (kind, _) => Some(format!("`{text}` where the document has {kind}")),
    };
    wrong.map_or(Ok(value), Err)
}

fn put(query: &mut Query, name: &str, value: Value, repeated: bool) {
    if !repeated {
        query.insert(name.to_owned(), value);
    } else if let Value::Array(values) = query.entry(name.to_owned()).or_insert_with(|| Value::Array(Vec::new())) {
        values.push(value);
    }
}

/// As in a form: `+` is a space.
pub(crate) fn pairs(text: &str) -> Vec<(String, String)> {
    let decoded = |text: &str| percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned();
    let pair = |pair: &str| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        (decoded(name), decoded(value))
    };
    text.split('&').filter(|pair| !pair.is_empty()).map(pair).collect()
}
