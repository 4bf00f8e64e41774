//! What the plugin decides, against a fake host, with the vendor's real index and the real settings.

use super::*;
use serde_json::{Value, json};
use upgraded_sdk::fake::FakeHost;
use upgraded_sdk::{Change, Response};

const INDEX: &str = "https://releases.example.com/releases.json";
const URL: &str = "http://127.0.0.1:8000";

fn fake() -> FakeHost {
    let fake = FakeHost::new();
    let index = infrahub::release::Catalogue::read().and_then(|catalogue| catalogue.index()).expect("an index");
    fake.page(INDEX, 200, &index.to_string());
    fake.file(".env", include_str!("../../.env.example"));
    fake
}

fn call(fake: &FakeHost) -> Call<Settings> {
    let token = json!({ "secret": "settings.token" });
    fake.call(json!({ "url": URL, "releases": INDEX, "token": token, "cache-address": "cache:6379" }))
}

fn path(from: &str, to: &str) -> Result<Vec<Hop>> {
    let fake = fake();
    Infrahub::path(&call(&fake), &fake.product(), &Installed::new(from), to)
}

fn way(from: &str, to: &str) -> Vec<String> {
    path(from, to).expect("a path").iter().map(|hop| format!("{} {}", hop.target, hop.breaking)).collect()
}

fn one(from: &str, to: &str) -> Hop {
    let mut hops = path(from, to).expect("a path");
    assert_eq!(hops.len(), 1, "one hop from {from} to {to}");
    hops.remove(0)
}

/// `wave infrahub-server`, or a command.
fn acts(hop: &Hop) -> Vec<String> {
    let names = |services: &[ServiceRef]| services.iter().map(|s| s.name.clone()).collect::<Vec<_>>().join(" ");
    let told = |act: &Act| match act {
        Act::Wave(wave) => format!("wave {}", names(&wave.services)),
        Act::Command(once) => format!("{}: {}", once.service.name, once.argv.join(" ")),
    };
    hop.acts.iter().map(told).collect()
}

#[test]
fn the_index_is_the_list_of_releases() {
    let fake = fake();
    let releases = Infrahub::releases(&call(&fake), &fake.product()).expect("releases");
    let last = releases.last().expect("a release");
    assert_eq!((last.version.as_str(), last.published.as_deref(), last.breaking), ("2.0.0", Some("2026-10-12"), true));
    fake.page(INDEX, 502, "");
    let error = Infrahub::releases(&call(&fake), &fake.product()).expect_err("no index");
    assert!(matches!(&error, Error::Unavailable(why) if why.ends_with("answers 502")), "{}", error.text());
}

#[test]
fn the_supported_upgrade_paths() {
    assert_eq!(way("1.7.0", "1.7.6"), ["1.7.6 false"]);
    assert_eq!(way("1.6.4", "1.7.0"), ["1.7.0 false"]);
    assert_eq!(way("1.5.3", "1.7.0"), ["1.6.4 false", "1.7.0 false"]);
    assert_eq!(way("1.5.3", "1.8.3"), ["1.6.4 false", "1.7.6 false", "1.8.3 false"]);
    assert_eq!(way("1.9.0", "2.0.0"), ["2.0.0 true"]);
    assert_eq!(way("1.7.6", "2.0.0"), ["1.8.3 false", "1.9.0 false", "2.0.0 true"]);
    assert!(way("1.6.4", "1.6.4").is_empty());
    for (from, to) in [("1.7.0", "1.6.4"), ("2.0.0", "1.9.0")] {
        let refused = path(from, to).expect_err("older");
        let Error::Invalid(why) = &refused else { panic!("{}", refused.text()) };
        assert!(why.contains("Not supported, use backup restoration; `upgradectl rollback` goes back"), "{why}");
    }
    assert!(path("1.6.4", "1.7.9").expect_err("unknown").text().contains("there is no release `1.7.9`"));
}

#[test]
fn a_hop_that_migrates_runs_the_command_between_the_database_and_the_server() {
    let hop = one("1.6.4", "1.7.0");
    let order = ["wave database", "infrahub-server: infrahub upgrade", "wave infrahub-server", "wave task-worker"];
    assert_eq!(acts(&hop), order);
    let Act::Command(once) = &hop.acts[1] else { panic!("a command") };
    assert_eq!((once.repeatable, once.success.as_deref()), (true, Some("Database migration completed")));
    let names = |services: &[ServiceRef]| services.iter().map(|s| s.name.clone()).collect::<Vec<_>>();
    assert_eq!(names(&hop.quiesce), ["task-worker", "infrahub-server", "database"]);
    assert_eq!(names(&hop.gate), ["gateway"]);
    assert!(matches!(hop.undo[..], [Undo::RestoreData]));
    assert_eq!(hop.notes, ["1.7.0: Tags are indexed by branch: two migrations"]);
}

#[test]
fn a_hop_of_code_alone_runs_none_and_goes_back_without_the_data() {
    for (from, to) in [("1.7.0", "1.7.6"), ("1.7.6", "1.8.1"), ("1.8.3", "1.9.0")] {
        let hop = one(from, to);
        assert_eq!(acts(&hop), ["wave database", "wave infrahub-server", "wave task-worker"], "{from} {to}");
        assert!(matches!(hop.undo[..], [Undo::CodeOnly]), "{from} {to}");
    }
}

#[test]
fn it_takes_as_long_as_is_published() {
    assert_eq!(one("1.7.5", "1.7.6").expected_seconds, Some((300, 600)));
    assert_eq!(one("1.6.4", "1.7.0").expected_seconds, Some((600, 1800)));
    assert_eq!(one("1.9.0", "2.0.0").expected_seconds, Some((1800, 3600)));
}

/// What is set in `.env`.
fn edits(fake: &FakeHost, call: &Call<Settings>, to: &str) -> Result<Vec<(String, String)>> {
    let edits = Infrahub::edits(call, &fake.product(), &Hop::new("1.8.3", to))?;
    let set = |edit: Edit| match edit.change {
        Change::Set(values) if edit.path == ".env" => values,
        _ => panic!("`{}` as a whole", edit.path),
    };
    Ok(edits.into_iter().flat_map(set).collect())
}

#[test]
fn a_release_is_a_key_of_the_settings_and_1_9_0_brings_another() {
    let fake = fake();
    let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    assert_eq!(edits(&fake, &call(&fake), "1.8.3").expect("edits"), [pair("VERSION", "1.8.3")]);
    let both = [pair("VERSION", "1.9.0"), pair("INFRAHUB_CACHE_ADDRESS", "cache:6379")];
    assert_eq!(edits(&fake, &call(&fake), "1.9.0").expect("edits"), both);
    assert_eq!(edits(&fake, &call(&fake), "2.0.0").expect("edits").len(), 2);
    let without = fake.call(json!({ "url": URL, "releases": INDEX, "token": { "secret": "t" } }));
    let refused = edits(&fake, &without, "1.9.0").expect_err("no address");
    assert!(refused.text().starts_with("1.9.0 needs `cache-address` under `[settings]`"), "{}", refused.text());
    // Whoever has it already keeps it.
    fake.file(".env", "VERSION=1.8.3\nINFRAHUB_CACHE_ADDRESS=redis:6379\n");
    assert_eq!(edits(&fake, &without, "1.9.0").expect("edits"), [pair("VERSION", "1.9.0")]);
}

/// The same product as a release of Helm.
fn call_on_helm(fake: &FakeHost, settings: Value) -> Call<Settings> {
    let mut call: Call<Settings> = fake.call(settings);
    call.bindings.iter_mut().for_each(|binding| binding.plugin = HELM.into());
    call
}

#[test]
fn on_helm_a_hook_of_the_chart_migrates_and_the_platform_sets_the_version() {
    let fake = fake();
    let call = call_on_helm(&fake, json!({ "url": URL, "releases": INDEX, "token": { "secret": "t" } }));
    for to in ["1.7.0", "1.6.4"] {
        let from = if to == "1.7.0" { "1.6.4" } else { "1.6.0" };
        let hops = Infrahub::path(&call, &fake.product(), &Installed::new(from), to).expect("a path");
        let order = ["wave database", "wave infrahub-upgrade", "wave infrahub-server", "wave task-worker"];
        assert_eq!(acts(&hops[0]), order);
        let Act::Wave(wave) = &hops[0].acts[1] else { panic!("a wave") };
        assert_eq!(wave.follow[0].success, MIGRATED);
        assert!(Infrahub::edits(&call, &fake.product(), &hops[0]).expect("edits").is_empty());
    }
}

#[test]
fn on_helm_1_9_0_brings_a_key_of_the_values() {
    let fake = fake();
    let settings = json!({ "url": URL, "releases": INDEX, "token": { "secret": "t" }, "cache-address": "cache:6379" });
    let edited = |settings: Value, values: &str| {
        fake.file("values.yaml", values);
        Infrahub::edits(&call_on_helm(&fake, settings), &fake.product(), &Hop::new("1.8.3", "1.9.0"))
    };
    let edits = edited(settings.clone(), "image: {tag: 1.8.3}   # ours\n").expect("edits");
    let [Edit { path, change: Change::Content(content), .. }] = &edits[..] else { panic!("{} edits", edits.len()) };
    let expected = "image: {tag: 1.8.3}   # ours\ncache:\n  address: \"cache:6379\"\n";
    assert_eq!((path.as_str(), content.as_slice()), ("values.yaml", expected.as_bytes()));
    let mut without = settings;
    without["cache-address"] = Value::Null;
    let refused = edited(without.clone(), "registry: r\n").expect_err("no address");
    assert!(refused.text().starts_with("1.9.0 needs `cache-address` under `[settings]`"), "{}", refused.text());
    assert!(edited(without, "cache: {address: redis:6379}\n").expect("edits").is_empty(), "whoever has it keeps it");
}

#[test]
fn the_version_is_what_runs() {
    let fake = fake();
    fake.page(&format!("{URL}/api/config"), 200, r#"{"version":"1.6.4"}"#);
    assert_eq!(Infrahub::detect(&call(&fake), &fake.product()).expect("found").version, "1.6.4");
    fake.page(&format!("{URL}/api/config"), 502, "");
    let error = Infrahub::detect(&call(&fake), &fake.product()).expect_err("none");
    assert!(matches!(&error, Error::Unavailable(why) if why.contains("says 502")), "{}", error.text());
}

/// Infrahub 1.7.0 with one answer that is another.
fn found(wrong: Option<(&str, &str, u16, Value)>) -> Vec<(String, String)> {
    let fake = fake();
    let ok = json!({ "status": "ok" });
    let edges = json!([{ "node": { "name": "red" } }, { "node": { "name": "blue" } }]);
    let data = json!({ "InfrahubInfo": { "version": "1.7.0" }, "BuiltinTag": { "count": 2, "edges": edges } });
    let answers = [
        ("GET", "/api/config", 200, json!({ "version": "1.7.0" })),
        ("GET", "/api/health", 200, json!({ "database": ok, "cache": ok, "workers": ok })),
        ("POST", "/graphql", 200, json!({ "data": data })),
        ("GET", "/api/schema/summary", 200, json!({ "nodes": { "BuiltinTag": 2 } })),
        ("POST", "/api/artifacts/upgrade-check/generate", 202, json!({ "job": 7 })),
        ("GET", "/api/artifacts/upgrade-check", 200, json!({ "status": "ready" })),
    ];
    for (method, path, status, body) in answers.into_iter().chain(wrong) {
        fake.answer(method, &format!("{URL}{path}"), Response::new(status, body.to_string()));
    }
    let findings = Infrahub::verify(&call(&fake), &fake.product(), "1.7.0").expect("asked");
    for request in fake.requests() {
        let secrets: Vec<&str> = request.secret_headers.iter().map(|header| header.secret.as_str()).collect();
        assert_eq!(secrets, ["settings.token"], "{}", request.url);
    }
    findings.into_iter().map(|finding| (finding.id, finding.message)).collect()
}

#[test]
fn every_check_of_the_validation_counts() {
    assert_eq!(found(None), []);
    let ok = json!({ "status": "ok" });
    let ill = json!({ "database": ok, "cache": ok, "workers": { "status": "no worker of 1.7.0 is there" } });
    let tags = |count: u32, names: &[&str], version: &str| {
        let edges: Vec<Value> = names.iter().map(|name| json!({ "node": { "name": name } })).collect();
        json!({ "data": { "InfrahubInfo": { "version": version }, "BuiltinTag": { "count": count, "edges": edges } } })
    };
    let (artifact, generate) = ("/api/artifacts/upgrade-check", "/api/artifacts/upgrade-check/generate");
    let errors = json!({ "errors": [{ "message": "no graph" }] });
    for (id, said, method, path, status, answer) in [
        ("version", "1.7.0 should run", "GET", "/api/config", 200, json!({ "version": "1.6.4" })),
        ("health", "no worker of 1.7.0 is there", "GET", "/api/health", 503, ill),
        ("graphql", "no graph", "POST", "/graphql", 200, errors),
        ("graphql", "1.7.0 should answer queries", "POST", "/graphql", 200, tags(2, &["red", "blue"], "1.6.4")),
        (
            "graphql",
            "should be 2 tags, and GraphQL counts 1 and lists 1",
            "POST",
            "/graphql",
            200,
            tags(1, &["red"], "1.7.0"),
        ),
        ("graphql", "counts 2 and lists 1", "POST", "/graphql", 200, tags(2, &["red", ""], "1.7.0")),
        ("artifact", "can't be generated: 500", "POST", generate, 500, json!({ "error": "no storage" })),
        ("artifact", "within 30 s", "GET", artifact, 200, json!({ "status": "generating" })),
        ("artifact", "answered with 503", "GET", artifact, 503, json!({ "error": "another artifact than the graph" })),
    ] {
        let found = found(Some((method, path, status, answer)));
        assert!(matches!(&found[..], [(found, why)] if found == id && why.contains(said)), "{path}: {found:?}");
    }
}
