//! What the plugin decides, against a fake host, with the vendor's real index.

use super::*;
use serde_json::json;
use upgraded_sdk::Act;
use upgraded_sdk::fake::FakeHost;

const INDEX: &str = "https://releases.example.com/aegis/releases.json";
const URL: &str = "http://127.0.0.1:8088";

fn fake() -> FakeHost {
    let fake = FakeHost::new();
    let index = serde_json::to_string(&aegis::release::Index::read().expect("an index")).expect("JSON");
    fake.page(INDEX, 200, &index);
    fake
}

fn call(fake: &FakeHost) -> Call<Settings> {
    fake.call(json!({ "url": URL, "releases": INDEX }))
}

fn path(from: &str, to: &str) -> Result<Vec<Hop>> {
    let fake = fake();
    Aegis::path(&call(&fake), &fake.product(), &Installed::new(from), to)
}

/// `core`, `~core` where it rolls, `!validate` for a command.
fn acts(hop: &Hop) -> String {
    let told = |act: &Act| match act {
        Act::Wave(wave) => format!("{}{}", if wave.rolling { "~" } else { "" }, wave.services[0].name),
        Act::Command(once) => format!("!{}", once.argv[0]),
    };
    hop.acts.iter().map(told).collect::<Vec<_>>().join(" ")
}

#[test]
fn code_alone_rolls_a_migration_has_a_gate_and_new_pods_are_a_teardown() {
    for (from, to, expected, undo) in [
        ("0.1.0", "0.1.1", "~core ~temporal ~seal-gateway", Undo::CodeOnly),
        ("0.1.0", "0.1.2", "core temporal !validate", Undo::RestoreData),
        ("0.1.2", "0.2.0", "~database !bootstrap-secrets core temporal !validate", Undo::RestoreData),
        ("0.2.0", "0.2.4", "~database core temporal !validate", Undo::CodeOnly),
    ] {
        let hops = path(from, to).expect("a path");
        let [hop] = &hops[..] else { panic!("one hop from {from} to {to}") };
        assert_eq!((acts(hop).as_str(), &hop.undo), (expected, &vec![undo]), "{from} to {to}");
        assert_eq!(hop.gate.is_empty(), to == "0.1.1");
        let matrix: Vec<String> = hop.requires.iter().map(|r| format!("{} {}", r.component, r.range)).collect();
        assert_eq!(
            matrix,
            ["temporal/temporal >=1.22, <1.24", "database/postgres >=15", "secrets/openbao >=2.0"],
            "`Version Compatibility`"
        );
    }
}

#[test]
fn every_minor_of_pre_alpha_is_breaking_and_a_stop() {
    let hops = path("0.1.0", "0.2.3").expect("a path");
    let told: Vec<_> = hops.iter().map(|hop| (hop.target.as_str(), hop.breaking)).collect();
    assert_eq!(told, [("0.2.0", true), ("0.2.3", false)]);
    assert!(hops[0].notes[0].starts_with("0.2.0: Seals of agents"), "{:?}", hops[0].notes);
    assert!(path("0.2.0", "0.1.0").expect_err("a downgrade").text().contains("downgrade"));
}

#[test]
fn the_version_is_a_key_of_the_env_file() {
    let fake = fake();
    let edits =
        Aegis::edits(&call(&fake), &fake.product(), &path("0.1.0", "0.1.1").expect("a path")[0]).expect("edits");
    assert_eq!((edits.len(), edits[0].path.as_str()), (1, ".env"));
    assert_eq!(edits[0].change, upgraded_sdk::Change::Set(vec![("AEGIS_IMAGE_TAG".into(), "0.1.1".into())]));
}

#[test]
fn another_postgresql_is_the_tag_in_the_pods_file() {
    let edited = |image: &str| -> Result<String> {
        let fake = fake();
        let file = format!("kind: Pod # a pod\nspec:\n  containers:\n    - name: postgres\n      image: {image}\n");
        fake.file("pod-database.yaml", file);
        let edits = Aegis::edits(&call(&fake), &fake.product(), &path("0.2.0", "0.2.4")?[0])?;
        let upgraded_sdk::Change::Content(content) = &edits[1].change else { panic!("the file's content: {edits:?}") };
        let content = String::from_utf8(content.clone()).expect("text");
        assert!(content.starts_with("kind: Pod # a pod\n"), "{content}");
        Ok(content.lines().last().expect("the image").trim().to_owned())
    };
    assert_eq!(edited("r:5000/base/postgres:15").expect("an edit"), "image: r:5000/base/postgres:17");
    assert_eq!(
        edited("\"${REGISTRY}/postgres:15.6-alpine\"").expect("an edit"),
        "image: \"${REGISTRY}/postgres:17-alpine\""
    );
    for untagged in ["r:5000/postgres", "${POSTGRES_IMAGE}", "postgres:15@sha256:00"] {
        let why = edited(untagged).expect_err(untagged);
        assert!(why.text().contains("`pod-database.yaml`, line 5: the image"), "{}", why.text());
    }
}

#[test]
fn what_is_not_right_is_a_finding() {
    let found = |health: serde_json::Value, agents: serde_json::Value| -> Vec<String> {
        let fake = fake();
        fake.page(&format!("{URL}/health"), 200, &health.to_string());
        fake.page(&format!("{URL}/v1/agents"), 200, &agents.to_string());
        let findings = Aegis::verify(&call(&fake), &fake.product(), "0.1.2").expect("asked");
        findings.into_iter().map(|finding| finding.id).collect()
    };
    let health =
        |version: &str, at: &str, worker: &str| json!({ "version": version, "db_migration": at, "worker": worker });
    let agents = |count: u32| json!({ "count": count, "checksum": "a", "ledger": { "count": 2, "checksum": "a" } });
    assert_eq!(found(health("0.1.2", "0004", "0.1.2"), agents(2)), Vec::<String>::new());
    assert_eq!(found(health("0.1.1", "0003", "0.1.1"), agents(1)), ["version", "worker", "db-migration", "agents"]);
}
