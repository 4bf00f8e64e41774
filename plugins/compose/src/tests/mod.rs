//! Tests of compose.

mod back;
mod version;

use super::*;
use upgraded_sdk::fake::FakeHost;
use upgraded_sdk::serde_json::json;
use upgraded_sdk::{ContainerState, Mount, Watch};

const WEB: &str = "r:5000/shop/web";

fn service(name: &str) -> ServiceRef {
    ServiceRef::new("main", name)
}

/// A project of a database, a web server behind a proxy, and an init service; 1.4.0 is published.
fn fake() -> FakeHost {
    let fake = FakeHost::new();
    fake.composed("db", "postgres:15", "i-db");
    fake.composed("init", "r:5000/shop/web:1.3.0", "i-130");
    fake.composed("web", "r:5000/shop/web:1.3.0", "i-130");
    fake.composed("proxy", "nginx:1", "i-nginx");
    fake.on_container("init", |init| init.state = ContainerState::Done);
    fake.logs("init", Ok("[init] migrations complete"));
    fake.published("r:5000/shop/web:1.4.0", "i-140");
    fake.resource("network:shop_default");
    fake.resource("volume:shop_data");
    plan(&fake, "1.4.0");
    fake
}

fn files(version: &str) -> [(&'static str, String); 4] {
    let web = format!("{WEB}:{version}");
    [("db", "postgres:15".into()), ("init", web.clone()), ("web", web), ("proxy", "nginx:1".into())]
}

fn as_refs<'a>(files: &'a [(&'static str, String)]) -> Vec<(&'static str, &'a str)> {
    files.iter().map(|(name, image)| (*name, image.as_str())).collect()
}

fn plan(fake: &FakeHost, version: &str) {
    fake.planned_files(&as_refs(&files(version)));
}

/// As the host puts the edits in place, or back.
fn put(fake: &FakeHost, version: &str) {
    fake.compose_files(&as_refs(&files(version)));
}

fn call(fake: &FakeHost) -> Call<Settings> {
    fake.call(json!({}))
}

fn hop() -> Hop {
    let watch = Watch {
        service: service("init"),
        success: "complete".into(),
        failure: "error".into(),
        progress: None,
        idle_ms: 0,
    };
    Hop::new("1.3.0", "1.4.0")
        .act(Wave { follow: vec![watch], ..Wave::new([service("init")]) })
        .act(Wave::new([service("web")]))
        .quiesce([service("web")])
        .gate([service("proxy")])
}

fn look(fake: &FakeHost, hop: &Hop) -> Vec<(String, String)> {
    fake.read_only(true);
    let findings = Compose::preflight(&call(fake), &fake.platform(), hop).unwrap();
    fake.read_only(false);
    findings.into_iter().map(|finding| (finding.id, finding.message)).collect()
}

fn upgrade(fake: &FakeHost) -> String {
    let (call, host, hop) = (call(fake), fake.platform(), hop());
    let token = Compose::stage(&call, &host, &hop).unwrap();
    Compose::quiesce(&call, &host, &hop).unwrap();
    put(fake, "1.4.0");
    for act in 0..2 {
        Compose::apply(&call, &host, &hop, &token, act).unwrap();
        assert_eq!(Compose::verify(&call, &host, &hop, Some(act)).unwrap(), []);
    }
    token
}

#[test]
fn a_hop_from_preflight_to_admission() {
    let fake = fake();
    let (call, host, hop) = (call(&fake), fake.platform(), hop());
    assert_eq!(look(&fake, &hop), []);
    upgrade(&fake);
    assert_eq!(fake.running_images(), ["db i-db", "proxy i-nginx", "init i-140", "web i-140"]);
    assert!(!fake.running().contains(&"proxy".to_owned()), "the gate stays shut: {:?}", fake.running());
    assert_eq!(Compose::verify(&call, &host, &hop, None).unwrap(), []);
    Compose::admit(&call, &host, &hop).unwrap();
    assert!(fake.running().contains(&"proxy".to_owned()));
}

#[test]
fn a_tag_that_moved_changes_nothing() {
    let fake = fake();
    let (call, host, hop) = (call(&fake), fake.platform(), hop());
    let token = Compose::stage(&call, &host, &hop).unwrap();
    fake.image("r:5000/shop/web:1.4.0", "i-evil");
    fake.image("r:5000/shop/web:1.3.0", "i-evil");
    put(&fake, "1.4.0");
    Compose::apply(&call, &host, &hop, &token, 0).unwrap();
    assert!(fake.running_images().contains(&"init i-140".to_owned()));
    put(&fake, "1.3.0");
    Compose::revert(&call, &host, &hop, &token).unwrap();
    assert!(fake.running_images().contains(&"web i-130".to_owned()), "{:?}", fake.running_images());
}

/// `web` is built under a name without a version.
fn built() -> FakeHost {
    let fake = FakeHost::new();
    fake.composed("web", "shop-web", "i-130");
    fake.planned_files(&[("web", "shop-web")]);
    fake
}

#[test]
fn what_is_built_takes_its_name_when_the_hop_is_applied() {
    let fake = built();
    let (call, host, name) = (call(&fake), fake.platform(), "shop-web");
    let stands_for = || host.images().find(name).unwrap().unwrap().id;
    let wave = || Wave::new([service("web")]);
    let hops = [Hop::new("1.3.0", "1.4.0").act(wave()), Hop::new("1.4.0", "1.5.0").act(wave())];
    let mut tokens = Vec::new();
    for (hop, id) in hops.iter().zip(["i-140", "i-150"]) {
        fake.builds("web", id);
        tokens.push(Compose::stage(&call, &host, hop).unwrap());
        assert_eq!(stands_for(), "i-130", "whoever starts the project meanwhile gets what ran");
        assert!(fake.take_calls().contains(&format!("images.hold {id}")));
    }
    for ((hop, token), id) in hops.iter().zip(&tokens).zip(["i-140", "i-150"]) {
        Compose::apply(&call, &host, hop, token, 0).unwrap();
        assert_eq!(stands_for(), id, "each hop runs its own program");
    }
    Compose::revert(&call, &host, &hops[0], &tokens[0]).unwrap();
    assert_eq!(stands_for(), "i-130");
}

#[test]
fn a_build_that_fails_leaves_every_name_as_it_was() {
    let fake = built();
    fake.builds("web", "i-140");
    fake.image("shop-web", "i-half");
    fake.fail("compose.build", Error::other("compose", "exit status 1"));
    let (call, host) = (call(&fake), fake.platform());
    Compose::stage(&call, &host, &Hop::new("1.3.0", "1.4.0").act(Wave::new([service("web")]))).unwrap_err();
    assert_eq!(host.images().find("shop-web").unwrap().unwrap().id, "i-130");
}

#[test]
fn what_podman_built_keeps_its_name_until_the_hop_is_applied() {
    let fake = built();
    fake.builds("web", "i-140");
    fake.on_container("web", |web| web.image = "docker.io/library/shop-web:latest".into());
    let (call, host) = (call(&fake), fake.platform());
    Compose::stage(&call, &host, &Hop::new("1.3.0", "1.4.0").act(Wave::new([service("web")]))).unwrap();
    assert_eq!(host.images().find("shop-web").unwrap().unwrap().id, "i-130");
}

#[test]
fn what_the_files_changed_elsewhere_is_applied_with_the_last_act() {
    let fake = fake();
    let (call, host, hop) = (call(&fake), fake.platform(), hop());
    let token = Compose::stage(&call, &host, &hop).unwrap();
    put(&fake, "1.4.0");
    fake.on_container("db", |db| db.current = false);
    fake.on_container("proxy", |proxy| proxy.current = false);
    Compose::apply(&call, &host, &hop, &token, 0).unwrap();
    fake.take_calls();
    Compose::apply(&call, &host, &hop, &token, 1).unwrap();
    let calls = fake.take_calls();
    assert!(calls.contains(&"control.start main/db".to_owned()), "{calls:?}");
    assert!(!calls.iter().any(|call| call.starts_with("control.start") && call.contains("proxy")), "{calls:?}");
}

/// The web server rolls; nobody is shut out.
fn rolling() -> Hop {
    Hop::new("1.3.0", "1.4.0").act(Wave { rolling: true, ..Wave::new([service("web")]) })
}

fn control(fake: &FakeHost) -> Vec<String> {
    fake.take_calls().into_iter().filter(|call| call.starts_with("control.")).collect()
}

#[test]
fn what_rolls_is_never_stopped() {
    let fake = fake();
    let (call, host, hop) = (call(&fake), fake.platform(), rolling());
    assert_eq!(look(&fake, &hop), []);
    let token = Compose::stage(&call, &host, &hop).unwrap();
    Compose::quiesce(&call, &host, &hop).unwrap();
    put(&fake, "1.4.0");
    Compose::apply(&call, &host, &hop, &token, 0).unwrap();
    assert_eq!(control(&fake), ["control.roll main/web", "control.roll main/init"], "nothing is stopped");
    Compose::admit(&call, &host, &hop).unwrap();
    put(&fake, "1.3.0");
    for _ in 0..2 {
        Compose::revert(&call, &host, &hop, &token).unwrap();
        assert_eq!(control(&fake), ["control.roll main/db main/init main/web main/proxy"]);
        assert!(fake.running_images().contains(&"web i-130".to_owned()), "{:?}", fake.running_images());
    }
}

#[test]
fn a_bad_release_leaves_the_old_replicas() {
    let fake = fake();
    let (call, host, hop) = (call(&fake), fake.platform(), rolling());
    let token = Compose::stage(&call, &host, &hop).unwrap();
    put(&fake, "1.4.0");
    fake.sick("web", "it answers 500");
    let error = Compose::apply(&call, &host, &hop, &token, 0).unwrap_err();
    assert!(error.text().contains("it answers 500"), "{}", error.text());
    assert!(fake.running_images().contains(&"web i-130".to_owned()), "{:?}", fake.running_images());
}

#[test]
fn one_wave_rolls_behind_a_shut_gate() {
    let fake = fake();
    let (call, host) = (call(&fake), fake.platform());
    let hop = rolling().act(Wave::new([service("init")])).gate([service("proxy")]);
    let token = Compose::stage(&call, &host, &hop).unwrap();
    put(&fake, "1.4.0");
    Compose::apply(&call, &host, &hop, &token, 0).unwrap();
    Compose::apply(&call, &host, &hop, &token, 1).unwrap();
    assert_eq!(control(&fake), ["control.roll main/web", "control.start main/init"]);
    put(&fake, "1.3.0");
    Compose::revert(&call, &host, &hop, &token).unwrap();
    assert_eq!(control(&fake), ["control.roll main/web", "control.start main/db main/init"]);
}

#[test]
fn what_rolls_and_cannot_be_two_at_once_is_named() {
    let fake = fake();
    fake.on_declared("web", |web| web.single = Some("it publishes port 80 of this machine".into()));
    fake.on_declared("db", |db| db.single = Some("nobody asks".into()));
    let findings = look(&fake, &rolling());
    assert_eq!(findings.len(), 1, "{findings:?}");
    assert_eq!(findings[0].0, "single-web");
    assert!(findings[0].1.ends_with("is away while it is replaced: it publishes port 80 of this machine"));
}

#[test]
fn preflight_finds_what_would_go_wrong() {
    let only = |change: &dyn Fn(&FakeHost)| {
        let fake = fake();
        change(&fake);
        let mut findings = look(&fake, &hop());
        assert_eq!(findings.len(), 1, "{findings:?}");
        findings.remove(0)
    };
    let (id, message) = only(&|fake| {
        fake.planned_files(&[
            ("db", "postgres:15"),
            ("init", "nginx:1"),
            ("web", "r:5000/shop/web:1.9.9"),
            ("proxy", "nginx:1"),
        ]);
    });
    assert_eq!((id.as_str(), message.contains("`r:5000/shop/web:1.9.9`")), ("image-web", true));

    let fake = fake();
    fake.published_for("r:5000/shop/web:1.4.0", "i-arm", &["linux/arm64"]);
    let findings = look(&fake, &hop());
    assert!(findings[0].1.ends_with("is for linux/arm64, and this machine is linux/amd64"), "{findings:?}");
    // The second is what says how the image was built.
    fake.published_for("r:5000/shop/web:1.4.0", "i-arm", &["linux/arm64", "unknown/unknown"]);
    let findings = look(&fake, &hop());
    assert!(findings[0].1.ends_with("is for linux/arm64, and this machine is linux/amd64"), "{findings:?}");
    fake.published_for("r:5000/shop/web:1.4.0", "i-any", &["unknown/unknown"]);
    assert_eq!(look(&fake, &hop()), []);

    let (id, _) = only(&|fake| fake.image("nginx:1", "i-other"));
    assert_eq!(id, "moved-proxy");
    let (id, message) = only(&|fake| {
        let mut files = files("1.4.0").to_vec();
        files.push(("queue", "nginx:1".into()));
        fake.planned_files(&as_refs(&files));
    });
    assert_eq!((id.as_str(), message.contains("no wave of the hop starts")), ("new-queue", true));
    let hop = hop().act(Wave::new([service("wev")]));
    assert_eq!(look(&self::fake(), &hop)[0].0, "service-wev");
}

#[test]
fn a_registry_that_is_away_is_waited_for_unless_the_image_is_here() {
    let fake = fake();
    fake.fail("images.look-up", Error::Unavailable("connection refused".into()));
    let answer = Compose::preflight(&call(&fake), &fake.platform(), &hop());
    assert!(matches!(answer, Err(Error::Unavailable(_))), "{answer:?}");
    fake.image("r:5000/shop/web:1.4.0", "i-140");
    assert_eq!(look(&fake, &hop()), []);
}

#[test]
fn drift_is_named() {
    let fake = fake();
    fake.on_container("db", |db| db.current = false);
    let findings = Compose::verify(&call(&fake), &fake.platform(), &hop(), None).unwrap();
    assert_eq!(findings[0].message, "`db` runs something else than the files say");
    fake.on_container("db", |db| (db.current, db.healthy) = (true, Some(false)));
    let findings = Compose::verify(&call(&fake), &fake.platform(), &hop(), None).unwrap();
    assert_eq!(findings[0].id, "service-db");
}

#[test]
fn a_service_without_replicas_has_no_container_by_right() {
    let mut findings = Vec::new();
    for replicas in [1, 0] {
        let fake = fake();
        let mut files = files("1.3.0").to_vec();
        files.push(("worker", "nginx:1".into()));
        fake.compose_files(&as_refs(&files));
        fake.on_declared("worker", |worker| worker.replicas = replicas);
        findings.push(Compose::verify(&call(&fake), &fake.platform(), &hop(), None).unwrap());
    }
    assert_eq!(findings[0][0].id, "service-worker");
    assert_eq!(findings[1], []);
}

#[test]
fn a_one_off_command_says_why_it_failed() {
    let fake = fake();
    let (call, host) = (call(&fake), fake.platform());
    let hop = Hop::new("1.3.0", "1.4.0").act(Once::new(service("web"), ["migrate", "--all"]));
    let token = Compose::stage(&call, &host, &hop).unwrap();
    Compose::apply(&call, &host, &hop, &token, 0).unwrap();
    assert!(fake.take_calls().contains(&"compose.run web migrate --all".to_owned()));
    fake.one_off("web", 3, "no such column");
    let other = self::fake();
    other.one_off("web", 3, "no such column");
    let error = Compose::apply(&call, &other.platform(), &hop, &token, 0).unwrap_err();
    assert_eq!(error.text(), "`web migrate --all` ended with 3:\nno such column");
}
