//! Tests of settings.

use super::*;
use upgraded_sdk::schema;

/// Everything that there is to say, as an operator writes it.
const WHOLE: &str = r#"
index = "releases.toml"
tags = true
tag = "release-{version}"
through = "minors"
majors = "refuse"
allow-unordered = true
services = ["web", "other/worker"]
gate = ["proxy"]
undo = ["code-only", "rebuild:reindex", "restore-data"]
health = "http://127.0.0.1:8080/health"
version-url = "http://127.0.0.1:8080/version"
version-field = "build.version"
attempts = 3
pause-ms = 500
timeout-ms = 2000

[[releases]]
version = "1.4.0"
breaking = true
notes = ["the API moved"]
published = "2026-01-02"
url = "https://example.org/1.4.0"
requires-stop = true
rest = true
expand-only = false
undo = ["restore-data"]
expected-seconds = [60, 600]
requires = { postgres = ">=14" }
acts = [{ command = "migrate" }]

[[acts]]
command = "migrate"
args = ["--to", "{version}"]
service = "web"
repeatable = true
success = "done$"
idle-seconds = 60

[[acts]]
wave = ["web"]
rolling = true
follow = [{ service = "web", success = "ready", failure = "ERROR", progress = "(?P<done>[0-9]+)", idle-seconds = 5 }]

[[checks]]
name = "notes"
method = "POST"
url = "http://127.0.0.1:8080/notes"
headers = { X-A = "b" }
json = { title = "a" }
authorization = { secret = "file:/etc/upgraded/secrets/notes" }
authorization-prefix = "Token "
secret-headers = { X-Key = { secret = "env:KEY" } }
expect = { status = [200, 201], headers = { X-B = "c" }, json = { "a.b" = 1 }, pattern = "ok" }
since = "1.0.0"
until = "9.0.0"
"#;

fn mistakes(settings: &str) -> Vec<String> {
    let validator = jsonschema::draft202012::new(&schema::<Settings>()).unwrap();
    let value: serde_json::Value = toml::from_str(settings).unwrap();
    validator.iter_errors(&value).map(|error| format!("{}: {error}", error.instance_path())).collect()
}

#[test]
fn what_the_schema_takes_the_plugin_takes() {
    assert_eq!(mistakes(WHOLE), Vec::<String>::new());
    let call = call(&FakeHost::new(), WHOLE);
    assert_eq!(call.settings.checks[0].authorization_prefix, "Token ");
    assert_eq!(mistakes(""), Vec::<String>::new(), "every key may be left out");
}

#[test]
fn mistakes_show_when_the_file_is_read() {
    let cases = [
        ("gates = []", "gates"),
        ("tag = \"v\"", "v"),
        ("undo = [\"back\"]", "back"),
        ("undo = [\"rebuild:\"]", "rebuild:"),
        ("through = \"all\"", "all"),
        ("acts = [{ repeatable = true }]", "oneOf"),
        ("acts = [{ command = \"a\", wave = [\"b\"] }]", "oneOf"),
        ("acts = [{ wave = [\"b\"], follow = [{ service = \"b\" }] }]", "success"),
        ("releases = [{ breaking = true }]", "version"),
        ("checks = [{ name = \"a\", url = \"http://a\", expect = { statuses = 1 } }]", "statuses"),
        ("checks = [{ name = \"a\", url = \"http://a\", authorization = \"Bearer abc\" }]", "authorization"),
        ("attempts = 0", "0"),
    ];
    for (settings, named) in cases {
        let found = mistakes(settings).join("\n");
        assert!(found.contains(named), "{settings}: {found:?}");
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

#[test]
fn the_readmes_example_is_right() {
    let readme = include_str!("../../README.md");
    let example = readme.split("```").nth(1).and_then(|block| block.strip_prefix("toml\n")).expect("an example");
    let mut file: toml::Table = toml::from_str(example).unwrap();
    let mut settings = file.remove("settings").and_then(|settings| settings.try_into::<toml::Table>().ok()).unwrap();
    settings.remove("http").expect("the host's own key");
    assert_eq!(mistakes(&settings.to_string()), Vec::<String>::new());
}
