//! `docs/API.md` names every route that there is, and none that there isn't.

use std::collections::BTreeSet;
use upgraded::api::routes::table;

#[test]
fn the_documented_routes_are_the_routes() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/API.md");
    let text = std::fs::read_to_string(file).unwrap_or_else(|error| panic!("{file}: {error}"));
    let documented: BTreeSet<String> =
        text.lines().filter_map(|line| line.strip_prefix("### `")?.strip_suffix('`')).map(Into::into).collect();
    let real: BTreeSet<String> = table().iter().map(|route| format!("{} {}", route.method, route.path)).collect();
    let missing: Vec<_> = real.difference(&documented).collect();
    let invented: Vec<_> = documented.difference(&real).collect();
    assert!(missing.is_empty() && invented.is_empty(), "missing in docs/API.md: {missing:?}; not there: {invented:?}");
}

/// Every code of an error stands in the table of `docs/API.md`, with its status.
#[test]
fn the_documented_errors_are_the_errors() {
    use upgraded::api::ErrorCode as Code;
    let text = include_str!("../../../docs/API.md");
    for code in [
        Code::InvalidRequest,
        Code::NotAllowed,
        Code::NotFound,
        Code::MethodNotAllowed,
        Code::Conflict,
        Code::TooLarge,
        Code::Refused,
        Code::InvalidFile,
        Code::Internal,
        Code::Unavailable,
    ] {
        let name = serde_json::to_value(code).expect("a name");
        let row = format!("| {} | `{}` |", code.status(), name.as_str().expect("text"));
        assert!(text.contains(&row), "docs/API.md lacks `{row}`");
    }
}
