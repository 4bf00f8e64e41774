//! What the plugin decides, against a fake host, with the vendor's real index and the real `compose.yaml`.

use super::*;
use crate::compose::{image, retagged};
use serde_json::{Value, json};
use upgraded_sdk::Act;
use upgraded_sdk::fake::FakeHost;

const COMPOSE_FILE: &str = include_str!("../../compose.yaml");
const INDEX: &str = "https://releases.example.com/releases.json";
const HEALTH: &str = "http://front/api/health";
const MODELS: &str = "http://front/api/models";

fn fake() -> FakeHost {
    let fake = FakeHost::new();
    let index = tessallite::release::Index::read().expect("an index");
    fake.page(INDEX, 200, &serde_json::to_string(&index).expect("JSON"));
    fake.file("compose.yaml", COMPOSE_FILE);
    fake.file(".env", "REGISTRY=registry.example.com\n# TESSALLITE_PUBLIC_URL=x\n");
    fake
}

fn call(fake: &FakeHost) -> Call<Settings> {
    fake.call(json!({ "url": "http://front", "releases": INDEX, "public-url": "https://models.example.com" }))
}

fn path(from: &str, to: &str) -> Result<Vec<Hop>> {
    let fake = fake();
    Tessallite::path(&call(&fake), &fake.product(), &Installed::new(from), to)
}

fn way(from: &str, to: &str) -> Vec<String> {
    path(from, to).expect("a path").iter().map(|hop| format!("{} {}", hop.target, hop.breaking)).collect()
}

/// A file, and what is set in it.
type Set = (String, Vec<(String, String)>);

fn edits(fake: &FakeHost, call: &Call<Settings>, to: &str) -> Result<Vec<Set>> {
    let edits = Tessallite::edits(call, &fake.product(), &Hop::new("1.4.0", to))?;
    let pairs = |edit: Edit| match edit.change {
        Change::Set(values) => (edit.path, values),
        _ => panic!("`{}` as a whole", edit.path),
    };
    Ok(edits.into_iter().map(pairs).collect())
}

#[test]
fn the_index_is_the_list_of_releases() {
    let fake = fake();
    let releases = Tessallite::releases(&call(&fake), &fake.product()).expect("releases");
    let last = releases.last().expect("a release");
    assert_eq!((last.version.as_str(), last.published.as_deref(), last.breaking), ("2.0.0", Some("2026-09-07"), true));
    fake.page(INDEX, 502, "");
    let error = Tessallite::releases(&call(&fake), &fake.product()).expect_err("no index");
    assert!(error.text().contains("answers 502"), "{}", error.text());
}

#[test]
fn direct_but_for_a_major_version() {
    assert_eq!(way("1.4.0", "1.4.1"), ["1.4.1 false"]);
    assert_eq!(way("1.3.0", "1.10.0"), ["1.10.0 false"]);
    assert_eq!(way("1.10.0", "2.0.0"), ["2.0.0 true"]);
    assert_eq!(way("1.4.0", "2.0.0"), ["1.10.0 false", "2.0.0 true"]);
    assert!(way("1.4.0", "1.4.0").is_empty());
    let downgrade = path("1.5.0", "1.4.0").expect_err("older");
    assert!(downgrade.text().contains("`upgradectl rollback` goes back"), "{}", downgrade.text());
    assert!(path("1.4.0", "1.5.9").expect_err("unknown").text().contains("`1.5.9`"));
}

#[test]
fn a_later_patch_of_the_last_minor_version_is_no_stop() {
    let fake = fake();
    let entries = [("1.9.0", 1), ("1.10.0", 1), ("1.10.1", 1), ("2.0.0", 2)];
    let entries = entries.map(|(version, at)| json!({ "version": version, "db_migration": at.to_string() }));
    fake.page(INDEX, 200, &json!({ "releases": entries }).to_string());
    let targets = |from: &str| {
        let hops = Tessallite::path(&call(&fake), &fake.product(), &Installed::new(from), "2.0.0").expect("a path");
        hops.into_iter().map(|hop| hop.target).collect::<Vec<_>>()
    };
    assert_eq!(targets("1.9.0"), ["1.10.1", "2.0.0"]);
    assert_eq!(targets("1.10.0"), ["2.0.0"]);
}

#[test]
fn all_services_change_at_once_behind_the_gate() {
    let hops = path("1.4.0", "1.5.1").expect("a path");
    let [hop] = &hops[..] else { panic!("one hop") };
    let names = |services: &[ServiceRef]| services.iter().map(|s| s.name.clone()).collect::<Vec<_>>();
    let waves = hop.acts.iter().map(|act| match act {
        Act::Wave(wave) => (names(&wave.services).join(" "), wave.follow.len()),
        Act::Command(_) => panic!("a command"),
    });
    let all = ("model-service query-router optimizer scheduler frontend".to_owned(), 1);
    assert_eq!(waves.collect::<Vec<_>>(), [all]);
    assert_eq!(names(&hop.quiesce), ["scheduler", "optimizer", "model-service", "query-router", "frontend"]);
    assert_eq!(names(&hop.gate), ["gateway"]);
    assert_eq!(hop.notes[0], "1.5.1: Code alone");
}

#[test]
fn on_cloud_run_the_gateway_comes_last_and_code_alone_shuts_nobody_out() {
    let fake = fake();
    let mut call = call(&fake);
    let platform = call.bindings.iter_mut().find(|binding| binding.role == Role::Platform);
    platform.expect("a platform").plugin = "cloud-run".into();
    let hop = |from: &str, to: &str| {
        let mut path = Tessallite::path(&call, &fake.product(), &Installed::new(from), to).expect("a path");
        path.remove(0)
    };
    let waves = |hop: &Hop| {
        let wave = |act: &Act| match act {
            Act::Wave(wave) => (wave.services[0].name.clone(), wave.rolling, wave.follow.len()),
            Act::Command(_) => panic!("a command"),
        };
        hop.acts.iter().map(wave).collect::<Vec<_>>()
    };
    let order = ["model-service", "query-router", "optimizer", "scheduler", "frontend", "gateway"];
    let (migrates, code) = (hop("1.4.0", "1.5.0"), hop("1.5.0", "1.5.1"));
    assert_eq!(waves(&migrates), order.map(|name| (name.to_owned(), false, 0)));
    assert_eq!((migrates.gate.len(), migrates.expand_only), (1, false));
    assert_eq!(waves(&code), order.map(|name| (name.to_owned(), true, 0)));
    assert!(code.expand_only && code.gate.is_empty() && code.quiesce.is_empty());
    assert!(matches!(code.undo[..], [Undo::CodeOnly]));
    assert!(Tessallite::edits(&call, &fake.product(), &migrates).expect("none").is_empty());
    let major = hop("1.10.0", "2.0.0");
    let edits = Tessallite::edits(&call, &fake.product(), &major).expect("edits");
    assert_eq!(edits.iter().map(|edit| edit.path.as_str()).collect::<Vec<_>>(), [".env"], "the same as on Compose");
}

#[test]
fn data_goes_back_where_the_migration_is_another() {
    let undo = |from: &str, to: &str| path(from, to).expect("a path").remove(0).undo;
    assert!(matches!(undo("1.4.0", "1.4.1")[..], [Undo::CodeOnly]));
    assert!(matches!(undo("1.5.1", "1.6.0")[..], [Undo::CodeOnly]));
    assert!(matches!(undo("1.4.0", "1.5.0")[..], [Undo::RestoreData]));
}

#[test]
fn tags_change_and_registries_stay() {
    let fake = fake();
    let edits = edits(&fake, &call(&fake), "1.5.0").expect("edits");
    let [(file, values)] = &edits[..] else { panic!("one file") };
    assert_eq!((file.as_str(), values.len()), ("compose.yaml", 6));
    for (key, value) in values {
        let service = key.strip_prefix("services.").and_then(|key| key.strip_suffix(".image")).expect("an image");
        assert_eq!(*value, format!("${{REGISTRY}}/tessallite/{service}:1.5.0"));
    }
}

#[test]
fn the_major_version_brings_its_key() {
    let fake = fake();
    let all = edits(&fake, &call(&fake), "2.0.0").expect("edits");
    let key = || ("TESSALLITE_PUBLIC_URL".to_owned(), "https://models.example.com".to_owned());
    assert_eq!(all[1], (".env".into(), vec![key()]));
    let without = fake.call(json!({ "url": "http://front", "releases": INDEX }));
    let refused = edits(&fake, &without, "2.0.0").expect_err("no address");
    assert!(refused.text().contains("needs `public-url`"), "{}", refused.text());
    fake.file(".env", "TESSALLITE_PUBLIC_URL=https://elsewhere.example.com\n");
    assert_eq!(edits(&fake, &without, "2.0.0").expect("edits").len(), 1);
}

#[test]
fn images_that_the_file_does_not_name_by_tag() {
    let fake = fake();
    for (changed, right) in [
        (COMPOSE_FILE.replace("/optimizer:1.4.0", "/optimizer@sha256:0123"), "`repository:tag` would be right"),
        (COMPOSE_FILE.replace("/optimizer:1.4.0", "/optimizer:${TAG:-1.4.0}"), "`repository:tag` would be right"),
        (COMPOSE_FILE.replace("  optimizer:\n", "  improver:\n"), "no line `image:` for the service `optimizer`"),
    ] {
        fake.file("compose.yaml", changed);
        let refused = edits(&fake, &call(&fake), "1.5.0").expect_err("no tag");
        assert!(refused.text().contains(right), "{}", refused.text());
    }
}

#[test]
fn lines_of_yaml() {
    let file = "# x\nother:\n  web:\n    image: no\nservices:\n  \"web\":   # w\n      ports: [\"1:2\"]\n      build:\n        \
                image: no\n\n      image: 'a/b#c:1'  # d\n  late:\n    environment:\n      - A=1\n";
    assert_eq!(image(file, "web"), Some("a/b#c:1"));
    assert_eq!(image(file, "late"), None);
    assert_eq!(image("services:\n", "web"), None);
    for (spelled, right) in [
        ("web", Some("web:2")),
        ("localhost:5000/a/web", Some("localhost:5000/a/web:2")),
        ("localhost:5000/a/web:1", Some("localhost:5000/a/web:2")),
        ("${R:-x:1}/web:1", Some("${R:-x:1}/web:2")),
        ("a/web:1@sha256:0", None),
        ("${IMAGE:-a/web}", None),
    ] {
        assert_eq!(retagged(spelled, "2").as_deref(), right, "{spelled}");
    }
}

#[test]
fn every_check_counts() {
    let found = |spoil: fn(&mut Value, &mut Value)| {
        let fake = fake();
        let ok = json!({ "status": "ok", "version": "1.5.0" });
        let mut health = ok.clone();
        health["db_migration"] = "0009".into();
        for service in ["model-service", "query-router", "optimizer", "scheduler"] {
            health["services"][service] = ok.clone();
        }
        let mut models = json!({ "count": 2, "checksum": "c", "catalogue": { "count": 2, "checksum": "c" } });
        spoil(&mut health, &mut models);
        fake.page(HEALTH, 200, &health.to_string());
        fake.page(MODELS, 200, &models.to_string());
        let findings = Tessallite::verify(&call(&fake), &fake.product(), "1.5.0").expect("asked");
        findings.into_iter().map(|finding| finding.id).collect::<Vec<_>>()
    };
    assert!(found(|_, _| {}).is_empty());
    assert_eq!(found(|health, _| health["db_migration"] = "0008".into()), ["db-migration"]);
    assert_eq!(found(|health, _| health["version"] = "1.4.0".into()), ["frontend"]);
    assert_eq!(found(|health, _| health["services"]["scheduler"]["version"] = "1.4.0".into()), ["scheduler"]);
    assert_eq!(found(|health, _| health["services"]["optimizer"] = Value::Null), ["optimizer"]);
    assert_eq!(found(|_, models| models["count"] = 1.into()), ["models"]);
    assert_eq!(found(|_, models| models["checksum"] = "d".into()), ["models"]);
    assert_eq!(found(|_, models| *models = json!({})), ["models"]);
}

#[test]
fn the_version_is_what_runs() {
    let fake = fake();
    fake.page(HEALTH, 503, r#"{"status":"degraded","version":"1.4.0"}"#);
    assert_eq!(Tessallite::detect(&call(&fake), &fake.product()).expect("found").version, "1.4.0");
    fake.page(HEALTH, 503, r#"{"status":"unavailable"}"#);
    assert!(Tessallite::detect(&call(&fake), &fake.product()).expect_err("none").text().contains("unavailable"));
}
