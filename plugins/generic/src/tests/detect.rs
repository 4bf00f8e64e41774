//! Tests of detect.

use super::*;
use upgraded_sdk::Severity;

const URL: &str = "http://127.0.0.1:8080/version";

fn fake() -> FakeHost {
    let fake = FakeHost::new();
    fake.read_only(true);
    fake.tag("v1.3.0", "c130");
    fake.tag("v1.4.0", "c140");
    fake.activate("c130");
    fake
}

fn detect(fake: &FakeHost, settings: &str) -> Result<Installed> {
    Generic::detect(&call(fake, settings), &fake.product())
}

#[test]
fn by_the_active_tag() {
    let installed = detect(&fake(), "").unwrap();
    assert_eq!(installed.version, "1.3.0");
    assert_eq!(installed.components[0].digest.as_deref(), Some("c130"));
}

#[test]
fn by_the_commit_where_no_tag_names_it() {
    let fake = fake();
    fake.activate("0123456789abcdef");
    assert_eq!(detect(&fake, "").unwrap().version, "0123456789abcdef");
}

#[test]
fn by_what_the_product_answers() {
    let fake = fake();
    let field = format!("version-url = \"{URL}\"\nversion-field = \"build.version\"");
    fake.page(URL, 200, r#"{ "build": { "version": "v1.4.0" } }"#);
    assert_eq!(detect(&fake, &field).unwrap().version, "1.4.0");
    fake.page(URL, 200, "1.4.0\n");
    assert_eq!(detect(&fake, &format!("version-url = \"{URL}\"")).unwrap().version, "1.4.0");
    assert!(invalid(detect(&fake, &field)).contains("no JSON"));
    fake.page(URL, 200, r#"{ "build": {} }"#);
    assert!(invalid(detect(&fake, &field)).contains("`build.version`"));
}

#[test]
fn a_product_that_is_down_is_no_version() {
    let fake = fake();
    fake.page(URL, 503, "starting");
    let error = detect(&fake, &format!("version-url = \"{URL}\"")).unwrap_err();
    assert!(matches!(&error, Error::Unavailable(text) if text.contains("503")), "{error:?}");
}

#[test]
fn by_the_image_of_the_first_service_where_there_are_no_releases() {
    let fake = FakeHost::new();
    fake.composed("web", "r:5000/shop/web:v1.4.0@sha256:ab", "i-140");
    fake.composed("cache", "redis:7", "i-redis");
    fake.fail("checkout.active", Error::Denied("no repository".into()));
    assert_eq!(detect(&fake, "services = [\"web\", \"cache\"]").unwrap().version, "1.4.0");
    assert_eq!(detect(&fake, "services = [\"cache\"]").unwrap().version, "7");
    assert!(matches!(detect(&fake, ""), Err(Error::NotFound(_))));
}

#[test]
fn nothing_is_installed_where_nothing_is_active() {
    assert!(matches!(detect(&FakeHost::new(), ""), Err(Error::NotFound(_))));
}

#[test]
fn what_runs_and_what_is_active_must_agree() {
    let fake = fake();
    fake.page(URL, 200, "1.4.0");
    let call = call(&fake, &format!("version-url = \"{URL}\""));
    let findings = Generic::preflight(&call, &fake.product(), &Hop::new("1.4.0", "1.5.0")).unwrap();
    assert_eq!((findings[0].id.as_str(), findings[0].severity), ("version-differs", Severity::Blocker));
    assert_eq!(findings[0].message, "`1.4.0` runs, and the active release is `1.3.0`");
    fake.page(URL, 200, "1.3.0");
    assert_eq!(Generic::preflight(&call, &fake.product(), &Hop::new("1.3.0", "1.5.0")).unwrap(), []);
}
