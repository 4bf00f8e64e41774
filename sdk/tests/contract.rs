//! The crate carries the contract: what it is published with is what the daemon speaks.

use std::fs;
use std::path::Path;

#[test]
fn the_contract_inside_is_the_repositorys() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let inside = fs::read_to_string(folder.join("wit/upgraded.wit")).expect("`sdk/wit/upgraded.wit`");
    let ours = fs::read_to_string(folder.join("../wit/upgraded.wit")).expect("`wit/upgraded.wit`");
    assert_eq!(inside, ours, "link `sdk/wit/upgraded.wit` to `../../wit/upgraded.wit` again");
    assert!(inside.contains("package upgraded:plugin@0.1.0;"));
}
