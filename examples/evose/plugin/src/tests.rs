//! Tests of evose, against the index that its vendor really publishes.

use super::*;
use evose::release::Catalogue;
use serde_json::json;
use upgraded_sdk::fake::FakeHost;
use upgraded_sdk::{Act, Response};

const URL: &str = "http://127.0.0.1:8000";
const INDEX: &str = "http://127.0.0.1:8090/releases.json";
const SETTINGS: &str = "# Evose\nEVOSE_VERSION=1.9.0 # the images\nEVOSE_SECRET=\"${upgraded:secret:EVOSE_SECRET:1f9a}\"\nEVOSE_HTTP_PORT=8080\n";

fn call() -> Call<Settings> {
    FakeHost::new().call(json!({ "url": URL, "releases": INDEX, "password": { "secret": "settings.password" } }))
}

fn host() -> FakeHost {
    let host = FakeHost::new();
    host.page(INDEX, 200, &Catalogue::read().expect("releases").index().to_string());
    host.file(".env", SETTINGS);
    host
}

fn path(from: &str, to: &str) -> Result<Vec<Hop>> {
    Evose::path(&call(), &host().product(), &Installed::new(from), to)
}

#[test]
fn the_index_is_listed_newest_first_with_what_breaks() {
    let releases = Evose::releases(&call(), &host().product()).expect("an index");
    assert_eq!((releases[0].version.as_str(), releases.last().unwrap().version.as_str()), ("2.1.0", "1.2.0"));
    let major = releases.iter().find(|release| release.version == "2.0.0").unwrap();
    assert!(major.breaking && major.notes[0].contains("EVOSE_APP_SECRET"), "{:?}", major.notes);
    let nobody = FakeHost::new();
    nobody.page(INDEX, 500, "");
    let error = Evose::releases(&call(), &nobody.product()).expect_err("no index");
    assert!(matches!(&error, Error::Unavailable(why) if why.contains("answered with 500")), "{}", error.text());
}

#[test]
fn what_runs_says_which_release_it_is() {
    let host = host();
    assert!(matches!(Evose::detect(&call(), &host.product()), Err(Error::Unavailable(_))));
    // One that is not healthy still says what it is.
    host.page(&format!("{URL}/health"), 503, r#"{"status":"starting","version":"1.3.0"}"#);
    assert_eq!(Evose::detect(&call(), &host.product()).expect("a version").version, "1.3.0");
}

#[test]
fn patches_and_minors_are_taken_directly() {
    for (from, to) in [("1.3.0", "1.4.0"), ("1.4.0", "1.4.1"), ("1.2.0", "1.9.0")] {
        let hops = path(from, to).expect("a path");
        let [hop] = &hops[..] else { panic!("one hop from {from} to {to}") };
        assert_eq!((hop.source.as_str(), hop.target.as_str(), hop.breaking), (from, to, false));
        let [Act::Wave(first), Act::Wave(second)] = &hop.acts[..] else { panic!("two waves") };
        let names = |services: &[ServiceRef]| services.iter().map(|s| s.name.clone()).collect::<Vec<_>>();
        assert_eq!(
            (names(&first.services), names(&second.services)),
            (vec!["evose-init".into()], vec!["evose-api".into(), "evose-worker".into()])
        );
        assert_eq!(
            (names(&hop.quiesce), names(&hop.gate)),
            (vec!["evose-worker".into(), "evose-api".into()], vec!["gateway".into()])
        );
        assert!(matches!(&hop.undo[..], [Undo::RestoreData]) && first.follow.len() == 1 && second.follow.is_empty());
    }
    let notes = path("1.3.0", "1.4.1").expect("a path").remove(0).notes;
    assert_eq!(
        notes,
        [
            "1.4.1: Fixes the credit balance in the console",
            "1.4.0: Users have a credit balance",
            "1.4.0: Skills have tags"
        ]
    );
}

#[test]
fn a_major_version_follows_the_last_minor_before_it_and_is_breaking() {
    let hops = path("1.3.0", "2.1.0").expect("a path");
    let ways: Vec<_> = hops.iter().map(|hop| (hop.source.as_str(), hop.target.as_str(), hop.breaking)).collect();
    assert_eq!(ways, [("1.3.0", "1.9.0", false), ("1.9.0", "2.0.0", true), ("2.0.0", "2.1.0", false)]);
    assert!(hops[1].notes[0].starts_with("2.0.0: `EVOSE_SECRET` is called `EVOSE_APP_SECRET`"), "{:?}", hops[1].notes);
    assert_eq!(path("1.9.0", "2.0.0").expect("a path").len(), 1);
}

#[test]
fn a_downgrade_is_refused_with_the_way_out() {
    let refused = path("1.4.0", "1.3.0").expect_err("older");
    assert!(
        matches!(&refused, Error::Invalid(why) if why.contains("a downgrade is refused") && why.contains("upgradectl rollback"))
    );
    let unknown = path("1.3.0", "1.4.9").expect_err("no release");
    assert!(unknown.text().contains("there is no release `1.4.9`"), "{}", unknown.text());
    assert!(path("1.3.0", "1.3.0").expect("nothing").is_empty());
}

fn edits(settings: &str, hop: &Hop) -> Vec<(String, String)> {
    let host = FakeHost::new();
    host.file(".env", settings);
    let edits = Evose::edits(&call(), &host.product(), hop).expect("edits");
    let said = |edit: Edit| {
        assert_eq!(edit.path, ".env");
        match edit.change {
            Change::Set(keys) => keys.into_iter().next().expect("a key"),
            Change::Content(bytes) => ("whole".to_owned(), String::from_utf8(bytes).expect("text")),
            other => panic!("{other:?}"),
        }
    };
    edits.into_iter().map(said).collect()
}

#[test]
fn a_release_is_a_key_of_the_settings_file() {
    assert_eq!(edits(SETTINGS, &Hop::new("1.9.0", "1.9.1")), [("EVOSE_VERSION".to_owned(), "1.9.1".to_owned())]);
}

#[test]
fn a_major_version_gets_the_secret_under_its_new_name() {
    let hop = Hop::new("1.9.0", "2.0.0").breaking();
    let version = ("EVOSE_VERSION".to_owned(), "2.0.0".to_owned());
    let renamed = format!("{SETTINGS}EVOSE_APP_SECRET=${{EVOSE_SECRET}}\n");
    let whole = ("whole".to_owned(), renamed.clone());
    assert_eq!(edits(SETTINGS, &hop), [whole.clone(), version.clone()]);
    assert_eq!(edits(SETTINGS.trim_end(), &hop), [whole, version.clone()]);
    // Who has the new name already keeps it.
    assert_eq!(edits(&renamed, &hop), std::slice::from_ref(&version));
    assert_eq!(edits(&SETTINGS.replace("EVOSE_SECRET=", "EVOSE_APP_SECRET="), &hop), [version]);
}

/// Evose 1.4.0 with one answer that is another.
fn stands(wrong: Option<(&str, &str, Response)>) -> Result<Vec<(String, String)>> {
    let host = FakeHost::new();
    for (method, path, status, body) in [
        ("GET", "/health", 200, r#"{"status":"ok","version":"1.4.0"}"#),
        ("POST", "/api/login", 200, r#"{"token":"t1"}"#),
        ("GET", "/api/workbench/agents", 200, r#"[{"id":"support","name":"Support"}]"#),
        ("POST", "/api/workbench/agents/support/run", 200, r#"{"answer":"yes"}"#),
        ("GET", "/api/workflows", 200, r#"[{"id":"digest","name":"Daily digest"}]"#),
        ("POST", "/api/workflows/digest/run", 202, r#"{"run":7}"#),
        ("GET", "/api/observability/runs", 200, r#"{"count":7}"#),
        ("GET", "/api/observability/runs/7", 200, r#"{"run":7,"status":"done"}"#),
        ("GET", "/api/models", 200, r#"[{"id":"chat"},{"id":"embedding"}]"#),
        ("POST", "/api/models/chat/test", 200, r#"{"connected":true}"#),
        ("POST", "/api/models/embedding/test", 200, r#"{"connected":true}"#),
    ] {
        host.answer(method, &format!("{URL}{path}"), Response::new(status, body));
    }
    if let Some((method, path, answer)) = wrong {
        host.answer(method, &format!("{URL}{path}"), answer);
    }
    let findings = Evose::verify(&call(), &host.product(), "1.4.0")?;
    for request in host.requests() {
        let has_session = request.headers.iter().any(|(name, value)| name == "authorization" && value == "Bearer t1");
        let path = request.url.strip_prefix(URL).expect("the API");
        assert_eq!(has_session, !matches!(path, "/health" | "/api/login"), "{path}");
        let secrets: Vec<&str> = request.secret_headers.iter().map(|header| header.secret.as_str()).collect();
        assert_eq!(secrets == ["settings.password"], path == "/api/login", "{path}");
    }
    Ok(findings.into_iter().map(|finding| (finding.id, finding.message)).collect())
}

#[test]
fn every_published_smoke_test_counts() {
    assert_eq!(stands(None).expect("asked"), []);
    let other = Response::new(200, r#"{"status":"ok","version":"1.3.0"}"#);
    let failed = || Response::new(500, r#"{"error":"no table"}"#);
    let empty = || Response::new(200, "[]");
    for (id, said, method, path, answer) in [
        ("health", "1.4.0 should run", "GET", "/health", other),
        ("login", "is answered with 401", "POST", "/api/login", Response::new(401, "")),
        ("login", "without a token", "POST", "/api/login", Response::new(200, "{}")),
        ("workbench", "`/api/workbench/agents` lists nothing", "GET", "/api/workbench/agents", empty()),
        ("workbench", "no table", "POST", "/api/workbench/agents/support/run", failed()),
        ("workflow", "`/api/workflows` lists nothing", "GET", "/api/workflows", empty()),
        ("workflow", "no table", "POST", "/api/workflows/digest/run", failed()),
        ("observability", "shows no run", "GET", "/api/observability/runs", Response::new(200, r#"{"count":0}"#)),
        (
            "observability",
            "is not through after 60 s",
            "GET",
            "/api/observability/runs/7",
            Response::new(200, r#"{"status":"queued"}"#),
        ),
        ("models", "no table", "POST", "/api/models/embedding/test", failed()),
    ] {
        let found = stands(Some((method, path, answer))).expect("asked");
        assert!(
            matches!(&found[..], [(found, why)] if found == id && why.contains(said)),
            "{method} {path}: {found:?}"
        );
    }
}

#[test]
fn what_is_still_starting_is_looked_at_again() {
    let host = FakeHost::new();
    host.page(&format!("{URL}/health"), 503, r#"{"status":"starting","version":"1.4.0","mysql":"no answer"}"#);
    let findings = Evose::verify(&call(), &host.product(), "1.4.0").expect("asked");
    assert!(findings[0].message.contains("is answered with 503"), "{}", findings[0].message);
    assert_eq!(host.log().iter().filter(|line| line.starts_with("pause")).count(), 119);
}
