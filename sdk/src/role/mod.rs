//! The three roles, each a trait with defaults and the adapter that exports it.

mod datastore;
mod platform;
mod product;

pub use datastore::{Datastore, DatastoreAdapter};
pub use platform::{Platform, PlatformAdapter};
pub use product::{Product, ProductAdapter};

use crate::bindings::meta::Info;
use crate::{Need, Role};
use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::Value;

/// The JSON schema of a settings type: draft 2020-12, and closed, so that a key that is misspelt is an error when the
/// file is read.
pub fn schema<S: JsonSchema>() -> Value {
    let mut schema = SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<S>().to_value();
    if let Value::Object(object) = &mut schema
        && !object.contains_key("additionalProperties")
        && !object.contains_key("unevaluatedProperties")
    {
        object.insert("additionalProperties".into(), Value::Bool(false));
    }
    schema
}

fn info<S: JsonSchema>(name: &str, version: &str, role: Role, needs: Vec<Need>) -> Info {
    Info { name: name.into(), version: version.into(), role, needs, config_schema: schema::<S>().to_string() }
}
