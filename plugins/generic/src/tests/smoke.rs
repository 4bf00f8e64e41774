//! Tests of smoke.

use super::*;
use upgraded_sdk::{Response, Severity};

const BASE: &str = "http://127.0.0.1:8080";

fn verify(fake: &FakeHost, settings: &str, release: &str) -> Vec<String> {
    fake.read_only(true);
    let findings = Generic::verify(&call(fake, settings), &fake.product(), release).unwrap();
    assert!(findings.iter().all(|finding| finding.severity == Severity::Blocker));
    findings.into_iter().map(|finding| format!("{}: {}", finding.id, finding.message)).collect()
}

fn check(rest: &str) -> String {
    format!("attempts = 1\n[[checks]]\nname = \"List of Notes\"\nurl = \"{BASE}/notes\"\n{rest}")
}

#[test]
fn health_version_and_checks_all_right() {
    let fake = FakeHost::new();
    fake.page(&format!("{BASE}/health"), 204, "");
    fake.page(&format!("{BASE}/version"), 200, "1.4.0");
    fake.page(&format!("{BASE}/notes"), 200, r#"{ "items": [{ "id": 1 }], "by": "notes 1.4.0" }"#);
    let settings = format!(
        "health = \"{BASE}/health\"\nversion-url = \"{BASE}/version\"\n{}",
        check(
            "expect = { status = [200, 304], json = { \"items.0.id\" = 1, by = \"notes {version}\" }, pattern = '\"id\": \\d' }"
        )
    );
    assert_eq!(verify(&fake, &settings, "1.4.0"), Vec::<String>::new());
}

#[test]
fn each_thing_that_is_wrong_is_one_finding() {
    let fake = FakeHost::new();
    fake.page(&format!("{BASE}/health"), 500, "\nno database\n");
    fake.page(&format!("{BASE}/version"), 200, "1.3.0");
    let settings = format!("health = \"{BASE}/health\"\nversion-url = \"{BASE}/version\"\n{}", check(""));
    assert_eq!(
        verify(&fake, &settings, "1.4.0"),
        [
            "health: `http://127.0.0.1:8080/health`: it answers 500, and should answer 2xx: no database",
            "version: the version: `1.3.0` runs and not `1.4.0`",
            "check-list-of-notes: the check `List of Notes`: nobody listens at `http://127.0.0.1:8080/notes`",
        ]
    );
}

#[test]
fn every_expectation_names_what_is_there_and_what_should_be() {
    let fake = FakeHost::new();
    let mut answer = Response::new(200, r#"{ "version": "1.3.0", "ok": true }"#);
    answer.headers.push(("X-Version".into(), "1.3.0".into()));
    fake.answer("GET", &format!("{BASE}/notes"), answer);
    let found = |expect: &str| verify(&fake, &check(&format!("expect = {{ {expect} }}")), "1.4.0").join("\n");
    assert!(
        found("status = 404")
            .ends_with("it answers 200, and should answer 404: { \"version\": \"1.3.0\", \"ok\": true }")
    );
    assert!(found("status = [201, 204]").contains("201 or 204"));
    assert!(
        found("headers = { x-version = \"{version}\" }")
            .ends_with("the header `x-version` is `1.3.0`, and should be `1.4.0`")
    );
    assert!(found("headers = { x-other = \"a\" }").contains("is not there"));
    assert!(
        found("json = { version = \"{version}\" }")
            .ends_with("the field `version` is \"1.3.0\", and should be \"1.4.0\"")
    );
    assert!(found("json = { \"/missing\" = 1 }").contains("there is no field `/missing`"));
    assert!(found("pattern = 'version.*{version}'").contains("does not fit"));
    assert_eq!(found("pattern = 'version.*1\\.3', json = { ok = true }"), "");
    fake.page(&format!("{BASE}/notes"), 200, "hello");
    assert!(found("json = { ok = true }").contains("the answer is no JSON"));
}

#[test]
fn a_version_is_meant_literally_in_a_pattern() {
    let fake = FakeHost::new();
    fake.page(&format!("{BASE}/notes"), 200, "1x4x0");
    assert_eq!(verify(&fake, &check("expect = { pattern = '{version}' }"), "1.4.0").len(), 1);
}

#[test]
fn a_request_is_as_the_settings_say_and_holds_no_secret() {
    let fake = FakeHost::new();
    fake.answer("POST", &format!("{BASE}/notes"), Response::new(201, ""));
    let rest = r#"
        method = "post"
        headers = { x-for = "{version}" }
        json = { title = "for {version}" }
        authorization = { secret = "checks.0.authorization" }
        secret-headers = { X-Key = { secret = "checks.0.secret-headers.X-Key" } }
    "#;
    assert_eq!(verify(&fake, &check(rest), "1.4.0"), Vec::<String>::new());
    let request = fake.requests().remove(0);
    assert_eq!(request.headers, [("x-for".into(), "1.4.0".into()), ("Content-Type".into(), "application/json".into())]);
    assert_eq!(request.body, br#"{"title":"for 1.4.0"}"#);
    let secrets: Vec<(&str, &str, &str)> =
        request.secret_headers.iter().map(|s| (s.name.as_str(), s.prefix.as_str(), s.secret.as_str())).collect();
    assert_eq!(
        secrets,
        [("Authorization", "Bearer ", "checks.0.authorization"), ("X-Key", "", "checks.0.secret-headers.X-Key"),]
    );
}

#[test]
fn the_answer_to_a_request_with_a_secret_is_not_shown() {
    let fake = FakeHost::new();
    fake.page(&format!("{BASE}/notes"), 401, "your token abc is old");
    let found = verify(&fake, &check("authorization = { secret = \"checks.0.authorization\" }"), "1.4.0");
    assert!(!found[0].contains("abc"), "{found:?}");
}

#[test]
fn a_check_is_tried_until_it_holds() {
    let fake = FakeHost::new();
    let mut left = 2;
    fake.on_request(move |_| {
        left -= 1;
        Some(Ok(Response::new(if left >= 0 { 503 } else { 200 }, "")))
    });
    let settings = check("").replace("attempts = 1", "attempts = 5\npause-ms = 50");
    assert_eq!(verify(&fake, &settings, "1.4.0"), Vec::<String>::new());
    assert_eq!(fake.requests().len(), 3);
    assert_eq!(fake.log().iter().filter(|line| *line == "pause: 50 ms").count(), 2);
}

#[test]
fn what_is_denied_is_not_tried_again() {
    let fake = FakeHost::new();
    fake.fail("http.send", Error::Denied("`http://127.0.0.1:8080` is not among `http`".into()));
    let settings = check("").replace("attempts = 1", "attempts = 5");
    assert!(verify(&fake, &settings, "1.4.0")[0].contains("not among `http`"));
    assert_eq!(fake.calls().len(), 1);
}

#[test]
fn a_cancelled_verification_finds_nothing() {
    let fake = FakeHost::new();
    fake.cancel();
    let verified = Generic::verify(&call(&fake, &check("")), &fake.product(), "1.4.0");
    assert_eq!(verified, Err(Error::Cancelled));
}

#[test]
fn a_check_may_begin_and_end_with_a_release() {
    let fake = FakeHost::new();
    let settings = check("since = \"2.0.0\"\nuntil = \"3.0.0\"");
    assert_eq!(verify(&fake, &settings, "1.9.0"), Vec::<String>::new());
    assert_eq!(verify(&fake, &settings, "3.0.0"), Vec::<String>::new());
    assert_eq!(verify(&fake, &settings, "2.0.0").len(), 1);
}

#[test]
fn preflight_looks_at_the_settings() {
    let found = |settings: &str| -> Vec<(String, Severity)> {
        let fake = FakeHost::new();
        let findings =
            Generic::preflight(&call(&fake, settings), &fake.product(), &Hop::new("1.0.0", "1.1.0")).unwrap();
        findings.into_iter().map(|finding| (finding.id, finding.severity)).collect()
    };
    assert_eq!(found(""), [("no-checks".into(), Severity::Warning)]);
    assert_eq!(found(&check("expect = { pattern = \"(\" }")), [("check-list-of-notes".into(), Severity::Blocker)]);
    assert_eq!(found(&check("body = \"a\"\njson = 1")), [("check-list-of-notes".into(), Severity::Blocker)]);
    assert_eq!(found(&check("")), []);
}
