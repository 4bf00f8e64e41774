//! Tests of decisiongraph.

use super::*;
use crate::notes::{Changes, between};
use serde_json::json;
use upgraded_sdk::fake::FakeHost;
use upgraded_sdk::{Act, Response};

const URL: &str = "http://127.0.0.1:4000";

fn call() -> Call<Settings> {
    FakeHost::new().call(json!({ "url": URL, "token": { "secret": "settings.token" }, "admin-token": { "secret": "settings.admin-token" }, "gate": ["gate"] }))
}

/// The notes as the releases really have them.
fn notes_of(version: &str) -> String {
    let folder = tempfile::tempdir().expect("a folder");
    decisiongraph::repository::make(folder.path()).expect("made");
    let show = std::process::Command::new("git")
        .arg("-C")
        .arg(folder.path())
        .args(["show", &format!("v{version}:docs/release.md")])
        .output()
        .expect("git");
    String::from_utf8(show.stdout).expect("text")
}

#[test]
fn notes_say_what_changes_on_the_way() {
    let way = |from: &str, to: &str| {
        let Changes { migrations, projections, .. } = between(&notes_of(to), from, to);
        (migrations, projections)
    };
    assert_eq!(way("1.1.0", "1.2.0"), (false, false));
    assert_eq!(way("1.1.0", "1.3.0"), (false, true));
    assert_eq!(way("1.0.0", "1.2.0"), (true, false));
    assert_eq!(way("1.1.0", "1.5.0"), (true, false));
    // Not on the way that the target came, or nothing is known.
    assert_eq!(way("1.2.0", "1.4.0"), (true, true));
    assert_eq!(between("", "1.0.0", "1.1.0"), Changes { migrations: true, projections: true, lines: Vec::new() });
    assert_eq!(between(&notes_of("1.2.0"), "1.1.0", "1.2.0").lines, ["1.2.0: A new console"]);
}

#[test]
fn the_narrowest_undo_is_what_the_notes_allow() {
    for (to, undo) in [("1.2.0", 3), ("1.3.0", 2), ("1.5.0", 1)] {
        let host = FakeHost::new();
        host.tag("v1.1.0", "aaa");
        host.tag(&format!("v{to}"), "bbb");
        host.committed("bbb", "docs/release.md", &notes_of(to));
        let hops = DecisionGraph::path(&call(), &host.product(), &Installed::new("1.1.0"), to).expect("a path");
        let [hop] = &hops[..] else { panic!("one hop") };
        assert_eq!(hop.undo.len(), undo, "{to}: {:?}", hop.undo);
        assert!(matches!(hop.undo.last(), Some(Undo::RestoreData)));
        assert!(
            matches!(&hop.acts[..], [Act::Command(once), Act::Wave(_)] if once.repeatable && once.argv == ["migrate"])
        );
        assert_eq!(hop.gate.len(), 1);
    }
}

#[test]
fn tags_shas_and_no_way_back() {
    let host = FakeHost::new();
    host.tag("v1.1.0", "aaa111");
    host.commit("ccc333");
    host.activate("aaa111");
    assert_eq!(DecisionGraph::detect(&call(), &host.product()).expect("found").version, "1.1.0");
    let installed = Installed::new("1.1.0");
    let hops = DecisionGraph::path(&call(), &host.product(), &installed, "ccc333").expect("a SHA");
    assert_eq!((hops[0].target.as_str(), hops[0].undo.len()), ("ccc333", 1));
    for (wanted, right) in [("ccc", "write `ccc333`"), ("aaa111", "write `1.1.0`")] {
        let installed = Installed::new("1.0.0");
        let refused = DecisionGraph::path(&call(), &host.product(), &installed, wanted).expect_err("another name");
        assert!(refused.text().contains(right), "{}", refused.text());
    }
    assert!(DecisionGraph::path(&call(), &host.product(), &installed, "1.1.0").expect("nothing").is_empty());
    let refused = DecisionGraph::path(&call(), &host.product(), &installed, "1.0.0").expect_err("older");
    assert!(refused.text().contains("a downgrade is a restore"), "{}", refused.text());
    host.activate("ccc333");
    assert_eq!(DecisionGraph::detect(&call(), &host.product()).expect("found").version, "ccc333");
}

#[test]
fn every_published_check_counts() {
    let stands = |wrong: Option<&str>| {
        let host = FakeHost::new();
        for (method, path, status) in [
            ("GET", "/api/healthz", 200),
            ("GET", "/api/v1/projections/health", 200),
            ("GET", "/console", 200),
            ("POST", "/api/v1/admin/replays", 202),
            ("GET", "/api/v1/traces", 200),
            ("GET", "/api/v1/workflows", 200),
        ] {
            let status = if wrong == Some(path) { 503 } else { status };
            host.answer(method, &format!("{URL}{path}"), Response::new(status, r#"{"version":"1.1.0"}"#));
        }
        let findings = DecisionGraph::verify(&call(), &host.product(), "1.1.0").expect("asked");
        findings.into_iter().map(|finding| finding.id).collect::<Vec<_>>()
    };
    assert_eq!(stands(None), Vec::<String>::new());
    assert_eq!(stands(Some("/api/healthz")), ["health"]);
    assert_eq!(stands(Some("/api/v1/projections/health")), ["projections"]);
    assert_eq!(stands(Some("/api/v1/admin/replays")), ["replay-admission"]);
}
