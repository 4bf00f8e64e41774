//! Data that lies in claims of a cluster.

use super::*;

#[test]
fn claims_of_a_cluster_are_data() {
    let data = |paths: &str| with(&format!("[datastores.a]\nplugin = \"files\"\npaths = {paths}\n"));
    let read = parse(&data(r#"{ graph = "claim:data-shop-0", more = "more" }"#)).unwrap();
    let grants = &read.datastores[0].grants;
    assert_eq!((grants.claims["graph"].as_str(), grants.paths.len()), ("data-shop-0", 1));
    assert!(said(&data(r#"["claim:Data_0"]"#)).contains("`datastores.a.paths.0` names no claim"));
    let twice =
        data(r#"["claim:data-shop-0"]"#) + "[datastores.b]\nplugin = \"files\"\npaths = [\"claim:data-shop-0\"]\n";
    assert!(said(&twice).contains("`a` and `b` both name the claim `data-shop-0`"), "{}", said(&twice));
}
