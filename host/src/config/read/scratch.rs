//! A binding's settings for a site that is not live: what names something on a server becomes a scratch name.

use super::schema::applying;
use serde_json::Value;

/// `settings` with every value whose property the schema marks `"x-site": "name"` replaced by `name`; also one that is
/// not there and has a default, which would name what is live.
pub fn scratch_settings(settings: &Value, schema: &Value, name: &str) -> Value {
    let mut scratch = settings.clone();
    replace(&mut scratch, schema, schema, name);
    scratch
}

fn replace(value: &mut Value, schema: &Value, root: &Value, name: &str) {
    let parts = applying(schema, root);
    if parts.iter().any(|part| names_a_site(part)) {
        *value = Value::from(name);
        return;
    }
    match value {
        Value::Object(object) => {
            for part in &parts {
                let properties = part.get("properties").and_then(Value::as_object);
                for (key, property) in properties.into_iter().flatten() {
                    if let Some(value) = object.get_mut(key) {
                        replace(value, property, root, name);
                    } else if has_a_default_site(property, root) {
                        object.insert(key.clone(), Value::from(name));
                    }
                }
                let named = |key: &String| properties.is_some_and(|properties| properties.contains_key(key));
                if let Some(others) = part.get("additionalProperties") {
                    object
                        .iter_mut()
                        .filter(|(key, _)| !named(key))
                        .for_each(|(_, value)| replace(value, others, root, name));
                }
            }
        }
        Value::Array(elements) => {
            for part in &parts {
                let first = part.get("prefixItems").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
                for (number, element) in elements.iter_mut().enumerate() {
                    if let Some(items) = first.get(number).or_else(|| part.get("items")) {
                        replace(element, items, root, name);
                    }
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn names_a_site(schema: &Value) -> bool {
    schema.get("x-site").and_then(Value::as_str) == Some("name")
}

fn has_a_default_site(property: &Value, root: &Value) -> bool {
    let parts = applying(property, root);
    parts.iter().any(|part| names_a_site(part)) && parts.iter().any(|part| part.get("default").is_some())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_names_something_on_a_server_is_replaced_wherever_it_stands() {
        let schema = json!({
            "$defs": { "database": { "type": "string", "x-site": "name" }, "loop": { "$ref": "#/$defs/loop" } },
            "properties": {
                "database": { "$ref": "#/$defs/database" },
                "user": { "type": "string" },
                "queue": { "properties": { "vhost": { "x-site": "name" }, "depth": { "type": "integer" } } },
                "schemas": { "items": { "$ref": "#/$defs/database" } },
                "by-name": { "additionalProperties": { "$ref": "#/$defs/database" } },
                "bucket": { "x-site": "name", "default": "uploads" },
                "topic": { "x-site": "name" },
                "odd": { "$ref": "#/$defs/loop" },
            },
        });
        let settings = json!({
            "database": "app", "user": "app", "queue": { "vhost": "app", "depth": 3 }, "schemas": ["a", "b"],
            "by-name": { "x": "y" }, "odd": { "a": 1 }, "unknown": "app",
        });
        assert_eq!(
            scratch_settings(&settings, &schema, "app_up_d1"),
            json!({
                "database": "app_up_d1", "user": "app", "queue": { "vhost": "app_up_d1", "depth": 3 },
                "schemas": ["app_up_d1", "app_up_d1"], "by-name": { "x": "app_up_d1" }, "odd": { "a": 1 },
                "unknown": "app", "bucket": "app_up_d1",
            })
        );
    }
}
