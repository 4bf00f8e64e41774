mod detect;
mod path;
mod smoke;

use crate::{Generic, Settings};
use upgraded_sdk::fake::FakeHost;
use upgraded_sdk::prelude::*;
use upgraded_sdk::schema;

/// Settings as they stand in a deployment's file.
fn call(fake: &FakeHost, settings: &str) -> Call<Settings> {
    let value: serde_json::Value = toml::from_str(settings).unwrap();
    fake.call(value)
}

fn invalid<T: std::fmt::Debug>(result: Result<T>) -> String {
    match result {
        Err(Error::Invalid(text)) => text,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_schema_is_closed_in_every_table_and_describes_every_key() {
    let schema = schema::<Settings>();
    let mut tables = vec![("settings", &schema)];
    tables.extend(schema["$defs"].as_object().unwrap().iter().map(|(name, table)| (name.as_str(), table)));
    for (name, table) in tables.iter().filter(|(_, table)| table.get("properties").is_some()) {
        assert_eq!(table["additionalProperties"], false, "{name}");
    }
    for (key, property) in schema["properties"].as_object().unwrap() {
        assert!(property.get("description").is_some(), "`{key}` says nothing of itself");
        assert!(!key.contains('_'), "{key}");
    }
    assert_eq!(schema["$defs"]["UndoEntry"]["pattern"], "^(code-only|restore-data|rebuild:.+)$");
    assert!(schema["properties"].get("http").is_none(), "the host's own keys are not the plugin's");
}

#[test]
#[should_panic(expected = "unknown field `gates`")]
fn a_misspelt_key_is_named() {
    call(&FakeHost::new(), "gates = [\"proxy\"]");
}
