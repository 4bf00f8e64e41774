//! Addresses of repositories.

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
