//! What the plugin decides, against a fake region.

use super::*;
use upgraded_sdk::fake::FakeHost;
use upgraded_sdk::serde_json::json;
use upgraded_sdk::{Difference, Severity};

fn fake() -> FakeHost {
    let fake = FakeHost::new();
    for service in ["web", "api"] {
        fake.cloud_service(service, &format!("r/{service}:1"));
        fake.registered(&format!("r/{service}:2"), &format!("r/{service}@sha256:2"));
        fake.service("main", service);
    }
    fake
}

fn settings() -> upgraded_sdk::serde_json::Value {
    json!({ "image": "r/{service}:{version}", "health": { "path": "/health", "contains": "\"ok\"" }, "idle-seconds": 1 })
}

fn wave(rolling: bool, name: &str) -> Wave {
    Wave { rolling, ..Wave::new([ServiceRef::new("main", name)]) }
}

fn shut() -> Hop {
    let hop = Hop::new("1", "2").act(wave(false, "api")).act(wave(false, "web"));
    hop.gate([ServiceRef::new("main", "web")])
}

fn ids(findings: Vec<Finding>) -> Vec<String> {
    findings.into_iter().map(|finding| finding.id).collect()
}

#[test]
fn a_hop_that_shuts_the_gate_and_its_way_back() {
    let fake = fake();
    let (host, call) = (fake.platform(), fake.call(settings()));
    assert!(CloudRun::preflight(&call, &host, &shut()).expect("asked").is_empty());
    let staged = CloudRun::stage(&call, &host, &shut()).expect("staged");
    CloudRun::quiesce(&call, &host, &shut()).expect("stopped");
    assert!(fake.running().is_empty());
    fake.take_calls();
    CloudRun::apply(&call, &host, &shut(), &staged, 0).expect("applied");
    assert_eq!(
        fake.take_calls(),
        [
            "cloud-run.look api",
            "cloud-run.deploy api r/api@sha256:2",
            "cloud-run.ask api tag /health",
            "cloud-run.route api latest=100",
            "control.start main/api",
            "services.wait-healthy main/api",
        ]
    );
    CloudRun::apply(&call, &host, &shut(), &staged, 1).expect("applied");
    assert_eq!(fake.running(), ["api"], "the gate stays shut");
    CloudRun::admit(&call, &host, &shut()).expect("open");
    assert_eq!(fake.traffic("web"), [("web-2".into(), 100)]);
    CloudRun::quiesce(&call, &host, &shut()).expect("stopped");
    CloudRun::revert(&call, &host, &shut(), &staged).expect("back");
    assert_eq!((fake.traffic("web"), fake.traffic("api")), (vec![("web-1".into(), 100)], vec![("api-1".into(), 100)]));
    assert_eq!(fake.running(), ["api"]);
}

/// The way back is of the whole path, and has the token of its first hop.
#[test]
fn what_only_a_later_hop_touches_goes_back_too() {
    let fake = fake();
    for service in ["web", "api"] {
        fake.registered(&format!("r/{service}:3"), &format!("r/{service}@sha256:3"));
    }
    let (host, call) = (fake.platform(), fake.call(settings()));
    let (first, second) = (Hop::new("1", "2").act(wave(false, "api")), Hop::new("2", "3").act(wave(false, "web")));
    let tokens = [&first, &second].map(|hop| CloudRun::stage(&call, &host, hop).expect("staged"));
    for (hop, token) in [&first, &second].into_iter().zip(&tokens) {
        CloudRun::apply(&call, &host, hop, token, 0).expect("applied");
    }
    assert_eq!(fake.traffic("web"), [("web-3".into(), 100)]);
    let whole = Hop { target: "3".into(), ..first.clone() }.act(wave(false, "web"));
    CloudRun::revert(&call, &host, &whole, &tokens[0]).expect("back");
    assert_eq!((fake.traffic("web"), fake.traffic("api")), (vec![("web-1".into(), 100)], vec![("api-1".into(), 100)]));
    fake.take_calls();
    CloudRun::revert(&call, &host, &first, &tokens[0]).expect("back");
    assert!(!fake.calls().contains(&"cloud-run.look web".to_owned()), "no hop touched it");
    let older = "{\"target\":\"2\",\"services\":{},\"jobs\":{}}";
    CloudRun::revert(&call, &host, &whole, older).expect("a token without the others");
}

#[test]
fn a_rebuild_has_the_old_release() {
    let fake = fake();
    for version in ["1", "2"] {
        fake.registered(&format!("r/migrate:{version}"), &format!("r/migrate@sha256:{version}"));
    }
    let (host, call) = (fake.platform(), fake.call(settings()));
    let once = |name: &str| Once::new(ServiceRef::new("main", name), ["run"]);
    let up = Hop::new("1", "2").act(once("migrate"));
    let run = |staged: &str, hop: &Hop| {
        fake.take_calls();
        let outcome = CloudRun::apply(&call, &host, hop, staged, 0);
        let runs = fake.take_calls().into_iter().filter(|call| call.starts_with("cloud-run.run-job"));
        outcome.map(|()| runs.collect::<Vec<_>>())
    };
    let back = |name: &str| Hop::new("1", "1").act(once(name));
    let with_undo = up.clone().undo(Undo::Rebuild(once("migrate")));
    let staged = CloudRun::stage(&call, &host, &with_undo).expect("staged");
    assert_eq!(run(&staged, &up).expect("up"), ["cloud-run.run-job migrate r/migrate@sha256:2 run"]);
    // Somebody pushes the tag again.
    fake.registered("r/migrate:1", "r/migrate@sha256:other");
    assert_eq!(run(&staged, &back("migrate")).expect("back"), ["cloud-run.run-job migrate r/migrate@sha256:1 run"]);
    let staged = CloudRun::stage(&call, &host, &up).expect("staged");
    assert_eq!(run(&staged, &back("migrate")).expect("back"), ["cloud-run.run-job migrate r/migrate@sha256:other run"]);
    assert_eq!(run(&staged, &back("reindex")).expect("back"), ["cloud-run.run-job reindex own run"]);
    let gone = Hop { target: "0".into(), ..back("migrate") };
    assert!(matches!(run(&staged, &gone), Err(Error::NotFound(_))), "it has the new release's image");
}

#[test]
fn traffic_moves_in_steps_and_not_back() {
    let fake = fake();
    let mut settings = settings();
    settings["steps"] = json!([10, 50, 100]);
    let (host, call) = (fake.platform(), fake.call(settings));
    let hop = Hop::new("1", "2").act(wave(true, "api"));
    let staged = CloudRun::stage(&call, &host, &hop).expect("staged");
    CloudRun::quiesce(&call, &host, &hop).expect("nothing to stop");
    let routes = |fake: &FakeHost| {
        let routes = fake.take_calls().into_iter().filter(|call| call.starts_with("cloud-run.route"));
        routes.collect::<Vec<_>>()
    };
    // It falls ill at half of the traffic.
    fake.fail_once("control.start", Error::other("crash", "cut off"));
    CloudRun::apply(&call, &host, &hop, &staged, 0).expect_err("cut off");
    let up = [
        "cloud-run.route api api-1=90,api-2=10",
        "cloud-run.route api api-1=50,api-2=50",
        "cloud-run.route api latest=100",
    ];
    assert_eq!(routes(&fake), up);
    CloudRun::apply(&call, &host, &hop, &staged, 0).expect("again");
    assert_eq!(routes(&fake), ["cloud-run.route api latest=100"]);
}

#[test]
fn who_does_not_answer_well_gets_no_traffic() {
    let fake = fake();
    fake.image_answers("r/api@sha256:2", 503, "{\"status\":\"unavailable\"}");
    let (host, call) = (fake.platform(), fake.call(settings()));
    let staged = CloudRun::stage(&call, &host, &shut()).expect("staged");
    let error = CloudRun::apply(&call, &host, &shut(), &staged, 0).expect_err("ill");
    assert!(error.text().contains("should answer 200 with `\"ok\"` at `/health`, and answers 503"), "{}", error.text());
    assert_eq!(fake.traffic("api"), [("api-1".into(), 100)]);
}

#[test]
fn what_somebody_else_edits_is_left_as_it_is() {
    let fake = fake();
    let (host, call) = (fake.platform(), fake.call(settings()));
    let staged = CloudRun::stage(&call, &host, &shut()).expect("staged");
    fake.edit_cloud_service("api");
    let error = CloudRun::apply(&call, &host, &shut(), &staged, 0).expect_err("edited");
    assert!(matches!(&error, Error::Conflict(text) if text.contains("`somebody@example.com`")), "{}", error.text());
    assert!(!fake.calls().iter().any(|call| call.starts_with("cloud-run.deploy")));
}

#[test]
fn preflight_names_what_is_wrong() {
    let fake = fake();
    let look =
        |settings, hop: &Hop| ids(CloudRun::preflight(&fake.call(settings), &fake.platform(), hop).expect("asked"));
    let elsewhere = Hop::new("1", "2").act(wave(false, "wbe"));
    assert_eq!(look(settings(), &elsewhere), ["service-wbe"]);
    assert_eq!(look(settings(), &Hop { target: "3".into(), ..shut() }), ["image-api", "image-web"]);
    let mut falls = settings();
    falls["steps"] = json!([50, 10]);
    assert_eq!(look(falls, &shut()), ["steps"]);
    let watch = Watch {
        service: ServiceRef::new("main", "api"),
        success: "done".into(),
        failure: "failed".into(),
        progress: None,
        idle_ms: 0,
    };
    assert_eq!(look(settings(), &Hop::new("1", "2").act(wave(false, "api").follow(watch))), ["log-api"]);
    fake.fail_once("cloud-run.look", Error::Denied("no".into()));
    assert_eq!(look(settings(), &shut()), ["google"]);
    fake.fail_once("cloud-run.would-take", Error::Denied("actAs".into()));
    assert_eq!(look(settings(), &shut()), ["image-api"]);
}

#[test]
fn variables_are_said_by_name() {
    let fake = fake();
    for service in ["api", "web"] {
        fake.cloud_variable(service, "URL", Difference::New);
        fake.cloud_variable(service, "MODE", Difference::Other);
    }
    let look = || CloudRun::preflight(&fake.call(settings()), &fake.platform(), &shut()).expect("asked");
    let [finding] = &look()[..] else { panic!("one for all services: {:?}", look()) };
    let said = "the next revisions of `api`, `web` have other variables: `URL` is new, `MODE` has another value";
    assert_eq!((finding.severity, finding.message.as_str()), (Severity::Info, said));
    fake.cloud_variable("api", "OLD", Difference::Gone);
    fake.cloud_variable("api", "DATABASE", Difference::Bound);
    fake.fail_once("cloud-run.variables", Error::invalid("`A` of `.env` refers to another variable"));
    fake.take_calls();
    let found = look();
    let blockers = found.iter().filter(|finding| finding.severity == Severity::Blocker);
    assert_eq!(blockers.map(|finding| finding.id.as_str()).collect::<Vec<_>>(), ["variables"]);
    let found = look();
    assert_eq!(found[0].message, "`DATABASE` of `api` has its value from Secret Manager, and a file names it as well");
    assert!(found.iter().any(|finding| finding.message.ends_with("`OLD` is gone")), "{found:?}");
    assert!(!fake.take_calls().contains(&"cloud-run.would-take api r/api@sha256:2".to_owned()), "it would be refused");
}

#[test]
fn shares_sum_to_a_hundred() {
    let service = |shares: &[(&str, u32)]| upgraded_sdk::CloudService {
        name: "web".into(),
        uri: String::new(),
        image: String::new(),
        shares: shares
            .iter()
            .map(|(name, percent)| Share { revision: Some((*name).into()), percent: *percent })
            .collect(),
        latest_ready: "c".into(),
        stopped: false,
        why: None,
        last_modifier: String::new(),
        fingerprint: String::new(),
    };
    for (had, percent, wanted) in [
        (vec![("a", 100)], 10, vec![("a", 90), ("c", 10)]),
        (vec![("a", 33), ("b", 67)], 50, vec![("a", 17), ("b", 33), ("c", 50)]),
        (vec![("a", 60), ("c", 40)], 70, vec![("a", 30), ("c", 70)]),
    ] {
        let got = wave::split(&service(&had), "c", percent);
        let got: Vec<_> = got.iter().map(|share| (share.revision.as_deref().unwrap_or("-"), share.percent)).collect();
        assert_eq!(got, wanted);
    }
}
