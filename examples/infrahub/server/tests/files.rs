//! What an operator installs holds together: what its files say of each other is there.

const COMPOSE: &str = include_str!("../../docker-compose.yml");
const SETTINGS: &str = include_str!("../../.env.example");
const GATEWAY: &str = include_str!("../../gateway/infrahub.conf");
const DEPLOYMENT: &str = include_str!("../../deployment.toml");

#[test]
fn every_key_that_compose_reads_stands_in_the_settings() {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let keys: Vec<&str> =
        COMPOSE.split("${").skip(1).map(|rest| rest.split(|c| !is_part(c)).next().expect("a first part")).collect();
    assert!(keys.contains(&"VERSION") && keys.contains(&"DATABASE_DOCKER_IMAGE"));
    for key in keys {
        assert!(SETTINGS.lines().any(|line| line.starts_with(&format!("{key}="))), "{key}");
    }
    assert!(COMPOSE.contains("${VERSION:-1.6.4}") && SETTINGS.contains("\nVERSION=1.6.4\n"));
}

#[test]
fn the_gateway_leads_to_a_service() {
    let upstream = GATEWAY.split("http://").nth(1).and_then(|rest| rest.split(':').next()).expect("an upstream");
    assert!(COMPOSE.contains(&format!("\n  {upstream}:\n")), "{upstream}");
}

#[test]
fn every_volume_of_the_project_belongs_to_a_datastore() {
    let (_, volumes) = COMPOSE.split_once("\nvolumes:\n").expect("volumes");
    let names: Vec<&str> = volumes.lines().map(|line| line.trim().trim_end_matches(':')).collect();
    assert_eq!(names, ["database_data", "storage_data"]);
    for name in names {
        assert!(DEPLOYMENT.contains(&format!("\"volume:infrahub_{name}\"")), "{name}");
    }
}
