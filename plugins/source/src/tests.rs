//! Tests of source.

use super::*;
use upgraded_sdk::fake::FakeHost;
use upgraded_sdk::serde_json::json;
use upgraded_sdk::{Exit, Severity, Watch};

fn web() -> ServiceRef {
    ServiceRef::new("main", "web")
}
fn worker() -> ServiceRef {
    ServiceRef::new("main", "worker")
}
fn proxy() -> ServiceRef {
    ServiceRef::new("main", "proxy")
}

/// 1.3.0 runs, 1.4.0 and 1.5.0 are tagged.
fn fake() -> FakeHost {
    let fake = FakeHost::new();
    for (tag, commit) in [("v1.3.0", "c130"), ("v1.4.0", "c140"), ("v1.5.0", "c150")] {
        fake.tag(tag, commit);
    }
    fake.activate("c130");
    for name in ["web", "worker", "proxy"] {
        fake.service("main", name);
    }
    fake.command("migrate", 0, "done");
    fake.command("build", 0, "");
    fake
}

fn call(fake: &FakeHost) -> Call<Settings> {
    fake.call(json!({ "build": "build" }))
}

fn hop(source: &str, target: &str) -> Hop {
    Hop::new(source, target)
        .act(Once::new(web(), ["migrate", "--to", target]).repeatable())
        .act(Wave::new([web(), worker()]))
        .quiesce([web(), worker()])
        .gate([proxy()])
}

fn look(fake: &FakeHost, hop: &Hop) -> Vec<Finding> {
    fake.read_only(true);
    let findings = Source::preflight(&call(fake), &fake.platform(), hop).unwrap();
    fake.read_only(false);
    findings
}

fn only(findings: Vec<Finding>) -> (String, Severity, String) {
    assert_eq!(findings.len(), 1, "{findings:?}");
    let finding = findings.into_iter().next().unwrap();
    (finding.id, finding.severity, finding.message)
}

/// Stages, quiesces and takes all acts of a hop; the token.
fn take(fake: &FakeHost, hop: &Hop) -> String {
    let (call, host) = (call(fake), fake.platform());
    let token = Source::stage(&call, &host, hop).unwrap();
    Source::quiesce(&call, &host, hop).unwrap();
    for act in 0..hop.acts.len() {
        Source::apply(&call, &host, hop, &token, act as u32).unwrap();
        assert_eq!(Source::verify(&call, &host, hop, Some(act as u32)).unwrap(), []);
    }
    token
}

#[test]
fn a_hop_from_preflight_to_admission() {
    let fake = fake();
    let (call, host, hop) = (call(&fake), fake.platform(), hop("1.3.0", "1.4.0"));
    assert_eq!(look(&fake, &hop), []);
    fake.take_calls();

    let token = Source::stage(&call, &host, &hop).unwrap();
    assert_eq!(token, r#"{"commits":{"1.3.0":"c130","1.4.0":"c140"}}"#);
    assert_eq!(fake.take_calls(), ["checkout.fetch v1.3.0", "checkout.fetch v1.4.0", "checkout.prepare c140 build"]);

    Source::quiesce(&call, &host, &hop).unwrap();
    assert_eq!(fake.take_calls(), ["control.stop main/proxy", "control.stop main/web main/worker"]);
    assert!(fake.running().is_empty());

    Source::apply(&call, &host, &hop, &token, 0).unwrap();
    assert!(fake.take_calls().ends_with(&["checkout.activate c140".into(), "process.run migrate --to 1.4.0".into()]));
    Source::apply(&call, &host, &hop, &token, 1).unwrap();
    assert_eq!(fake.running(), ["web", "worker"], "the gate stays shut");
    assert_eq!(Source::verify(&call, &host, &hop, None).unwrap(), []);

    Source::admit(&call, &host, &hop).unwrap();
    assert_eq!(fake.running(), ["web", "worker", "proxy"]);
    let components = Source::components(&call, &host).unwrap();
    assert_eq!((components[0].version.as_str(), components[0].digest.as_deref()), ("1.4.0", Some("c140")));
}

#[test]
fn the_way_back_stops_what_is_new_and_starts_what_was() {
    let fake = fake();
    let (call, host, hop) = (call(&fake), fake.platform(), hop("1.3.0", "1.4.0"));
    let token = take(&fake, &hop);
    Source::quiesce(&call, &host, &hop).unwrap();
    assert!(fake.running().is_empty());
    for _ in 0..2 {
        Source::revert(&call, &host, &hop, &token).unwrap();
        assert_eq!((fake.active().as_deref(), fake.running()), (Some("c130"), vec!["web".into(), "worker".into()]));
    }
    let old = Hop { target: "1.3.0".into(), ..hop };
    assert_eq!(Source::verify(&call, &host, &old, None).unwrap(), []);
}

#[test]
fn a_rebuild_on_the_way_back_runs_with_the_old_code() {
    let fake = fake();
    let (call, host, hop) = (call(&fake), fake.platform(), hop("1.3.0", "1.4.0"));
    let token = take(&fake, &hop);
    Source::quiesce(&call, &host, &hop).unwrap();
    Source::revert(&call, &host, &hop, &token).unwrap();
    let rebuild = Hop::new("1.3.0", "1.3.0").act(Once::new(web(), ["migrate"]));
    Source::apply(&call, &host, &rebuild, &token, 0).unwrap();
    assert_eq!(fake.active().as_deref(), Some("c130"));
    assert!(fake.running().contains(&"web".into()), "the old release goes on");
}

#[test]
fn the_second_hop_stops_what_the_first_one_started() {
    let fake = fake();
    let (call, host) = (call(&fake), fake.platform());
    let (first, second) = (hop("1.3.0", "1.4.0"), hop("1.4.0", "1.5.0"));
    let token = Source::stage(&call, &host, &second).unwrap();
    take(&fake, &first);
    assert_eq!(fake.running(), ["web", "worker"]);
    Source::apply(&call, &host, &second, &token, 0).unwrap();
    assert!(fake.running().is_empty(), "nothing runs 1.4.0 while 1.5.0 migrates");
    assert_eq!(fake.active().as_deref(), Some("c150"));
}

#[test]
fn the_whole_path_goes_back_with_the_token_of_its_first_hop() {
    let fake = fake();
    let (call, host) = (call(&fake), fake.platform());
    let token = take(&fake, &hop("1.3.0", "1.4.0"));
    let whole = hop("1.3.0", "1.5.0");
    Source::revert(&call, &host, &whole, &token).unwrap();
    assert_eq!(fake.active().as_deref(), Some("c130"));
}

#[test]
fn a_release_that_was_tidied_away_is_laid_out_again() {
    let fake = fake();
    let (call, host, hop) = (call(&fake), fake.platform(), hop("1.3.0", "1.4.0"));
    let token = take(&fake, &hop);
    fake.removed("c130");
    Source::revert(&call, &host, &hop, &token).unwrap();
    assert_eq!(fake.active().as_deref(), Some("c130"));
}

#[test]
fn a_rolling_wave_restarts_one_after_the_other_and_keeps_the_gate_open() {
    let fake = fake();
    let (call, host) = (call(&fake), fake.platform());
    let rolling = Wave { rolling: true, ..Wave::new([web(), worker()]) };
    let hop = Hop::new("1.3.0", "1.4.0").act(rolling);
    let token = Source::stage(&call, &host, &hop).unwrap();
    Source::quiesce(&call, &host, &hop).unwrap();
    fake.take_calls();
    Source::apply(&call, &host, &hop, &token, 0).unwrap();
    let control: Vec<String> = fake.take_calls().into_iter().filter(|call| call.starts_with("control")).collect();
    let wanted = ["stop main/web", "start main/web", "stop main/worker", "start main/worker"];
    assert_eq!(control, wanted.map(|verb| format!("control.{verb}")));
    assert!(fake.running().contains(&"proxy".into()));
    Source::revert(&call, &host, &hop, &token).unwrap();
    assert_eq!(fake.active().as_deref(), Some("c130"));
}

#[test]
fn a_failed_command_says_what_it_said() {
    let fake = fake();
    let (call, host, hop) = (call(&fake), fake.platform(), hop("1.3.0", "1.4.0"));
    let token = Source::stage(&call, &host, &hop).unwrap();
    fake.command("migrate", 3, "applying 7\nERROR: column exists\n");
    let error = Source::apply(&call, &host, &hop, &token, 0).unwrap_err();
    assert_eq!(error.text(), "`migrate` ended with 3:\napplying 7\nERROR: column exists");
    fake.on_command("migrate", |_| Ok(Exit { code: 1, tail: String::new(), elapsed_ms: 0 }));
    let error = Source::apply(&call, &host, &hop, &token, 0).unwrap_err();
    assert_eq!(error.text(), "`migrate` ended with 1, and said nothing");
}

#[test]
fn the_command_is_asked_for_as_the_hop_says() {
    let fake = fake();
    fake.on_command("migrate", |command| {
        assert_eq!((command.repeatable, command.idle_ms), (false, 5000));
        assert_eq!((command.success.as_deref(), &command.args[..]), (Some("^ok$"), &["--all".to_owned()][..]));
        Ok(Exit { code: 0, tail: "ok".into(), elapsed_ms: 1 })
    });
    let (call, host) = (call(&fake), fake.platform());
    let once = Once { idle_ms: 5000, ..Once::new(web(), ["migrate", "--all"]).success("^ok$") };
    let hop = Hop::new("1.3.0", "1.4.0").act(once);
    let token = Source::stage(&call, &host, &hop).unwrap();
    Source::apply(&call, &host, &hop, &token, 0).unwrap();
}

#[test]
fn a_migration_at_start_is_followed() {
    let fake = fake();
    let (call, host) = (call(&fake), fake.platform());
    let watch =
        Watch { service: web(), success: "migrated".into(), failure: "ERROR".into(), progress: None, idle_ms: 1000 };
    let hop = Hop::new("1.3.0", "1.4.0").act(Wave::new([web()]).follow(watch)).quiesce([web()]);
    let token = Source::stage(&call, &host, &hop).unwrap();
    fake.logs("web", Err(Error::other("log", "`ERROR: no column`")));
    assert!(Source::apply(&call, &host, &hop, &token, 0).unwrap_err().text().contains("no column"));
    fake.logs("web", Ok("migrated 12 tables"));
    Source::apply(&call, &host, &hop, &token, 0).unwrap();
    assert_eq!(fake.log(), ["info: `web`: migrated 12 tables"]);
}

#[test]
fn verification_names_what_does_not_stand() {
    let fake = fake();
    let (call, host, hop) = (call(&fake), fake.platform(), hop("1.3.0", "1.4.0"));
    take(&fake, &hop);
    fake.sick("worker", "it answers 500");
    let (id, severity, message) = only(Source::verify(&call, &host, &hop, None).unwrap());
    assert_eq!((id.as_str(), severity), ("service-worker", Severity::Blocker));
    assert!(message.contains("it answers 500"), "{message}");
    let back = Hop { target: "1.3.0".into(), ..hop };
    let ids: Vec<String> = Source::verify(&call, &host, &back, None).unwrap().into_iter().map(|f| f.id).collect();
    assert_eq!(ids, ["active", "service-worker"]);
}

#[test]
fn preflight_misses_a_tag_and_names_the_nearest() {
    let fake = fake();
    let findings = look(&fake, &hop("1.3.0", "1.4.1"));
    let hint = findings[0].hint.clone().unwrap();
    let (id, _, message) = only(findings);
    assert_eq!((id.as_str(), message.as_str()), ("revision", "the repository has no tag `v1.4.1` for `1.4.1`"));
    assert!(hint.contains("`v1.4.0`"), "{hint}");
}

#[test]
fn preflight_tells_an_unreachable_repository_from_a_missing_tag() {
    let fake = fake();
    fake.fail_once("checkout.fetch", Error::unavailable("no route to host"));
    let (id, _, message) = only(look(&fake, &hop("1.3.0", "1.4.0")));
    assert_eq!(id, "repository");
    assert!(message.contains("no route to host"), "{message}");
}

#[test]
fn preflight_wants_the_hop_to_begin_where_the_link_points() {
    let fake = fake();
    fake.activate("c140");
    let (id, severity, message) = only(look(&fake, &hop("1.3.0", "1.5.0")));
    assert_eq!((id.as_str(), severity), ("active", Severity::Blocker));
    assert_eq!(message, "the active release is `1.4.0`, and the hop begins at `1.3.0`");
    fake.activate("c130");
    assert_eq!(look(&fake, &hop("1.4.0", "1.5.0")), [], "a later hop of the path");
}

#[test]
fn preflight_wants_something_installed() {
    let fake = FakeHost::new();
    fake.tag("v1.0.0", "c100");
    fake.tag("v1.1.0", "c110");
    let hop = Hop::new("1.0.0", "1.1.0").act(Once::new(web(), ["migrate"])).gate([ServiceRef::new("other", "proxy")]);
    fake.command("migrate", 0, "");
    fake.command("build", 0, "");
    assert_eq!(only(look(&fake, &hop)).0, "active");
}

#[test]
fn preflight_names_missing_commands_and_services_once() {
    let fake = fake();
    let other = Once::new(ServiceRef::new("elsewhere", "x"), ["unknown"]);
    let hop = Hop::new("1.3.0", "1.4.0")
        .act(Once::new(web(), ["migrat"]))
        .act(Once::new(web(), ["migrat"]))
        .act(other)
        .act(Wave::new([web(), ServiceRef::new("main", "wroker")]))
        .undo(Undo::Rebuild(Once::new(web(), ["rebuild-index"])))
        .quiesce([web(), ServiceRef::new("main", "wroker")])
        .gate([proxy()]);
    let findings = look(&fake, &hop);
    let found: Vec<(&str, &str)> =
        findings.iter().map(|finding| (finding.id.as_str(), finding.hint.as_deref().unwrap_or_default())).collect();
    assert_eq!(
        found,
        [
            ("command-migrat", "the nearest is `migrate`"),
            (
                "command-rebuild-index",
                "name it in the platform's table: `[platform.commands.NAME]`".replace("NAME", "rebuild-index").as_str()
            ),
            ("service-wroker", "the nearest is `worker`"),
        ]
    );
}

#[test]
fn preflight_needs_the_build_command() {
    let fake = fake();
    let call: Call<Settings> = fake.call(json!({ "build": "compile" }));
    let findings = Source::preflight(&call, &fake.platform(), &hop("1.3.0", "1.4.0")).unwrap();
    assert_eq!(only(findings).0, "command-compile");
}

#[test]
fn preflight_warns_of_a_missing_gate_but_not_where_it_rolls() {
    let fake = fake();
    let open = Hop { gate: Vec::new(), ..hop("1.3.0", "1.4.0") };
    let (id, severity, _) = only(look(&fake, &open));
    assert_eq!((id.as_str(), severity), ("gate", Severity::Warning));
    let rolls = Hop::new("1.3.0", "1.4.0").act(Wave { rolling: true, ..Wave::new([web()]) });
    assert_eq!(look(&fake, &rolls), []);
    let early = Hop { gate: vec![web()], ..hop("1.3.0", "1.4.0") };
    assert_eq!(only(look(&fake, &early)).0, "gate-in-wave");
}

#[test]
fn preflight_refuses_a_hop_that_would_leave_nothing_running() {
    let fake = fake();
    assert_eq!(only(look(&fake, &Hop::new("1.3.0", "1.4.0").gate([proxy()]))).0, "no-acts");
    let stopped = Hop::new("1.3.0", "1.4.0").act(Wave::new([web()])).quiesce([web(), worker()]).gate([proxy()]);
    assert_eq!(only(look(&fake, &stopped)).0, "never-started-worker");
    let empty = Hop::new("1.3.0", "1.4.0").act(Once::new(web(), Vec::<String>::new())).gate([proxy()]);
    assert_eq!(only(look(&fake, &empty)).2, "an act of the hop names no command");
}

#[test]
fn a_commit_is_a_version_of_its_own() {
    let fake = fake();
    fake.commit("0123456789abcdef");
    let (call, host) = (call(&fake), fake.platform());
    let hop = hop("1.3.0", "0123456");
    assert_eq!(look(&fake, &hop), []);
    take(&fake, &hop);
    assert_eq!(fake.active().as_deref(), Some("0123456789abcdef"));
    assert_eq!(Source::verify(&call, &host, &hop, None).unwrap(), []);
    assert_eq!(Source::components(&call, &host).unwrap()[0].version, "0123456789abcdef");
    assert_eq!(
        only(look(&fake, &Hop { target: "fedcba9".into(), source: "0123456".into(), ..hop })).2,
        "the repository has no commit `fedcba9`"
    );
}

#[test]
fn tags_are_written_as_the_settings_say() {
    let fake = FakeHost::new();
    fake.tag("release/2.0", "c200");
    let call: Call<Settings> = fake.call(json!({ "tag": "release/{version}" }));
    assert_eq!(revision::commit(&call.settings, &fake.platform(), "2.0").unwrap(), "c200");
    assert_eq!(revision::version_of("release/{version}", "c200", Some("release/2.0")), "2.0");
    assert_eq!(revision::version_of("v{version}", "c200", Some("nightly")), "c200");
}

#[test]
fn other_platforms_services_are_left_alone() {
    let fake = fake();
    let (call, host) = (call(&fake), fake.platform());
    let theirs = ServiceRef::new("other", "db");
    let hop = Hop::new("1.3.0", "1.4.0")
        .act(Wave::new([web(), theirs.clone()]))
        .quiesce([web(), theirs.clone()])
        .gate([proxy(), theirs]);
    take(&fake, &hop);
    Source::admit(&call, &host, &hop).unwrap();
    assert!(!fake.calls().iter().any(|call| call.contains("other/")), "{:?}", fake.calls());
}

#[test]
fn a_foreign_token_is_refused() {
    let fake = fake();
    let error = Source::revert(&call(&fake), &fake.platform(), &hop("1.3.0", "1.4.0"), "sha256:1").unwrap_err();
    assert!(error.text().contains("`sha256:1`"), "{}", error.text());
}

#[test]
fn the_schema_is_closed_and_says_what_the_keys_mean() {
    let schema = upgraded_sdk::schema::<Settings>();
    assert_eq!(schema["additionalProperties"], json!(false));
    assert_eq!(schema["properties"]["tag"]["default"], json!("v{version}"));
    assert!(schema["properties"]["build"]["description"].as_str().unwrap().contains("builds a release"));
    assert!(schema["properties"].get("idle-seconds").is_some());
}
