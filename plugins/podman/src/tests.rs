//! What the platform does, against a fake host.

use super::*;
use serde_json::json;
use upgraded_sdk::fake::FakeHost;
use upgraded_sdk::pods::{Mount, MountKind, State};
use upgraded_sdk::{Change, Exit};

const CORE: &str = "r:5000/aegis/runtime:1";
const NEW: &str = "r:5000/aegis/runtime:2";
const POSTGRES: &str = "r:5000/postgres:15";

fn fake() -> FakeHost {
    let fake = FakeHost::new();
    fake.pod("database", &[("postgres", POSTGRES)]);
    fake.pod("core", &[("runtime", CORE)]);
    fake.published(NEW, "new");
    fake.published(CORE, "id of r:5000/aegis/runtime:1");
    fake.planned_pods(&[("database", &[("postgres", POSTGRES)]), ("core", &[("runtime", NEW)])]);
    fake
}

fn call(fake: &FakeHost) -> Call<Settings> {
    fake.call(json!({ "pods": ["pod-database.yaml", "pod-core.yaml"] }))
}

fn hop() -> Hop {
    let core = ServiceRef::new("main", "core");
    Hop::new("1", "2").act(Wave::new([core.clone()])).quiesce([core])
}

fn findings(fake: &FakeHost, hop: &Hop) -> Vec<String> {
    fake.read_only(true);
    let found = Podman::preflight(&call(fake), &fake.platform(), hop).expect("a look");
    fake.read_only(false);
    found.into_iter().map(|finding| format!("{}: {}", finding.id, finding.message)).collect()
}

#[test]
fn up_and_back_leads_to_the_images_that_were_pinned() {
    let fake = fake();
    let (call, host, hop) = (call(&fake), fake.platform(), hop());
    assert_eq!(findings(&fake, &hop), Vec::<String>::new());
    let staged = Podman::stage(&call, &host, &hop).expect("a stage");
    Podman::quiesce(&call, &host, &hop).expect("quiet");
    assert_eq!(fake.running(), ["database"]);
    fake.pod_file("core", &[("runtime", NEW)]);
    // Somebody moves the name meanwhile.
    fake.image(NEW, "another");
    Podman::apply(&call, &host, &hop, &staged, 0).expect("applied");
    assert_eq!(fake.pod_images(), ["database/postgres id of r:5000/postgres:15", "core/runtime new"]);
    assert!(Podman::verify(&call, &host, &hop, None).expect("a look").is_empty());

    fake.pod_file("core", &[("runtime", CORE)]);
    fake.image(CORE, "moved");
    Podman::revert(&call, &host, &hop, &staged).expect("back");
    assert!(fake.pod_images().contains(&"core/runtime id of r:5000/aegis/runtime:1".to_owned()));
    let components = Podman::components(&call, &host).expect("components");
    let named: Vec<_> = components.iter().map(|one| format!("{} {}", one.name, one.version)).collect();
    assert_eq!(named, ["database/postgres 15", "core/runtime 1"]);
}

#[test]
fn a_volume_that_the_new_version_brings_goes_with_it() {
    let fake = fake();
    let claim =
        |name: &str| Mount { kind: MountKind::Volume, source: name.into(), target: "/data".into(), read_only: false };
    fake.on_declared_pods("core", |declared| {
        declared.pods[0].containers[0].mounts = vec![claim("old"), claim("new")];
    });
    fake.pod_volume("old");
    let staged = Podman::stage(&call(&fake), &fake.platform(), &hop()).expect("a stage");
    fake.pod_volume("new");
    fake.take_calls();
    Podman::revert(&call(&fake), &fake.platform(), &hop(), &staged).expect("back");
    assert!(fake.calls().contains(&"pods.remove new".to_owned()), "{:?}", fake.calls());
}

#[test]
fn a_volume_goes_once_no_pod_uses_it() {
    let fake = fake();
    let (call, host, hop) = (call(&fake), fake.platform(), hop());
    let brings_a_volume = || {
        fake.on_declared_pods("core", |declared| {
            let claim =
                Mount { kind: MountKind::Volume, source: "new".into(), target: "/data".into(), read_only: false };
            declared.pods[0].containers[0].mounts = vec![claim];
        });
    };
    brings_a_volume();
    let staged = Podman::stage(&call, &host, &hop).expect("a stage");
    fake.pod_file("core", &[("runtime", NEW)]);
    brings_a_volume();
    fake.pod_volume("new");
    Podman::apply(&call, &host, &hop, &staged, 0).expect("applied");
    fake.pod_file("core", &[("runtime", CORE)]);
    for _ in 0..2 {
        Podman::revert(&call, &host, &hop, &staged).expect("back");
        assert_eq!(host.pods().volumes(&["new".into()]).expect("a look"), Vec::<String>::new());
    }
    assert!(!fake.log().iter().any(|line| line.starts_with("warn")), "{:?}", fake.log());
}

#[test]
fn what_would_go_wrong_is_found_before() {
    let with = |change: fn(&FakeHost), hop: Hop| {
        let fake = fake();
        change(&fake);
        findings(&fake, &hop).join("\n")
    };
    let gone = |fake: &FakeHost| fake.planned_pods(&[("core", &[("runtime", "r:5000/aegis/runtime:3")])]);
    assert!(with(gone, hop()).contains("the registry has no image `r:5000/aegis/runtime:3`"));
    let moved = |fake: &FakeHost| fake.image(CORE, "moved");
    assert!(with(moved, hop()).contains("moved-core-runtime"));
    let unchecked = |fake: &FakeHost| fake.on_declared_pods("core", |one| one.pods[0].containers[0].checked = false);
    assert!(with(unchecked, hop()).contains("`core/runtime` has no `livenessProbe`"));
    let core = || ServiceRef::new("main", "core");
    assert!(
        with(|_| (), hop().act(Wave::new([ServiceRef::new("main", "cor")]))).contains("no file for the service `cor`")
    );
    assert!(with(|_| (), hop().act(Once::new(core(), ["validate"]))).contains("the command `validate`, which"));
    let new = |fake: &FakeHost| fake.planned_pods(&[("core", &[("runtime", NEW)]), ("more", &[("one", NEW)])]);
    assert!(with(new, hop()).contains("a new service `more`"));
}

#[test]
fn drift_and_a_pod_that_does_not_stand_are_blockers() {
    let fake = fake();
    fake.on_pod("database", |pod| pod.containers[0].state = State::Ended);
    fake.on_pod("core", |pod| pod.other = Some("it runs another image".into()));
    let found = Podman::verify(&call(&fake), &fake.platform(), &hop(), None).expect("a look");
    let ids: Vec<_> = found.iter().map(|finding| finding.id.as_str()).collect();
    assert_eq!(ids, ["service-database", "drift-core"]);
}

#[test]
fn a_command_is_the_operators_and_its_end_counts() {
    let fake = fake();
    fake.command("validate", 0, "fine");
    let hop = hop().act(Once::new(ServiceRef::new("main", "core"), ["validate"]));
    Podman::apply(&call(&fake), &fake.platform(), &hop, "", 1).expect("validated");
    fake.on_command("validate", |_| Ok(Exit { code: 2, tail: "no core".into(), elapsed_ms: 1 }));
    let why = Podman::apply(&call(&fake), &fake.platform(), &hop, "", 1).expect_err("invalid");
    assert_eq!(why.text(), "`validate` ended with 2:\nno core");
}

#[test]
fn the_version_is_a_key_or_tags_and_all_around_it_stays() {
    let fake = fake();
    fake.file(".env", "# mine\nTAG=1\n");
    let file = "kind: Pod # a pod\nspec:\n  containers:\n    - name: runtime\n      image: \"${REG:-r:5000}/aegis/runtime:1\" # pinned\n    - { name: side, image: r:5000/side }\n    - { name: tagged, image: \"r/x:${TAG}\" }\n";
    fake.file("pod-core.yaml", file);
    let edits = |settings: serde_json::Value| {
        let mut settings = settings;
        settings["pods"] = json!(["pod-core.yaml"]);
        Podman::edits(&fake.call(settings), &fake.platform(), &hop())
    };
    let key = edits(json!({ "version-key": "TAG", "version-text": "v{version}" })).expect("edits");
    assert_eq!(key[0].change, Change::Set(vec![("TAG".into(), "v2".into())]));
    let tags = edits(json!({ "version-containers": ["core/runtime"] })).expect("edits");
    assert_eq!(tags[0].change, Change::Content(file.replace("runtime:1\"", "runtime:2\"").into_bytes()));
    for (named, said) in [
        ("core/side", "without a tag"),
        ("core/tagged", "`version-key = \"TAG\"` would be right"),
        ("core/none", "there is `runtime`, `side`, `tagged`"),
        ("cor/runtime", "the nearest is `core`"),
        ("runtime", "is no container"),
    ] {
        let why = edits(json!({ "version-containers": [named] })).expect_err(named);
        assert!(why.text().contains(said), "{named}: {}", why.text());
    }
}
