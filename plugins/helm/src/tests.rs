//! Tests of helm.

use super::*;
use upgraded_sdk::fake::FakeHost;
use upgraded_sdk::serde_json::json;
use upgraded_sdk::{Severity, Watch};

fn service(name: &str) -> ServiceRef {
    ServiceRef::new("main", name)
}

/// A release of a database, a hook that migrates, an API and a worker behind a gateway; 1.4.0 can be had.
fn fake() -> FakeHost {
    let fake = FakeHost::new();
    fake.workload("StatefulSet", "db");
    fake.workload("Hook", "init");
    fake.workload("Deployment", "api");
    fake.workload("Deployment", "worker");
    fake.workload("Deployment", "gateway");
    fake.logs("init", Ok("[init] migrations complete"));
    fake.revision("1.3.0", "deployed");
    fake.chart("1.3.0");
    fake.chart("1.4.0");
    fake
}

fn hop() -> Hop {
    let watch = Watch {
        service: service("init"),
        success: "complete".into(),
        failure: "failed".into(),
        progress: None,
        idle_ms: 0,
    };
    Hop::new("1.3.0", "1.4.0")
        .act(Wave::new([service("init")]).follow(watch))
        .act(Wave::new([service("api"), service("worker")]))
        .quiesce([service("worker"), service("api")])
        .gate([service("gateway")])
        .undo(Undo::RestoreData)
}

fn call(fake: &FakeHost) -> Call<Settings> {
    fake.call(json!({ "version-key": "image.tag" }))
}

fn ids(findings: &[Finding]) -> Vec<&str> {
    findings.iter().filter(|f| f.severity == Severity::Blocker).map(|finding| finding.id.as_str()).collect()
}

#[test]
fn the_first_wave_upgrades_with_what_was_stopped_held_and_admission_settles() {
    let fake = fake();
    let (call, host, hop) = (call(&fake), fake.platform(), hop());
    let staged = Helm::stage(&call, &host, &hop).unwrap();
    Helm::quiesce(&call, &host, &hop).unwrap();
    assert_eq!(fake.running(), ["db"]);
    fake.take_calls();
    Helm::apply(&call, &host, &hop, &staged, 0).unwrap();
    let calls = fake.take_calls();
    assert_eq!(calls[0], "helm.upgrade sha256:1.4.0 gateway,worker,api,init");
    assert_eq!(fake.revisions(), ["1.3.0 superseded", "1.4.0 deployed held"]);
    Helm::apply(&call, &host, &hop, &staged, 1).unwrap();
    assert!(!fake.take_calls().iter().any(|call| call.starts_with("helm.upgrade")), "once is enough");
    assert!(!fake.running().contains(&"gateway".to_owned()), "the gate is still shut");
    assert_eq!(ids(&Helm::verify(&call, &host, &hop, None).unwrap()), [""; 0]);
    Helm::admit(&call, &host, &hop).unwrap();
    assert_eq!(fake.revisions(), ["1.3.0 superseded", "1.4.0 superseded held", "1.4.0 deployed"]);
    assert!(fake.running().contains(&"gateway".to_owned()));
}

/// A database whose folder is data is stopped for the copy, and a hook migrates it.
#[test]
fn what_stands_before_a_hook_is_there_for_it() {
    let fake = fake();
    let (call, host) = (call(&fake), fake.platform());
    let mut hop = hop().quiesce([service("db")]);
    hop.acts.insert(0, Wave::new([service("db")]).into());
    let staged = Helm::stage(&call, &host, &hop).unwrap();
    Helm::quiesce(&call, &host, &hop).unwrap();
    assert_eq!(fake.running(), [""; 0]);
    fake.take_calls();
    Helm::apply(&call, &host, &hop, &staged, 0).unwrap();
    assert!(!fake.take_calls().iter().any(|call| call.starts_with("helm.upgrade")), "the hook is another act's");
    assert_eq!(fake.running(), ["db"]);
    Helm::apply(&call, &host, &hop, &staged, 1).unwrap();
    let calls = fake.take_calls();
    assert_eq!(calls[0], "helm.upgrade sha256:1.4.0 gateway,worker,api,init");
    assert!(fake.running().contains(&"db".to_owned()));
}

#[test]
fn the_way_back_leads_to_the_revision_that_stood() {
    let fake = fake();
    let (call, host, hop) = (call(&fake), fake.platform(), hop());
    let staged = Helm::stage(&call, &host, &hop).unwrap();
    Helm::quiesce(&call, &host, &hop).unwrap();
    Helm::apply(&call, &host, &hop, &staged, 0).unwrap();
    Helm::quiesce(&call, &host, &hop).unwrap();
    fake.take_calls();
    Helm::revert(&call, &host, &hop, &staged).unwrap();
    assert_eq!(fake.take_calls()[0], "helm.back 1 gateway");
    assert!(!fake.running().contains(&"gateway".to_owned()), "users come in when it was verified");
    Helm::admit(&call, &host, &hop).unwrap();
    assert_eq!(fake.revisions().last().unwrap(), "1.3.0 deployed");
}

#[test]
fn what_rolls_is_upgraded_with_nothing_held() {
    let fake = fake();
    let (call, host) = (call(&fake), fake.platform());
    let rolling = Wave { rolling: true, ..Wave::new([service("api")]) };
    let hop = Hop::new("1.3.0", "1.4.0").act(rolling);
    let staged = Helm::stage(&call, &host, &hop).unwrap();
    fake.take_calls();
    Helm::apply(&call, &host, &hop, &staged, 0).unwrap();
    assert_eq!(fake.take_calls()[0], "helm.upgrade sha256:1.4.0 ");
}

#[test]
fn preflight_names_what_is_wrong_and_changes_nothing() {
    let of = |change: fn(&FakeHost), hop: &Hop| {
        let fake = fake();
        change(&fake);
        fake.read_only(true);
        let found = Helm::preflight(&call(&fake), &fake.platform(), hop).unwrap();
        ids(&found).iter().map(|id| (*id).to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(of(|_| {}, &hop()), [""; 0]);
    assert_eq!(of(|fake| fake.missing_right("{verbs: [\"patch\"]}"), &hop()), ["right-0"]);
    assert_eq!(of(|fake| fake.revision("1.3.0", "pending-upgrade"), &hop()), ["pending"]);
    assert_eq!(of(|fake| fake.revision("1.3.0", "failed"), &hop()), ["status"]);
    assert_eq!(of(|fake| fake.removed_definition("jobs.example"), &hop()), ["definition-jobs.example"]);
    assert_eq!(of(|fake| fake.drifted("the Deployment `api` is gone"), &hop()), ["drift-0"]);
    assert_eq!(of(|fake| fake.reconciler("the HelmRelease `shop`", Some(true)), &hop()), [""; 0]);
    for suspended in [Some(false), None] {
        let fake = fake();
        fake.reconciler("the HelmRelease `shop`", suspended);
        let found = Helm::preflight(&call(&fake), &fake.platform(), &hop()).unwrap();
        assert_eq!(ids(&found), ["reconciler-0"]);
    }
    assert_eq!(of(|fake| fake.fail_once("helm.look-ahead", Error::Denied("no".into())), &hop()), ["rights"]);
    assert_eq!(of(|_| {}, &Hop { target: "9.9.9".into(), ..hop() }), ["chart"]);
    assert_eq!(of(|_| {}, &hop().gate([service("gatway")])), ["service-gatway"]);
    assert_eq!(of(|_| {}, &Hop::new("1.3.0", "1.4.0")), ["no-wave"]);
}

#[test]
fn the_version_is_an_edit_of_the_values() {
    let fake = fake();
    let edits = Helm::edits(&call(&fake), &fake.platform(), &hop()).unwrap();
    assert_eq!(edits, [Edit::set("values.yaml", "image.tag", "1.4.0", "the version becomes 1.4.0")]);
}

#[test]
fn a_name_means_the_workload_that_the_release_calls_so_and_no_other() {
    let fake = FakeHost::new();
    for (kind, name) in [
        ("Deployment", "shop-web"),
        ("Deployment", "shop-admin-web"),
        ("StatefulSet", "shop-admin-web"),
        ("StatefulSet", "shop-db"),
        ("Job", "shop-seed"),
    ] {
        fake.workload(kind, name);
    }
    let (call, host) = (fake.call::<Settings>(json!({ "kubernetes": { "release": "shop" } })), fake.platform());
    for gate in ["web", "shop-web", "deployment/web", "Deployment/shop-web"] {
        let hop = Hop::new("1.3.0", "1.4.0").gate([service(gate)]);
        let behind = behind(&call, &host, &HopServices::of(&call.binding, &hop)).unwrap();
        let names: Vec<&str> = behind.iter().map(|service| service.name.as_str()).collect();
        assert_eq!(names, ["deployment/shop-admin-web", "statefulset/shop-admin-web", "shop-db"], "{gate}");
    }
    let jobs = ["shop-migrate-api".to_owned(), "shop-migrate".to_owned()];
    let is_hook = |name: &str| names::means_job(&jobs, "shop", name);
    assert!(is_hook("migrate") && is_hook("job/migrate") && is_hook("shop-migrate-api"));
    assert!(!is_hook("api") && !is_hook("deployment/migrate"));
}
