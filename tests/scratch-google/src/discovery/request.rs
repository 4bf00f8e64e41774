//! One request, read by the document that has its method.

use super::{Document, Encoding, Method, Problem, Query, Side, Wire, convert, find, problems, query};
use serde_json::Value;
use std::collections::BTreeMap;

/// A request that a document allows.
pub struct Call {
    pub document: &'static Document,
    pub method: &'static Method,
    variables: BTreeMap<String, String>,
    pub query: Query,
    /// Enums by name. Null where the method has no body.
    pub body: Value,
    pub wire: Wire,
    /// Where the host's name begins with one: `europe-west1-run.googleapis.com`.
    pub region: String,
}

impl Call {
    /// A variable of the path: the document's own name for it.
    pub fn variable(&self, name: &str) -> &str {
        self.variables.get(name).map_or("", String::as_str)
    }

    pub fn text(&self, parameter: &str) -> &str {
        self.query.get(parameter).and_then(Value::as_str).unwrap_or_default()
    }

    pub fn is_set(&self, parameter: &str) -> bool {
        self.query.get(parameter) == Some(&Value::Bool(true))
    }

    pub fn number(&self, parameter: &str) -> Option<u64> {
        self.query.get(parameter).and_then(Value::as_u64)
    }
}

/// Nothing: no method has this path. Beside the call stands what its document does not allow.
pub fn read(http: &str, path: &str, text: &str, host: &str, body: &[u8]) -> Option<(Call, Vec<Problem>)> {
    let (document, method, variables) = find(http, path)?;
    let (query, wire, mut wrong) = query::read(document, method, text);
    let mut value = Value::Null;
    match (&method.request, body.is_empty()) {
        (None, true) => {}
        // Clients send an empty object where there is nothing to send.
        (None, false) => {
            if serde_json::from_slice::<Value>(body).ok().is_none_or(|value| value != serde_json::json!({})) {
                wrong.push(Problem { at: String::new(), what: "the method has no body".to_owned() });
            }
        }
        (Some(_), true) => value = serde_json::json!({}),
        (Some(schema), false) => match serde_json::from_slice(body) {
            Ok(read) => {
                value = read;
                // As Kubernetes does: what a client sends back of the status is nothing that it asks for.
                if let (true, Some(fields)) = (document.is_knative(), value.as_object_mut()) {
                    fields.remove("status");
                }
                wrong.extend(problems(document, schema, &value, Side::Request));
                if wrong.is_empty() {
                    convert(document, schema, &mut value, Encoding::Names);
                }
            }
            Err(error) => wrong.push(Problem { at: String::new(), what: format!("no JSON: {error}") }),
        },
    }
    Some((Call { document, method, variables, query, body: value, wire, region: region(host) }, wrong))
}

/// `europe-west1-127.0.0.1:8080` is in `europe-west1`.
fn region(host: &str) -> String {
    let name = host.split(['.', ':']).next().unwrap_or_default();
    name.rsplit_once('-').map_or("", |(region, _)| region).to_owned()
}
