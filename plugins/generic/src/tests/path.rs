//! Tests of path.

use super::*;
use upgraded_sdk::{Act, Requirement};

const SHOP: &str = r#"
    services = ["web", "worker", "proxy"]
    gate = ["proxy"]
"#;

fn releases(settings: &str) -> String {
    format!("{SHOP}\n{settings}")
}

fn path(settings: &str, installed: &str, wanted: &str) -> Result<Vec<Hop>> {
    let fake = FakeHost::new();
    fake.read_only(true);
    Generic::path(&call(&fake, settings), &fake.product(), &Installed::new(installed), wanted)
}

fn targets(hops: &[Hop]) -> Vec<&str> {
    hops.iter().map(|hop| hop.target.as_str()).collect()
}

#[test]
fn where_nothing_lists_releases_the_registry_decides() {
    let fake = FakeHost::new();
    fake.fail("checkout.releases", Error::Denied("no repository".into()));
    let path = |wanted: &str| Generic::path(&call(&fake, SHOP), &fake.product(), &Installed::new("1.3.0"), wanted);
    assert_eq!(targets(&path("1.9.0").unwrap()), ["1.9.0"]);
    assert!(path("2.0.0").unwrap()[0].breaking);
    assert!(invalid(path("1.2.0")).contains("downgrade"));
    assert!(path("latest").is_err());
}

#[test]
fn direct_but_for_stops_breaking_releases_rests_and_those_with_acts_of_their_own() {
    let settings = releases(
        r#"
        releases = [
            { version = "1.0.0" }, { version = "1.1.0", notes = ["faster"] }, { version = "1.2.0", requires-stop = true },
            { version = "1.3.0", acts = [{ command = "reindex" }, { wave = ["web", "worker"] }] },
            { version = "1.4.0", breaking = true, notes = ["the API moved\nto /v2"] }, { version = "1.4.1" },
            { version = "1.5.0", rest = true }, { version = "1.6.0" },
        ]"#,
    );
    let hops = path(&settings, "1.0.0", "1.6.0").unwrap();
    assert_eq!(targets(&hops), ["1.2.0", "1.3.0", "1.4.0", "1.5.0", "1.6.0"]);
    assert_eq!(hops[0].notes, ["1.1.0: faster"]);
    assert_eq!((hops[2].breaking, &hops[2].notes[..]), (true, &["the API moved".to_owned(), "to /v2".to_owned()][..]));
    assert_eq!(hops.iter().map(|hop| hop.rest).collect::<Vec<_>>(), [false, false, false, true, false]);
    assert!(matches!(&hops[1].acts[0], Act::Command(once) if once.argv == ["reindex"]));
}

#[test]
fn without_acts_a_hop_is_one_wave_behind_the_gate() {
    let hops =
        path(&releases(r#"releases = [{ version = "1.0.0" }, { version = "1.1.0" }]"#), "1.0.0", "1.1.0").unwrap();
    let (web, worker) = (ServiceRef::new("main", "web"), ServiceRef::new("main", "worker"));
    assert_eq!(hops[0].acts, [Act::Wave(Wave::new([web.clone(), worker.clone()]))]);
    assert_eq!(hops[0].quiesce, [web, worker]);
    assert_eq!(hops[0].gate, [ServiceRef::new("main", "proxy")]);
    assert_eq!(hops[0].undo, [Undo::RestoreData]);
}

#[test]
fn acts_as_the_settings_say() {
    let settings = releases(
        r#"
        releases = [{ version = "1.0.0" }, { version = "1.1.0" }]
        undo = ["code-only", "rebuild:reindex", "restore-data"]
        [[acts]]
        command = "migrate"
        args = ["--to", "{version}"]
        service = "other/db"
        repeatable = true
        success = "done$"
        idle-seconds = 30
        [[acts]]
        wave = ["web"]
        follow = [{ service = "web", success = "ready", failure = "ERROR", progress = '(?P<done>\d+)' }]
        "#,
    );
    let hop = path(&settings, "1.0.0", "1.1.0").unwrap().remove(0);
    let [Act::Command(once), Act::Wave(wave)] = &hop.acts[..] else { panic!("{:?}", hop.acts) };
    assert_eq!(once.argv, ["migrate", "--to", "1.1.0"]);
    assert_eq!((once.service.to_string().as_str(), once.repeatable, once.idle_ms), ("other/db", true, 30_000));
    assert_eq!((once.success.as_deref(), wave.follow[0].success.as_str()), (Some("done$"), "ready"));
    assert!(matches!(&hop.undo[..], [Undo::CodeOnly, Undo::Rebuild(_), Undo::RestoreData]));
}

#[test]
fn a_rolling_wave_leaves_writers_and_gate_alone() {
    let settings = releases(
        r#"
        releases = [{ version = "1.0.0" }, { version = "1.1.0", expand-only = true, undo = ["code-only"] }]
        acts = [{ wave = ["web", "worker"], rolling = true }]"#,
    );
    let hop = path(&settings, "1.0.0", "1.1.0").unwrap().remove(0);
    assert!(hop.quiesce.is_empty() && hop.gate.is_empty() && hop.expand_only);
    assert_eq!(hop.undo, [Undo::CodeOnly]);
}

#[test]
fn a_hop_is_only_what_every_release_in_it_is() {
    let settings = releases(
        r#"
        undo = ["code-only", "restore-data"]
        releases = [
            { version = "1.0.0" },
            { version = "1.1.0", undo = ["restore-data"], requires = { postgres = ">=14" } },
            { version = "1.2.0", expand-only = true, requires = { redis = ">=7" }, expected-seconds = [60, 300] },
        ]"#,
    );
    let hop = path(&settings, "1.0.0", "1.2.0").unwrap().remove(0);
    assert_eq!(hop.undo, [Undo::RestoreData], "1.1.0 can't go back by code alone");
    assert!(!hop.expand_only);
    assert_eq!(hop.expected_seconds, Some((60, 300)));
    let requirement = |component: &str, range: &str| Requirement { component: component.into(), range: range.into() };
    assert_eq!(hop.requires, [requirement("postgres", ">=14"), requirement("redis", ">=7")]);
}

#[test]
fn minors_and_every_release_where_the_settings_say_so() {
    let known =
        r#"releases = [{ version = "1.1.0" }, { version = "1.2.0" }, { version = "1.2.1" }, { version = "1.3.0" }]"#;
    let minors = path(&releases(&format!("through = \"minors\"\n{known}")), "1.1.0", "1.3.0").unwrap();
    assert_eq!(targets(&minors), ["1.2.1", "1.3.0"]);
    let every = path(&releases(&format!("through = \"every-release\"\n{known}")), "1.1.0", "1.3.0").unwrap();
    assert_eq!(targets(&every), ["1.2.0", "1.2.1", "1.3.0"]);
}

#[test]
fn a_major_version_is_breaking_unless_the_settings_say_otherwise() {
    let known = r#"releases = [{ version = "1.9.0" }, { version = "2.0.0" }]"#;
    assert!(path(&releases(known), "1.9.0", "2.0.0").unwrap()[0].breaking);
    assert!(!path(&releases(&format!("majors = \"direct\"\n{known}")), "1.9.0", "2.0.0").unwrap()[0].breaking);
    let refused = invalid(path(&releases(&format!("majors = \"refuse\"\n{known}")), "1.9.0", "2.0.0"));
    assert!(refused.contains("major version"), "{refused}");
}

#[test]
fn refusals_name_the_rule() {
    let known = releases(r#"releases = [{ version = "1.2.0" }, { version = "1.3.0" }]"#);
    assert!(invalid(path(&known, "1.3.0", "1.2.0")).contains("downgrade"));
    assert!(invalid(path(&known, "1.2.0", "1.3.1")).contains("the nearest is `1.3.0`"));
    assert!(invalid(path(&known, "1.1.0", "1.3.0")).contains("gap"));
    let gap = releases("through = \"minors\"\nreleases = [{ version = \"1.2.0\" }, { version = \"1.4.0\" }]");
    assert!(invalid(path(&gap, "1.2.0", "1.4.0")).contains("gap"));
    let twice = releases(r#"releases = [{ version = "1.2.0" }, { version = "1.2.0" }]"#);
    assert_eq!(invalid(path(&twice, "1.2.0", "1.3.0")), "`1.2.0` stands twice in `releases`");
    let nothing = r#"releases = [{ version = "1.2.0" }, { version = "1.3.0" }]"#;
    assert!(invalid(path(nothing, "1.2.0", "1.3.0")).contains("neither `services` nor `acts`"));
}

#[test]
fn what_is_installed_needs_no_path() {
    assert_eq!(path(SHOP, "1.2.0", "1.2.0").unwrap(), []);
    assert_eq!(path(SHOP, "0123456789abcdef", "0123456789abcdef").unwrap(), []);
}

#[test]
fn a_commit_is_written_in_full() {
    let fake = FakeHost::new();
    fake.commit("fedcba9876543210");
    let allowed = releases("allow-unordered = true\nreleases = [{ version = \"1.3.0\" }]");
    let of = |installed: &str, wanted: &str| {
        Generic::path(&call(&fake, &allowed), &fake.product(), &Installed::new(installed), wanted)
    };
    assert!(invalid(of("1.3.0", "fedcba9")).contains("write `fedcba9876543210`"));
    assert!(invalid(of("0123456789abcdef", "0123456")).contains("write `0123456789abcdef`"));
    assert_eq!(targets(&of("1.3.0", "fedcba9876543210").unwrap()), ["fedcba9876543210"]);
    fake.tag("20240601", "abcdef9876543210");
    assert_eq!(targets(&of("20240115", "20240601").unwrap()), ["20240601"], "a tag may look like a commit");
    fake.fail_once("checkout.fetch", Error::unavailable("the repository is away"));
    assert!(matches!(of("1.3.0", "fedcba9"), Err(Error::Unavailable(_))));
}

#[test]
fn a_commit_needs_permission_and_goes_back_by_a_restore() {
    let refused = invalid(path(SHOP, "1.3.0", "0123456789abcdef"));
    assert!(refused.contains("`allow-unordered = true`"), "{refused}");
    let allowed = releases("allow-unordered = true\nundo = [\"code-only\"]\nreleases = [{ version = \"1.3.0\" }]");
    let hops = path(&allowed, "1.3.0", "0123456789abcdef").unwrap();
    assert_eq!(targets(&hops), ["0123456789abcdef"]);
    assert_eq!(hops[0].undo, [Undo::RestoreData]);
    assert!(hops[0].notes[0].contains("unknown"), "{:?}", hops[0].notes);
    assert_eq!(targets(&path(&allowed, "0123456789abcdef", "1.3.0").unwrap()), ["1.3.0"], "and from it to a release");
}

#[test]
fn releases_from_tags_from_an_index_and_from_the_settings() {
    let fake = FakeHost::new();
    for tag in ["v1.2.0", "v1.10.0", "nightly", "vnext"] {
        fake.tag(tag, tag);
    }
    fake.file(
        "releases.toml",
        "[[releases]]\nversion = \"1.2.0\"\n[[releases]]\nversion = \"1.3.0\"\nnotes = [\"a\"]\n",
    );
    fake.file("releases.json", r#"{ "releases": [{ "version": "2.0.0", "breaking": true }] }"#);
    fake.file("plain.json", r#"[{ "version": "3.0.0" }]"#);
    let listed = |settings: &str| -> Vec<String> {
        let all = Generic::releases(&call(&fake, settings), &fake.product()).unwrap();
        all.into_iter().map(|release| release.version).collect()
    };
    assert_eq!(listed(""), ["1.10.0", "1.2.0"]);
    assert_eq!(listed("index = \"releases.toml\""), ["1.3.0", "1.2.0"]);
    assert_eq!(listed("index = \"releases.json\"\ntags = true"), ["2.0.0", "1.10.0", "1.2.0"]);
    assert_eq!(listed("index = \"plain.json\"\nreleases = [{ version = \"4.0.0\" }]"), ["4.0.0", "3.0.0"]);
    let both = call(&fake, "index = \"releases.toml\"\nreleases = [{ version = \"1.3.0\", notes = [\"b\"] }]");
    assert_eq!(Generic::releases(&both, &fake.product()).unwrap()[0].notes, ["b"], "the operator's word wins");
}

#[test]
fn an_index_that_cant_be_read_is_named_with_its_mistake() {
    let fake = FakeHost::new();
    fake.file("releases.toml", "[[releases]]\nversion = \"1.2.0\"\nrequire-stop = true\n");
    fake.file("releases.json", "{");
    let listed = |settings: &str| Generic::releases(&call(&fake, settings), &fake.product());
    let text = invalid(listed("index = \"releases.toml\""));
    assert!(text.contains("`releases.toml`") && text.contains("require-stop"), "{text}");
    assert!(invalid(listed("index = \"releases.json\"")).contains("`releases.json`"));
    assert!(matches!(listed("index = \"missing.toml\""), Err(Error::NotFound(_))));
}
