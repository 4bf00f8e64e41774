//! Addresses of repositories.

use super::*;
use crate::config::read::repository_mistake;

#[test]
fn an_address_holds_no_account() {
    let of = |address: &str| repository_mistake(address).map(|(message, _)| message);
    for sound in ["https://example.org/shop.git", "ssh://git@example.org/shop.git", "git@example.org:shop.git"] {
        assert_eq!(of(sound), None, "{sound}");
    }
    assert_eq!(of("https://user:token@example.org/shop.git"), Some("holds a password"));
    assert_eq!(of("https://token@example.org/shop.git"), Some("holds an account"));
    let (message, help) = repository_mistake("https://token@example.org/shop-{tag}.tar.gz").unwrap();
    assert_eq!((message, help), ("holds an account", "leave it out: archives are fetched without an account"));
}

/// What was known when a run began.
struct OfARun(BTreeMap<String, Info>);

impl PluginCatalog for OfARun {
    fn names(&self) -> Vec<String> {
        self.0.names()
    }
    fn info(&self, name: &str) -> Option<Info> {
        self.0.info(name)
    }
    fn is_of_a_run(&self) -> bool {
        true
    }
}

#[test]
fn a_run_goes_on_with_an_address_that_was_allowed_when_it_began() {
    let text = with("repository = \"https://shop@example.org/shop.git\"\n");
    assert!(said(&text).contains("holds an account"));
    let read = |catalog: &dyn PluginCatalog| {
        Deployment::parse("shop", Path::new("shop.toml"), &text, catalog, SecretCheck::NameOnly)
    };
    assert!(read(&catalog()).is_err());
    let deployment = read(&OfARun(catalog())).expect("it was sound");
    assert_eq!(deployment.platforms[0].grants.repository.as_deref(), Some("https://shop@example.org/shop.git"));
}
