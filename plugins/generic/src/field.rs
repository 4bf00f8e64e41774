//! Fields of a JSON document.

use serde_json::Value;

/// `build.version`, `items.0.name` or `/build/version`.
pub fn find<'a>(value: &'a Value, name: &str) -> Option<&'a Value> {
    if name.is_empty() || name.starts_with('/') {
        return value.pointer(name);
    }
    // A key may have a dot of its own.
    if let Some(value) = value.get(name) {
        return Some(value);
    }
    name.split('.').try_fold(value, |value, part| match value {
        Value::Object(object) => object.get(part),
        Value::Array(items) => part.parse::<usize>().ok().and_then(|index| items.get(index)),
        _ => None,
    })
}

/// Whether everything that `wanted` names is there; an object may hold more.
pub fn holds(value: &Value, wanted: &Value) -> bool {
    match (value, wanted) {
        (Value::Object(value), Value::Object(wanted)) => {
            wanted.iter().all(|(key, wanted)| value.get(key).is_some_and(|value| holds(value, wanted)))
        }
        _ => value == wanted,
    }
}

/// Every text of a document with `{version}` filled in.
pub fn fill(value: &Value, version: &str) -> Value {
    match value {
        Value::String(text) => Value::String(text.replace("{version}", version)),
        Value::Array(items) => items.iter().map(|item| fill(item, version)).collect(),
        Value::Object(object) => object.iter().map(|(key, value)| (key.clone(), fill(value, version))).collect(),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn fields_by_dots_and_by_pointer() {
        let value = json!({ "build": { "version": "1.4.0" }, "items": [{ "name": "a" }], "a.b": 1 });
        assert_eq!(find(&value, "build.version"), Some(&json!("1.4.0")));
        assert_eq!(find(&value, "/build/version"), Some(&json!("1.4.0")));
        assert_eq!(find(&value, "items.0.name"), Some(&json!("a")));
        assert_eq!(find(&value, "a.b"), Some(&json!(1)));
        assert_eq!(find(&value, "build.missing"), None);
        assert_eq!(find(&value, "items.x"), None);
    }

    #[test]
    fn an_object_may_hold_more_than_was_asked_for() {
        let value = json!({ "status": "ok", "db": { "up": true, "ms": 3 } });
        assert!(holds(&value, &json!({ "db": { "up": true } })));
        assert!(!holds(&value, &json!({ "db": { "up": false } })));
        assert!(!holds(&value, &json!({ "cache": {} })));
    }
}
