//! A platform's release of Helm.

use super::*;

#[test]
fn a_rehearsals_namespace_is_another() {
    let file = |more: &str| {
        with(&format!(
            "[platform.kubernetes]\nnamespace = \"shop\"\nrelease = \"shop\"\nchart = \"charts/shop-{{version}}\"\n{more}\n"
        ))
    };
    let read = parse(&file("rehearsal-namespace = \"shop-rehearsals\"")).unwrap();
    let release = read.platforms[0].grants.kubernetes.clone().unwrap();
    assert_eq!(release.rehearsal_namespace.as_deref(), Some("shop-rehearsals"));
    let same = said(&file("rehearsal-namespace = \"shop\""));
    assert!(same.contains("`platform.kubernetes.rehearsal-namespace` is the namespace of what is live"), "{same}");
    assert!(same.contains("a rehearsal empties it"), "{same}");
}
