//! The edition holds together: what its files say of each other is there.

const COMPOSE: &str = include_str!("../../edition/compose.yaml");
const SETTINGS: &str = include_str!("../../edition/.env.example");
const GATEWAY: &str = include_str!("../../edition/gateway/evose.conf");

#[test]
fn every_key_that_compose_reads_stands_in_the_settings() {
    let keys: Vec<&str> = COMPOSE
        .split("${")
        .skip(1)
        .map(|rest| rest.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').next().expect("a first part"))
        .collect();
    assert!(keys.contains(&"EVOSE_VERSION") && keys.contains(&"EVOSE_REGISTRY"));
    for key in keys {
        assert!(SETTINGS.lines().any(|line| line.starts_with(&format!("{key}="))), "{key}");
    }
}

#[test]
fn the_gateway_leads_to_a_service() {
    let upstream = GATEWAY.split("http://").nth(1).and_then(|rest| rest.split(':').next()).expect("an upstream");
    assert!(COMPOSE.contains(&format!("\n  {upstream}:\n")), "{upstream}");
}
