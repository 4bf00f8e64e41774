//! The way back: what came with the upgrade goes, and nothing else.

use super::*;

/// The files give the service a volume, now and with the edits of the plan.
fn bring_a_volume(fake: &FakeHost, service: &str) {
    fake.on_declared(service, |declared| {
        let (kind, source, target) = ("volume".into(), "shop_new".into(), "/data".into());
        declared.mounts = vec![Mount { kind, source, target, read_only: false }];
    });
}

/// The new version has a volume that the old one doesn't.
fn upgrade_with_a_volume(fake: &FakeHost, service: &str) -> String {
    let (call, host, hop) = (call(fake), fake.platform(), hop());
    bring_a_volume(fake, service);
    let token = Compose::stage(&call, &host, &hop).unwrap();
    Compose::quiesce(&call, &host, &hop).unwrap();
    put(fake, "1.4.0");
    bring_a_volume(fake, service);
    for act in 0..2 {
        Compose::apply(&call, &host, &hop, &token, act).unwrap();
    }
    Compose::admit(&call, &host, &hop).unwrap();
    assert!(resources(fake).contains(&"volume:shop_new".to_owned()));
    token
}

/// To 1.3.0, whose files are back.
fn go_back(fake: &FakeHost, token: &str) {
    let (call, host, hop) = (call(fake), fake.platform(), hop());
    Compose::quiesce(&call, &host, &hop).unwrap();
    put(fake, "1.3.0");
    for _ in 0..2 {
        Compose::revert(&call, &host, &hop, token).unwrap();
    }
}

fn resources(fake: &FakeHost) -> Vec<String> {
    fake.platform().compose().resources().unwrap()
}

fn warnings(fake: &FakeHost) -> Vec<String> {
    fake.log().into_iter().filter(|line| line.starts_with("warn: ")).collect()
}

#[test]
fn nothing_of_the_new_is_left() {
    let fake = fake();
    bring_a_volume(&fake, "web");
    let token = upgrade(&fake);
    fake.resource("volume:shop_new");
    fake.resource("network:shop_new");
    go_back(&fake, &token);
    assert_eq!(resources(&fake), ["network:shop_default", "volume:shop_data"]);
    assert!(!fake.running().contains(&"proxy".to_owned()));
    let hop = Hop { target: "1.3.0".into(), ..hop() };
    assert_eq!(Compose::verify(&call(&fake), &fake.platform(), &hop, None).unwrap(), []);
}

#[test]
fn a_volume_that_an_old_service_got_goes_once_its_old_container_stands() {
    let fake = fake();
    let token = upgrade_with_a_volume(&fake, "web");
    go_back(&fake, &token);
    assert_eq!(resources(&fake), ["network:shop_default", "volume:shop_data"]);
    assert_eq!(warnings(&fake), Vec::<String>::new());
}

#[test]
fn what_the_gate_uses_until_it_opens_is_left_and_said() {
    let fake = fake();
    let token = upgrade_with_a_volume(&fake, "proxy");
    go_back(&fake, &token);
    assert_eq!(resources(&fake), ["network:shop_default", "volume:shop_data", "volume:shop_new"]);
    let warnings = warnings(&fake);
    assert!(warnings[0].ends_with(": `volume:shop_new`"), "{warnings:?}");
}

#[test]
fn what_others_made_meanwhile_stays() {
    let fake = fake();
    let token = upgrade(&fake);
    fake.stray("tools");
    fake.resource("volume:shop_tools");
    go_back(&fake, &token);
    assert!(fake.running_images().contains(&"tools i-stray".to_owned()), "{:?}", fake.running_images());
    assert!(resources(&fake).contains(&"volume:shop_tools".to_owned()));
}

#[test]
fn a_service_that_came_with_the_upgrade_goes_with_it() {
    let fake = fake();
    let (call, host) = (call(&fake), fake.platform());
    let mut new = files("1.4.0").to_vec();
    new.push(("queue", "nginx:1".into()));
    fake.planned_files(&as_refs(&new));
    let hop = Hop::new("1.3.0", "1.4.0").act(Wave::new([service("web"), service("queue")]));
    let token = Compose::stage(&call, &host, &hop).unwrap();
    fake.compose_files(&as_refs(&new));
    Compose::apply(&call, &host, &hop, &token, 0).unwrap();
    let runs = |fake: &FakeHost| fake.running_images().contains(&"queue i-nginx".to_owned());
    assert!(runs(&fake));
    put(&fake, "1.3.0");
    Compose::revert(&call, &host, &hop, &token).unwrap();
    assert!(!runs(&fake), "{:?}", fake.running_images());
}

#[test]
fn of_a_stage_that_noted_less_less_goes() {
    let fake = fake();
    let noted = r#"{"target":"1.4.0","images":{},"former":{},"resources":["network:shop_default","volume:shop_data"]}"#;
    let pins = Pins::read(noted).unwrap();
    fake.resource("volume:shop_new");
    assert_eq!(pins.came(&fake.platform(), &[&service("queue")]).unwrap(), Vec::<String>::new());
    assert_eq!(Pins::default().since(&fake.platform()).unwrap(), Vec::<String>::new());
}
