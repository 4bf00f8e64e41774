//! Which fields an update changes.

use crate::refusal::Refusal;
use serde_json::{Map, Value};

/// `update` laid over `current`: where a mask names a field, and where there is none, all of `fields`.
pub(super) fn apply(current: &Value, update: &Value, mask: &str, fields: &[&str]) -> Result<Value, Refusal> {
    let mut merged = current.clone();
    let everything = mask.is_empty() || mask == "*";
    let paths: Vec<Vec<String>> = if everything {
        fields.iter().map(|field| vec![(*field).to_owned()]).collect()
    } else {
        mask.split(',').map(|path| path.split('.').map(camel).collect()).collect()
    };
    for path in &paths {
        let known = path.first().is_some_and(|first| fields.contains(&first.as_str()));
        let inner = (1..path.len()).map(|end| &path[..end]);
        let leads_into_a_list =
            inner.into_iter().any(|path| at(update, path).or_else(|| at(current, path)).is_some_and(Value::is_array));
        if !known || leads_into_a_list {
            return Err(Refusal::invalid(format!(
                "The update mask names no field that can be set: {}",
                path.join(".")
            )));
        }
        set(&mut merged, path, at(update, path).cloned());
    }
    Ok(merged)
}

fn at<'v>(value: &'v Value, path: &[String]) -> Option<&'v Value> {
    path.iter().try_fold(value, |value, part| value.get(part))
}

/// A field that the update does not have is cleared.
fn set(value: &mut Value, path: &[String], to: Option<Value>) {
    let Some((last, inner)) = path.split_last() else { return };
    let mut at = value;
    for part in inner {
        let Some(object) = at.as_object_mut() else { return };
        at = object.entry(part.clone()).or_insert_with(|| Value::Object(Map::new()));
    }
    let Some(object) = at.as_object_mut() else { return };
    match to {
        Some(to) => drop(object.insert(last.clone(), to)),
        None => drop(object.remove(last)),
    }
}

/// Masks may be written either way.
fn camel(word: &str) -> String {
    let mut parts = word.split('_');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |word, part| {
        let mut letters = part.chars();
        let capital = letters.next().map(|letter| letter.to_ascii_uppercase());
        word + &capital.into_iter().chain(letters).collect::<String>()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const FIELDS: &[&str] = &["template", "traffic", "labels"];

    #[test]
    fn what_a_mask_names_is_set_or_cleared() {
        let current = json!({ "template": { "a": 1, "bC": 2 }, "traffic": [1], "uid": "u" });
        let update = json!({ "template": { "a": 7 }, "labels": { "x": "y" } });
        let merged = |mask: &str| apply(&current, &update, mask, FIELDS).unwrap();
        assert_eq!(merged("template.a"), json!({ "template": { "a": 7, "bC": 2 }, "traffic": [1], "uid": "u" }));
        assert_eq!(merged("template.b_c"), json!({ "template": { "a": 1 }, "traffic": [1], "uid": "u" }));
        assert_eq!(merged("")["traffic"], Value::Null);
        assert_eq!(merged("")["template"], json!({ "a": 7 }));
        for mask in ["uid", "traffic.percent", "template.a,nothing"] {
            assert!(apply(&current, &update, mask, FIELDS).is_err(), "{mask}");
        }
    }
}
