//! Messages in a message of any type, which say their own.

use super::Document;
use serde_json::Value;

/// The schema that `@type` names: `type.googleapis.com/google.cloud.run.v2.Service` is `GoogleCloudRunV2Service`.
pub(super) fn schema_of(document: &Document, value: &Value) -> Option<String> {
    let name = value.get("@type")?.as_str()?.rsplit('/').next()?;
    let schema: String = name.split('.').map(capital).collect();
    document.has_schema(&schema).then_some(schema)
}

fn capital(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(letters).collect()
}
