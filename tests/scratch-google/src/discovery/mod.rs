//! Google's discovery documents, cut to what the double answers: which methods there are, and what a request to each and
//! an answer from it may hold.

mod any;
mod enums;
mod format;
pub(crate) mod query;
mod request;
mod schema;
mod template;

pub use enums::{Encoding, convert};
pub use query::{Query, Wire};
pub use request::{Call, read};
pub use schema::{Problem, Side, problems};

use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;
use template::Template;

pub struct Document {
    /// `run:v2`
    pub id: String,
    pub methods: Vec<Method>,
    schemas: Map<String, Value>,
    /// Query parameters that every method takes.
    common: BTreeMap<String, Value>,
    locations: BTreeSet<String>,
}

pub struct Method {
    /// `run.projects.locations.services.patch`
    pub id: String,
    pub http: String,
    template: Template,
    query: BTreeMap<String, Value>,
    request: Option<String>,
    response: String,
}

/// All that the double speaks.
pub fn documents() -> &'static [Document] {
    static DOCUMENTS: OnceLock<Vec<Document>> = OnceLock::new();
    DOCUMENTS.get_or_init(|| {
        [
            include_str!("../../discovery/run-v2.json"),
            include_str!("../../discovery/run-v1.json"),
            include_str!("../../discovery/sqladmin-v1.json"),
            include_str!("../../discovery/sqladmin-v1beta4.json"),
        ]
        .into_iter()
        .map(Document::read)
        .collect()
    })
}

/// The method that a request means, and what its path says.
pub fn find(http: &str, path: &str) -> Option<(&'static Document, &'static Method, BTreeMap<String, String>)> {
    documents().iter().find_map(|document| {
        document.methods.iter().filter(|method| method.http == http).find_map(|method| {
            let variables = method.template.variables(path)?;
            Some((document, method, variables))
        })
    })
}

impl Document {
    fn read(text: &str) -> Self {
        let whole: Value = serde_json::from_str(text).expect("a document of this crate is JSON");
        let object = |value: &Value| value.as_object().cloned().unwrap_or_default();
        let texts = |value: &Value| {
            value.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
        };
        Self {
            id: text_of(&whole["id"]),
            methods: object(&whole["methods"]).iter().map(|(_, method)| Method::read(method)).collect(),
            schemas: object(&whole["schemas"]),
            common: object(&whole["parameters"]).into_iter().collect(),
            locations: texts(&whole["locations"]),
        }
    }

    pub fn is_run(&self) -> bool {
        self.id.starts_with("run:")
    }

    /// Cloud Run as `gcloud` speaks to it.
    pub fn is_knative(&self) -> bool {
        self.id == "run:v1"
    }

    pub fn has_location(&self, name: &str) -> bool {
        self.locations.contains(name)
    }

    /// # Panics
    /// Where the document was cut wrongly.
    pub fn schema(&self, name: &str) -> &Value {
        self.schemas.get(name).unwrap_or_else(|| panic!("{}: no schema `{name}`", self.id))
    }

    fn has_schema(&self, name: &str) -> bool {
        self.schemas.contains_key(name)
    }

    /// What is wrong with an answer of this method.
    pub fn wrong_answer(&self, method: &Method, answer: &Value) -> Vec<Problem> {
        problems(self, &method.response, answer, Side::Answer)
    }

    /// An answer as it goes over the wire.
    pub fn encode(&self, method: &Method, answer: &mut Value, encoding: Encoding) {
        convert(self, &method.response, answer, encoding);
    }
}

impl Method {
    fn read(value: &Value) -> Self {
        let parameters = value["parameters"].as_object().cloned().unwrap_or_default();
        let reference = |value: &Value| value["$ref"].as_str().map(str::to_owned);
        Self {
            id: text_of(&value["id"]),
            http: text_of(&value["httpMethod"]),
            template: Template::read(value["flatPath"].as_str().or(value["path"].as_str()).unwrap_or_default()),
            query: parameters.into_iter().filter(|(_, parameter)| parameter["location"] == "query").collect(),
            request: reference(&value["request"]),
            response: reference(&value["response"]).unwrap_or_else(|| "Empty".to_owned()),
        }
    }
}

fn text_of(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
