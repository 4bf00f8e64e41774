//! What the plugin decides, against a fake host.

use super::*;
use serde_json::json;
use upgraded_sdk::fake::FakeHost;

fn fake() -> FakeHost {
    let fake = FakeHost::new();
    for (tag, commit) in [("v1.0.0", "a"), ("v1.1.0", "b"), ("v1.3.0", "c"), ("v1.10.0", "d"), ("v2.0.0", "e")] {
        fake.tag(tag, commit);
        fake.committed(commit, "NOTES.md", &format!("# {tag}\n\nSays {commit}\nAnd more\n"));
    }
    fake.tag("nightly", "f");
    fake.file("notes.toml", "title = \"t\"\n[web]\nlisten = \"127.0.0.1:1\"\n");
    fake
}

fn call(fake: &FakeHost) -> Call<Settings> {
    fake.call(json!({ "web": "http://web", "base-url": "https://notes.example" }))
}

fn way(from: &str, to: &str) -> Result<Vec<String>> {
    let fake = fake();
    let hops = Notes::path(&call(&fake), &fake.product(), &Installed::new(from), to)?;
    Ok(hops.iter().map(|hop| format!("{} → {}", hop.source, hop.target)).collect())
}

#[test]
fn a_path_stops_where_later_migrations_need_it() {
    assert_eq!(way("1.0.0", "1.1.0").unwrap(), ["1.0.0 → 1.1.0"]);
    assert_eq!(way("1.0.0", "1.10.0").unwrap(), ["1.0.0 → 1.1.0", "1.1.0 → 1.10.0"]);
    assert_eq!(way("1.0.0", "2.0.0").unwrap(), ["1.0.0 → 1.1.0", "1.1.0 → 1.3.0", "1.3.0 → 2.0.0"]);
    assert!(way("1.1.0", "1.1.0").unwrap().is_empty());
}

#[test]
fn notes_of_all_that_is_passed_newest_first() {
    let fake = fake();
    let hops = Notes::path(&call(&fake), &fake.product(), &Installed::new("1.0.0"), "1.10.0").unwrap();
    assert_eq!(hops[0].notes, ["Says b", "And more"]);
    assert_eq!(hops[1].notes[..3], ["1.10.0: Says d", "1.10.0: And more", "1.3.0: Says c"]);
}

#[test]
fn a_refusal_names_its_rule() {
    assert!(way("1.1.0", "1.0.0").unwrap_err().text().contains("downgrade"));
    assert!(way("1.1.0", "1.2.9").unwrap_err().text().contains("`1.2.9`"));
}

#[test]
fn the_breaking_release_brings_its_setting() {
    let fake = fake();
    let hops = Notes::path(&call(&fake), &fake.product(), &Installed::new("1.3.0"), "2.0.0").unwrap();
    assert!(hops[0].breaking);
    let edits = Notes::edits(&call(&fake), &fake.product(), &hops[0]).unwrap();
    assert_eq!(edits[0].path, "notes.toml");
    fake.file("notes.toml", "[web]\nbase-url = \"x\"\n");
    assert!(Notes::edits(&call(&fake), &fake.product(), &hops[0]).unwrap().is_empty());
}

#[test]
fn healthy_is_not_enough() {
    let fake = fake();
    fake.page("http://web/health", 200, r#"{"status":"ok","version":"1.1.0"}"#);
    fake.command("smoke", 1, "208 things are wrong\n");
    let findings = Notes::verify(&call(&fake), &fake.product(), "1.1.0").unwrap();
    assert_eq!(findings[0].message, "208 things are wrong");
    assert_eq!(Notes::verify(&call(&fake), &fake.product(), "1.3.0").unwrap()[0].id, "not-running");
    fake.command("smoke", 0, "");
    assert!(Notes::verify(&call(&fake), &fake.product(), "1.1.0").unwrap().is_empty());
}
